"""What a session tells its user: its own notes, and what the library logs meanwhile."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Final

from framehook.app.session.state import Level, Note
from framehook.inference.errors import one_line

KEPT: Final = 500
"""Notes that wait to be taken at most; the oldest go first."""


class Notes(logging.Handler):
    """Collects notes from any thread until the window takes them.

    While it is attached, what the library logs becomes a note as well.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        """Collect; `wake` is called after each note."""
        super().__init__(logging.INFO)
        self._wake = wake
        self._waiting: deque[Note] = deque(maxlen=KEPT)
        self._logger = logging.getLogger("framehook")
        self._before = self._logger.level, self._logger.propagate
        self._lock = threading.RLock()  # the collector may run anywhere, and what it drops may log

    def attach(self) -> None:
        """Listen to the library's log."""
        self._logger.addHandler(self)
        self._before = self._logger.level, self._logger.propagate
        if self._logger.getEffectiveLevel() > logging.INFO:
            self._logger.setLevel(logging.INFO)
        self._logger.propagate = False

    def detach(self) -> None:
        """Leave the library's log as it was."""
        self._logger.removeHandler(self)
        self._logger.level, self._logger.propagate = self._before

    def add(self, level: Level, text: str, detail: str = "") -> None:
        """Add a note; of several lines the text becomes one."""
        note = Note(level, one_line(text), time.time(), detail)
        with self._lock:
            self._waiting.append(note)
        self._wake()

    def take(self) -> list[Note]:
        """The notes since this was asked last, oldest first."""
        empty: deque[Note] = deque(maxlen=KEPT)
        with self._lock:
            taken, self._waiting = self._waiting, empty
        return list(taken)

    def emit(self, record: logging.LogRecord) -> None:
        """A record of the library as a note."""
        if getattr(record, "observed", False):
            return  # that a callback raised is told with its traceback, by what observes the callbacks
        level = Level.INFO if record.levelno < logging.WARNING else Level.WARNING
        if record.levelno >= logging.ERROR:
            level = Level.ERROR
        error = record.exc_info[1] if record.exc_info else None
        detail = "" if error is None else detail_of(error)
        self.add(level, record.getMessage(), detail)


def detail_of(error: BaseException) -> str:
    """Where an error comes from, as Python shows it."""
    return "".join(traceback.format_exception(error)).rstrip()
