"""How the frames of a source reach a run: which are delivered, which are dropped, who waits for whom.

Files deliver every frame: a bounded read-ahead that blocks. Live sources, and files played in real time, deliver the newest
frame: a mailbox with one slot, and what it overwrites is counted. Nothing here polls; every wait is on one condition.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import replace
from typing import Final

from framehook.inference.errors import FramehookError, SourceError
from framehook.inference.frame import Frame, SourceKind
from framehook.inference.ledger import Cause, LedgerBook
from framehook.inference.sources.base import Source

ABANDON_SECONDS: Final = 0.15
"""How long closing waits for the `read` of a camera, a stream or a user's iterable, which may never return; its daemon thread
is left behind then, and closes the source should it ever come back."""
FILE_SECONDS: Final = 5.0
"""The same for files, whose reads do return."""


class Feed(ABC):
    """Frames of one source under a policy, with the gate that holds a paused run.

    `take`, `enter` and `close` belong to the thread that advances the run, everything else may be called from any thread.

    Attributes:
        source: Where the frames come from.
        generation: Counts seeks; what was taken under an older one is out of date.
    """

    def __init__(self, source: Source, ledger: LedgerBook, *, stride: int) -> None:
        """Take over `source`, which is closed with the feed."""
        self.source = source
        self.generation = 0
        self._ledger = ledger
        self._stride = stride
        self._changed = threading.Condition()  # re-entrant: subclasses extend what holds it
        self._paused = False
        self._steps = 0
        self._stopped = False

    @abstractmethod
    def ready(self) -> bool:
        """Whether `take` would return at once."""

    @abstractmethod
    def take(self) -> Frame | None:
        """Wait for the next frame; None at the end of the source or when stopped.

        Raises:
            SourceError: the source failed.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop reading, count what was read ahead as stopped, and release the source."""

    @abstractmethod
    def seek(self, seconds: float) -> None:
        """Go to a media time; frames read ahead are dropped.

        Raises:
            SeekError: the source has no positions.
        """

    def enter(self) -> bool:
        """Wait while the run is paused, unless a step was asked for; False when it is stopped."""
        with self._changed:
            while self._paused and not self._steps and not self._stopped:
                self._changed.wait()
            if self._steps:
                self._steps -= 1
            return not self._stopped

    @property
    def paused(self) -> bool:
        """Whether the run is held."""
        return self._paused

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def pause(self) -> None:
        """Hold the run before its next result."""
        with self._changed:
            self._paused = True
            self._steps = 0
            self._changed.notify_all()

    def resume(self) -> None:
        """Let a paused run go on."""
        with self._changed:
            self._paused = False
            self._steps = 0
            self._changed.notify_all()

    def step(self, count: int) -> None:
        """Pause, and let `count` batches through."""
        with self._changed:
            self._paused = True
            self._steps += count
            self._changed.notify_all()

    def stop(self) -> None:
        """End the run: waits return now, and `take` gives no more frames."""
        with self._changed:
            if self._stopped:
                return
            self._stopped = True
            self._changed.notify_all()

    def _read(self) -> Frame | None:
        """Read the next frame that `vid_stride` wants, counting all of them."""
        try:
            frame = self.source.read()
        except FramehookError:
            raise
        except Exception as error:  # a user's iterable may raise anything
            raise SourceError(f"{self.source.info.name} failed: {type(error).__name__}: {error}") from error
        if frame is not None:
            self._ledger.capture(frame.source)
        return frame

    def _pass_over(self) -> None:
        """Skip what `vid_stride` leaves out after a frame."""
        for _ in range(self._stride - 1):
            skipped = self.source.skip()
            if skipped is None:
                return
            self._ledger.capture(skipped)
            self._ledger.drop(skipped, Cause.STRIDE)


class DirectFeed(Feed):
    """Reads in the caller's thread: for a few pictures, where a thread would cost more than it saves."""

    _first = True
    _closed = False

    def ready(self) -> bool:
        return True

    def take(self) -> Frame | None:
        if self._stopped:
            return None
        if not self._first:
            self._pass_over()
        self._first = False
        return self._read()

    def seek(self, seconds: float) -> None:
        self.source.seek(seconds)
        self.generation += 1
        self._first = True

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.source.close()


class ThreadedFeed(Feed):
    """Reads on a thread of its own, ahead of the run."""

    def __init__(self, source: Source, ledger: LedgerBook, *, stride: int, depth: int, newest_only: Cause | None) -> None:
        """Start nothing yet; the thread starts when the first frame is asked for.

        Args:
            source: Where frames come from; taken over.
            ledger: Where they are counted.
            stride: Use every n-th frame.
            depth: Frames read ahead at most.
            newest_only: None to deliver every frame. Otherwise one slot holds the newest frame, those it overwrites are
                counted under this cause, and `Cause.PACE` also holds a file back to its own clock.
        """
        super().__init__(source, ledger, stride=stride)
        self._depth = depth if newest_only is None else 1
        self._newest_only = newest_only
        self._queue: deque[Frame] = deque()
        self._waiting = False
        self._ended = False
        self._closed = False
        self._error: Exception | None = None
        self._seek_to: float | None = None
        self._thread: threading.Thread | None = None

    def ready(self) -> bool:
        self._start()
        with self._changed:
            return bool(self._queue) or self._is_over()

    def take(self) -> Frame | None:
        self._start()
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            while not self._queue and not self._is_over():
                self._changed.wait()
            self._waiting = False
            if self._stopped:
                return None
            if self._queue:
                frame = self._queue.popleft()
                self._changed.notify_all()
                return frame
            if self._error is not None:
                error, self._error = self._error, None
                self._ended = True
                raise error
            return None

    def pause(self) -> None:
        with self._changed:
            if self._newest_only is Cause.OVERWRITTEN:
                self._discard(Cause.PAUSED)  # what is in the slot now would be stale when the run goes on
            super().pause()

    def stop(self) -> None:
        super().stop()
        self.source.interrupt()

    def seek(self, seconds: float) -> None:
        if not self.source.seekable:
            self.source.seek(seconds)  # raises the error that says so
        with self._changed:
            self._discard(Cause.SEEK)
            self.generation += 1
            self._seek_to = seconds
            self._ended = False
            self._changed.notify_all()

    def close(self) -> None:
        self.stop()
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._discard(Cause.STOPPED)
            self._changed.notify_all()
        if self._thread is None:
            self.source.close()
            return
        # The reading thread closes the source itself, when its `read` returns; a camera cannot be closed under a read.
        info = self.source.info
        is_file = not info.live and info.kind in (SourceKind.VIDEO, SourceKind.IMAGE)
        self._thread.join(FILE_SECONDS if is_file else ABANDON_SECONDS)

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            name = f"framehook-read-{self.source.info.name}"
            self._thread = threading.Thread(target=self._pump, name=name, daemon=True)
            self._thread.start()

    def _is_over(self) -> bool:
        return self._stopped or self._ended or self._error is not None

    def _discard(self, cause: Cause) -> None:
        for frame in self._queue:
            self._ledger.drop(frame.source, cause)
        self._queue.clear()

    def _pump(self) -> None:
        """The reading thread."""
        try:
            clock = _PlaybackClock()
            skip_first = False
            while True:
                generation = self._wait_for_turn()
                if generation is None:
                    return
                if self._seek_to is not None:
                    self._apply_seek()
                    clock.restart()
                    skip_first = False
                if skip_first:
                    self._pass_over()
                frame = self._read()
                skip_first = True
                if frame is None:
                    self._finish(generation)
                    continue
                if self._newest_only is Cause.PACE:
                    frame = self._hold_back(frame, clock)
                self._put(frame, generation)
        except FramehookError as error:
            self._fail(error)
        finally:
            self.source.close()
            with self._changed:
                self._ended = True  # whatever ended this thread, nobody may wait for it any more
                self._changed.notify_all()

    def _wait_for_turn(self) -> int | None:
        """Wait until a frame should be read; None when the feed is closed."""
        with self._changed:
            while not self._closed and not self._stopped:
                if self._seek_to is not None:
                    return self.generation
                held = self._newest_only is Cause.PACE and self._paused and not self._waiting
                room = self._newest_only is not None or len(self._queue) < self._depth
                if room and not self._ended and not held:
                    return self.generation
                self._changed.wait()
            return None

    def _apply_seek(self) -> None:
        with self._changed:
            seconds, self._seek_to = self._seek_to, None
        if seconds is not None:
            self.source.seek(seconds)

    def _put(self, frame: Frame, generation: int) -> None:
        with self._changed:
            if self._closed or self._stopped:
                self._ledger.drop(frame.source, Cause.STOPPED)
            elif generation != self.generation:
                self._ledger.drop(frame.source, Cause.SEEK)
            elif self._newest_only is Cause.OVERWRITTEN and self._paused and not self._waiting:
                self._ledger.drop(frame.source, Cause.PAUSED)
            else:
                if self._newest_only is not None:
                    self._discard(self._newest_only)
                self._queue.append(frame)
                self._changed.notify_all()

    def _hold_back(self, frame: Frame, clock: _PlaybackClock) -> Frame:
        """Wait until a frame of a file is due; that moment is when a camera would have captured it."""
        if frame.pts is None:
            return frame
        with self._changed:
            generation = self.generation
            while not (self._closed or self._stopped or generation != self.generation):
                if self._paused:
                    if self._waiting:
                        break
                    self._changed.wait()
                    clock.restart()
                    continue
                wait = clock.seconds_until(frame.pts)
                if wait <= 0:
                    break
                self._changed.wait(wait)
        return replace(frame, captured_at=time.monotonic())

    def _finish(self, generation: int) -> None:
        with self._changed:
            if generation == self.generation:
                self._ended = True
                self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()


class _PlaybackClock:
    """Maps media time to the monotonic clock, anchored at the first frame after a start, a seek or a pause."""

    def __init__(self) -> None:
        self._anchor: float | None = None

    def restart(self) -> None:
        self._anchor = None

    def seconds_until(self, pts: float) -> float:
        now = time.monotonic()
        if self._anchor is None:
            self._anchor = now - pts
        return self._anchor + pts - now
