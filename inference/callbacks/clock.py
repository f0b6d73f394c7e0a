"""The times of a recording."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

from framehook.inference.callbacks.per_source import PICTURES
from framehook.inference.frame import Frame

TICKS: Final = 60_000
"""The clock of every file: ticks a second. Exact for 24, 25, 30, 29.97 and milliseconds, and no more than MPEG-4 can count."""
_PICTURE_RATE: Final = 25.0  # pictures a second, for lists of pictures, which have no times
_USUAL_RATE: Final = 30.0


def rate_of(frame: Frame, stride: int) -> Fraction:
    """Frames a second of a frame's source, about, of which every `stride`th is there: what an encoder reckons with."""
    source = frame.source
    if source.fps and math.isfinite(source.fps) and source.fps > 0:
        rate = source.fps / stride
    else:
        rate = _PICTURE_RATE if source.kind in PICTURES else _USUAL_RATE
    return Fraction(min(max(rate, 0.1), 1000.0)).limit_denominator(1001)


class RecordingClock:
    """Turns the times of one source's frames into those of its recording: from 0, never falling, in seconds.

    Of files it is media time, without the gap that a seek leaves. Of live sources, and of whatever has no times of its own, it
    is the time of capture: frames that were dropped, and stretches in which nothing came, take up the time that they took.
    """

    def __init__(self, rate: float) -> None:
        """Begin; `rate` (frames a second, about) tells how long a frame lasts where no frame before it told."""
        self._step = 1 / rate
        self._zero = 0.0
        self._last: float | None = None
        self._segment = 0
        self._count = 0
        self._live = False

    def seconds(self, frame: Frame) -> float:
        """The time of the next frame."""
        live = self._live = frame.source.live
        if not live and frame.pts is not None:
            moment = frame.pts
        elif not live and frame.source.frame_count is not None:
            moment = self._count / _PICTURE_RATE  # they are read ahead as fast as can be
        else:
            moment = frame.captured_at
        self._count += 1
        if self._last is None:
            self._zero = moment
        elif (frame.segment != self._segment and not live) or moment < self._last:
            self._zero += moment - self._last - self._step
        elif not live and moment > self._last:
            self._step = moment - self._last
        self._segment = frame.segment
        self._last = moment
        return moment - self._zero

    def end(self, now: float) -> float:
        """When the last frame ends, if no other follows: of a live source now (monotonic s), as its picture stood till then."""
        if self._last is None:
            return 0.0
        waited = now - self._last if self._live else 0.0
        # Negative where a source has a clock of its own.
        return self._last + (waited if waited > 0 else self._step) - self._zero
