"""Live sources that outlive their connections: one is held at a time, and when it is lost a new one is made.

Nothing that waits for a network or a driver can be trusted to return: FFmpeg, the look-up of a host name, a camera that hangs.
So each connection has a daemon thread of its own, which connects, reads, and hands over one frame at a time; whoever waits for
it can stop waiting at any moment. A connection given up on is left to its thread, which closes it as soon as that is possible.
"""

from __future__ import annotations

import logging
import random
import re
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from framehook.inference.connection import SourceState, Watcher
from framehook.inference.errors import FramehookError, SourceUnavailableError, one_line
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources.addresses import redacted
from framehook.inference.sources.base import Source

_log = logging.getLogger("framehook")

OPEN_TIMEOUT: Final = 10.0
"""Seconds in which a connection must be made, looking up the host included."""
READ_TIMEOUT: Final = 5.0
"""Seconds without a frame after which a connection counts as lost."""

_HUNG_AT_MOST = 4
# A connection has proven itself, so that the next outage starts from scratch, when frames came for so long. Their number proves
# nothing: a server that sends some and hangs up, over and over, would be asked ten times a second, and each time be told of.
_PROVEN_SECONDS = 1.0
_LEAP = 10.0  # s of media time that pass in no time: the sender's clock was set anew
_STEP = 0.001  # s by which media time rises at least where a new stretch begins
_CLOSE_SECONDS = 0.1
_HUNG = f"{_HUNG_AT_MOST} attempts hang, and until one of them ends there is no other"


class SilentError(SourceUnavailableError):
    """A connection on which nothing came in time."""


class Shot(NamedTuple):
    """What a connection captured, before it is made a picture.

    Attributes:
        captured_at: `time.monotonic()` seconds of its arrival.
        pts: Media time in seconds, from any origin, or None where the connection tells none.
        size: (width, height) in pixels.
        picture: Makes the H x W x 3 uint8 BGR array, in whatever thread takes the shot; one thread at a time does.
    """

    captured_at: float
    pts: float | None
    size: tuple[int, int]
    picture: Callable[[], np.ndarray[Any, Any]]


class Connection(Source):
    """A source over one connection, whose end is its end; pictures are made by whoever takes them.

    The connection's thread need not convert what the reader skips, and decodes the next frame while the reader converts.

    Attributes:
        final_end: Whether an end without an error is the end for good (a stream that says so), not that of the connection only.
        pause: Seconds without a frame that are nothing unusual; a shorter time-out is made as long.
    """

    final_end: bool = False
    pause: float = 0.0
    _captured = 0

    @abstractmethod
    def capture(self) -> Shot | None:
        """Wait for the next shot; None at the end.

        Raises:
            SourceError: the connection broke or fell silent.
        """

    def read(self) -> Frame | None:
        shot = self.capture()
        if shot is None:
            return None
        self._captured += 1
        return Frame.of(shot.picture(), index=self._captured - 1, source=self.info, pts=shot.pts, captured_at=shot.captured_at)

    def skip(self) -> SourceInfo | None:
        if self.capture() is None:
            return None
        self._captured += 1
        return self.info


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between two attempts to connect, in seconds.

    The wait doubles with each attempt, and a random share keeps many readers of one server from coming back all at once.

    Attributes:
        first: Before the first attempt.
        soon: The longest wait while the outage is young.
        later: The longest wait from then on.
        young: How long an outage is young.
    """

    first: float = 0.1
    soon: float = 0.5
    later: float = 5.0
    young: float = 10.0

    def wait(self, attempts: int, outage: float) -> float:
        """Return the wait after so many attempts in an outage of so many seconds, more or less a fifth."""
        longest = self.soon if outage < self.young else self.later
        return min(self.first * 2.0 ** min(attempts, 30), longest) * random.uniform(0.8, 1.2)


class LiveSource(Source):
    """A source that connects again whenever its connection is lost; also for sources of your own.

    Frames are counted over all connections, and `pts` goes on rising: a later connection's media time starts at the time that
    passed between the first frames of both. `segment` changes with each connection, with the size of the picture, and where the
    sender's clock jumps. `info` keeps its id and is renewed when size or rate change.

    It connects while it is read, in a thread of each connection's own; `read` returns None as soon as it is interrupted.

    Attributes:
        connections: How many connections gave a frame so far.
        failures: Attempts that failed since the last frame.
    """

    endless = True
    tells_state = True

    def __init__(
        self,
        info: SourceInfo,
        connect: Callable[[], Source],
        *,
        first: Source | None = None,
        open_timeout: float = OPEN_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        reconnect: bool = True,
        backoff: Backoff | None = None,
        final: tuple[type[FramehookError], ...] = (),
    ) -> None:
        """Make a source of something that makes connections.

        Args:
            info: What is known of it, `live=True`; size and rate may be unknown.
            connect: Makes one connection and returns it as a source whose `read` may block, fail, or end with it (an end counts
                as lost, unless it has a true `final_end`). It is called in a thread of its own and may hang; it must not refer
                to this source. What it raises becomes the reason that is told, URLs without their credentials.
            first: A connection that is open already.
            open_timeout: Seconds after which `connect` is given up on.
            read_timeout: Seconds without a frame after which a connection is given up on.
            reconnect: False to end with the first connection; what is wrong with it is raised by `read` then.
            backoff: Waits between attempts.
            final: Errors of `connect` that are raised by `read`, and end the source, as long as no connection gave a frame.
        """
        self.info = info
        self.connections = 0
        self.failures = 0
        self._connect = connect
        self._open_timeout = open_timeout
        self._read_timeout = read_timeout
        self._reconnect = reconnect
        self._backoff = backoff or Backoff()
        self._final = final
        self._changed = threading.Condition()
        self._line: _Line | None = None
        self._hung: list[_Line] = []
        self._stopped = False
        self._stopped_at = 0.0
        self._over = False
        self._failure: FramehookError | None = None
        self._due: list[Callable[[], object]] = []  # to be called once the condition is let go of
        self._outage_since = time.monotonic()
        self._attempts = 0
        self._retry_at = 0.0
        self._told: tuple[SourceState, str] = SourceState.CONNECTING, ""  # or about to be
        self._reason = ""  # of the last outage that was told, until a connection proves itself
        self._telling = threading.RLock()
        self._watcher: Watcher | None = None
        self._state = SourceState.CONNECTING
        self._count = 0
        self._segment = 0
        self._clock = _MediaClock()
        self._pts: float | None = None
        if first is not None:
            self._dial(first)

    def begin(self, patience: float) -> Source | None:
        """Begin to connect, and wait for it; called once, before the first `read`.

        Args:
            patience: Seconds to wait. The attempt goes on afterwards, within its time-out.

        Returns:
            The connection, which may be looked at but belongs to its thread, or None if it is not made yet.

        Raises:
            FramehookError: it cannot be made; reading goes on trying all the same.
        """
        with self._changed:
            line = self._line or self._dial()
            self._changed.wait_for(lambda: line.source is not None or line.over or self._stopped, patience)
            if line.source is not None:
                self._renew(line.source.info.size or self.info.size, line.source.info.fps)
            elif line.error is not None:
                raise line.error
            return line.source

    def read(self) -> Frame | None:
        while (shot := self._take()) is not None:
            try:
                picture = shot.picture()
            except Exception as error:  # noqa: BLE001 - whatever a connection gives, it must not end the source
                with self._changed:
                    self._lose(_as_failure(error, self._label))
                continue
            self._count += 1
            return Frame.of(
                picture,
                index=self._count - 1,
                source=self.info,
                pts=self._pts,
                captured_at=shot.captured_at,
                segment=self._segment,
            )
        return None

    def skip(self) -> SourceInfo | None:
        if self._take() is None:
            return None
        self._count += 1
        return self.info

    def watch(self, watcher: Watcher) -> None:
        with self._telling:
            self._watcher = watcher
            if self._state is SourceState.CONNECTED:
                watcher(self._state, "")

    def interrupt(self) -> None:
        with self._changed:
            if not self._stopped:
                self._stopped = True
                self._stopped_at = time.monotonic()
            line = self._line
            self._changed.notify_all()
        if line is not None:
            self._abandon()

    def close(self) -> None:
        self.interrupt()
        with self._changed:
            line, self._line = self._line, None
        if line is not None and line.thread is not threading.current_thread():
            # Of many sources that are interrupted first and then closed, all together take no longer than one.
            line.thread.join(max(self._stopped_at + _CLOSE_SECONDS - time.monotonic(), 0.0))

    def _take(self) -> Shot | None:
        while True:
            with self._changed:
                shot = self._next()
                due, self._due = self._due, []
                failure, self._failure = self._failure, None
            for call in due:
                call()
            if failure is not None:
                raise failure
            if shot is not None or self._stopped or self._over:
                return None if self._stopped else shot

    def _next(self) -> Shot | None:
        """Wait for a shot, and keep a connection meanwhile; None where something is due first. Holds the condition."""
        while not (self._stopped or self._over or self._due):
            line, now = self._line, time.monotonic()
            if line is None:
                self._hung = [each for each in self._hung if not each.over]
                if now < self._retry_at:
                    self._changed.wait(self._retry_at - now)
                elif len(self._hung) < _HUNG_AT_MOST:
                    self._dial()
                elif self._told != (waits := (SourceState.RECONNECTING, _HUNG)):
                    self._announce(*waits)
                else:
                    self._changed.wait()  # until one of them ends
            elif line.shot is not None:
                return self._accept(line, line.shot)
            elif line.over:
                self._lose(line.error)
            else:
                timeout = self._timeout(line)
                if (patience := line.since + timeout - now) > 0:
                    self._changed.wait(patience)
                elif line.source is None:
                    self._lose(late(self._label, timeout))
                else:
                    self._lose(silent(self._label, timeout, self.info.kind))
        return None

    def _dial(self, first: Source | None = None) -> _Line:
        line = _Line(self._changed, self._connect, self._label, first)
        self._line = line
        # Should nobody close this source, its connection ends when it is collected.
        self._abandon = weakref.finalize(self, line.abandon)
        self._abandon.atexit = False
        line.thread = threading.Thread(target=line.run, name=f"framehook-receive {self.info.name}", daemon=True)
        line.thread.start()
        return line

    def _accept(self, line: _Line, shot: Shot) -> Shot:
        line.shot = None
        line.since = time.monotonic()
        self._changed.notify_all()
        begins = line.frames == 0
        line.frames += 1
        rate = self.info.fps
        if begins:
            line.first_at = line.since
            self.connections += 1
            self.failures = 0
            if self._told[0] is not SourceState.CONNECTED:
                self._announce(SourceState.CONNECTED, "")
            rate = line.source.info.fps if line.source is not None else None
        resized = self.info.size not in (None, shot.size)
        self._pts, jumped = self._clock.follow(shot, anew=begins)
        if self._count and (begins or jumped or resized):
            self._segment += 1
        self._renew(shot.size, rate)
        return shot

    def _lose(self, error: FramehookError | None) -> None:
        """Give up the connection: it ended (None), failed, or is silent. Holds the condition."""
        line, self._line = self._line, None
        if line is None:
            return  # closed meanwhile
        if not line.over:
            self._hung.append(line)
        line.abandoned = True
        self._due.append(self._abandon)
        hopeless = self.connections == 0 and isinstance(error, self._final)
        if not self._reconnect or hopeless or (error is None and line.final_end):
            self._over = True
            self._failure = error
            return
        now = time.monotonic()
        if line.frames == 0:
            self.failures += 1
        elif line.since - line.first_at >= _PROVEN_SECONDS:
            self._outage_since = now
            self._attempts = 0
            self._reason = ""
        self._retry_at = now + self._backoff.wait(self._attempts, now - self._outage_since)
        self._attempts += 1
        reason = "ended" if error is None else _reason(error, self._label)
        # A connection that comes and goes is told of once; not so that it came last, where by now it stays away.
        if reason != self._reason or (line.frames == 0 and self._told[0] is SourceState.CONNECTED):
            self._reason = reason
            if isinstance(error, SilentError):
                self._announce(SourceState.STALLED, reason)
            self._announce(SourceState.RECONNECTING, reason)

    def _timeout(self, line: _Line) -> float:
        """How long what is waited for may take."""
        if line.source is None:
            return self._open_timeout
        return max(self._read_timeout, line.source.pause if isinstance(line.source, Connection) else 0.0)

    def _announce(self, state: SourceState, reason: str) -> None:
        """Have it told as soon as the condition is let go of."""
        self._told = state, reason
        self._due.append(partial(self._tell, state, reason))

    def _tell(self, state: SourceState, reason: str) -> None:
        with self._telling:
            self._state = state
            if self._watcher is not None:
                self._watcher(state, reason)

    def _renew(self, size: tuple[int, int] | None, fps: float | None) -> None:
        fps = fps or self.info.fps
        if (size, fps) != (self.info.size, self.info.fps):
            self.info = replace(self.info, size=size, fps=fps)

    @property
    def _label(self) -> str:
        """How its messages begin."""
        return self.info.path if self.info.kind is SourceKind.STREAM else self.info.name


def late(label: str, timeout: float) -> SilentError:
    """The error of a server that did not answer."""
    return SilentError(
        f"{label} did not answer in time (open_timeout is {timeout:g} s); check the address and that the server runs"
    )


def silent(label: str, timeout: float, kind: SourceKind = SourceKind.STREAM) -> SilentError:
    """The error of a connection without frames."""
    camera = kind is SourceKind.CAMERA
    advice = "check its cable, and that no other program uses it" if camera else "check the camera and the network"
    return SilentError(f"{label} sent nothing for {timeout:g} s; {advice}")


class _MediaClock:
    """Media time that goes on over connections and jumps."""

    def __init__(self) -> None:
        self._origin: float | None = None  # capture of the first frame that told its time
        self._shift: float | None = None  # from a connection's time to ours
        self._before: tuple[float, float] | None = None  # (pts of the connection, capture) of the last frame
        self._now = -_STEP

    def follow(self, shot: Shot, *, anew: bool) -> tuple[float | None, bool]:
        """Return a shot's time, and whether the sender's clock jumped ahead of it."""
        if anew:
            self._shift = self._before = None
        if shot.pts is None:
            return None, False
        jumped = False
        if self._before is not None:
            pts, captured_at = self._before
            jumped = not 0 <= shot.pts - pts <= shot.captured_at - captured_at + _LEAP
        self._before = shot.pts, shot.captured_at
        if self._origin is None:
            self._origin = shot.captured_at
        if self._shift is None or jumped:
            self._shift = max(shot.captured_at - self._origin, self._now + _STEP) - shot.pts
        self._now = shot.pts + self._shift
        return self._now, jumped


class _Line:
    """A connection and what its thread shares with the reader; neither refers to the source, so that both can be let go of.

    Attributes:
        thread: Its thread.
        source: What it reads, once it is made.
        shot: What was captured and is not taken yet.
        frames: How many were taken.
        first_at: When the first was taken.
        since: Since when something is waited for: the connection, or a frame.
        over: Whether the thread is done with it.
        error: What ended it, or None.
        final_end: Whether it ended for good.
        abandoned: Whether it is given up on.
    """

    thread: threading.Thread

    def __init__(self, changed: threading.Condition, connect: Callable[[], Source], label: str, source: Source | None) -> None:
        self.source = source
        self.shot: Shot | None = None
        self.frames = 0
        self.first_at = 0.0
        self.since = time.monotonic()
        self.over = False
        self.error: FramehookError | None = None
        self.final_end = False
        self.abandoned = False
        self._changed = changed
        self._connect = connect
        self._label = label

    def run(self) -> None:
        """Connect, and hand over all that is captured. Runs in its thread."""
        source, error = self.source, None
        try:
            if source is None:
                source = self._connect()
                if not self._present(source):
                    return
            capture = source.capture if isinstance(source, Connection) else partial(_captured_by, source)
            while self._hand_over(capture()):
                pass
        except Exception as failure:  # noqa: BLE001 - it is told as the reason
            error = _as_failure(failure, self._label)
        finally:
            if source is not None:
                try:
                    source.close()
                except Exception as failure:  # noqa: BLE001 - nothing is lost by it
                    _log.warning("%s could not be closed: %s", self._label, _without_secrets(one_line(failure)))
            with self._changed:
                self.error = error
                self.final_end = bool(getattr(source, "final_end", False))
                self.over = True
                self._changed.notify_all()

    def abandon(self) -> None:
        """Have the thread end as soon as it can; from any thread, the garbage collector's included."""
        with self._changed:
            self.abandoned = True
            self._changed.notify_all()
            source = None if self.over else self.source
        if source is not None:
            with suppress(Exception):
                source.interrupt()

    def _present(self, source: Source) -> bool:
        with self._changed:
            self.source = source
            self.since = time.monotonic()
            self._changed.notify_all()
            return not self.abandoned

    def _hand_over(self, shot: Shot | None) -> bool:
        """Wait until the shot before is taken; False when there is nothing more to be done."""
        if shot is None:
            return False
        with self._changed:
            self._changed.wait_for(lambda: self.shot is None or self.abandoned)
            if self.abandoned:
                return False
            self.shot = shot
            self._changed.notify_all()
            return True


def _captured_by(source: Source) -> Shot | None:
    frame = source.read()
    return None if frame is None else Shot(frame.captured_at, frame.pts, frame.size, lambda: frame.image)


def _as_failure(error: Exception, label: str) -> FramehookError:
    """An error that may be raised in another thread: without the trace, which holds on to the connection."""
    if isinstance(error, FramehookError):
        return error.with_traceback(None)
    return SourceUnavailableError(f"{label} failed: {type(error).__name__}: {_without_secrets(one_line(error))}")


def _reason(error: FramehookError, label: str) -> str:
    """What is wrong, of a message of the form `who what; what to do`."""
    return _without_secrets(one_line(error)).removeprefix(f"{label} ").partition("; ")[0]


def _without_secrets(text: str) -> str:
    return re.sub(r"[A-Za-z][A-Za-z0-9+.-]+://\S+", lambda match: redacted(match[0]), text)
