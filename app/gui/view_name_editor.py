"""A field over a view in which the name of something on it is changed."""

from __future__ import annotations

from PyQt6.QtCore import QPoint, Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QKeyEvent
from PyQt6.QtWidgets import QLineEdit, QWidget


class NameEditor(QLineEdit):
    """Asks once: Enter takes the name, Escape or going elsewhere leaves it as it was; then it goes away."""

    named = pyqtSignal(str)
    """Another name was chosen."""

    def __init__(self, view: QWidget, name: str, what: str) -> None:
        """Ask for another name than `name` of something that is called `what`."""
        super().__init__(name, view)
        self._view = view
        self._name = name
        self.setAccessibleName(f"Name of the {what}")
        self.setToolTip("Enter takes the name, Escape leaves it as it was")
        self.selectAll()

    def open_at(self, at: QPoint) -> None:
        """Show it at a point of the view, or as near as there is room."""
        size = self.sizeHint().boundedTo(self._view.size())
        right, lower = self._view.width() - size.width(), self._view.height() - size.height()
        self.setGeometry(max(min(at.x(), right), 0), max(min(at.y(), lower), 0), size.width(), size.height())
        self.show()
        self.setFocus(Qt.FocusReason.PopupFocusReason)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            wanted = self.text().strip()
            self._view.setFocus()
            if wanted and wanted != self._name:
                self.named.emit(wanted)
        elif event.key() == Qt.Key.Key_Escape:
            self._view.setFocus()
        else:
            super().keyPressEvent(event)
        event.accept()  # what a field has no use for is not for the view behind it

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        super().focusOutEvent(event)
        if event is not None and event.reason() is not Qt.FocusReason.PopupFocusReason:  # its own menu does not end it
            self.leave()

    def leave(self) -> None:
        """Go away; nothing is named."""
        self.hide()
        self.deleteLater()
