"""Where a session writes down how it stands, for anybody to read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from framehook.app.session.notes import Notes, detail_of
from framehook.app.session.state import Level, SessionState, ZonesOfSlot
from framehook.inference.errors import FramehookError, one_line


class Board:
    """The state of a session and its notes; read and written from any thread.

    Attributes:
        state: How everything stands; a new object with every change.
        notes: What there is to tell the user.
    """

    def __init__(self, wake: Callable[[], None], state: SessionState) -> None:
        """Begin with a state; `wake` is called after each change."""
        self.state = state
        self.notes = Notes(wake)
        self._wake = wake
        self._lock = threading.RLock()  # a destructor that runs in here may log, and a note be added

    def change(self, **changes: Any) -> None:
        """Replace parts of the state."""
        with self._lock:
            self.state = replace(self.state, **changes)
        self._wake()

    def put_zones(self, key: str, zones: ZonesOfSlot | None) -> None:
        """Show the zones of a slot; None where it is gone."""
        with self._lock:
            others = {other: drawn for other, drawn in self.state.zones.items() if other != key}
            self.state = replace(self.state, zones=others if zones is None else {**others, key: dict(zones)})
        self._wake()

    def choose(self, changes: Mapping[str, Any]) -> None:
        """Change options.

        Raises:
            UnknownOptionError, OptionError: nothing is changed then.
        """
        with self._lock:
            self.state = replace(self.state, options=self.state.options.replace(changes))
        self._wake()

    def busy(self, what: str) -> None:
        """Show that something is under way."""
        with self._lock:
            self.state = replace(self.state, busy=(*self.state.busy, what))
        self._wake()

    def done(self, what: str) -> None:
        """Show that it is no longer."""
        with self._lock:
            busy = list(self.state.busy)
            if what in busy:
                busy.remove(what)
            self.state = replace(self.state, busy=tuple(busy))
        self._wake()

    def note(self, level: Level, text: str, detail: str = "") -> None:
        """Tell the user something."""
        self.notes.add(level, text, detail)

    def report(self, error: BaseException) -> None:
        """Tell the user what went wrong."""
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                self.report(each)
        elif isinstance(error, FramehookError):
            self.note(Level.ERROR, one_line(error))
        else:
            self.note(Level.ERROR, f"unexpected {type(error).__name__}: {one_line(error)}", detail_of(error))
