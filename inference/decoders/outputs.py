"""Finding the tensor with the proposals among a network's outputs, from logits to scores, and keeping broken numbers out."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import FloatArray
from framehook.inference.decoders.base import Candidates
from framehook.inference.errors import UnknownLayoutError

_log = logging.getLogger("framehook")


def proposals(outputs: Sequence[npt.NDArray[Any]], *, layout: str, axes: str) -> FloatArray:
    """Return the first output of three axes as float32, copied only where its dtype differs.

    Feature maps that some exports add have four or five axes.

    Args:
        outputs: Raw outputs of a network.
        layout: Name of the layout, for the message.
        axes: What the three axes should be, for the message.

    Raises:
        UnknownLayoutError: no output has three axes.
    """
    for output in outputs:
        if output.ndim == 3:
            return np.asarray(output, np.float32)
    raise wrong_shape(outputs, layout=layout, axes=axes)


def wrong_shape(outputs: Sequence[npt.NDArray[Any]], *, layout: str, axes: str) -> UnknownLayoutError:
    """The error for outputs that do not have the shape of a layout."""
    shapes = ", ".join(" x ".join(map(str, output.shape)) for output in outputs) or "none"
    return UnknownLayoutError(f"outputs of shape {shapes} do not fit layout '{layout}' ({axes}); name another with decoder=")


def sigmoid(logits: FloatArray) -> FloatArray:
    """Scores 0..1 of logits, as a new array."""
    # A very negative logit overflows to infinity here, and its score is the zero it should be.
    with np.errstate(over="ignore"):
        scores: FloatArray = np.exp(-logits)
    scores += 1
    return np.reciprocal(scores, out=scores)


def logit(score: float) -> float:
    """The logit of a score from 0 to 1: what logits are compared with, so that only those that pass need their sigmoid."""
    if score <= 0:
        return -math.inf
    return math.inf if score >= 1 else math.log(score / (1 - score))


class FiniteFilter:
    """Drops candidates whose score or box is NaN or infinite, and says so once in its life."""

    def __init__(self, layout: str) -> None:
        """Filter for a decoder of this name."""
        self._layout = layout
        self._warned = False
        self._lock = threading.Lock()

    def __call__(self, candidates: Candidates) -> Candidates:
        """Return the candidates whose numbers are all finite."""
        # One broken number makes the sum broken; only then is it worth finding out which.
        with np.errstate(over="ignore", invalid="ignore"):
            if math.isfinite(candidates.conf.sum() + candidates.xyxy.sum()):
                return candidates
        good = np.isfinite(candidates.conf) & np.isfinite(candidates.xyxy).all(axis=1)
        if good.all():
            return candidates
        self.warn()
        return candidates[good]

    def warn(self) -> None:
        """Log that something was dropped, the first time."""
        with self._lock:
            first, self._warned = not self._warned, True
        if first:
            _log.warning(
                "the network gives scores or boxes that are not finite numbers (layout '%s'); these are dropped. "
                "Check the weights, the numeric range of a float16 export, and that the layout is right (decoder=)",
                self._layout,
            )
