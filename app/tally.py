"""What a run found, counted as it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, Final

from framehook.inference.callbacks import Callback
from framehook.inference.result import Result

REMEMBERED: Final = 10_000
"""Tracks known by their number at a time: memory must not grow with the length of a stream, and old ones do not come back."""


class Tally(Callback):
    """Counts boxes and tracks by class. Runs after every other callback, so that it sees what they made of the results.

    Attributes:
        frames: Frames seen.
        boxes: Boxes by class name.
        tracks: Distinct confirmed tracks by class name.
        tracking: Whether boxes carried track numbers.
    """

    order: ClassVar[int] = 1000

    def __init__(self, *, limit: int | None = None, on_result: Callable[[Result], None] | None = None) -> None:
        """Start at nothing.

        Args:
            limit: Stop the run after this many frames.
            on_result: Called with each frame's result.
        """
        self.frames = 0
        self.boxes: Counter[str] = Counter()
        self.tracks: Counter[str] = Counter()
        self.tracking = False
        self._limit = limit
        self._on_result = on_result
        self._known: dict[tuple[str, int], None] = {}

    def on_predict_batch_end(self, predictor: Any) -> None:
        """Count the results of a batch."""
        for result in predictor.frame_results:
            self._count(result)
            if self._on_result is not None:
                self._on_result(result)
        if self._limit is not None and self.frames >= self._limit:
            predictor.stop()

    def _count(self, result: Result) -> None:
        self.frames += 1
        boxes = result.boxes
        self.boxes.update(result.name_of(number) for number in boxes.cls)
        if boxes.id is None:
            return
        self.tracking = True
        for number, cls in zip(boxes.id, boxes.cls, strict=True):
            if number < 0:
                continue  # not confirmed yet
            key = (result.frame.source.id, int(number))
            if key not in self._known:
                self.tracks[result.name_of(cls)] += 1
            self._known.pop(key, None)
            self._known[key] = None
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
