"""Framehook: real-time video inference with a callback at every stage.

    from framehook import Model

    model = Model()                                   # the bundled person detector; or Model("your.onnx")
    for result in model.track(0, stream=True):        # a webcam; or a file, a URL, a folder ...
        print(result.boxes.id, result.boxes.xyxy)

The rooms behind the front door are `framehook.inference` (sources, backends, decoders, callbacks, the predictor) and
`framehook.app` (the command line).
"""

from framehook._version import __version__
from framehook.inference.boxes import Boxes
from framehook.inference.callbacks import Callback
from framehook.inference.errors import FramehookError
from framehook.inference.frame import Frame
from framehook.inference.result import Result
from framehook.inference.run import Run
from framehook.model import Model

YOLO = Model
"""The name that code written for other libraries imports."""

__all__ = ["Boxes", "Callback", "Frame", "FramehookError", "Model", "Result", "Run", "YOLO", "__version__"]
