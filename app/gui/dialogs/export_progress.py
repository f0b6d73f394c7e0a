"""The page of the dialog of an export that shows how it goes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from PyQt6.QtCore import QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QFont
from PyQt6.QtWidgets import QLabel, QListWidget, QListWidgetItem, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from framehook.app.gui.dialogs.export_layout import in_a_row, push_button, sentence_label
from framehook.app.gui.icons import icon
from framehook.app.session.exports import ExportState

_STEPS: Final = 1000
_SECOND: Final = 1000  # milliseconds
_HEADING: Final = 1.3  # times the size of other texts


class ExportProgress(QWidget):
    """What is exported to where, how far it is, and the steps that it took."""

    cancel_requested = pyqtSignal()

    def __init__(self) -> None:
        """Show nothing yet."""
        super().__init__()
        self._began = 0.0
        self.heading = QLabel()
        self.heading.setTextFormat(Qt.TextFormat.PlainText)
        self.heading.setWordWrap(True)
        font = QFont(self.font())
        font.setPointSizeF(_HEADING * font.pointSizeF())
        font.setBold(True)
        self.heading.setFont(font)
        self._target = sentence_label("")
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the export")
        self.stage = QLabel()
        self.stage.setAccessibleName("What is going on")
        self._elapsed = QLabel()
        self._elapsed.setAccessibleName("Time taken")
        self._clock = QTimer(self)
        self._clock.setInterval(_SECOND)
        self._clock.timeout.connect(self._tick)
        self.steps = QListWidget()
        self.steps.setAccessibleName("Steps of the export")
        self.steps.setToolTip("What was done, and what is being done")
        self.steps.setIconSize(QSize(20, 20))
        self.steps.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.steps.setAlternatingRowColors(True)
        self.steps.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.cancel_button = push_button("&Cancel export", "Call the export off; no file is left (Esc)", self.cancel)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.heading)
        rows.addWidget(self._target)
        rows.addSpacing(12)
        rows.addWidget(self.progress)
        below = in_a_row(self.stage, self._elapsed)
        below.setStretch(0, 1)
        rows.addLayout(below)
        rows.addSpacing(12)
        rows.addWidget(self.steps, 1)
        rows.addWidget(sentence_label("The window can be used meanwhile. The file appears once it is complete."))
        rows.addLayout(in_a_row(None, self.cancel_button))

    def begin(self, model: str, target: Path) -> None:
        """Show an export that begins.

        Args:
            model: What is exported.
            target: Where to.
        """
        self.heading.setText(f"Exporting {model}")
        self._target.setText(f"to {target}")
        self.steps.clear()
        self._began = time.monotonic()
        self._tick()
        self._clock.start()
        self.cancel_button.setEnabled(True)
        self.cancel_button.setFocus()

    def show_state(self, state: ExportState) -> None:
        """Show how it stands; of states that come too quickly, only the last has to be shown."""
        if self.cancel_button.isEnabled():
            for stage in state.stages[self.steps.count() :]:
                text = f"{stage[:1].upper()}{stage[1:]}"
                self.stage.setText(f"{text}…")
                self._take_step(text)
        self.progress.setRange(0, _STEPS if state.fraction is not None else 0)
        self.progress.setValue(round((state.fraction or 0.0) * _STEPS))
        if not state.going_on:
            self._clock.stop()

    def cancel(self) -> None:
        """Ask to call it off."""
        self.cancel_button.setEnabled(False)
        self.stage.setText("Cancelling…")
        self.cancel_requested.emit()

    def _take_step(self, text: str) -> None:
        last = self.steps.item(self.steps.count() - 1)
        if last is not None:
            last.setIcon(icon("done"))
            last.setData(Qt.ItemDataRole.AccessibleTextRole, f"{last.text()}: done")
        self.steps.addItem(QListWidgetItem(icon("busy"), text))
        self.steps.scrollToBottom()

    def _tick(self) -> None:
        minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
        self._elapsed.setText(f"{minutes}:{seconds:02}")
