"""Draws lines and areas on a view, and edits those that are there."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QKeyEvent, QKeySequence, QMouseEvent, QPainter, QPalette
from PyQt6.QtWidgets import QApplication, QMenu

from framehook.app.gui.view_canvas import PictureCanvas
from framehook.app.gui.view_mapping import Mapping
from framehook.app.gui.view_name_editor import NameEditor
from framehook.app.gui.view_tool import ViewTool
from framehook.app.gui.view_zones import (
    REACH,
    Grip,
    draw_cross_hair,
    draw_draft,
    draw_zone,
    draw_zone_caption,
    grip_at,
    looks_of,
)
from framehook.app.session.picture import Picture
from framehook.app.session.state import Level, SessionState, ZonesOfSlot
from framehook.inference.errors import FramehookError, one_line
from framehook.inference.options import Points

if TYPE_CHECKING:
    from framehook.app.gui.bridge import Bridge

_NUDGE: Final = 0.01  # of the frame: how far an arrow key moves a zone
_STEP: Final = 4.0  # logical pixels of the view, so finer in the frame the closer it is: how far it moves the cross-hair
_BIG: Final = 10  # steps with Shift
_ARROWS: Final = {Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1)}
_ENTER: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_SHIFT: Final = Qt.KeyboardModifier.ShiftModifier
Point = tuple[float, float]
"""In fractions of the frame's width and height."""


class ZoneMode(StrEnum):
    """What is done."""

    LINE = "line"
    AREA = "area"
    EDIT = "edit"


_KEYS: Final = "or arrow keys and Space; Esc cancels"
_HINTS: Final = {
    ZoneMode.LINE: f"click on both ends of the line, {_KEYS}",
    ZoneMode.AREA: f"click on three corners or more, {_KEYS}",
    ZoneMode.EDIT: "drag zones or corners, or Tab and arrow keys; Esc ends",
}
_END_HINT: Final = "click on the other end, or arrow keys and Space; Esc drops the line"
_CLOSE_HINT: Final = "Enter or a double click ends the area; Backspace takes a corner back"
_CHOSEN_HINT: Final = "arrow keys move it, F2 renames, Del deletes, Tab goes on; Esc lets go"


class ZoneTool(ViewTool):
    """Draws one zone on a view, or edits its zones; what comes of it goes to `Session.set_zones`.

    A line takes two clicks, or a drag from end to end. An area takes a click for each corner; a double click, Enter, a right
    click or a click on its first corner ends it. Without a mouse, the arrow keys move a cross-hair, in big steps with Shift,
    and Space is a click there. Backspace takes the last corner back, and Escape cancels. Editing moves zones and corners with
    the mouse or, one chosen with Tab, the arrow keys; a right click, F2 and Delete rename, turn round and delete.
    """

    begun = pyqtSignal(str)
    """The first point of a zone was set; with the slot."""

    def __init__(self, bridge: Bridge, key: str, mode: ZoneMode) -> None:
        """Make a tool for the view of the slot `key`."""
        super().__init__()
        self._bridge = bridge
        self._key = key
        self._mode = mode
        self._view: PictureCanvas | None = None
        self._points: list[Point] = []
        self._tip: QPointF | None = None  # where the mouse is
        self._cross: Point | None = None  # where the cross-hair is, once it was moved
        self._by_keys = True  # it is drawn with the cross-hair, rather than with the mouse
        self._chosen: str | None = None
        self._corner: int | None = None  # of the chosen zone, which the arrow keys move; None for all of it
        self._hovered: Grip | None = None
        self._held: Grip | None = None
        self._held_from: Point = (0.0, 0.0)
        self._moved: Points | None = None  # where the zone that is held would be put down now

    @property
    def mode(self) -> ZoneMode:
        """What it does."""
        return self._mode

    @property
    def chosen(self) -> str | None:
        """The name of the zone that keys and the menu are about."""
        return self._chosen

    def drop_points(self) -> None:
        """Drop what is drawn and not finished."""
        self._points, self._tip = [], None
        self.changed.emit()

    def attach(self, view: PictureCanvas) -> None:
        self._view = view
        self._bridge.state_changed.connect(self._take_state)

    def detach(self) -> None:
        self._bridge.state_changed.disconnect(self._take_state)
        if self._view is not None:
            for editor in self._view.findChildren(NameEditor):
                editor.leave()
        self._view = None

    def cursor(self) -> Qt.CursorShape:
        if self._mode is not ZoneMode.EDIT:
            return Qt.CursorShape.CrossCursor
        if self._hovered is None:
            return Qt.CursorShape.ArrowCursor
        return Qt.CursorShape.SizeAllCursor if self._hovered.corner is None else Qt.CursorShape.PointingHandCursor

    def hint(self) -> str:
        if self._mode is ZoneMode.EDIT:
            if not self._zones():
                return "there are no zones to edit yet; Esc ends"
            return _HINTS[self._mode] if self._chosen is None else _CHOSEN_HINT
        if self._mode is ZoneMode.LINE and self._points:
            return _END_HINT
        return _CLOSE_HINT if len(self._points) > 2 else _HINTS[self._mode]

    def paint(self, painter: QPainter, mapping: Mapping, picture: Picture) -> None:
        palette = QApplication.palette() if self._view is None else self._view.palette()
        if self._mode is ZoneMode.EDIT:
            self._paint_zones(painter, mapping, palette, captions=picture.viewport.original)
            return
        cross = self._cross_on(mapping)
        if self._points:
            tip = self._tip if cross is None else cross
            draw_draft(painter, self._points, tip, mapping, palette, area=self._mode is ZoneMode.AREA)
        if cross is not None:
            draw_cross_hair(painter, cross, palette)

    def _paint_zones(self, painter: QPainter, mapping: Mapping, palette: QPalette, *, captions: bool) -> None:
        looks = looks_of(self._bridge.session, self._key)
        zones = {name: points for name, points in self._zones().items() if name in looks}
        if self._held is not None and self._held.name in zones and self._moved is not None:
            zones[self._held.name] = self._moved
        for name, points in zones.items():
            chosen = name == self._chosen
            corner = self._corner if chosen else None
            draw_zone(painter, points, mapping, palette, looks[name].colour, handles=True, chosen=chosen, corner=corner)
        if captions and self._view is not None:
            for name, points in zones.items():
                draw_zone_caption(painter, points, mapping, looks[name], mapping.seen_in(self._view.rect()))

    # The mouse --------------------------------------------------------------------------------------------------------------

    def press(self, event: QMouseEvent, mapping: Mapping) -> bool:
        left, right = event.button() is Qt.MouseButton.LeftButton, event.button() is Qt.MouseButton.RightButton
        if not (left or right):
            return False
        self._by_keys = False
        if self._mode is ZoneMode.EDIT:
            self._grasp(event, mapping)
        elif right:
            self._end_area() if self._points else self.closed.emit()
        elif self._mode is ZoneMode.LINE:
            if not self._points:
                self._begin(_within(mapping.fraction_at(event.position())))
            self._tip = event.position()
        else:
            self._add_corner(event.position(), mapping)
        self.changed.emit()
        return True

    def move(self, event: QMouseEvent, mapping: Mapping) -> bool:
        if event.buttons() & Qt.MouseButton.MiddleButton:
            return False  # which moves the picture
        self._by_keys = False
        if self._mode is not ZoneMode.EDIT:
            self._tip = event.position()
        elif self._held is not None:
            self._moved = self._at(mapping.fraction_at(event.position()))
            if self._moved is None:
                self._held = None
        else:
            self._hovered = grip_at(self._zones(), event.position(), mapping, self._chosen)
        self.changed.emit()
        return True

    def release(self, event: QMouseEvent, mapping: Mapping) -> bool:
        if event.button() is not Qt.MouseButton.LeftButton:
            return event.button() is Qt.MouseButton.RightButton
        if self._mode is ZoneMode.LINE and self._points:
            start, end = mapping.point_of_fraction(*self._points[0]), event.position()
            if (end - start).manhattanLength() >= QApplication.startDragDistance():
                self._finish((self._points[0], _within(mapping.fraction_at(end))))
        elif self._held is not None:
            held, moved, self._held, self._moved = self._held, self._moved, None, None
            if moved is not None and self._points_of(held.name) is not None:
                self._set({**self._zones(), held.name: moved})
        self.changed.emit()
        return True

    def double_click(self, event: QMouseEvent, mapping: Mapping) -> bool:
        if event.button() is Qt.MouseButton.LeftButton and self._mode is ZoneMode.AREA:
            self._end_area()
        elif event.button() is Qt.MouseButton.LeftButton and self._mode is ZoneMode.EDIT and self._chosen is not None:
            self._held = None
            self._rename(self._chosen, event.position())
        return True

    # The keyboard -----------------------------------------------------------------------------------------------------------

    def takes(self, event: QKeyEvent) -> bool:
        return self._mode is not ZoneMode.EDIT and event.key() == Qt.Key.Key_Space and not _others(event)

    def key(self, event: QKeyEvent) -> bool:
        key = Qt.Key(event.key())
        steps = _BIG if event.modifiers() & _SHIFT else 1
        if _others(event):
            return False
        if key is Qt.Key.Key_Escape:
            self._escape()
        elif self._mode is ZoneMode.EDIT:
            if not self._edit_by(key, steps):
                return False
        elif not self._draw_by(key, steps):
            return False
        self.changed.emit()
        return True

    def turn(self, *, forward: bool) -> bool:
        """Choose the next zone, each of its corners, the next zone ...; beyond the last the keyboard goes on as elsewhere."""
        if self._mode is not ZoneMode.EDIT:
            return False
        stops: list[tuple[str, int | None]] = []
        for name, points in self._zones().items():
            stops += [(name, None), *((name, number) for number in range(len(points)))]
        here = -1 if self._chosen is None else next((at for at, stop in enumerate(stops) if stop == self._choice()), -1)
        to = here + 1 if forward else here - 1
        inside = 0 <= to < len(stops)
        self._chosen, self._corner = stops[to] if inside else (None, None)
        self.changed.emit()
        return inside

    def _choice(self) -> tuple[str | None, int | None]:
        return self._chosen, self._corner

    def _draw_by(self, key: Qt.Key, steps: int) -> bool:
        """Draw with the cross-hair."""
        mapping = None if self._view is None else self._view.mapping
        if mapping is None:
            return False
        if key in _ARROWS:
            self._move_cross(_ARROWS[key], steps, mapping)
        elif key is Qt.Key.Key_Space or (key in _ENTER and self._mode is ZoneMode.LINE):
            self._set_corner(mapping)
        elif key in _ENTER:
            if len(self._points) > 2:
                self._end_area()
        elif key is Qt.Key.Key_Backspace and self._points:
            self._points.pop()
        else:
            return False
        return True

    def _move_cross(self, way: Point, steps: int, mapping: Mapping) -> None:
        at = mapping.point_of_fraction(*self._aimed_at(mapping))
        self._by_keys = True
        self._cross = _within(mapping.fraction_at(at + QPointF(*way) * _STEP * steps))
        if self._view is not None:
            self._view.reveal(self._cross)

    def _set_corner(self, mapping: Mapping) -> None:
        """Do at the cross-hair what a click does."""
        self._cross = point = self._aimed_at(mapping)
        self._by_keys = True
        if self._mode is ZoneMode.AREA:
            self._add_corner(mapping.point_of_fraction(*point), mapping)
        elif not self._points:
            self._begin(point)
        elif point != self._points[0]:
            self._finish((self._points[0], point))

    def _aimed_at(self, mapping: Mapping) -> Point:
        """Where the cross-hair is, or would be: where the mouse is, or in the middle of what is seen."""
        if self._by_keys and self._cross is not None:
            return self._cross
        if self._tip is not None and not self._by_keys:
            return _within(mapping.fraction_at(self._tip))
        assert self._view is not None
        return _within(mapping.fraction_at(mapping.seen_in(self._view.rect()).center()))

    def _cross_on(self, mapping: Mapping) -> QPointF | None:
        """Where to paint the cross-hair; nowhere while the mouse draws, or in another view."""
        if not self._by_keys or self._view is None or not self._view.hasFocus():
            return None
        return mapping.point_of_fraction(*self._aimed_at(mapping))

    def _edit_by(self, key: Qt.Key, steps: int) -> bool:
        name = self._chosen
        points = None if name is None else self._points_of(name)
        if name is None or points is None:
            self._chosen = self._corner = None
            return False
        if key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._delete(name)
        elif key is Qt.Key.Key_F2:
            self._rename(name)
        elif key in _ARROWS:
            x, y = _ARROWS[key]
            by = x * _NUDGE * steps, y * _NUDGE * steps
            moved = _shifted(points, by) if self._corner is None else _bent(points, self._corner, by)
            self._set({**self._zones(), name: moved})
        else:
            return False
        return True

    def _escape(self) -> None:
        if self._held is not None:
            self._held = self._moved = None
        elif self._points:
            self._points = []
        elif self._chosen is not None:
            self._chosen = self._corner = None
        else:
            self.closed.emit()

    # Drawing ----------------------------------------------------------------------------------------------------------------

    def _begin(self, point: Point) -> None:
        self._points = [point]
        self.begun.emit(self._key)

    def _add_corner(self, at: QPointF, mapping: Mapping) -> None:
        if len(self._points) > 2 and _apart(at, mapping.point_of_fraction(*self._points[0])) <= REACH:
            self._end_area()
            return
        point = _within(mapping.fraction_at(at))
        if not self._points:
            self._begin(point)
        elif point != self._points[-1]:
            self._points.append(point)
        self._tip = at

    def _end_area(self) -> None:
        """Finish with the corners there are; too few of them are dropped."""
        if self._mode is ZoneMode.AREA and len(self._points) > 2:
            self._finish(tuple(self._points))
        else:
            self._points = []

    def _finish(self, points: Points) -> None:
        self._points, self._tip = [], None
        if self._set({**self._zones(), _free_name(self._mode, self._zones()): points}):
            self.closed.emit()

    # Editing ----------------------------------------------------------------------------------------------------------------

    def _zones(self) -> ZonesOfSlot:
        return self._bridge.session.state.zones.get(self._key, {})  # not the bridge's: it may be a moment behind

    def _points_of(self, name: str) -> Points | None:
        """Where a zone is, or None where it was taken away elsewhere and `_take_state` is still to come."""
        return self._zones().get(name)

    def _set(self, zones: ZonesOfSlot) -> bool:
        try:
            self._bridge.session.set_zones(self._key, zones)
        except FramehookError as error:
            self._bridge.report(Level.ERROR, one_line(error))
            return False
        return True

    def _take_state(self, state: SessionState) -> None:
        """Zones may be renamed and deleted elsewhere, too."""
        there = state.zones.get(self._key, {})
        points = there.get(self._chosen or "")
        if points is None:
            self._chosen = self._corner = None
        elif self._corner is not None and self._corner >= len(points):
            self._corner = None
        if self._held is not None and self._held.name not in there:
            self._held = self._moved = None
        self.changed.emit()

    def _grasp(self, event: QMouseEvent, mapping: Mapping) -> None:
        grip = grip_at(self._zones(), event.position(), mapping, self._chosen)
        self._chosen, self._corner = (None, None) if grip is None else grip
        if grip is not None and event.button() is Qt.MouseButton.RightButton:
            self._show_menu(grip.name, event)
        elif grip is not None:
            self._held, self._held_from = grip, mapping.fraction_at(event.position())

    def _at(self, to: Point) -> Points | None:
        """Where the zone that is held is when the mouse is at `to`, or None where it is not there any more."""
        assert self._held is not None
        points = self._points_of(self._held.name)
        if points is None:
            return None
        if self._held.corner is None:
            return _shifted(points, (to[0] - self._held_from[0], to[1] - self._held_from[1]))
        corner = self._held.corner
        return (*points[:corner], _within(to), *points[corner + 1 :])

    def _show_menu(self, name: str, event: QMouseEvent) -> None:
        points = self._points_of(name)
        if points is None:
            self._chosen = None
            return
        menu = QMenu(self._view)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setAccessibleName(f"Zone {name}")
        at = event.position()
        _add(menu, "Re&name", "F2").triggered.connect(lambda: self._rename(name, at))
        if len(points) == 2:
            _add(menu, "&Turn round").triggered.connect(lambda: self._turn_round(name))
        _add(menu, "&Delete", "Del").triggered.connect(lambda: self._delete(name))
        menu.popup(event.globalPosition().toPoint())

    def _turn_round(self, name: str) -> None:
        """Have the other way across a line count as in."""
        zones = self._zones()
        if name in zones:
            self._set({**zones, name: zones[name][::-1]})

    def _delete(self, name: str) -> None:
        self._chosen = self._corner = self._hovered = None
        self._set({other: points for other, points in self._zones().items() if other != name})

    def _rename(self, name: str, at: QPointF | None = None) -> None:
        """Ask for another name, in the view itself."""
        points = self._points_of(name)
        if self._view is None or points is None:
            self._chosen = None
            return
        self._view.setFocus()  # else Qt would look for another view when an editor goes
        for other in self._view.findChildren(NameEditor):
            other.leave()
        editor = NameEditor(self._view, name, f"zone {name}")
        editor.named.connect(lambda wanted: self._give_name(name, wanted))
        mapping = self._view.mapping
        if at is None and mapping is not None:
            at = mapping.point_of_fraction(*points[0])
        editor.open_at(self._view.rect().center() if at is None else at.toPoint())

    def _give_name(self, name: str, wanted: str) -> None:
        zones = self._zones()
        if wanted in zones:
            self._bridge.report(Level.ERROR, f"There is a zone '{wanted}' already; choose another name")
        elif name in zones and self._set({wanted if each == name else each: points for each, points in zones.items()}):
            self._chosen = wanted
            self.changed.emit()


def _add(menu: QMenu, text: str, keys: str = "") -> QAction:
    action = QAction(text, menu)
    if keys:
        action.setShortcut(QKeySequence(keys))  # shown; the view itself takes the key
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
    menu.addAction(action)
    return action


def _within(point: Point) -> Point:
    """The nearest point of the frame."""
    return min(max(point[0], 0.0), 1.0), min(max(point[1], 0.0), 1.0)


def _shifted(points: Points, by: Point) -> Points:
    """A zone moved as far as the frame has room for it."""
    steps = []
    for axis in (0, 1):
        places = [point[axis] for point in points]
        steps.append(min(max(by[axis], -min(places)), 1 - max(places)))
    # Sums of fractions may be beyond 1 by a hair, and would count as pixels then.
    return tuple(_within((x + steps[0], y + steps[1])) for x, y in points)


def _bent(points: Points, corner: int, by: Point) -> Points:
    """A zone with one corner moved as far as the frame has room for it."""
    x, y = points[corner]
    return (*points[:corner], _within((x + by[0], y + by[1])), *points[corner + 1 :])


def _others(event: QKeyEvent) -> bool:
    """Whether it is a key with Ctrl, Alt or the like, which is nothing for a tool."""
    return bool(event.modifiers() & ~(_SHIFT | Qt.KeyboardModifier.KeypadModifier))


def _free_name(mode: ZoneMode, zones: ZonesOfSlot) -> str:
    return next(name for number in range(1, len(zones) + 2) if (name := f"{mode} {number}") not in zones)


def _apart(one: QPointF, other: QPointF) -> float:
    return math.hypot(one.x() - other.x(), one.y() - other.y())
