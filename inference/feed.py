"""How the frames of a source reach a run: which are delivered, which are dropped, who waits for whom.

Files deliver every frame: a bounded read-ahead that blocks. Live sources, and files played in real time, deliver the newest
frame: a mailbox with one slot, and what it overwrites is counted. Nothing here polls; every wait is on the run's one condition.
A run has a feed for each source, and `framehook.inference.intake` takes from them in turn.
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

from framehook.inference.connection import SourceChange, SourceState, Standing
from framehook.inference.errors import FramehookError, SeekError, SourceError, one_line
from framehook.inference.frame import Frame, SourceInfo
from framehook.inference.gate import Gate
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
NOTICES: Final = 100
"""Changes of a source that wait to be told at most; the oldest go first, should nobody advance the run."""


class Taken(NamedTuple):
    """A frame, and the feed and the seek it belongs to."""

    frame: Frame
    generation: int
    feed: Feed
    at: float = 0.0
    """When the run took it, monotonic seconds."""

    @property
    def outdated(self) -> Cause | None:
        """Why it must not be delivered any more, or None."""
        if self.feed.closed:
            return Cause.STOPPED
        return None if self.generation == self.feed.generation else Cause.SEEK

    def drop(self) -> None:
        """Count it as lost: by what outdated it, or else as stopped."""
        self.feed.ledger.drop(self.frame.source, self.outdated or Cause.STOPPED)


class _Turn(NamedTuple):
    """That a frame may be read: the seek it belongs to, where to go first, and whether the clock stood still meanwhile."""

    generation: int
    seek_to: float | None
    was_held: bool


class Feed(ABC):
    """Frames of one source under a policy.

    `take` belongs to the thread that advances the run, everything else may be called from any thread.

    Attributes:
        source: Where the frames come from.
        ledger: Where they are counted.
        generation: Counts seeks.
        closed: Whether it was shut: its source was removed, or the run is over.
        failure: What the source failed with, or None.
        reported: Whether that was logged.
        overlaps: Whether its frames may be computed side by side, as they wait for each other anyway.
    """

    overlaps = False

    def __init__(self, source: Source, ledger: LedgerBook, gate: Gate, *, stride: int) -> None:
        """Take over `source`, which is closed with the feed."""
        self.source = source
        self.generation = 0
        self.closed = False
        self.failure: FramehookError | None = None
        self.reported = False
        self._state = SourceState.CONNECTING
        self._reason = ""
        self._shown = source.info.group
        self._captured_at: float | None = None
        self._gate = gate
        self._changed = gate.changed
        self.ledger = ledger
        self._stride = stride
        self._notices: deque[SourceChange] = deque(maxlen=NOTICES)
        self._seek_to: float | None = None
        self._follows = False  # whether a frame was read since the start or the last seek
        if source.tells_state:
            source.watch(self.note)
        else:
            self.note(SourceState.CONNECTED, "")

    @abstractmethod
    def ready(self) -> bool:
        """Whether `take` has something to give. Holds the condition."""

    @abstractmethod
    def take(self) -> Taken | None:
        """The next frame; None where there is none any more, as the source ended, failed or was moved meanwhile."""

    @property
    def over(self) -> bool:
        """Whether nothing will come of it any more, unless a seek leads back."""
        return self._state is SourceState.ENDED

    @property
    def has_notice(self) -> bool:
        """Whether a change of the source was not told yet."""
        return bool(self._notices)

    def standing(self) -> Standing:
        """How the source stands now."""
        info = self.source.info
        return Standing(
            info, self._shown, self._state, self._reason, self.source.connections, self.source.failures, self._captured_at
        )

    def notice(self) -> SourceChange:
        """The oldest change that was not told yet. Holds the condition."""
        return self._notices.popleft()

    def note(self, state: SourceState, reason: str) -> None:
        """Note how the source stands, to be told in the run's own thread."""
        with self._changed:
            if self.closed or (self.over and state is not SourceState.CONNECTED):
                return
            self._state, self._reason = state, reason
            source = self.source
            change = SourceChange(source.info, state, reason, source.connections, source.failures, time.monotonic())
            self._notices.append(change)
            self._changed.notify_all()

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

    def pause(self) -> None:
        """What is to be done when the run is paused. Holds the condition."""

    @abstractmethod
    def shut(self) -> None:
        """Stop reading, count what was read ahead as stopped, and have the source released; returns at once."""

    def join(self, deadline: float) -> None:
        """Wait until the source is released, at most until `deadline` (monotonic seconds)."""

    def _close_books(self) -> bool:
        """Note that nothing counts any more; False if that was so before. Holds the condition."""
        if self.closed:
            return False
        self.closed = True
        if not self.over:
            self._state, self._reason = SourceState.ENDED, "stopped"
        return True

    def _capture(self, source: SourceInfo) -> None:
        """Count a frame."""
        self.ledger.capture(source)
        self._shown = source.group
        self._captured_at = time.monotonic()

    def _read_wanted(self) -> Frame | None:
        """Read the next frame that `vid_stride` wants, counting those it leaves out."""
        generation = self.generation
        for _ in range(self._stride - 1 if self._follows else 0):
            if self._ending() or generation != self.generation:
                return None
            skipped = self._guarded(self.source.skip)
            if skipped is None:
                return None
            if not self.closed:
                self._capture(skipped)
                self.ledger.drop(skipped, Cause.STRIDE)
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

    def _fail(self, error: FramehookError) -> None:
        with self._changed:
            if not self._ending():  # a read that was interrupted may fail
                self.failure = error

    def _ending(self) -> bool:
        return self.closed or self._gate.stopped

    def _close_source(self) -> None:
        try:
            self.source.close()
        except Exception as error:  # noqa: BLE001 - nothing is lost by it, and the end of the run must go on
            log.warning("%s could not be closed: %s", self.source.info.name, one_line(error))


class DirectFeed(Feed):
    """Reads in the caller's thread: for a few pictures at hand, where a thread would cost more than it saves."""

    def ready(self) -> bool:
        return not self.over

    def take(self) -> Taken | None:
        with self._changed:
            generation, seek_to = self.generation, self._seek_to
            self._seek_to = None
        if seek_to is not None:
            self._move(seek_to)
        try:
            frame = self._read_wanted()
        except FramehookError as error:
            self._fail(error)
            self.note(SourceState.ENDED, one_line(error))
            return None
        if frame is None:
            self.note(SourceState.ENDED, "")
            return None
        self._capture(frame.source)
        return Taken(frame, generation, self, time.monotonic())

    def seek(self, seconds: float) -> None:
        with self._changed:
            super().seek(seconds)
            if self.over and not self.closed and self.failure is None:
                self.note(SourceState.CONNECTED, "")

    def shut(self) -> None:
        with self._changed:
            first = self._close_books()
        if first:
            self._close_source()


class ThreadedFeed(Feed):
    """Reads on a thread of its own, ahead of the run."""

    def __init__(
        self, source: Source, ledger: LedgerBook, gate: Gate, *, stride: int, depth: int, newest_only: Cause | None
    ) -> None:
        """Start nothing yet; the thread starts when the run first asks for something.

        Args:
            source: Where frames come from; taken over.
            ledger: Where they are counted.
            gate: The gate of the run.
            stride: Use every n-th frame.
            depth: Frames read ahead at most.
            newest_only: None to deliver every frame. Otherwise one slot holds the newest frame, those it overwrites are
                counted under this cause, and `Cause.PACE` also holds a file back to its own clock.
        """
        super().__init__(source, ledger, gate, stride=stride)
        self.overlaps = newest_only is None
        self._depth = depth if newest_only is None else 1
        self._newest_only = newest_only
        self._queue: deque[Taken] = deque()
        self._at_end = False  # of the source; a seek leads back
        self._gone = False  # the reading thread; nothing leads back
        self._thread: threading.Thread | None = None

    def ready(self) -> bool:
        self._start()
        return bool(self._queue)

    def take(self) -> Taken | None:
        with self._changed:
            taken = self._queue.popleft() if self._queue else None
            self._end_if_drained()
            self._changed.notify_all()
        return None if taken is None else taken._replace(at=time.monotonic())

    def pause(self) -> None:
        if self._newest_only is Cause.OVERWRITTEN:
            self._discard(Cause.PAUSED)  # what is in the slot now would be stale when the run goes on
            self._end_if_drained()

    def seek(self, seconds: float) -> None:
        with self._changed:
            super().seek(seconds)
            self._discard(Cause.SEEK)
            self._at_end = False
            if self.over and not self._gone:
                self.note(SourceState.CONNECTED, "")
            self._end_if_drained()

    def shut(self) -> None:
        with self._changed:
            if not self._close_books():
                return
            self._discard(Cause.STOPPED)
            self._changed.notify_all()
        self.source.interrupt()
        if self._thread is None:
            self._close_source()

    def join(self, deadline: float) -> None:
        # The reading thread closes the source itself, when its `read` returns; a camera cannot be closed under a read.
        if self._thread is not None and self._thread is not threading.current_thread():
            # An abandoned run may be collected in any thread, in this one, too.
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _start(self) -> None:
        if self._thread is None and not self.closed:
            name = f"framehook-read-{self.source.info.name}"
            thread = threading.Thread(target=self._pump, name=name, daemon=True)
            thread.start()
            self._thread = thread

    def _discard(self, cause: Cause) -> None:
        for taken in self._queue:
            self.ledger.drop(taken.frame.source, cause)
        self._queue.clear()

    def _end_if_drained(self) -> None:
        """Note the end once everything before it was taken. Holds the condition."""
        if (self._at_end or self._gone) and not self._queue and not self.over:
            reason = "stopped" if self._ending() else "" if self.failure is None else one_line(self.failure)
            self.note(SourceState.ENDED, reason)

    def _pump(self) -> None:
        """The reading thread."""
        clock = PlaybackClock()
        try:
            while (turn := self._wait_for_turn()) is not None:
                if turn.seek_to is not None:
                    self._move(turn.seek_to)
                frame = self._read_wanted()
                if frame is None and not self.source.seekable:
                    break
                if frame is None:
                    self._note_end(turn.generation)
                    continue
                if self._newest_only is Cause.PACE:
                    frame = self._hold_back(frame, clock, turn)
                self._put(Taken(frame, turn.generation, self))
        except FramehookError as error:
            self._fail(error)
        except BaseException as error:  # noqa: BLE001 - `sys.exit` in a user's iterable, say: it must not pass for its end
            self._fail(SourceError(f"{self.source.info.name} failed: {type(error).__name__}: {one_line(error)}"))
        finally:
            self._close_source()
            with self._changed:
                self._gone = True
                self._end_if_drained()
                self._changed.notify_all()

    def _held(self) -> bool:
        """Whether the run is paused, and is not to have one more frame by a step. Holds the condition."""
        return self._gate.paused and (not self._gate.waiting or bool(self._queue))

    def _wait_for_turn(self) -> _Turn | None:
        """Wait until a frame should be read; None to end."""
        was_held = False
        with self._changed:
            while not self._ending():
                held = self._newest_only is Cause.PACE and self._held()
                room = self._newest_only is not None or len(self._queue) < self._depth
                if self._seek_to is not None or (room and not self._at_end and not held):
                    seek_to, self._seek_to = self._seek_to, None
                    return _Turn(self.generation, seek_to, was_held)
                was_held = was_held or held
                self._changed.wait()
            return None

    def _put(self, taken: Taken) -> None:
        with self._changed:
            if self.closed:
                return  # the books are closed, too
            source = taken.frame.source
            self._capture(source)
            if self._gate.stopped:
                self.ledger.drop(source, Cause.STOPPED)
            elif taken.generation != self.generation:
                self.ledger.drop(source, Cause.SEEK)
            elif self._newest_only is Cause.OVERWRITTEN and self._held():
                self.ledger.drop(source, Cause.PAUSED)
            else:
                if self._newest_only is not None:
                    self._discard(self._newest_only)
                self._queue.append(taken)
                self._changed.notify_all()

    def _hold_back(self, frame: Frame, clock: PlaybackClock, turn: _Turn) -> Frame:
        """Wait until a frame of a file is due; that moment is when a camera would have captured it."""
        due = clock.restarted(frame) if turn.was_held else clock.due(frame)
        with self._changed:
            while not (self._ending() or turn.generation != self.generation):
                if self._held():
                    self._changed.wait()
                    due = clock.restarted(frame)
                elif due is None:
                    # Nothing says when it is due, so nothing says that it is late: it waits for its turn.
                    if not self._queue:
                        break
                    self._changed.wait()
                elif (wait := due - time.monotonic()) > 0 and not self._gate.paused:
                    self._changed.wait(wait)
                else:
                    break
        return replace(frame, captured_at=time.monotonic())

    def _note_end(self, generation: int) -> None:
        with self._changed:
            if generation == self.generation:
                self._at_end = True
                self._end_if_drained()
                self._changed.notify_all()
