"""A worker that runs slow callbacks beside the stream instead of in it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

CAPACITY: Final = 8
"""Calls that wait at most; what comes on top is dropped and counted."""
DRAIN_SECONDS: Final = 2.0
"""How long the end of a run waits for calls that are still queued, all callbacks together."""


class BackgroundWorker:
    """Runs calls one after another on a thread of its own, from a bounded queue.

    Attributes:
        dropped: Calls turned away because the queue was full, or still queued when the worker was closed.
    """

    def __init__(self, name: str) -> None:
        """Prepare a worker; its thread starts with the first call."""
        self.dropped = 0
        self._name = name
        self._queue: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._busy = False
        self._thread: threading.Thread | None = None

    def has_room(self) -> bool:
        """Whether a call would be queued now; lets the caller spare itself the making of a snapshot."""
        return len(self._queue) < CAPACITY

    def drop(self) -> None:
        """Count a call that found no room."""
        with self._changed:
            self.dropped += 1

    def submit(self, call: Callable[[], None]) -> None:
        """Queue a call, whether or not there is room (start and end are never dropped)."""
        with self._changed:
            if self._closed:
                self.dropped += 1
                return
            self._queue.append(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"framehook-callback-{self._name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def drain(self, deadline: float) -> None:
        """Wait until nothing is queued or running, until `deadline` (monotonic seconds) at most, and drop what is left."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queue and not self._busy, max(deadline - time.monotonic(), 0))
            self.dropped += len(self._queue)
            self._queue.clear()

    def close(self, deadline: float) -> None:
        """Let queued calls run until `deadline` (monotonic seconds) at most, drop the rest and end the thread.

        A call that is still running then cannot be stopped; its daemon thread ends with it.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is None or self._thread is threading.current_thread():
            return
        self._thread.join(max(deadline - time.monotonic(), 0))
        with self._changed:
            self.dropped += len(self._queue)
            self._queue.clear()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._queue:
                    if self._closed:
                        return
                    self._changed.wait()
                call = self._queue.popleft()
                self._busy = True
            call()
            del call  # a waiting worker must not keep the last snapshot's frames alive
