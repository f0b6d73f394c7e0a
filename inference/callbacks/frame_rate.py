"""How fast the run is, on the picture."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.caption import draw_caption
from framehook.inference.callbacks.per_source import PerRun, PerSource, is_gone
from framehook.inference.result import Image, Result

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

WINDOW: Final = 2.0
"""Seconds over which the rate is taken; longer where fewer than two frames come in them."""
_MOST: Final = 1000  # frames that are looked back on at most


class FrameRate(Callback):
    """Tells how fast frames of a source go through: `result.data["fps"]`, frames a second lately, 0 with the first frame.

    It is drawn in the right upper corner of `result.canvas`, of live sources with the latency, the milliseconds since the frame
    was captured.
    """

    order: ClassVar[int] = 90  # in `on_predict_postprocess_end`, so that it is there when users' callbacks see the results
    foreground_only: ClassVar[bool] = True

    def __init__(self, *, draw: bool = True) -> None:
        """Choose whether it is drawn as well as attached."""
        self._draw = draw
        self._runs: PerRun[PerSource[_Rate]] = PerRun(lambda: PerSource(lambda _frame: _Rate()))

    def on_predict_postprocess_end(self, predictor: Predictor) -> None:
        sources = self._runs.of(predictor)
        now = time.monotonic()
        for result in predictor.frame_results:
            fps = sources.of(result.frame).with_frame_at(now)
            result.data["fps"] = round(fps, 1)
            if self._draw:
                latency = (now - result.frame.captured_at) * 1e3 if result.frame.source.live else None
                result.add_painter(_Painter(fps, latency))

    def on_source_change(self, predictor: Predictor) -> None:
        sources, change = self._runs.find(predictor), predictor.change
        if sources is not None and change is not None and is_gone(change):
            sources.end(change.source)

    def on_predict_end(self, predictor: Predictor) -> None:
        self._runs.pop(predictor)


class _Rate:
    """The frame rate of one source."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MOST)

    def with_frame_at(self, now: float) -> float:
        """Frames a second, with one that comes now."""
        times = self._times
        times.append(now)
        while len(times) > 2 and now - times[0] > WINDOW:
            times.popleft()
        span = now - times[0]
        return (len(times) - 1) / span if span > 0 else 0.0


class _Painter:
    """Writes the figures of one frame."""

    __slots__ = ("_text",)

    def __init__(self, fps: float, latency: float | None) -> None:
        rate = "-" if fps == 0 else f"{fps:.1f}" if fps < 100 else f"{fps:.0f}"
        self._text = f"{rate} fps" if latency is None else f"{rate} fps  {latency:.0f} ms"

    def __call__(self, result: Result, canvas: Image) -> None:
        draw_caption(canvas, self._text, (canvas.shape[1], 0), ground=(40, 40, 40))
