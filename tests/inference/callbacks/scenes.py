"""Runs whose boxes are written down frame by frame, so that what callbacks make of them is exact."""

import numpy as np

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks import Callbacks

from ..brightness import start  # noqa: TID252 - the same scenery as the tests of runs

__all__ = ["boxes", "play", "start", "walk"]


def boxes(rows, shape, ids=None):
    """Boxes of (left, top, right, bottom, score) rows, best first, on a frame of (height, width)."""
    rows = np.array(rows, np.float32).reshape(-1, 5)
    return Boxes(rows[:, :4], rows[:, 4], np.zeros(len(rows)), ids, orig_shape=shape)


def play(source, *added, script=None, ids=None, callbacks=None, **options):
    """A run of `source` with these callbacks; `script(index)` gives the rows of a frame, `ids(index)` their track ids."""
    registry = Callbacks(parent=callbacks)

    def write(predictor):
        for result in predictor.frame_results:
            index = result.frame.index
            rows = script(index) if script else []
            result.boxes = boxes(rows, result.orig_shape, ids(index) if ids else None)

    registry.add("on_predict_postprocess_end", write, order=-200)
    for callback in added:
        registry.add(callback)
    return start(source, callbacks=registry, **options)


def walk(index, *, left=20, speed=4, score=0.9):
    """One person who walks to the right."""
    x = left + speed * index
    return [(x, 60, x + 30, 140, score)]
