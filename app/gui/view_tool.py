"""Something that the mouse does on a view other than choosing objects and moving the picture."""

from __future__ import annotations

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter

from framehook.app.gui.view_canvas import PictureCanvas
from framehook.app.gui.view_mapping import Mapping
from framehook.app.session.picture import Picture


class ViewTool(QObject):
    """What a view hands its events to first, and has painted on top of its picture.

    The event methods return whether the event was meant for them; what was not does what it always does.
    """

    closed = pyqtSignal()
    """It is done, and is to be taken from the view."""
    changed = pyqtSignal()
    """It is to be painted anew."""

    def attach(self, view: PictureCanvas) -> None:
        """Begin on a view."""

    def detach(self) -> None:
        """End; what was not finished is dropped."""

    def press(self, event: QMouseEvent, mapping: Mapping) -> bool:
        """A button was pressed."""
        return False

    def move(self, event: QMouseEvent, mapping: Mapping) -> bool:
        """The mouse was moved."""
        return False

    def release(self, event: QMouseEvent, mapping: Mapping) -> bool:
        """A button was released."""
        return False

    def double_click(self, event: QMouseEvent, mapping: Mapping) -> bool:
        """A button was pressed for the second time."""
        return False

    def key(self, event: QKeyEvent) -> bool:
        """A key was pressed."""
        return False

    def takes(self, event: QKeyEvent) -> bool:
        """Whether a key is for it although elsewhere it is the shortcut of an action."""
        return False

    def turn(self, *, forward: bool) -> bool:
        """Tab was pressed: choose what comes next, or before; False where the keyboard is to go on to another widget."""
        return False

    def cursor(self) -> Qt.CursorShape:
        """The shape of the mouse over the view."""
        return Qt.CursorShape.CrossCursor

    def hint(self) -> str:
        """What to do next, in a few words; shown in the view."""
        return ""

    def paint(self, painter: QPainter, mapping: Mapping, picture: Picture) -> None:
        """Paint on top of the picture, in logical pixels of the view."""
