"""What the app is made of, and all keys at a glance."""

from __future__ import annotations

import platform
from html import escape

from PyQt6.QtCore import PYQT_VERSION_STR, QT_VERSION_STR, Qt
from PyQt6.QtGui import QKeySequence
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from framehook._version import __version__
from framehook.app.gui.actions import MENUS, Spec
from framehook.app.gui.bridge import Bridge


class AboutDialog(QDialog):
    """Versions, and what the model in use runs on."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        """Show what is so now."""
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
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
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(text)
        column.addWidget(buttons)


class ShortcutsDialog(QDialog):
    """All actions that have keys, as the menus name them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """List them."""
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keyboard shortcuts")
        self.resize(620, 560)
        rows = [
            (title.replace("&", ""), each.text.replace("&", ""), _keys(each))
            for title, entries in MENUS.items()
            for each in entries
            if isinstance(each, Spec) and each.keys
        ]
        table = QTableWidget(len(rows), 3)
        table.setAccessibleName("Keyboard shortcuts")
        table.setHorizontalHeaderLabels(["Menu", "Action", "Keys"])
        table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                table.setItem(row, column, QTableWidgetItem(text))
        numbers, header = table.verticalHeader(), table.horizontalHeader()
        if numbers is not None and header is not None:
            numbers.hide()
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            header.setStretchLastSection(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column_box = QVBoxLayout(self)
        column_box.addWidget(table)
        column_box.addWidget(buttons)


def _keys(spec: Spec) -> str:
    return ", ".join(QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText) for keys in spec.keys)
