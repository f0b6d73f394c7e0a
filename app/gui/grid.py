"""Lays out a view for each source, and shows one of them large."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from framehook.app.gui.view import SourceView
from framehook.app.gui.view_drawing import surround
from framehook.app.gui.zone_tool import ZoneMode, ZoneTool
from framehook.app.session.picture import Picture
from framehook.app.session.state import SessionState

if TYPE_CHECKING:
    from framehook.app.gui.bridge import Bridge

GAP: Final = 2
"""Logical pixels between views."""
USUAL_ASPECT: Final = 16 / 9
"""Width by height of sources of which it is not known yet."""


class GridView(QWidget):
    """A `SourceView` for each slot of the session, in its order.

    Views stay while their slots do. One of them is current, the one that had the keyboard last: it is what actions are about.
    """

    current_changed = pyqtSignal(object)
    """The slot of the view that is current now, or None."""
    enlarged_changed = pyqtSignal(bool)
    """One of several views is shown alone, or no longer."""
    following_changed = pyqtSignal(bool)
    """A view follows an object, or none does any more."""
    tool_ended = pyqtSignal()
    """The tool that was set is done, or was dropped."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        """Show what is open, and what is opened from now on."""
        super().__init__(parent)
        self._bridge = bridge
        self._views: dict[str, SourceView] = {}
        self._current: str | None = None
        self._enlarged: str | None = None
        self._original = False
        self._tool: ZoneMode | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Sources")
        bridge.state_changed.connect(self._take_state)
        bridge.picture_ready.connect(self._refuse)
        self._take_state(bridge.state)

    def sizeHint(self) -> QSize:
        return QSize(960, 540)

    def minimumSizeHint(self) -> QSize:
        return QSize(320, 180)

    # What the window may ask ------------------------------------------------------------------------------------------------

    @property
    def current_key(self) -> str | None:
        """The slot that actions are about, or None while nothing is open."""
        return self._current

    @property
    def current_view(self) -> SourceView | None:
        """The view of that slot."""
        return None if self._current is None else self._views[self._current]

    @property
    def enlarged_key(self) -> str | None:
        """The slot that is shown alone although there are several, or None."""
        return self._enlarged

    def view(self, key: str) -> SourceView | None:
        """The view of a slot, or None where there is no such slot."""
        return self._views.get(key)

    def set_enlarged(self, on: bool) -> None:
        """Show the current view alone, or all of them."""
        self._enlarge(self._current if on else None)
        if on and self._enlarged is None:
            self.enlarged_changed.emit(False)  # there is one alone already

    def set_original(self, on: bool) -> None:
        """Show frames as they were captured, or with what was drawn on them; also those of sources that are opened later."""
        self._original = on
        for view in self._views.values():
            view.set_original(on)

    def set_tool(self, tool: str | None) -> None:
        """Draw a `line` or an `area` on any of the views, `edit` the zones that are there, or none of it."""
        self._tool = None if tool is None else ZoneMode(tool)
        for view in self._views.values():
            self._equip(view)
        if self.current_view is not None and tool is not None:
            self.current_view.setFocus()  # its keys end and cancel what is drawn

    # What comes from the session --------------------------------------------------------------------------------------------

    def _take_state(self, state: SessionState) -> None:
        wanted = [slot.key for slot in state.slots]
        if wanted != list(self._views):
            new = any(key not in self._views for key in wanted)
            gone = {key: view for key, view in self._views.items() if key not in wanted}
            views = self._views = {key: self._views[key] if key in self._views else self._new_view(key) for key in wanted}
            window = self.window()
            focus = None if window is None else window.focusWidget()
            held = focus is not None and any(view is focus or view.isAncestorOf(focus) for view in gone.values())
            for view in gone.values():
                view.tool_changed.disconnect(self._take_tool)
                view.let_go()
                view.hide()
                view.deleteLater()
            if self._current not in views:
                self._set_current(wanted[0] if wanted else None)
            if new or self._enlarged not in views or len(views) < 2:  # what was opened is to be seen
                self._enlarge(None)
            self._order_tabs()
            self._arrange()
            if held and self.current_view is not None:
                self.current_view.setFocus()  # Qt has given the keyboard to whatever comes next in the window
            if not views:
                self._end_tool()  # else the next source would be drawn on at once
        else:
            self._arrange()

    def _refuse(self, picture: Picture) -> None:
        """Give a picture back that came after its view went."""
        if picture.key not in self._views:
            self._bridge.give_back(picture)

    def _new_view(self, key: str) -> SourceView:
        view = SourceView(self._bridge, key, self)
        view.enlarge_requested.connect(self._toggle)
        view.focused.connect(self._set_current)
        view.following_changed.connect(self._tell_following)
        view.tool_changed.connect(self._take_tool)
        view.set_original(self._original)
        self._equip(view)
        return view

    def _order_tabs(self) -> None:
        views = list(self._views.values())
        for one, following in itertools.pairwise(views):
            self.setTabOrder(one, following)
        self.setFocusProxy(self.current_view)

    # Which one --------------------------------------------------------------------------------------------------------------

    def _set_current(self, key: str | None) -> None:
        if key == self._current:
            return
        self._current = key
        self.setFocusProxy(self.current_view if key in self._views else None)
        self._show_current()
        self.current_changed.emit(key)

    def _show_current(self) -> None:
        several = len(self._views) > 1 and self._enlarged is None
        for key, view in self._views.items():
            view.set_current(several and key == self._current)

    def _toggle(self, key: str) -> None:
        self._enlarge(None if self._enlarged == key else key)

    def _enlarge(self, key: str | None) -> None:
        if len(self._views) < 2 or key not in self._views:
            key = None
        before, self._enlarged = self._enlarged, key
        if key is not None:
            self._set_current(key)
        self._arrange()
        if (before is None) is not (key is None):
            self.enlarged_changed.emit(key is not None)
        view = self.current_view
        if view is not None and (self.hasFocus() or any(each.hasFocus() for each in self._views.values())):
            view.setFocus()

    def _tell_following(self, on: bool) -> None:
        self.following_changed.emit(on or any(view.following for view in self._views.values()))

    # Tools ------------------------------------------------------------------------------------------------------------------

    def _equip(self, view: SourceView) -> None:
        tool = None if self._tool is None else ZoneTool(self._bridge, view.key, self._tool)
        if tool is not None:
            tool.begun.connect(self._drop_elsewhere)
        view.set_tool(tool)

    def _drop_elsewhere(self, key: str) -> None:
        """Have one zone drawn at a time: all tools go with the first that is done."""
        for view in self._views.values():
            if view.key != key and isinstance(view.tool, ZoneTool):
                view.tool.drop_points()

    def _take_tool(self, tool: object) -> None:
        if tool is None:  # a view dropped it: it has done its work, or was cancelled
            self._end_tool()

    def _end_tool(self) -> None:
        if self._tool is not None:
            self._tool = None
            for view in self._views.values():
                view.set_tool(None)
            self.tool_ended.emit()

    # Places -----------------------------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        self._show_current()
        if self._enlarged is not None:
            places = {self._enlarged: self.rect()}
        else:
            sizes = [None if slot.source is None else slot.source.size for slot in self._bridge.state.slots]
            places = dict(zip(self._views, arrangement(self.rect(), sizes), strict=False))
        for key, view in self._views.items():
            if key not in places:
                view.hide()
        for key, place in places.items():
            self._views[key].setGeometry(place)
            self._views[key].show()
        self.update()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._arrange()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), surround(self.palette()))

    # The keyboard -----------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """What no view had a use for."""
        if event is None:
            return
        key = event.key()
        if key == Qt.Key.Key_Escape and self._enlarged is not None:
            self._enlarge(None)
        elif not (self._enlarged is None and self._move_focus(Qt.Key(key))):
            super().keyPressEvent(event)

    def _move_focus(self, key: Qt.Key) -> bool:
        """Give the keyboard to the view that lies in the direction of an arrow key."""
        view = self.current_view
        ahead = _AHEAD.get(key)
        if view is None or ahead is None:
            return False
        here = view.geometry().center()
        others = []
        for other in self._views.values():
            way = other.geometry().center() - here
            forward = way.x() * ahead[0] + way.y() * ahead[1]
            aside = abs(way.x() * ahead[1]) + abs(way.y() * ahead[0])
            if forward > 0 and forward >= aside:
                others.append((forward + 2 * aside, other))
        if not others:
            return False
        min(others, key=lambda each: each[0])[1].setFocus(Qt.FocusReason.OtherFocusReason)
        return True


_AHEAD: Final = {Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1)}


def arrangement(room: QRect, sizes: list[tuple[int, int] | None]) -> list[QRect]:
    """Places for pictures of these sizes, row by row, so that they are shown as large as may be.

    All places are of the same size but for a pixel; a last row that is not full stands in the middle.

    Args:
        room: Where they are to be.
        sizes: (width, height) of each, None where that is not known.
    """
    count = len(sizes)
    if not count:
        return []
    aspect = statistics.median([USUAL_ASPECT if size is None else size[0] / size[1] for size in sizes])

    def shown(columns: int) -> tuple[float, int]:
        rows = math.ceil(count / columns)
        width = max(room.width() - GAP * (columns - 1), 1) / columns
        height = max(room.height() - GAP * (rows - 1), 1) / rows
        return min(width / aspect, height), -rows * columns  # among equals the one with fewer empty places

    columns = max(range(1, count + 1), key=shown)
    rows = math.ceil(count / columns)
    places = []
    for number in range(count):
        row, column = divmod(number, columns)
        in_row = min(count - row * columns, columns)
        shift = (columns - in_row) * (room.width() + GAP) // (2 * columns)
        left, right = (_edge(room.width(), columns, each) for each in (column, column + 1))
        top, bottom = (_edge(room.height(), rows, each) for each in (row, row + 1))
        places.append(QRect(room.left() + left + shift, room.top() + top, right - left - GAP, bottom - top - GAP))
    return places


def _edge(length: int, parts: int, number: int) -> int:
    """Where a part begins, the gap before it included in the part before."""
    return number * (length + GAP) // parts
