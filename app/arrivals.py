"""How the frames of a source come: when the first, how many, how evenly."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from framehook.inference.errors import FramehookError
from framehook.inference.frame import Frame, SourceInfo
from framehook.inference.sources import Source

REMEMBERED: Final = 100_000
"""Intervals that are kept, those of the last frames: memory must not grow with the time that is looked on."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Milliseconds from each frame to the next."""

    p50: float
    p95: float
    longest: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came of a source.

    Attributes:
        source: What is known of it at the end.
        first: The first frame.
        to_first: Seconds from the beginning of opening the source to its first frame.
        frames: Frames that came.
        elapsed: Seconds from the arrival of the first to that of the last; or to the end, after a silence longer than usual.
        fps: Frames a second in this time, or None for a single frame.
        gaps: From arrival to arrival, or None for a single frame; a silence at the end counts as well.
        timed: Frames that told their media time.
        media_fps: Frames a second by their media times, or None where they do not tell.
        steps: From one media time to the next, or None; over a break in the stream there is none.
        ended: Whether the source ended by itself.
        interrupted: Whether Ctrl-C ended it.
        error: What ended it otherwise.
    """

    source: SourceInfo
    first: Frame
    to_first: float
    frames: int
    elapsed: float
    fps: float | None
    gaps: Gaps | None
    timed: int
    media_fps: float | None
    steps: Gaps | None
    ended: bool
    interrupted: bool
    error: FramehookError | None


def watch_arrivals(opener: Callable[[], Source], seconds: float) -> Arrivals | None:
    """Open a source, read all that comes for a while after its first frame, and close it.

    Ctrl-C ends it as well, once there is a frame.

    Args:
        opener: Opens the source.
        seconds: How long to read.

    Returns:
        What came; None where the source ended without a frame.

    Raises:
        SourceError, FrameError: it cannot be opened, or gives no first frame. What ends it later is `Arrivals.error`.
    """
    began = time.monotonic()
    with opener() as source:
        first = source.read()
        if first is None:
            return None
        watch = _Watch(first, time.monotonic() - began)
        # A read that waits for a frame is woken when the time is over; one that does not wait looks at the clock.
        deadline = time.monotonic() + seconds
        alarm = threading.Timer(seconds, source.interrupt)
        alarm.name = "framehook-alarm"
        try:
            alarm.start()
            while time.monotonic() < deadline:
                frame = source.read()
                if frame is None:
                    break
                watch.count(frame)
            watch.ended = time.monotonic() < deadline
        except KeyboardInterrupt:
            watch.interrupted = True
        except FramehookError as error:
            watch.error = error if time.monotonic() < deadline else None  # a read that is interrupted may fail
        finally:
            ended_at, info = time.monotonic(), source.info
            alarm.cancel()
            alarm.join()
    return watch.arrivals(info, ended_at)


class _Watch:
    """Counts frames."""

    def __init__(self, first: Frame, to_first: float) -> None:
        self.ended = self.interrupted = False
        self.error: FramehookError | None = None
        self._first = self._last = first
        self._to_first = to_first
        self._frames = 1
        self._timed = int(first.pts is not None)
        self._gaps = _Intervals()
        self._steps = _Intervals()

    def count(self, frame: Frame) -> None:
        last, self._last = self._last, frame
        self._frames += 1
        self._gaps.add(frame.captured_at - last.captured_at)
        if frame.pts is None:
            return
        self._timed += 1
        if last.pts is not None and frame.segment == last.segment and frame.source.id == last.source.id:
            self._steps.add(frame.pts - last.pts)

    def arrivals(self, source: SourceInfo, now: float) -> Arrivals:
        silence = now - self._last.captured_at
        if source.live and not self.ended and (usual := self._gaps.read()) and silence > 2 * usual.p95 / 1e3:
            self._gaps.add(silence)
        return Arrivals(
            source=source,
            first=self._first,
            to_first=self._to_first,
            frames=self._frames,
            elapsed=self._gaps.total,
            fps=self._gaps.rate(self._frames - 1),
            gaps=self._gaps.read(),
            timed=self._timed,
            media_fps=self._steps.rate(self._steps.count),
            steps=self._steps.read(),
            ended=self.ended,
            interrupted=self.interrupted,
            error=self.error,
        )


class _Intervals:
    """Seconds from one to the next."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._longest = 0.0
        self._last: deque[float] = deque(maxlen=REMEMBERED)

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds
        self._longest = max(self._longest, seconds)
        self._last.append(seconds)

    def rate(self, count: int) -> float | None:
        return count / self.total if self.total > 0 else None

    def read(self) -> Gaps | None:
        if not self._last:
            return None
        p50, p95 = (float(value) * 1e3 for value in np.percentile(self._last, (50, 95)))
        return Gaps(p50, p95, self._longest * 1e3)
