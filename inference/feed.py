"""How the frames of a source reach a run: which are delivered, which are dropped, who waits for whom.

Files deliver every frame: a bounded read-ahead that blocks. Live sources, and files played in real time, deliver the newest
frame: a mailbox with one slot, and what it overwrites is counted. Nothing here polls; every wait is on one condition.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

from framehook.inference.errors import FramehookError, SeekError, SourceError, one_line
from framehook.inference.frame import Frame
from framehook.inference.ledger import Cause, LedgerBook
from framehook.inference.pace import PlaybackClock
from framehook.inference.sources.base import Source

log = logging.getLogger("framehook")
ReturnT = TypeVar("ReturnT")

ABANDON_SECONDS: Final = 0.15
"""How long closing waits for a `read` that may never return (a camera, a server, a user's iterable). Its daemon thread is left
behind then, and closes the source should it ever come back."""
FILE_SECONDS: Final = 5.0
"""The same for sources whose reads do return."""


class Taken(NamedTuple):
    """A frame and the seek it belongs to: one of an older `generation` than the feed's is out of date."""

    frame: Frame
    generation: int


class Feed(ABC):
    """Frames of one source under a policy, with the gate that holds a paused run.

    `enter`, `take` and `close` belong to the thread that advances the run, everything else may be called from any thread.

    Attributes:
        source: Where the frames come from.
        generation: Counts seeks.
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
        self._admitted = True  # whether the batch under way was let through the gate
        self._stopped = False
        self._closed = False
        self._seek_to: float | None = None
        self._follows = False  # whether a frame was read since the start or the last seek

    @abstractmethod
    def ready(self) -> bool:
        """Whether `take` would return at once."""

    @abstractmethod
    def take(self) -> Taken | None:
        """Wait for the next frame; None at the end of the source or when stopped.

        Raises:
            SourceError: the source failed.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop reading, count what was read ahead as stopped, and release the source."""

    def enter(self) -> bool:
        """Wait while the run is paused, unless a step was asked for; False when it is stopped."""
        with self._changed:
            self._admitted = False
            while not self._admit():
                self._changed.wait()
            return not self._stopped

    @property
    def paused(self) -> bool:
        """Whether the run is held."""
        return self._paused

    def pause(self) -> None:
        """Hold the run before its next batch."""
        with self._changed:
            self._paused = True
            self._admitted = False
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
        self.source.interrupt()

    def seek(self, seconds: float) -> None:
        """Go to a media time; frames read ahead are dropped.

        Raises:
            SeekError: the source has no positions, or `seconds` is no time.
        """
        if not math.isfinite(seconds):
            raise SeekError(f"{seconds} is no position; pass seconds from the start of {self.source.info.name}")
        if not self.source.seekable:
            self.source.seek(seconds)  # raises the error that says so
        with self._changed:
            self.generation += 1
            self._seek_to = seconds
            self._changed.notify_all()

    def _admit(self) -> bool:
        """Whether the batch under way may go on, using up a step where it needs one. Holds the condition."""
        if self._stopped or not self._paused:
            self._admitted = True
        elif not self._admitted and self._steps:
            self._steps -= 1
            self._admitted = True
        return self._admitted

    def _read_wanted(self) -> Frame | None:
        """Read the next frame that `vid_stride` wants, counting those it leaves out."""
        for _ in range(self._stride - 1 if self._follows else 0):
            skipped = self._guarded(self.source.skip)
            if skipped is None:
                return None
            if not self._closed:
                self._ledger.capture(skipped)
                self._ledger.drop(skipped, Cause.STRIDE)
        self._follows = True
        return self._guarded(self.source.read)

    def _move(self, seconds: float) -> None:
        """Seek in the thread that reads; a source that cannot go there stays where it is."""
        self._follows = False
        try:
            self._guarded(lambda: self.source.seek(seconds))
        except SeekError as error:
            log.warning("%s", error)

    def _guarded(self, call: Callable[[], ReturnT]) -> ReturnT:
        try:
            return call()
        except FramehookError:
            raise
        except Exception as error:  # a user's iterable may raise anything
            raise SourceError(f"{self.source.info.name} failed: {type(error).__name__}: {one_line(error)}") from error

    def _close_source(self) -> None:
        try:
            self.source.close()
        except Exception as error:  # noqa: BLE001 - nothing is lost by it, and the end of the run must go on
            log.warning("%s could not be closed: %s", self.source.info.name, one_line(error))


class DirectFeed(Feed):
    """Reads in the caller's thread: for a few pictures at hand, where a thread would cost more than it saves."""

    def ready(self) -> bool:
        return True

    def take(self) -> Taken | None:
        with self._changed:
            while not self._admit():
                self._changed.wait()
            generation, seek_to = self.generation, self._seek_to
            self._seek_to = None
        if self._stopped:
            return None
        if seek_to is not None:
            self._move(seek_to)
        frame = self._read_wanted()
        if frame is None:
            return None
        self._ledger.capture(frame.source)
        return Taken(frame, generation)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._close_source()


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
        self._queue: deque[Taken] = deque()
        self._waiting = False  # whether the run waits for a frame, and may have it
        self._at_end = False  # of the source; a seek leads back
        self._gone = False  # the reading thread; nothing leads back
        self._error: FramehookError | None = None
        self._thread: threading.Thread | None = None

    def ready(self) -> bool:
        self._start()
        with self._changed:
            return bool(self._queue) or self._is_over()

    def take(self) -> Taken | None:
        self._start()
        with self._changed:
            try:
                while not (self._stopped or (self._admit() and (self._queue or self._is_over()))):
                    self._waiting = self._admitted
                    self._changed.notify_all()
                    self._changed.wait()
            finally:
                self._waiting = False
            if self._stopped:
                return None
            if self._queue:
                self._changed.notify_all()
                return self._queue.popleft()
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            return None

    def pause(self) -> None:
        with self._changed:
            self._waiting = False
            if self._newest_only is Cause.OVERWRITTEN:
                self._discard(Cause.PAUSED)  # what is in the slot now would be stale when the run goes on
            super().pause()

    def seek(self, seconds: float) -> None:
        with self._changed:
            super().seek(seconds)
            self._discard(Cause.SEEK)
            self._at_end = False

    def close(self) -> None:
        self.stop()
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._discard(Cause.STOPPED)
            self._changed.notify_all()
        if self._thread is None:
            self._close_source()
        elif self._thread is not threading.current_thread():  # an abandoned run may be collected in any thread
            # The reading thread closes the source itself, when its `read` returns; a camera cannot be closed under a read.
            self._thread.join(ABANDON_SECONDS if self.source.may_block else FILE_SECONDS)

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            name = f"framehook-read-{self.source.info.name}"
            self._thread = threading.Thread(target=self._pump, name=name, daemon=True)
            self._thread.start()

    def _is_over(self) -> bool:
        return self._at_end or self._gone or self._error is not None

    def _discard(self, cause: Cause) -> None:
        for taken in self._queue:
            self._ledger.drop(taken.frame.source, cause)
        self._queue.clear()

    def _pump(self) -> None:
        """The reading thread."""
        clock = PlaybackClock()
        try:
            while (turn := self._wait_for_turn()) is not None:
                generation, seek_to = turn
                if seek_to is not None:
                    self._move(seek_to)
                frame = self._read_wanted()
                if frame is None:
                    self._note_end(generation)
                    continue
                if self._newest_only is Cause.PACE:
                    frame = self._hold_back(frame, clock, generation)
                self._put(Taken(frame, generation))
        except FramehookError as error:
            with self._changed:
                self._error = error
        finally:
            self._close_source()
            with self._changed:
                self._gone = True
                self._changed.notify_all()

    def _wait_for_turn(self) -> tuple[int, float | None] | None:
        """Wait until a frame should be read; return the generation it is of and where to go first. None to end."""
        with self._changed:
            while not self._closed and not self._stopped:
                held = self._newest_only is Cause.PACE and self._paused and not self._waiting
                room = self._newest_only is not None or len(self._queue) < self._depth
                if self._seek_to is not None or (room and not self._at_end and not held):
                    seek_to, self._seek_to = self._seek_to, None
                    return self.generation, seek_to
                self._changed.wait()
            return None

    def _put(self, taken: Taken) -> None:
        with self._changed:
            if self._closed:
                return  # the books are closed, too
            source = taken.frame.source
            self._ledger.capture(source)
            if self._stopped:
                self._ledger.drop(source, Cause.STOPPED)
            elif taken.generation != self.generation:
                self._ledger.drop(source, Cause.SEEK)
            elif self._newest_only is Cause.OVERWRITTEN and self._paused and not self._waiting:
                self._ledger.drop(source, Cause.PAUSED)
            else:
                if self._newest_only is not None:
                    self._discard(self._newest_only)
                self._queue.append(taken)
                self._changed.notify_all()

    def _hold_back(self, frame: Frame, clock: PlaybackClock, generation: int) -> Frame:
        """Wait until a frame of a file is due; that moment is when a camera would have captured it."""
        due = clock.due(frame)
        with self._changed:
            while not (self._closed or self._stopped or generation != self.generation):
                if self._paused and not self._waiting:
                    self._changed.wait()
                    due = clock.restarted(frame)
                elif due is None:
                    # Nothing says when it is due, so nothing says that it is late: it waits for its turn.
                    if not self._queue:
                        break
                    self._changed.wait()
                elif (wait := due - time.monotonic()) > 0 and not self._paused:
                    self._changed.wait(wait)
                else:
                    break
        return replace(frame, captured_at=time.monotonic())

    def _note_end(self, generation: int) -> None:
        with self._changed:
            if generation == self.generation:
                self._at_end = True
                self._changed.notify_all()
