"""The one place where the coordinates of a view, of its device's pixels and of the frame it shows meet.

A view is measured in Qt's logical pixels; pictures are painted in the pixels of the device, of which there may be 1.25 to one
logical pixel; and boxes are in the pixels of the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

from PyQt6.QtCore import QPointF, QRect, QRectF, QSize
from PyQt6.QtGui import QPainter, QTransform

from framehook.app.session.picture import Picture, Viewport
from framehook.app.session.placement import LARGEST_SCALE, Placement
from framehook.inference.boxes import FloatArray

_INSIDE: Final = 0.9  # of a view: what is not close to its edges


def device_size(size: QSize, ratio: float) -> tuple[int, int]:
    """(width, height) in device pixels of a view of `size` logical pixels, `ratio` device pixels to one of them."""
    return round(size.width() * ratio), round(size.height() * ratio)


def paint_in_device_pixels(painter: QPainter) -> None:
    """Have a painter count whole pixels of its device, from the view's corner on.

    With 1.25 device pixels to a logical one that corner may lie between two of them, and what is painted there would be scaled.
    """
    now = painter.deviceTransform()
    shift_x, shift_y = (math.floor(start + 0.5) - start for start in (now.dx(), now.dy()))
    undo = QTransform(1 / now.m11(), 0, 0, 1 / now.m22(), shift_x / now.m11(), shift_y / now.m22())
    painter.setWorldTransform(undo, combine=True)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Where a frame lies in a view, the way it is painted.

    Attributes:
        ratio: Device pixels per logical pixel.
        origin: The frame's upper left corner in device pixels of the view.
        scale: Device pixels per pixel of the frame, across and down: they differ by a rounding.
        frame_size: (width, height) of the frame in its pixels.
    """

    ratio: float
    origin: tuple[float, float]
    scale: tuple[float, float]
    frame_size: tuple[int, int]

    @classmethod
    def of(cls, picture: Picture, ratio: float, size: tuple[int, int]) -> Self:
        """How a picture lies in a view of `size` device pixels, which may be another than it was made for."""
        height, width = picture.pixels.shape[:2]
        region = picture.region
        scale = (width / region.width, height / region.height)
        left, top = place_of(picture, size)
        origin = (left - region.x * scale[0], top - region.y * scale[1])
        return cls(ratio, origin, scale, picture.result.frame.size)

    def frame_at(self, point: QPointF) -> tuple[float, float]:
        """The point of the frame, in its pixels, at a point of the view."""
        x, y = self.ratio * point.x(), self.ratio * point.y()
        return (x - self.origin[0]) / self.scale[0], (y - self.origin[1]) / self.scale[1]

    def fraction_at(self, point: QPointF) -> tuple[float, float]:
        """The point of the frame, in fractions of its width and height, at a point of the view."""
        x, y = self.frame_at(point)
        return x / self.frame_size[0], y / self.frame_size[1]

    def point_of(self, x: float, y: float) -> QPointF:
        """The point of the view at a point of the frame in its pixels."""
        return QPointF(
            (self.origin[0] + x * self.scale[0]) / self.ratio,
            (self.origin[1] + y * self.scale[1]) / self.ratio,
        )

    def point_of_fraction(self, x: float, y: float) -> QPointF:
        """The point of the view at a point of the frame in fractions of its width and height."""
        return self.point_of(x * self.frame_size[0], y * self.frame_size[1])

    def seen_in(self, view: QRect) -> QRectF:
        """What the frame covers of a view."""
        return QRectF(self.point_of_fraction(0, 0), self.point_of_fraction(1, 1)) & QRectF(view)

    def rect_of(self, xyxy: FloatArray) -> QRectF:
        """The rectangle of the view that a box, left, top, right, bottom in pixels of the frame, covers."""
        left, top, right, bottom = xyxy.tolist()
        return QRectF(self.point_of(left, top), self.point_of(right, bottom))


def place_of(picture: Picture, size: tuple[int, int]) -> tuple[int, int]:
    """Where a picture goes in a view of `size` device pixels: in the middle, where it was made for another size."""
    x, y = (at + (now - then) // 2 for at, now, then in zip(picture.at, size, picture.viewport.size, strict=True))
    return x, y


@dataclass(slots=True)
class Aim:
    """The part of the frame that a view is to show, moved by hand or after an object; never beyond the frame.

    Attributes:
        zoom: 1 fits the whole frame into the view.
        centre: The point of the frame in the middle of the view, in fractions of its width and height.
    """

    zoom: float = 1.0
    centre: tuple[float, float] = (0.5, 0.5)

    def viewport(self, size: tuple[int, int], *, original: bool) -> Viewport:
        """What a view of `size` device pixels is to be given."""
        return Viewport(size, self.zoom, self.centre, original)

    def fit(self) -> None:
        """Show the whole frame."""
        self.zoom, self.centre = 1.0, (0.5, 0.5)

    def move_to(self, zoom: float, centre: tuple[float, float], frame: tuple[int, int], size: tuple[int, int]) -> None:
        """Zoom to `zoom` with `centre` in the middle, or as near as a frame and a view of these sizes allow.

        Args:
            zoom: As the attribute.
            centre: As the attribute.
            frame: (width, height) of the frame in pixels.
            size: (width, height) of the view in device pixels.
        """
        fit = _fit(frame, size)
        self.zoom = min(max(zoom, 1.0), max(LARGEST_SCALE / fit, 1.0))
        halves = [view / (2 * fit * self.zoom * side) for side, view in zip(frame, size, strict=True)]
        x, y = (0.5 if half >= 0.5 else min(max(at, half), 1 - half) for at, half in zip(centre, halves, strict=True))
        self.centre = (x, y)

    def reveal(self, point: tuple[float, float], frame: tuple[int, int], size: tuple[int, int]) -> None:
        """Move as little as brings a point of the frame, in fractions of it, into sight and off the edges of the view."""
        fit = _fit(frame, size)
        halves = [_INSIDE * view / (2 * fit * self.zoom * side) for side, view in zip(frame, size, strict=True)]
        x, y = (min(max(at, to - half), to + half) for at, to, half in zip(self.centre, point, halves, strict=True))
        self.move_to(self.zoom, (x, y), frame, size)

    def zoom_about(self, at: tuple[float, float], factor: float, frame: tuple[int, int], size: tuple[int, int]) -> None:
        """Zoom in by `factor`, with the point of the frame that is at `at` (device pixels of the view) staying there."""
        held = Placement.of(frame, Viewport(size, self.zoom, self.centre)).fraction_at(*at)
        zoom = min(max(self.zoom * factor, 1.0), max(LARGEST_SCALE / _fit(frame, size), 1.0))
        scale = _fit(frame, size) * zoom
        x, y = (
            point + (view / 2 - where) / (scale * side) for point, view, where, side in zip(held, size, at, frame, strict=True)
        )
        self.move_to(zoom, (x, y), frame, size)

    def pan(self, by: tuple[float, float], frame: tuple[int, int], size: tuple[int, int]) -> None:
        """Move the frame by (x, y) device pixels under the view."""
        scale = _fit(frame, size) * self.zoom
        x, y = (at - step / (scale * side) for at, step, side in zip(self.centre, by, frame, strict=True))
        self.move_to(self.zoom, (x, y), frame, size)


def _fit(frame: tuple[int, int], size: tuple[int, int]) -> float:
    """Device pixels per pixel of a frame that just fits."""
    return min(view / side for view, side in zip(size, frame, strict=True))
