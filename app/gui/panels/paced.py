"""Doing something at most so often, with the last time never left out."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, QTimer


class Paced(QObject):
    """Calls something at most once in an interval, however often it is asked for.

    The first wish is met at once; those that come within the interval after a call are met together, at its end.
    """

    def __init__(self, parent: QObject, interval_ms: int, call: Callable[[], object]) -> None:
        """Belong to `parent`, and call `call` in the thread of the window."""
        super().__init__(parent)
        self._call = call
        self._asked = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(self._pass)

    def ask(self) -> None:
        """Have it called: now, or at the end of the interval."""
        if self._timer.isActive():
            self._asked = True
        else:
            self._go()

    def hurry(self) -> None:
        """Call it now if it was asked for and is still to come."""
        if self._asked:
            self._go()

    @property
    def waits(self) -> bool:
        """Whether it was asked for and is still to come."""
        return self._asked

    def _pass(self) -> None:
        if self._asked:
            self._go()

    def _go(self) -> None:
        self._asked = False
        self._timer.start()  # before the call, which may ask again
        self._call()
