"""How long each track has been seen, and how fast it moves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PerRun, PerSource, PerTrack, is_gone, time_of

if TYPE_CHECKING:
    from framehook.inference.frame import Frame
    from framehook.inference.predictor import Predictor

MEMORY: Final = 0.125
"""Seconds in which what a track did loses two thirds of its weight: nine tenths of a change of speed show after .5 s."""


class TrackFacts(NamedTuple):
    """What is known of a track at one frame.

    Attributes:
        age: Seconds since it was seen first in this stretch of its source; 0 where frames have no times.
        speed: Pixels of the frame per second at which the middle of its box moves, smoothed over about half a second; None
            before it was seen at two times.
        frames: How many frames it was seen in.
    """

    age: float
    speed: float | None
    frames: int


class Motion(Callback):
    """Tells of each track how old and how fast it is, in `result.data["motion"]`: `TrackFacts` by track id.

    Boxes that belong to no track (id -1) have none. Times are media times of files and times of capture of live sources, so
    that neither a slow machine nor dropped frames make a track slower. After a seek, a reconnection or a new size of the frame
    all begin anew.
    """

    order: ClassVar[int] = -80  # after tracking, before what users add
    foreground_only: ClassVar[bool] = True

    def __init__(self) -> None:
        """Make one; it may serve several runs at once."""
        self._runs: PerRun[PerSource[_Stretch]] = PerRun(lambda: PerSource(lambda _frame: _Stretch()))

    def on_predict_postprocess_end(self, predictor: Predictor) -> None:
        sources = self._runs.of(predictor)
        for result in predictor.frame_results:
            boxes = result.boxes
            stretch = sources.of(result.frame)
            stretch.reach(result.frame)
            facts: dict[int, TrackFacts] = {}
            if boxes.id is not None:
                time = time_of(result.frame)
                for number, (x, y, _, _) in zip(boxes.id.tolist(), boxes.xywh.tolist(), strict=True):
                    if number >= 0:
                        facts[number] = stretch.tracks.of(number).seen(time, x, y)
            result.data["motion"] = facts

    def on_source_change(self, predictor: Predictor) -> None:
        sources, change = self._runs.find(predictor), predictor.change
        if sources is not None and change is not None and is_gone(change):
            sources.end(change.source)

    def on_predict_end(self, predictor: Predictor) -> None:
        self._runs.pop(predictor)


class _Stretch:
    """The tracks of one uninterrupted stretch of a source."""

    def __init__(self) -> None:
        self.tracks: PerTrack[_Track] = PerTrack(_Track)
        self._place: tuple[int, tuple[int, int]] | None = None

    def reach(self, frame: Frame) -> None:
        """Get ready for a frame, which may not follow on the one before."""
        place = (frame.segment, frame.size)
        if self._place != place:
            self._place = place
            self.tracks = PerTrack(_Track)


class _Track:
    """Where a track is expected, and how fast.

    A fading-memory filter of first order (N. Morrison, Introduction to Sequential Smoothing and Prediction, 1969): the straight
    movement that fits what was seen best, where what is older counts less. While there is little to fade, everything counts
    alike, so that two positions already give the speed between them. It keeps no positions, and at 30 fps a box that trembles
    looks a third slower than it would by where it was half a second ago.
    """

    __slots__ = ("began", "frames", "speed_x", "speed_y", "steps", "time", "x", "y")

    def __init__(self) -> None:
        self.frames = 0
        self.steps = 0
        self.began = self.time = self.x = self.y = self.speed_x = self.speed_y = 0.0

    def seen(self, time: float | None, x: float, y: float) -> TrackFacts:
        """The track is at (x, y) in pixels, at a time in seconds."""
        self.frames += 1
        if time is None:
            return TrackFacts(0.0, None, self.frames)
        if self.frames == 1:
            self.began, self.time, self.x, self.y = time, time, x, y
        passed = time - self.time
        if passed > 0:  # two frames may bear the same time
            self._move(passed, x, y)
            self.time = time
        speed = math.hypot(self.speed_x, self.speed_y) if self.steps else None
        return TrackFacts(self.time - self.began, speed, self.frames)

    def _move(self, passed: float, x: float, y: float) -> None:
        self.steps += 1
        count = self.steps + 1
        kept = math.exp(-passed / MEMORY)
        # How much the difference from what was expected corrects the place and the speed.
        place = max(1 - kept * kept, 2 * (2 * count - 1) / (count * (count + 1)))
        speed = max((1 - kept) ** 2, 6 / (count * (count + 1)))
        self.x += self.speed_x * passed
        self.y += self.speed_y * passed
        off_x, off_y = x - self.x, y - self.y
        self.x += place * off_x
        self.y += place * off_y
        self.speed_x += speed * off_x / passed
        self.speed_y += speed * off_y / passed
