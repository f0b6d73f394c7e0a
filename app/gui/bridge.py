"""Between a session, whose threads know nothing of Qt, and the widgets, which live in one thread."""

from __future__ import annotations

import threading
from typing import Any, Final

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal

from framehook.app.session.picture import Picture
from framehook.app.session.session import Session
from framehook.app.session.state import Level, Phase, SessionState

FIGURES_MS: Final = 500
"""How often figures are read while something plays: numbers that change faster cannot be read. Pictures do not wait for it."""
PATIENCE: Final = 1.5
"""Seconds that the end of a session may take: of the two in which the process is to be gone the rest is for Qt and Python."""


class Bridge(QObject):
    """Tells the widgets what is new in a session.

    However much happens, one wake-up at most is on its way to the GUI thread, which then collects everything that is new.

    Attributes:
        session: The session.
        state: The state that was told last.
        selected: The object that is chosen, as slot and track id, or None.
        closed: Whether nothing is told any more.
    """

    state_changed = pyqtSignal(object)
    """`SessionState`."""
    picture_ready = pyqtSignal(object)
    """`Picture`: the newest of its slot; the view that shows it gives the one before back."""
    noted = pyqtSignal(object)
    """`Note`."""
    figures_changed = pyqtSignal(object)
    """`Figures`, about twice a second while something plays, and once more at the end."""
    hooks_changed = pyqtSignal()
    """Callbacks were loaded, switched, or raised."""
    selection_changed = pyqtSignal(object)
    """The slot and track id of the object that was chosen, or None."""

    _woken = pyqtSignal()

    def __init__(self, parent: QObject | None = None, **options: Any) -> None:
        """Begin a session.

        Args:
            parent: The owner.
            **options: Those of `Session`.

        Raises:
            UnknownOptionError, OptionError: an option is wrong.
        """
        super().__init__(parent)
        self._pending = False
        self._lock = threading.Lock()
        self.closed = False
        self._woken.connect(self._collect, type=Qt.ConnectionType.QueuedConnection)  # type: ignore[call-arg]  # not in the stubs
        self._clock = QTimer(self)
        self._clock.setInterval(FIGURES_MS)
        self._clock.timeout.connect(self._tell_figures)
        self.session = Session(self._wake, **options)
        self.state: SessionState = self.session.state
        self.selected: tuple[str, int] | None = None
        self._hooks_version = self.session.hooks_version

    def report(self, level: Level, text: str, detail: str = "") -> None:
        """Tell the user something."""
        self.session.note(level, text, detail)

    def select(self, chosen: tuple[str, int] | None) -> None:
        """Choose an object by its slot and track id, or none."""
        if chosen != self.selected:
            self.selected = chosen
            self.selection_changed.emit(chosen)

    def give_back(self, picture: Picture) -> None:
        """Let go of a picture."""
        self.session.renderer.give_back(picture)

    def close(self, timeout: float = PATIENCE) -> bool:
        """End the session; nothing is told any more. False where something still goes on after `timeout` seconds."""
        self.closed = True
        self._clock.stop()
        return self.session.close(timeout)

    def _wake(self) -> None:
        """From any thread: something is new."""
        with self._lock:
            if self._pending or self.closed:
                return
            self._pending = True
        self._woken.emit()

    def _collect(self) -> None:
        with self._lock:
            self._pending = False
        if self.closed:
            return
        notes = self.session.take_notes()  # before the state, so that what they tell of shows in it
        if self.session.state is not self.state:
            self._tell_state()
        for picture in self.session.renderer.take():
            self.picture_ready.emit(picture)
        for note in notes:
            self.noted.emit(note)
        version = self.session.hooks_version
        if version != self._hooks_version:
            self._hooks_version = version
            self.hooks_changed.emit()

    def _tell_state(self) -> None:
        before, self.state = self.state, self.session.state
        if self.selected is not None and self.state.slot(self.selected[0]) is None:
            self.select(None)
        self.state_changed.emit(self.state)
        plays = self.state.phase is Phase.PLAYING
        if plays != self._clock.isActive():
            self._clock.start() if plays else self._clock.stop()
        if not plays and before.phase is not self.state.phase:
            self._tell_figures()

    def _tell_figures(self) -> None:
        self.figures_changed.emit(self.session.figures())
