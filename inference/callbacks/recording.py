"""The recording of one source: its files, one after another."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from framehook.inference.callbacks.clock import TICKS, RecordingClock, rate_of
from framehook.inference.errors import RecordingError
from framehook.inference.frame import Frame, SourceInfo
from framehook.inference.result import Image
from framehook.inference.saving import release_file

if TYPE_CHECKING:
    from framehook.inference.callbacks.encoder import Encoder

_LONGEST_GAP: Final = 8 * 3600.0  # s; MPEG-4 cannot count much further from one picture to the next


@dataclass(frozen=True, slots=True)
class Limits:
    """When a file is over.

    Attributes:
        seconds: Its length; None for no limit.
        bytes: Its size, about; None for no limit.
    """

    seconds: float | None = None
    bytes: int | None = None


class Recording:
    """Writes the frames of one source into files, of which each plays by itself from 0.

    While a file is written, the one before it may still be on its way to being complete, but no other. Until then a live source
    goes on in the file it has, and of frames that do not fit into it none is taken; a file waits.

    Attributes:
        source: The source.
        over: Whether it broke off and takes no more frames.
        told: Whether it was told that it, or a file of it, broke off.
    """

    def __init__(self, source: SourceInfo, limits: Limits) -> None:
        """Begin without a file, with the limits at which each will be over."""
        self.source = source
        self.over = self.told = False
        self._limits = limits
        self._clock: RecordingClock | None = None
        self._rate = Fraction(1)
        self._now = 0.0
        self._begun_at = 0.0
        self._ticks = -1
        self._size: tuple[int, int] | None = None
        self._encoder: Encoder | None = None
        self._finishing: deque[Encoder] = deque()
        self._finished: deque[Path] = deque()

    @property
    def has_begun(self) -> bool:
        """Whether there was a frame of the source."""
        return self._clock is not None

    @property
    def is_open(self) -> bool:
        """Whether there is a file for the frame that `take` was told of."""
        return self._encoder is not None

    def take(self, frame: Frame, stride: int) -> bool:
        """Get ready for the next frame, ending the file where it is over; False where the frame has to be left out.

        Args:
            frame: The frame.
            stride: The run's `vid_stride`.

        Raises:
            RecordingError: writing failed.
        """
        if self._clock is None:
            self._rate = rate_of(frame, stride)
            self._clock = RecordingClock(float(self._rate))
        before, self._now = self._now, self._clock.seconds(frame)
        self._collect(wait=False)
        if self._encoder is not None:
            unfit = self._size != frame.size or self._now - before > _LONGEST_GAP
            wait = frame.source.live and bool(self._finishing)
            if unfit and wait:
                return False
            if unfit or (not wait and self._is_full(self._encoder)):
                self._collect()
                self._hand_over(min(self._now, before + _LONGEST_GAP))
        return self._encoder is None or not frame.source.live or self._encoder.has_room()

    def open(self, path: Path, frame: Frame, *, crf: int) -> None:
        """Begin a file with the frame that `take` was told of; the name, which is claimed, is let go of when it is complete.

        Raises:
            RecordingError: it cannot be written.
        """
        from framehook.inference.callbacks.encoder import Encoder

        try:
            self._encoder = Encoder(path, size=frame.size, rate=self._rate, crf=crf, live=frame.source.live)
        except RecordingError:
            release_file(path)
            with contextlib.suppress(OSError):
                if path.stat().st_size == 0:
                    path.unlink()  # the name was claimed by an empty file
            raise
        self._size = frame.size
        self._begun_at = self._now
        self._ticks = -1

    def add(self, image: Image) -> None:
        """Write the picture of the frame that `take` was told of.

        Raises:
            RecordingError: writing failed.
        """
        assert self._encoder is not None
        self._ticks = max(self._ticks_at(self._now), self._ticks + 1)
        self._encoder.add(image, self._ticks)

    def finish(self, now: float) -> None:
        """Let the last file come to its end; returns at once. A frame that comes all the same begins another.

        Args:
            now: When the source ended, in monotonic seconds.
        """
        if self._encoder is not None and self._clock is not None:
            self._hand_over(min(self._clock.end(now), self._now + _LONGEST_GAP))

    def close(self) -> None:
        """Finish, and wait until every file is complete.

        Raises:
            RecordingError: writing failed, and nobody was told yet.
        """
        self.finish(time.monotonic())
        self._collect()

    def surplus(self, keep: int) -> list[Path]:
        """The oldest complete files beyond `keep`, each told of once."""
        return [self._finished.popleft() for _ in range(len(self._finished) - keep)]

    def _is_full(self, encoder: Encoder) -> bool:
        seconds, size = self._limits.seconds, self._limits.bytes
        long = seconds is not None and self._ticks_at(self._now) >= round(seconds * TICKS)
        return long or (size is not None and encoder.written >= size)

    def _hand_over(self, end: float) -> None:
        """Have the file completed whose last picture ends then."""
        assert self._encoder is not None
        self._encoder.finish(self._ticks_at(end))
        self._finishing.append(self._encoder)
        self._encoder = None

    def _collect(self, *, wait: bool = True) -> None:
        """Take leave of the files that are complete, or of all of them once they are."""
        failure: RecordingError | None = None
        while self._finishing and (wait or self._finishing[0].is_over()):
            encoder = self._finishing.popleft()
            try:
                encoder.close()
                if not encoder.failed:  # it may have been told of before
                    self._finished.append(encoder.path)
            except RecordingError as error:
                failure = failure or error
            finally:
                release_file(encoder.path)
        if failure is not None:
            raise failure

    def _ticks_at(self, seconds: float) -> int:
        """A time as the file counts it."""
        return round((seconds - self._begun_at) * TICKS)
