"""The page of the dialog of an export that tells what came of it: the file, what proves it, and what to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.dialogs.export_layout import in_a_row, push_button
from framehook.app.gui.icons import icon
from framehook.app.gui.told import Told
from framehook.app.session.exports import ExportState
from framehook.app.session.state import Level

_TITLES: Final = {
    "size": "Size of the file",
    "compared": "Compared",
    "network": "Numbers of the network",
    "pixels": "Preprocessed pixels",
    "detections": "Detections",
    "AP50": "Accuracy (AP50)",
    "speed": "Speed",
    "float": "Left in float",
    "note": "Note",
    "took": "Time taken",
}
"""The rows of a report, for people."""
_PROVING: Final = ("network", "pixels", "detections", "AP50")
"""Those that an export fails over."""


class ExportOutcome(QWidget):
    """Shows the report of an export that is complete."""

    use_requested = pyqtSignal(str)
    """To go on with the file of that path in the window."""
    folder_requested = pyqtSignal(str)
    """To show where the file of that path lies."""
    again_requested = pyqtSignal()
    close_requested = pyqtSignal()

    def __init__(self) -> None:
        """Show nothing yet."""
        super().__init__()
        self.verdict = Told()
        self.verdict.setAccessibleName("What came of it")
        self.path = _read_only("The file", "The file that was written")
        self.command = _read_only("Command that runs the file", "What runs the file in a terminal, on the same frames")
        self.folder_button = push_button(
            "&Show in folder", "Open the folder of the file", lambda: self.folder_requested.emit(self.path.text())
        )
        self.folder_button.setIcon(icon("folder"))
        self.copy_button = push_button("&Copy the command", "Copy the command that runs the file", self._copy)
        places = QFormLayout()
        places.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        places.addRow(*_row("&File", self.path, self.folder_button))
        places.addRow(*_row("&Run it with", self.command, self.copy_button))
        self.report = _table()
        self.use_button = push_button(
            "&Use it here", "Go on with the exported model in this window", lambda: self.use_requested.emit(self.path.text())
        )
        self.use_button.setIcon(icon("model"))
        self.again_button = push_button("Export &again…", "Go back to the options", self.again_requested.emit)
        self.close_button = push_button("Close", "Close this dialog (Esc)", self.close_requested.emit)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.verdict)
        rows.addLayout(places)
        rows.addWidget(self.report, 1)
        rows.addLayout(in_a_row(self.use_button, None, self.again_button, self.close_button))

    def show_report(self, state: ExportState) -> None:
        """Show what came of an export that is complete."""
        proven = bool(state.report.get("proven"))
        compared = state.report.get("parity") is not None
        if proven:
            self.verdict.tell(Level.INFO, "Exported, and proven: the file finds what its source finds")
        elif compared:
            self.verdict.tell(Level.WARNING, "Exported, but not proven: too little was found in the frames to compare it on")
        else:
            self.verdict.tell(Level.WARNING, "Exported, but not proven: it was not compared with its source")
        self.path.setText(str(state.path))
        self.report.setRowCount(0)
        last = ""
        for what, figures in state.rows:
            last = what or last
            row = self.report.rowCount()
            self.report.insertRow(row)
            for column, text in enumerate((_TITLES.get(what, what), figures, _verdict(last, proven=proven, compared=compared))):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                item.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
                self.report.setItem(row, column, item)
        steps = state.report.get("next")
        steps = steps if isinstance(steps, Mapping) else {}
        self.command.setText(_command(steps))
        self.command.setCursorPosition(0)
        self.copy_button.setEnabled(bool(self.command.text()))
        self.use_button.setFocus()

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.command.text())


def _command(steps: Mapping[str, Any]) -> str:
    return str(steps.get("command") or steps.get("python") or "")


def _verdict(row: str, *, proven: bool, compared: bool) -> str:
    if row not in _PROVING or not compared:
        return ""
    return "agrees" if proven or row in ("network", "pixels") else "not proven"


def _read_only(name: str, tip: str) -> QLineEdit:
    line = QLineEdit()
    line.setReadOnly(True)
    line.setAccessibleName(name)
    line.setToolTip(tip)
    return line


def _row(text: str, line: QLineEdit, button: QPushButton) -> tuple[QLabel, QHBoxLayout]:
    label = QLabel(text)
    label.setBuddy(line)
    beside = in_a_row(line, button)
    beside.setStretch(0, 1)
    return label, beside


def _table() -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setAccessibleName("Report")
    table.setHorizontalHeaderLabels(["What", "Figures", "Verdict"])
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    table.setTabKeyNavigation(False)
    table.setWordWrap(True)
    table.setShowGrid(False)
    table.setAlternatingRowColors(True)
    below, beside = table.verticalHeader(), table.horizontalHeader()
    if below is not None and beside is not None:
        below.hide()
        below.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        beside.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        beside.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        beside.setHighlightSections(False)
        beside.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return table
