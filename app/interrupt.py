"""Ctrl-C, a polite kill, or a terminal that is closed: the ordinary end of a run, and the clean one of anything else."""

from __future__ import annotations

import signal
import threading
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Protocol, Self


def stopping_signals() -> list[int]:
    """Ctrl-C, a polite kill, and a terminal or console window that is closed; `nohup` keeps the last from ending a run."""
    hangups = [number for name in ("SIGHUP", "SIGBREAK") if (number := getattr(signal, name, None)) is not None]
    return [signal.SIGINT, signal.SIGTERM, *(each for each in hangups if signal.getsignal(each) is not signal.SIG_IGN)]


class Stoppable(Protocol):
    """A run, or whatever else can be asked to end soon."""

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        ...


class StopOnSignal:
    """While it is entered, these signals stop a run as `Run.stop` does: the frame under way is finished, and files too.

    A second Ctrl-C raises `KeyboardInterrupt`, for a callback or a source that hangs.

    Attributes:
        received: Number of the signal that stopped the run, or None.
    """

    def __init__(self, run: Stoppable) -> None:
        """Prepare for a run; nothing changes before it is entered."""
        self.received: int | None = None
        self._run = run
        # A handler runs in the middle of whatever the main thread is doing, perhaps holding the very lock that stopping
        # needs. So another thread does the stopping; SimpleQueue is made to be put to from a signal handler.
        self._requests: SimpleQueue[bool] = SimpleQueue()
        self._stopper = threading.Thread(target=self._wait, name="framehook-stop", daemon=True)
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._stopper.start()
            for number in stopping_signals():
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._previous:
            self._requests.put(False)
            self._stopper.join()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
        self._requests.put(True)

    def _wait(self) -> None:
        if self._requests.get():
            self._run.stop()


class RaiseOnSignal:
    """While it is entered, these signals raise `KeyboardInterrupt`, so that whatever is half-written is cleaned up.

    Attributes:
        received: Number of the signal that came, or None.
    """

    def __init__(self) -> None:
        """Prepare; nothing changes before it is entered."""
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in stopping_signals():
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise `KeyboardInterrupt` where one was lost: in a destructor, or in a library that swallows it."""
        if self.received is not None:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        raise KeyboardInterrupt
