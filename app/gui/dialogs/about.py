"""What the app is made of, and all keys at a glance."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from html import escape
from typing import Final

from PyQt6.QtCore import PYQT_VERSION_STR, QT_VERSION_STR, QSize, Qt
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from framehook._version import __version__
from framehook.app.gui.actions import MENUS, Spec
from framehook.app.gui.bridge import Bridge
from framehook.app.gui.icons import without_icons

_LETTERS: Final = 90
"""Of usual width that fit into a line of the shortcuts."""
_ACTION: Final = 1
_IN_THE_PICTURE: Final = {
    "Zoom in and out, fit": "+, -, 0",
    "Move the picture that is zoomed in, or go to the next view": "Arrow keys",
    "Enlarge one of several views, or show all": "Return",
    "Give up what was begun: drawing, following, choosing, enlarging": "Esc",
    "End an area, take its last corner back": "Return, Backspace",
    "Rename and delete a zone that is edited": "F2, Del",
}


class AboutDialog(QDialog):
    """Versions, and what the model in use runs on."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        """Show what is so now."""
        super().__init__(parent)
        self.setWindowTitle("About Framehook")
        model = bridge.state.model
        rows = {
            "Framehook": __version__,
            "Python": platform.python_version(),
            "Qt": f"{QT_VERSION_STR}, PyQt {PYQT_VERSION_STR}",
            "System": platform.platform(),
            "Model": "none yet" if model is None else f"{model.title}: {model.input}, {model.layout} on {model.device}",
        }
        lines = "".join(f"<tr><td><b>{name}</b>&nbsp;&nbsp;</td><td>{escape(value)}</td></tr>" for name, value in rows.items())
        text = QLabel(f"<p>Real-time video inference with a callback at every stage.</p><table>{lines}</table>")
        text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        text.setAccessibleName("Versions")
        buttons = without_icons(QDialogButtonBox(QDialogButtonBox.StandardButton.Close))
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(text)
        column.addWidget(buttons)


class ShortcutsDialog(QDialog):
    """All keys: those of the menus, as these name them, and those that mean something in the picture alone."""

    def __init__(self, parent: QWidget | None, panels: Sequence[QAction]) -> None:
        """List them; `panels` show and hide the panels."""
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        screen = self.screen()
        size = QSize(self.fontMetrics().averageCharWidth() * _LETTERS, 560)
        self.resize(size if screen is None else size.boundedTo(screen.availableSize()))
        rows = [
            (title.replace("&", ""), each.text.replace("&", ""), _keys(each))
            for title, entries in MENUS.items()
            for each in entries
            if isinstance(each, Spec) and each.keys
        ]
        native = QKeySequence.SequenceFormat.NativeText
        rows += [("Panels", panel.text().replace("&", ""), panel.shortcut().toString(native)) for panel in panels]
        rows += [("Picture", what, keys) for what, keys in _IN_THE_PICTURE.items()]
        table = QTableWidget(len(rows), 3)
        table.setAccessibleName("Keyboard shortcuts")
        table.setHorizontalHeaderLabels(["Menu", "Action", "Keys"])
        table.setTabKeyNavigation(False)
        table.setHorizontalScrollMode(QTableWidget.ScrollMode.ScrollPerPixel)
        table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                table.setItem(row, column, QTableWidgetItem(text))
        numbers, header = table.verticalHeader(), table.horizontalHeader()
        if numbers is not None and header is not None:
            numbers.hide()
            numbers.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            header.setSectionResizeMode(_ACTION, QHeaderView.ResizeMode.Stretch)  # its texts are long: they wrap
        buttons = without_icons(QDialogButtonBox(QDialogButtonBox.StandardButton.Close))
        buttons.rejected.connect(self.reject)
        column_box = QVBoxLayout(self)
        column_box.addWidget(table)
        column_box.addWidget(buttons)


def _keys(spec: Spec) -> str:
    return ", ".join(QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText) for keys in spec.keys)
