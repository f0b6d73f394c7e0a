"""The line at the bottom: what plays through which model, how fast, and what is under way."""

from __future__ import annotations

import time
from typing import Final

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QLabel, QProgressBar, QSizePolicy, QStatusBar, QWidget

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.theme import accent, watch
from framehook.app.gui.view_texts import LOST
from framehook.app.session.state import Figures, Phase, SessionState, TakeKind
from framehook.inference.connection import SourceState

_NAME: Final = 40
"""Letters of a name that are shown."""
_NAMED: Final = 3
"""Sources that are named."""
_PHASES: Final = {
    Phase.IDLE: "Nothing is open",
    Phase.OPENING: "Opening",
    Phase.PLAYING: "Playing",
    Phase.PAUSED: "Paused",
    Phase.ENDED: "Ended",
    Phase.FAILED: "Stopped by an error",
}
_TAKES: Final[dict[TakeKind, str]] = {
    "annotated": "recording",
    "original": "recording the original",
    "rows": "saving rows",
}
_TICK_MS: Final = 250
"""How often it is looked how long something is being saved: no second is left out."""


class StatusLine(QStatusBar):
    """The status bar of the window."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        """Follow a session."""
        super().__init__(parent)
        self._bridge = bridge
        self.setSizeGripEnabled(False)
        self._what = QLabel()
        self._what.setAccessibleName("What is going on")
        self._what.setTextFormat(Qt.TextFormat.PlainText)
        # However long it is, it does not make the window wider.
        self._what.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._dot = QLabel("●")
        self._dot.setAccessibleName("Something is being saved")
        self._takes = QLabel()
        self._takes.setAccessibleName("What is being saved")
        self._takes.setToolTip("What is being saved, and for how many minutes and seconds")
        self._clock = QTimer(self)
        self._clock.setInterval(_TICK_MS)
        self._clock.timeout.connect(self._show_takes)
        self._figures = QLabel()
        self._figures.setAccessibleName("Frame rate and latency")
        self._figures.setToolTip("Frames painted a second, and the time from capture to paint: half of them are faster")
        self._busy = QProgressBar()
        self._busy.setRange(0, 0)
        self._busy.setMaximumWidth(90)
        self._busy.setMaximumHeight(12)
        self._busy.setTextVisible(False)
        self._busy.setAccessibleName("Something is under way")
        self._busy.hide()
        self.addWidget(self._what, 1)
        for widget in (self._dot, self._takes, self._busy, self._figures):
            self.addPermanentWidget(widget)
        bridge.state_changed.connect(self._show_state)
        bridge.figures_changed.connect(self._show_figures)
        self._show_state(bridge.state)
        watch(self, self._colour)

    def _show_state(self, state: SessionState) -> None:
        names = sources_in_words(state)
        phase = phase_in_words(state)
        what = f"{phase}: {names}" if names else phase
        model = state.model
        self._what.setText(what if model is None else f"{what}   ·   {_short(model.title)} on {model.device}")
        self._busy.setVisible(bool(state.busy))
        if state.busy:
            self._what.setText(f"{_sentence(_short(state.busy[-1], 2 * _NAME))}…")
        if state.phase is not Phase.PLAYING:
            self._figures.setText("")
        self._show_takes()
        going_on = any(take.going_on for take in state.takes)
        if going_on != self._clock.isActive():
            self._clock.start() if going_on else self._clock.stop()

    def _show_takes(self) -> None:
        takes = self._bridge.state.takes
        said = [f"{_TAKES[take.kind]} {_time(time.monotonic() - take.began)}" for take in takes if take.going_on]
        self._dot.setVisible(bool(said))
        if any(take.finishing for take in takes):
            said.append("completing files")
        self._takes.setText(_sentence(", ".join(said)))

    def _colour(self) -> None:
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.WindowText, accent("red", palette))
        self._dot.setPalette(palette)

    def _show_figures(self, figures: Figures) -> None:
        painting = figures.painting
        if self._bridge.state.phase is not Phase.PLAYING or painting.latency is None:
            self._figures.setText("")
            return
        self._figures.setText(f"{painting.fps:.1f} fps   {painting.latency.p50:.0f} ms")


def phase_in_words(state: SessionState) -> str:
    """What is going on: nothing plays of which no source is connected, and what somebody stopped has not ended by itself."""
    connections = {slot.connection for slot in state.slots}
    if state.phase is Phase.PLAYING and connections and SourceState.CONNECTED not in connections:
        if not connections.isdisjoint(LOST):
            return "No connection"
        if SourceState.CONNECTING in connections:
            return "Connecting"
    # Of a run that is stopped some sources tell so, and some no more at all.
    if state.phase is Phase.ENDED and any(
        slot.connection is not SourceState.ENDED or slot.reason == "stopped" for slot in state.slots
    ):
        return "Stopped"
    return _PHASES[state.phase]


def sources_in_words(state: SessionState) -> str:
    """What is open, as short as fits into a line."""
    names = [_short(slot.name) for slot in state.slots]
    if len(names) > _NAMED:
        names[_NAMED - 1 :] = [f"{len(names) - _NAMED + 1} more"]
    return ", ".join(names)


def _short(text: str, letters: int = _NAME) -> str:
    """A text with its middle left out, where it is long: names differ at their ends."""
    half = letters // 2
    return text if len(text) <= letters else f"{text[:half]}…{text[-half:]}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02}:{rest:02}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
