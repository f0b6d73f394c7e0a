"""Shows one source: its pictures, the objects in them, and how it stands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QEvent, QPointF, QRectF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QWheelEvent
from PyQt6.QtWidgets import QApplication, QWidget

from framehook.app.gui.view_canvas import PictureCanvas
from framehook.app.gui.view_choice import Choice
from framehook.app.gui.view_drawing import draw_caption, draw_card, draw_frame, draw_message, draw_outline, fits_caption
from framehook.app.gui.view_following import STEP_MS, Following
from framehook.app.gui.view_mapping import Mapping
from framehook.app.gui.view_objects import facts_of, object_at, row_of, title_of
from framehook.app.gui.view_texts import Message, caption_of, message_of
from framehook.app.gui.view_tool import ViewTool
from framehook.app.gui.view_zones import draw_zone, draw_zone_caption, looks_of
from framehook.app.session.picture import Picture
from framehook.app.session.state import Figures, Level, ZonesOfSlot

if TYPE_CHECKING:
    from framehook.app.gui.bridge import Bridge

STEP: Final = 1.25
"""How much one step of the wheel or of a key zooms."""
_NOTCH: Final = 120  # eighths of a degree: one step of a usual wheel
_ROOM_FOR_CARDS: Final = 480  # logical pixels of width; in smaller views only the mouse brings up what is known of an object
_STRIDE: Final = 0.15  # of the view: how far an arrow key moves the picture
_ARROWS: Final = {
    Qt.Key.Key_Left: (1, 0), Qt.Key.Key_Right: (-1, 0), Qt.Key.Key_Up: (0, 1), Qt.Key.Key_Down: (0, -1),
}  # fmt: skip
_HELP: Final = (
    "The wheel, + and - zoom, dragging and the arrow keys move the picture, 0 fits it in. A click on an object chooses it. "
    "A double click, or Enter, enlarges one of several views, and Escape leads back."
)


class SourceView(PictureCanvas):
    """One slot of the session, and what can be done with the mouse and the keys on it."""

    enlarge_requested = pyqtSignal(str)
    """The view is to be shown alone, or no longer; with its slot."""
    focused = pyqtSignal(str)
    """It was given the keyboard; with its slot."""
    following_changed = pyqtSignal(bool)
    """It follows an object, or no longer."""
    tool_changed = pyqtSignal(object)
    """The `ViewTool` it has now, or None."""

    def __init__(self, bridge: Bridge, key: str, parent: QWidget | None = None) -> None:
        """Show the slot `key`."""
        super().__init__(bridge, key, parent)
        self._current = False
        self._fps = 0.0
        self._caption = ""
        self._message: Message | None = None
        self._pointer: QPointF | None = None
        self._pressed: QPointF | None = None
        self._dragged = False
        self._choice = Choice(bridge, key)
        self._following: Following | None = None
        self._tool: ViewTool | None = None
        self._drawn: ZonesOfSlot = {}  # the zones as they were when the frame came
        self._steps = QTimer(self)  # runs while an object is followed
        self._steps.setInterval(STEP_MS)
        self._steps.timeout.connect(self._step)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setWhatsThis(_HELP)
        self._links += [
            bridge.state_changed.connect(self._tell),
            bridge.figures_changed.connect(self._take_figures),
            bridge.selection_changed.connect(self._take_selection),
        ]
        self._tell()

    # What the window may ask ------------------------------------------------------------------------------------------------

    @property
    def following(self) -> bool:
        """Whether it follows an object."""
        return self._following is not None

    @property
    def tool(self) -> ViewTool | None:
        """What the mouse does on it besides choosing objects."""
        return self._tool

    def fit(self) -> None:
        """Show the whole frame; what was followed is not any more."""
        self._stop_following(stay=True)
        self.aim.fit()
        self._shape_cursor()
        self.look()

    def zoom_in(self) -> None:
        """Zoom in a step, on the middle."""
        self.zoom_by(STEP)

    def zoom_out(self) -> None:
        """Zoom out a step, on the middle."""
        self.zoom_by(1 / STEP)

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        if self._following is not None:
            self._following.keep_zoom()
        super().zoom_by(factor, at)
        self._shape_cursor()

    def pan_by(self, x: float, y: float) -> None:
        self._stop_following(stay=True)
        super().pan_by(x, y)

    def set_original(self, on: bool) -> None:
        super().set_original(on)
        self._tell()

    def set_following(self, on: bool) -> None:
        """Keep the chosen object in the middle until it is lost or the picture is moved by hand; or no longer.

        Afterwards the view shows again what it showed before, unless the user has zoomed or moved it himself.
        """
        number, result = self._choice.number, None if self.picture is None else self.picture.result
        if not on:
            self._stop_following()
        elif number is None or result is None or row_of(result, number) is None:
            self._stop_following()
            self.bridge.report(Level.INFO, "Nothing to follow: click on an object that has an id first")
            self.following_changed.emit(False)
        else:
            before = None if self._following is None else self._following.before
            self._following = Following(number, result, before or self.aim)
            self._steps.start()
            self._tell()
            self.following_changed.emit(True)

    def set_tool(self, tool: ViewTool | None) -> None:
        """Give the mouse to a tool, which is the view's from now on, or back."""
        before, self._tool = self._tool, tool
        if before is tool:
            return
        if before is not None:
            before.changed.disconnect(self._show_tool)
            before.closed.disconnect(self._drop_tool)
            before.detach()
            before.deleteLater()
        if tool is not None:
            self._stop_following()  # nothing can be drawn on a picture that moves
            tool.changed.connect(self._show_tool)
            tool.closed.connect(self._drop_tool)
            tool.attach(self)
        self._show_tool()
        self.tool_changed.emit(tool)

    def set_current(self, on: bool) -> None:
        """Show that actions are about this one of several views."""
        if on != self._current:
            self._current = on
            self.update()

    def let_go(self) -> None:
        self.set_tool(None)
        self._stop_following()
        super().let_go()

    # What comes from the session --------------------------------------------------------------------------------------------

    def take_picture(self, picture: Picture, before: Picture | None) -> None:
        if before is None:
            self._tell()
        if before is None or before.result.frame is not picture.result.frame:
            self._drawn = self._zones()
        if before is None or before.result is not picture.result:
            self._take_result(picture, before)

    def _take_result(self, picture: Picture, before: Picture | None) -> None:
        result = picture.result
        if before is not None and before.result.frame.size != result.frame.size:
            self.fit()
        self._choice.go_on(picture)
        if self._following is not None and self._following.is_lost(result):
            number = self._following.number
            self._stop_following()
            self.bridge.report(Level.INFO, f"{self._source_name()}: #{number} was lost, and is not followed any more")
        count = len(result.boxes)
        self._set_name(f"{self._source_name()}: {count} object{'' if count == 1 else 's'}")

    def _take_figures(self, figures: Figures) -> None:
        mine = figures.slots.get(self.key)
        self._fps = 0.0 if mine is None else mine.fps
        self._tell()

    def _take_selection(self, chosen: tuple[str, int] | None) -> None:
        self._choice.begin(self.picture)
        if self._following is not None and self._choice.number != self._following.number:
            self.set_following(self._choice.number is not None)
        row = self._chosen_row()
        chosen_text = "" if row is None or self.picture is None else f"chosen: {title_of(self.picture.result, row)}"
        self.setAccessibleDescription(chosen_text)
        self.update()

    def _tell(self) -> None:
        """Say anew how the source stands."""
        slot, phase = self.bridge.state.slot(self.key), self.bridge.state.phase
        if slot is None:
            return
        followed = "" if self._following is None else f"#{self._following.number}"
        caption = caption_of(slot, phase, self._fps, original=self._original, following=followed)
        message = message_of(slot, phase, pictures=self.picture is not None)
        if (caption, message) != (self._caption, self._message):
            self._caption, self._message = caption, message
            self.update()
        if self.picture is None:
            self._set_name(f"{slot.name}: no picture")

    def _set_name(self, name: str) -> None:
        if name != self.accessibleName():
            self.setAccessibleName(name)

    def _source_name(self) -> str:
        slot = self.bridge.state.slot(self.key)
        return "" if slot is None else slot.name

    # Objects ----------------------------------------------------------------------------------------------------------------

    def _chosen_row(self) -> int | None:
        return None if self.picture is None else self._choice.row_in(self.picture.result)

    def _row_under(self, point: QPointF | None) -> int | None:
        mapping = self.mapping
        if point is None or mapping is None or self.picture is None:
            return None
        return object_at(self.picture.result, *mapping.frame_at(point))

    def _step(self) -> None:
        if self._following is not None and self.picture is not None:
            self._following.step(self.picture.result, self.aim, self.device_size, time.monotonic())
            self.look()

    def _stop_following(self, *, stay: bool = False) -> None:
        """Follow no longer; what is shown then is what was before, or with `stay` what is now."""
        if self._following is not None:
            before, self._following = self._following.before, None
            self._steps.stop()
            if before is not None and not stay and self.picture is not None:
                self.aim.move_to(before.zoom, before.centre, self.picture.result.frame.size, self.device_size)
                self._shape_cursor()
                self.look()
            self._tell()
            self.following_changed.emit(False)

    # Painting ---------------------------------------------------------------------------------------------------------------

    def paint_over(self, painter: QPainter, mapping: Mapping | None, picture: Picture | None) -> None:
        palette, bounds = self.palette(), QRectF(self.rect())
        if mapping is not None and picture is not None:
            hovered = self._row_under(self._pointer) if self._tool is None and not self._dragged else None
            chosen = self._chosen_row()
            boxes = picture.result.boxes
            if hovered is not None and hovered != chosen:
                draw_outline(painter, mapping.rect_of(boxes.xyxy[hovered]), palette, strong=False)
            if chosen is not None:
                draw_outline(painter, mapping.rect_of(boxes.xyxy[chosen]), palette, strong=True)
            self._paint_zones(painter, mapping, picture)
            about = hovered if hovered is not None or bounds.width() < _ROOM_FOR_CARDS or self._tool is not None else chosen
            if about is not None:
                facts, title = facts_of(picture.result, about), title_of(picture.result, about)
                draw_card(painter, mapping.rect_of(boxes.xyxy[about]), bounds, title, facts, palette)
        if self._caption:
            hint = "" if self._tool is None else self._tool.hint()
            text = f"{self._caption} · {hint}" if hint else self._caption
            if hint and not fits_caption(painter, bounds, text):
                text = hint  # what is to be done counts more than whose picture it is
            draw_caption(painter, bounds, text, palette, faint=not hint)
        if self._message is not None and not (self._message.passing and self._pointer is not None):
            draw_message(painter, bounds, self._message.title, self._message.text, palette)
        if self._current:
            draw_frame(painter, bounds, palette)

    def _paint_zones(self, painter: QPainter, mapping: Mapping, picture: Picture) -> None:
        """Paint the tool, and zones that are not on the canvas: they were drawn or moved since, and their frame is to come."""
        on_canvas = {name: self._drawn.get(name) for name in picture.result.data.get("zones", {})}
        fresh = {name: points for name, points in self._zones().items() if points != on_canvas.get(name)}
        if fresh and not picture.viewport.original:
            looks = looks_of(self.bridge.session, self.key)
            fresh = {name: points for name, points in fresh.items() if name in looks}  # it may just have been deleted
            for name, points in fresh.items():
                draw_zone(painter, points, mapping, self.palette(), looks[name].colour)
            for name, points in fresh.items():
                draw_zone_caption(painter, points, mapping, looks[name], mapping.seen_in(self.rect()))
        if self._tool is not None:
            self._tool.paint(painter, mapping, picture)

    def _zones(self) -> ZonesOfSlot:
        return self.bridge.session.state.zones.get(self.key, {})

    def _show_tool(self) -> None:
        self._shape_cursor()
        self.update()

    def _drop_tool(self) -> None:
        self.set_tool(None)

    def _shape_cursor(self) -> None:
        if self._tool is not None:
            self.setCursor(self._tool.cursor())
        elif self.aim.zoom > 1:
            self.setCursor(Qt.CursorShape.ClosedHandCursor if self._dragged else Qt.CursorShape.OpenHandCursor)
        else:
            self.unsetCursor()

    # The mouse --------------------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        mapping = self.mapping
        if event is None or mapping is None or (self._tool is not None and self._tool.press(event, mapping)):
            return
        if event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            self._pressed, self._dragged = event.position(), False

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        mapping = self.mapping
        if event is None or mapping is None:
            return
        point = self._pointer = event.position()
        if self._tool is not None and self._tool.move(event, mapping):
            return
        if self._pressed is not None and self.aim.zoom > 1 and event.buttons():
            way = point - self._pressed
            if self._dragged or way.manhattanLength() >= QApplication.startDragDistance():
                self._dragged, self._pressed = True, point
                self.pan_by(way.x(), way.y())
                self._shape_cursor()
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        mapping = self.mapping
        if event is None or mapping is None or (self._tool is not None and self._tool.release(event, mapping)):
            return
        pressed, dragged, self._pressed, self._dragged = self._pressed, self._dragged, None, False
        if pressed is not None and not dragged and self._tool is None and event.button() is Qt.MouseButton.LeftButton:
            if self.picture is not None:
                self._choice.click(self.picture.result, self._row_under(event.position()))
            self.update()
        self._shape_cursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        mapping = self.mapping
        if event is None:
            return
        if self._tool is not None:
            if mapping is not None:
                self._tool.double_click(event, mapping)
        elif event.button() is Qt.MouseButton.LeftButton:
            if mapping is not None and self._pressed is None:
                self._choice.take_back()
            self.enlarge_requested.emit(self.key)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            self.zoom_by(STEP ** (event.angleDelta().y() / _NOTCH), event.position())
            event.accept()

    def leaveEvent(self, event: QEvent | None) -> None:
        self._pointer = None
        self.update()
        super().leaveEvent(event)

    # The keyboard -----------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None or (self._tool is not None and self._tool.key(event)):
            return
        if not self._take_key(Qt.Key(event.key()), event.modifiers()):
            super().keyPressEvent(event)  # which hands it on to the grid

    def _take_key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        if modifiers & ~(Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier):
            return False
        if key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom_in()
        elif key in (Qt.Key.Key_Minus, Qt.Key.Key_Underscore):
            self.zoom_out()
        elif key in (Qt.Key.Key_0, Qt.Key.Key_F):
            self.fit()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.enlarge_requested.emit(self.key)
        elif key in _ARROWS and self.aim.zoom > 1:
            x, y = _ARROWS[key]
            self.pan_by(x * _STRIDE * self.width(), y * _STRIDE * self.height())
        elif key is Qt.Key.Key_Escape and self._following is not None:
            self._stop_following()
        elif key is Qt.Key.Key_Escape and self._choice.anything:
            self._choice.clear()
            self.update()
        else:
            return False
        return True

    def event(self, event: QEvent | None) -> bool:
        overridden = event is not None and event.type() is QEvent.Type.ShortcutOverride
        if overridden and self._tool is not None and isinstance(event, QKeyEvent) and self._tool.takes(event):
            event.accept()  # it comes as a key then
            return True
        return super().event(event)

    def focusNextPrevChild(self, next: bool) -> bool:
        if self._tool is not None and self._tool.turn(forward=next):
            return True
        return super().focusNextPrevChild(next)

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        super().focusInEvent(event)
        self.focused.emit(self.key)
        self.update()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        super().focusOutEvent(event)
        self.update()
