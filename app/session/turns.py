"""Long jobs that are done one after another, and of which one that never ends can be given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from framehook.app.session.desk import Desk


class Turns:
    """Runs jobs aside, in the order in which they came: each waits for the one before it, unless that was given up."""

    def __init__(self, desk: Desk) -> None:
        """Nothing to do yet."""
        self._desk = desk
        self._lock = threading.Lock()
        self._waiting: dict[Path, list[threading.Event]] = {}
        self._last: threading.Event | None = None

    def take(self, path: Path, job: Callable[[], object]) -> None:
        """Have a job done that is about a file, after those that came before."""
        done = threading.Event()
        with self._lock:
            before, self._last = self._last, done
            self._waiting.setdefault(path, []).append(done)

        def work() -> None:
            if before is not None:
                before.wait()
            try:
                job()
            finally:
                self._end(path, done)

        self._desk.aside("framehook-hooks", work)

    def give_up(self, path: Path) -> None:
        """Wait no longer for what goes on about a file."""
        with self._lock:
            given_up = self._waiting.pop(path, [])
        for done in given_up:
            done.set()

    def _end(self, path: Path, done: threading.Event) -> None:
        done.set()
        with self._lock:
            waiting = [each for each in self._waiting.get(path, []) if each is not done]
            if waiting:
                self._waiting[path] = waiting
            else:
                self._waiting.pop(path, None)
