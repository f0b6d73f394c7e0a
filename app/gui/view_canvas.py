"""Paints the pictures of one slot, one to one, and asks for those it wants: of its size, zoomed and moved as it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PyQt6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QHideEvent, QImage, QPainter, QPaintEvent, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from framehook.app.gui.view_drawing import surround
from framehook.app.gui.view_mapping import Aim, Mapping, device_size, paint_in_device_pixels, place_of
from framehook.app.session.picture import Picture

if TYPE_CHECKING:
    from framehook.app.gui.bridge import Bridge


class PictureCanvas(QWidget):
    """The pictures of one slot, without a word about them.

    A picture comes rendered for the device pixels of the canvas, and is given back when the next one has come. While the canvas
    or its window cannot be seen, nothing is rendered for it.

    Attributes:
        key: The slot.
        aim: What part of the frame is shown; whoever changes it calls `look`.
    """

    def __init__(self, bridge: Bridge, key: str, parent: QWidget | None = None) -> None:
        """Show the slot `key`."""
        super().__init__(parent)
        self.key = key
        self.aim = Aim()
        self.bridge = bridge
        self._renderer = bridge.session.renderer
        self._picture: Picture | None = None
        self._image: QImage | None = None
        self._original = False
        self._away = False
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._links = [bridge.picture_ready.connect(self._receive)]

    def sizeHint(self) -> QSize:
        return QSize(640, 360)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, 60)

    @property
    def picture(self) -> Picture | None:
        """What is shown."""
        return self._picture

    @property
    def original(self) -> bool:
        """Whether the captured frame is shown, with nothing drawn on it."""
        return self._original

    @property
    def device_size(self) -> tuple[int, int]:
        """(width, height) in device pixels."""
        return device_size(self.size(), self.devicePixelRatioF())

    @property
    def mapping(self) -> Mapping | None:
        """Where the frame lies, or None before the first picture."""
        return None if self._picture is None else Mapping.of(self._picture, self.devicePixelRatioF(), self.device_size)

    def set_original(self, on: bool) -> None:
        """Show the captured frame, with nothing drawn on it; or with it."""
        self._original = on
        self.look()

    def look(self) -> None:
        """Ask for pictures as they are wanted now."""
        self._away = not self._can_be_seen()
        viewport = None if self._away else self.aim.viewport(self.device_size, original=self._original)
        self._renderer.look(self.key, viewport)

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zoom in by `factor`, about a point or the middle."""
        if self._picture is not None:
            ratio, size = self.devicePixelRatioF(), self.device_size
            point = (size[0] / 2, size[1] / 2) if at is None else (at.x() * ratio, at.y() * ratio)
            self.aim.zoom_about(point, factor, self._picture.result.frame.size, size)
            self.look()

    def pan_by(self, x: float, y: float) -> None:
        """Move the picture by logical pixels."""
        if self._picture is not None:
            ratio = self.devicePixelRatioF()
            self.aim.pan((x * ratio, y * ratio), self._picture.result.frame.size, self.device_size)
            self.look()

    def reveal(self, point: tuple[float, float]) -> None:
        """Have a point of the frame, in fractions of it, in sight."""
        if self._picture is not None:
            self.aim.reveal(point, self._picture.result.frame.size, self.device_size)
            self.look()

    def let_go(self) -> None:
        """End: nothing is rendered for it any more, and nothing of the session is held."""
        for link in self._links:
            QObject.disconnect(link)
        self._links = []
        self._renderer.look(self.key, None)
        self._put_away()

    # For those that show more than pictures ---------------------------------------------------------------------------------

    def take_picture(self, picture: Picture, before: Picture | None) -> None:
        """A picture has come, in place of the one `before`, if there was one."""

    def paint_over(self, painter: QPainter, mapping: Mapping | None, picture: Picture | None) -> None:
        """Paint on top of the picture, in logical pixels; without one on the bare ground."""

    # What Qt calls ----------------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent | None) -> None:
        began = time.perf_counter()
        picture = self._picture
        painter = QPainter(self)
        painter.save()
        paint_in_device_pixels(painter)
        size = self.device_size
        if picture is None or self._image is None:
            painter.fillRect(QRectF(0, 0, size[0] + 1, size[1] + 1), surround(self.palette()))
        else:
            left, top = place_of(picture, size)
            painter.drawImage(left, top, self._image)
            self._paint_around(painter, left, top, picture)
        painter.restore()
        self.paint_over(painter, self.mapping, picture)
        painter.end()
        if picture is not None:
            self._renderer.painted(picture, (time.perf_counter() - began) * 1e3)
        if self._away and self._can_be_seen():
            self.look()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        if self._picture is not None:
            frame = self._picture.result.frame.size
            self.aim.move_to(self.aim.zoom, self.aim.centre, frame, self.device_size)
        self.look()
        super().resizeEvent(event)

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self.look()

    def hideEvent(self, event: QHideEvent | None) -> None:
        super().hideEvent(event)
        self._away = True
        self._renderer.look(self.key, None)
        self._put_away()

    def event(self, event: QEvent | None) -> bool:
        done = super().event(event)
        if event is not None and event.type() is QEvent.Type.DevicePixelRatioChange:
            self.look()
        return done

    # Pictures ---------------------------------------------------------------------------------------------------------------

    def _receive(self, picture: Picture) -> None:
        if picture.key != self.key:
            return
        before = self._picture
        self._put_away()
        if not self._can_be_seen():
            self.look()
            self.bridge.give_back(picture)
            return
        height, width = picture.pixels.shape[:2]
        self._picture = picture
        # Only wrapped, not copied: the buffer is this picture's until it is given back.
        self._image = QImage(picture.pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)  # type: ignore[call-overload]
        self.take_picture(picture, before)
        self.update()

    def _put_away(self) -> None:
        picture, self._picture, self._image = self._picture, None, None
        if picture is not None:
            self.bridge.give_back(picture)

    def _paint_around(self, painter: QPainter, left: int, top: int, picture: Picture) -> None:
        """Fill what the picture leaves free, and one device pixel more: the canvas may end between two of them."""
        width, height = self.device_size
        bottom, right = top + picture.pixels.shape[0], left + picture.pixels.shape[1]
        ground = surround(self.palette())
        for rect in (
            QRectF(-1, -1, width + 2, top + 1),
            QRectF(-1, bottom, width + 2, height - bottom + 1),
            QRectF(-1, top, left + 1, bottom - top),
            QRectF(right, top, width - right + 1, bottom - top),
        ):
            painter.fillRect(rect, ground)

    def _can_be_seen(self) -> bool:
        window = self.window()
        handle = None if window is None else window.windowHandle()
        return self.isVisible() and (handle is None or handle.isExposed())
