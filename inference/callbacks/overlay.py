"""What is drawn on a result's canvas: boxes, labels, trails, heat, blurred people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PerRun, PerSource
from framehook.inference.errors import OptionError, did_you_mean
from framehook.inference.frame import Frame
from framehook.inference.result import Image, Result

if TYPE_CHECKING:
    import supervision

    from framehook.inference.predictor import Predictor

LAYERS: Final = ("blur", "pixelate", "heatmap", "trails", "boxes", "labels", "confidence")
"""Every layer, from the lowest to the highest."""
_HEAT_CELLS: Final = 128  # along the longer side; each frame holds its own heat, so that a late look is right
_GREY: Final = "#8a8f98"


class Overlay(Callback):
    """Draws on `result.canvas`, when it is first looked at; a canvas that nobody looks at costs nothing.

    Layers, from the lowest to the highest: `blur` or `pixelate` what is in the boxes, `heatmap` (where boxes stood since the
    source began), `trails` (the way of each track), `boxes`, `labels` (id and name) and `confidence` (the score, in the label).
    Lines and letters grow with the frame. Colours follow the track id where there is one, else the class; grey is a box that
    belongs to no track.

    Trails and heat are kept for each source of each run, begin anew where the source is interrupted, and show the state at
    their own frame however late, and from whatever thread, its canvas is looked at.
    """

    order: ClassVar[int] = -90

    def __init__(
        self,
        *layers: str,
        trail_length: int = 30,
        line_width: int | None = None,
        text_scale: float | None = None,
        colors: Sequence[str] | None = None,
    ) -> None:
        """Choose what is drawn.

        Args:
            *layers: Any of blur, pixelate, heatmap, trails, boxes, labels, confidence, in any order; none follows the run's
                option `overlay`, also where it changes between frames.
            trail_length: Frames over which a trail reaches back.
            line_width: Pixels; None for one that suits the frame.
            text_scale: Height of the letters, 1 being about 22 pixels; None for one that suits the frame.
            colors: Colours to take turns, such as `["#ff0000", "#00ff00"]`; None for a palette of 16.

        Raises:
            OptionError: no such layer, the message naming the nearest; or a value out of range.
        """
        self._layers = check_layers(layers) if layers else None
        if trail_length < 1:
            raise OptionError(f"trail_length={trail_length!r} is out of range; pass a whole number from 1")
        self._trail_length = trail_length
        self._look = _Look(line_width, text_scale, tuple(colors) if colors else PALETTE)
        self._look.palette()
        self._runs: PerRun[PerSource[_Past]] = PerRun(lambda: PerSource(_Past.before))

    def on_predict_postprocess_end(self, predictor: Predictor) -> None:
        layers = self._wanted(predictor)
        if not layers:
            return
        sources = self._runs.of(predictor) if _KEPT & layers else None
        for result in predictor.frame_results:
            past = sources.of(result.frame).at(result.frame) if sources is not None else None
            result.add_painter(_Painter(layers, self._look, past, self._trail_length))
            ...

    def on_predict_end(self, predictor: Predictor) -> None:
        self._runs.pop(predictor)
