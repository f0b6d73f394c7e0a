"""What is drawn on a result's canvas: boxes, labels, trails, heat, blurred people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.drawing import HIDING, PALETTE, Look, draw, hide
from framehook.inference.callbacks.past import Past
from framehook.inference.callbacks.per_source import PerRun, PerSource, is_gone, is_replaced
from framehook.inference.callbacks.tracking import Tracking
from framehook.inference.errors import OptionError, did_you_mean
from framehook.inference.options import PredictOptions
from framehook.inference.ranges import is_whole
from framehook.inference.result import Image, Result

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

LAYERS: Final = ("blur", "pixelate", "heatmap", "trails", "boxes", "labels", "confidence")
"""Every layer, from the lowest to the highest."""


class Overlay(Callback):
    """Draws on `result.canvas`, when it is first looked at; a canvas that nobody looks at costs next to nothing.

    Layers, from the lowest to the highest: `blur` or `pixelate` what is in the boxes, `heatmap` (where boxes stood since the
    source began), `trails` (the way of each track), `boxes`, `labels` (id and name) and `confidence` (the score, in the label).
    Lines and letters grow with the frame. Colours follow the track id where there is one, else the class; grey is a box that
    belongs to no track.

    `blur` and `pixelate` hide whatever was found: also what tracking or a later callback takes out of `result.boxes`, and what
    a callback adds. To leave something unhidden, use the run's option `classes`, or take it out of `result.boxes` before
    tracking, in `on_predict_postprocess_end` with an `order` below -100.

    Trails and heat are kept for each source of each run and begin anew where the source is interrupted. A canvas shows them
    as they were at its own frame, however late and from whatever thread it is looked at.
    """

    order: ClassVar[int] = -90
    foreground_only: ClassVar[bool] = True

    def __init__(
        self,
        *layers: str,
        trail_length: int = 30,
        line_width: int | None = None,
        text_scale: float | None = None,
        colors: Sequence[str] = PALETTE,
    ) -> None:
        """Choose what is drawn.

        Args:
            *layers: Any of blur, pixelate, heatmap, trails, boxes, labels, confidence, in any order; none follows the run's
                option `overlay`, also where it changes between frames. An overlay with layers of its own is drawn instead of
                what the option says.
            trail_length: Frames over which a trail reaches back.
            line_width: Pixels; None for a width that suits the frame.
            text_scale: Size of the letters, 1 being 22 pixels high; None for a size that suits the frame.
            colors: Colours to take turns, such as `["#ff0000", "#00ff00"]`.

        Raises:
            OptionError: no such layer, the message naming the nearest; or a value out of range.
        """
        if not is_whole(trail_length, 1):
            raise OptionError(f"trail_length={trail_length!r} is out of range; pass a whole number from 1")
        self._layers = check_layers(layers) if layers else None
        self._look = Look(tuple(colors), line_width, text_scale)
        self._trail_length = trail_length
        self._runs: PerRun[_State] = PerRun(_State)

    @property
    def follows_options(self) -> bool:
        """Whether no layers were chosen for it."""
        return self._layers is None

    def on_predict_postprocess_end(self, predictor: Predictor) -> None:
        layers = self._wanted(predictor)
        state = self._runs.of(predictor)
        state.painters = []
        if not layers:
            return
        # Who looks at a canvas before the end of the batch sees the boxes of the batch as they are by now.
        for_now: dict[int, Past] = {}
        for result in predictor.frame_results:
            source = state.sources.of(result.frame)
            past = for_now.get(id(source), source.past).until(result.frame)
            for_now[id(source)] = past
            if len(predictor.frame_results) > 1:
                for_now[id(source)] = past.extended(result.boxes, layers, self._trail_length)
            hidden = _found(predictor, result) if layers & HIDING else ()
            painter = _Painter(layers, self._look, past, hidden, follows=self.follows_options)
            state.painters.append(painter)
            result.add_painter(painter)

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        # Only now are the boxes what users' callbacks made of them.
        state = self._runs.of(predictor)
        for painter, result in zip(state.painters, predictor.frame_results, strict=False):
            source = state.sources.of(result.frame)
            painter.past = source.past.until(result.frame)
            source.past = painter.past.extended(result.boxes, painter.layers, self._trail_length)
        state.painters = []

    def on_source_change(self, predictor: Predictor) -> None:
        state, change = self._runs.find(predictor), predictor.change
        if state is not None and change is not None and is_gone(change):
            state.sources.end(change.source)

    def on_predict_end(self, predictor: Predictor) -> None:
        self._runs.pop(predictor)

    def _wanted(self, predictor: Predictor) -> frozenset[str]:
        if self._layers is not None:
            return self._layers
        state = self._runs.of(predictor)
        if state.args is not predictor.args:
            state.args, state.layers = predictor.args, check_layers(predictor.args.overlay)
        return frozenset() if state.layers and is_replaced(predictor, self, Overlay) else state.layers


def check_layers(layers: Sequence[str] | str | None) -> frozenset[str]:
    """Check the names of layers: a sequence, a text with commas between them, or None for nothing.

    Raises:
        OptionError: no such layer; the message names the nearest.
    """
    names = layers.replace(",", " ").split() if isinstance(layers, str) else list(layers or ())
    for name in names:
        if name not in LAYERS:
            hint = did_you_mean(str(name), LAYERS)
            raise OptionError(f"unknown overlay layer {name!r}.{hint} The layers are {', '.join(LAYERS)}.")
    return frozenset(names)


def redrawn(result: Result, boxes: Boxes, layers: frozenset[str], hidden: tuple[Boxes, ...]) -> Result:
    """A result as it would be with other boxes and other layers; trails and heat are those that were kept for its frame.

    Args:
        result: One that went through a run with the overlay that every run has.
        boxes: What is drawn on it.
        layers: The layers of the overlay.
        hidden: Further boxes that `blur` and `pixelate` hide, such as those that belong to no track.
    """
    painters = list(result.painters)
    for place, painter in enumerate(painters):
        if isinstance(painter, _Painter):
            drawn = layers if painter.follows else painter.layers
            painters[place] = _Painter(drawn, painter.look, painter.past, hidden, follows=painter.follows)
    if not any(isinstance(painter, _Painter) for painter in painters):  # there were no layers at its time
        painters.insert(0, _Painter(layers, Look(tuple(PALETTE), None, None), Past.none(result.frame), hidden, follows=True))
    return result.retaken(boxes, painters)


class _Painter:
    """Draws one result. It holds what came before its frame, and reads the boxes when it draws.

    Whether it `follows` the run's option `overlay` tells which layers the same frame has when that changes.
    """

    __slots__ = ("follows", "hidden", "layers", "look", "past")

    def __init__(self, layers: frozenset[str], look: Look, past: Past, hidden: tuple[Boxes, ...], *, follows: bool) -> None:
        self.layers = layers
        self.look = look
        self.past = past
        self.hidden = hidden
        self.follows = follows

    def __call__(self, result: Result, canvas: Image) -> None:
        if self.layers & HIDING:
            hide(canvas, (result.boxes, *self.hidden), self.layers)
        draw(canvas, result, self.layers, self.look, self.past)


@dataclass(slots=True)
class _SourceState:
    past: Past


@dataclass(slots=True)
class _State:
    """What is kept for a run."""

    sources: PerSource[_SourceState] = field(default_factory=lambda: PerSource(lambda frame: _SourceState(Past.none(frame))))
    painters: list[_Painter] = field(default_factory=list)
    args: PredictOptions | None = None
    layers: frozenset[str] = frozenset()


def _found(predictor: Predictor, result: Result) -> tuple[Boxes, ...]:
    """The boxes of a result as they are now, and as they were before tracking left some out."""
    before = (tracking.boxes_before(predictor, result) for tracking in predictor.callbacks.objects(Tracking))
    return (result.boxes, *(boxes for boxes in before if boxes is not None))
