"""When the frames of a file that is played in real time are due."""

from __future__ import annotations

import time

from framehook.inference.frame import Frame


class PlaybackClock:
    """Maps the times of a file to the monotonic clock, anchored anew with each file, seek and pause."""

    def __init__(self) -> None:
        """Anchored by the first frame."""
        self._stretch: tuple[str, int] | None = None
        self._anchor = 0.0

    def due(self, frame: Frame) -> float | None:
        """When a frame should be shown, in monotonic seconds; None where neither its time nor a frame rate is known."""
        at = self._time_of(frame)
        if at is None:
            return None
        stretch = (frame.source.id, frame.segment)
        if stretch != self._stretch:
            self._stretch = stretch
            self._anchor = time.monotonic() - at
        return self._anchor + at

    def restarted(self, frame: Frame) -> float | None:
        """As `due`, with this frame due now."""
        self._stretch = None
        return self.due(frame)

    def _time_of(self, frame: Frame) -> float | None:
        if frame.pts is not None:
            return frame.pts
        return frame.index / frame.source.fps if frame.source.fps else None
