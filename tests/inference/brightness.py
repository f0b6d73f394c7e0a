"""A network whose answer is exact: one box in the middle, scored by the brightness of the picture."""

import time

import numpy as np

from framehook.inference.backends import FunctionBackend
from framehook.inference.callbacks import Callbacks
from framehook.inference.decoders import get_decoder
from framehook.inference.detector import Detector
from framehook.inference.options import PredictOptions
from framehook.inference.predictor import Predictor
from framehook.inference.preprocess import InputFormat
from framehook.inference.run import Run
from framehook.inference.sources import Source, open_source

SIDE = 32


def picture(value, size=(SIDE, SIDE)):
    """A plain grey picture of one value."""
    return np.full((size[1], size[0], 3), value, np.uint8)


def brightness_of(tensor, delay=lambda: 0.0):
    time.sleep(delay())
    count = len(tensor)
    output = np.zeros((count, 5, 1), np.float32)
    output[:, :4, 0] = (16, 16, 8, 8)
    output[:, 4, 0] = tensor[:, 0, SIDE // 2, SIDE // 2]
    return [output]


def detector(*, delay=lambda: 0.0, batch=None, function=None, calls=None):
    def network(tensor):
        if calls is not None:
            calls.append(len(tensor))
        return (function or (lambda tensor: brightness_of(tensor, delay)))(tensor)

    backend = FunctionBackend(network, input_shape=(batch, 3, SIDE, SIDE), output_shapes=[(batch, 5, 1)])
    return Detector(backend, get_decoder("yolo"), names={0: "thing"}, form=InputFormat())


def start(source, *, net=None, callbacks=None, **options):
    """A run, from any source or a list of several that are open, over the brightness network."""
    options = {"conf": 0.001, "overlay": None, **options}
    several = isinstance(source, (list, tuple)) and all(isinstance(each, Source) for each in source)
    opened = source if several else [open_source(source)]
    predictor = Predictor(net or detector(), opened, PredictOptions(**options), callbacks=callbacks or Callbacks())
    return Run(predictor, endless=any(each.endless for each in opened))


def values(results):
    """The brightness each result tells, 0..255."""
    return [round(float(result.boxes.conf[0]) * 255) for result in results]
