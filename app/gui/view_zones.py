"""Lines and areas on a view while they are drawn or edited: what is painted of them, and which of them the mouse is at."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPalette, QPen, QPolygonF

from framehook.app.gui.view_drawing import accent, draw_tag, ink, surround, tag_size
from framehook.app.gui.view_mapping import Mapping
from framehook.app.session.session import Session
from framehook.app.session.state import ZonesOfSlot
from framehook.inference.callbacks.zones import arrow_of, caption_corner, line_width, zone_text
from framehook.inference.options import Points

REACH: Final = 9.0
"""Logical pixels from a corner or a line within which it is meant."""
_HANDLE: Final = 4.5
_ARROW: Final = 22.0
_CROSS: Final = (5.0, 18.0)  # from the middle of the cross-hair to where its arms begin and end
_ROLE: Final = QPalette.ColorRole


class Grip(NamedTuple):
    """What the mouse is at: a zone, and the number of its corner or None for all of it."""

    name: str
    corner: int | None


def grip_at(zones: ZonesOfSlot, point: QPointF, mapping: Mapping, first: str | None) -> Grip | None:
    """The corner, line or area at a point of the view; of several, corners before lines, and the zone `first` before others."""
    names = sorted(zones, key=lambda name: name != first)
    for name in names:
        for number, corner in enumerate(_on_view(zones[name], mapping)):
            if _distance(corner, point) <= REACH:
                return Grip(name, number)
    for name in names:
        corners = _on_view(zones[name], mapping)
        ring = [*corners, corners[0]] if len(corners) > 2 else corners
        near = any(_distance_to_line(point, a, b) <= REACH for a, b in itertools.pairwise(ring))
        if near or (len(corners) > 2 and QPolygonF(corners).containsPoint(point, Qt.FillRule.OddEvenFill)):
            return Grip(name, None)
    return None


class ZoneLook(NamedTuple):
    """The colour of a zone, and what is written beside it."""

    colour: QColor
    text: str


def looks_of(session: Session, key: str) -> dict[str, ZoneLook]:
    """How the zones of a slot are drawn on a canvas, by their names, with the counts of now."""
    counts = session.zone_counts(key)
    return {
        name: ZoneLook(QColor(colour), zone_text(name, counts[name]) if name in counts else name)
        for name, colour in session.zone_colours(key).items()
    }


def draw_zone(
    painter: QPainter,
    points: Points,
    mapping: Mapping,
    palette: QPalette,
    colour: QColor,
    *,
    handles: bool = False,
    chosen: bool = False,
    corner: int | None = None,
) -> None:
    """Draw the outline of a zone as wide as on a canvas; to be grasped, with handles, that of a chosen corner larger."""
    corners = _on_view(points, mapping)
    width = max(line_width(mapping.frame_size) * mapping.scale[0] / mapping.ratio, 2.0) + chosen
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(surround(palette), width + 2), QPen(colour, width)):
        painter.setPen(pen)
        if len(corners) > 2:
            painter.drawPolygon(QPolygonF(corners))
        else:
            painter.drawPolyline(QPolygonF(corners))
            _draw_way_in(painter, corners, mapping)
    if handles:
        _draw_handles(painter, corners, palette, colour, chosen=chosen, large=corner)
    painter.restore()


def draw_zone_caption(painter: QPainter, points: Points, mapping: Mapping, look: ZoneLook, bounds: QRectF) -> None:
    """Write a zone's name and counts where they are on a canvas, within `bounds`: a line's beside its arrow, at one end."""
    corners, size = _on_view(points, mapping), tag_size(painter, look.text)
    if len(corners) == 2:
        origin = bounds.topLeft()
        start, end, tail, tip = (_pair(point - origin) for point in (*corners, *_arrow(corners, mapping)))
        wide, room = (size.width(), size.height()), (bounds.width(), bounds.height())
        at = QPointF(*caption_corner(start, end, (tail, tip), wide, room)) + origin
    else:
        at = min(corners, key=lambda corner: corner.y())
    left = max(min(at.x(), bounds.right() - size.width()), bounds.left())
    top = max(min(at.y(), bounds.bottom() - size.height()), bounds.top())
    draw_tag(painter, QPointF(left, top), look.text, look.colour)


def draw_cross_hair(painter: QPainter, at: QPointF, palette: QPalette) -> None:
    """Draw the cross-hair that the arrow keys move; its middle is free."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for pen in (QPen(surround(palette), 5), QPen(ink(palette), 2)):
        painter.setPen(pen)
        for way in (QPointF(1, 0), QPointF(-1, 0), QPointF(0, 1), QPointF(0, -1)):
            painter.drawLine(at + way * _CROSS[0], at + way * _CROSS[1])
    painter.restore()


def draw_draft(
    painter: QPainter,
    points: Sequence[tuple[float, float]],
    tip: QPointF | None,
    mapping: Mapping,
    palette: QPalette,
    *,
    area: bool,
) -> None:
    """Draw a zone that is not finished, up to where the mouse or the cross-hair is."""
    corners = _on_view(points, mapping)
    ends = corners if tip is None else [*corners, tip]
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if area and len(ends) > 2:
        fill = accent(palette)
        fill.setAlpha(50)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawPolygon(QPolygonF(ends))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(surround(palette), 4), QPen(accent(palette), 2)):
        painter.setPen(pen)
        painter.drawPolyline(QPolygonF(ends))
    if not area and len(ends) == 2:
        _draw_way_in(painter, ends, mapping)
    _draw_handles(painter, corners, palette, accent(palette), chosen=True)
    painter.restore()


def _draw_handles(
    painter: QPainter, corners: Sequence[QPointF], palette: QPalette, colour: QColor, *, chosen: bool, large: int | None = None
) -> None:
    painter.setPen(QPen(colour, 1.5))
    painter.setBrush(palette.color(_ROLE.HighlightedText) if chosen else surround(palette))
    for number, corner in enumerate(corners):
        if number == large:
            painter.save()
            painter.setPen(QPen(surround(palette), 2))
            painter.setBrush(accent(palette))
        size = _HANDLE + (3 if number == large else 0)
        painter.drawEllipse(corner, size, size)
        if number == large:
            painter.restore()


def _arrow(ends: Sequence[QPointF], mapping: Mapping) -> tuple[QPointF, QPointF]:
    """Tail and tip of the arrow of a line, within the frame."""
    origin, far = mapping.point_of_fraction(0, 0), mapping.point_of_fraction(1, 1)
    start, end = (_pair(point - origin) for point in ends)
    tail, tip = arrow_of(start, end, _ARROW, _pair(far - origin))
    return QPointF(*tail) + origin, QPointF(*tip) + origin


def _draw_way_in(painter: QPainter, ends: Sequence[QPointF], mapping: Mapping) -> None:
    """Draw the arrow of a line: the way that counts as in, to the left of who looks along it."""
    if _distance(*ends) < 1:
        return
    tail, tip = _arrow(ends, mapping)
    forward = (tip - tail) / _ARROW
    aside = QPointF(forward.y(), -forward.x())
    painter.drawPolyline(QPolygonF([tail, tip]))
    painter.drawPolyline(QPolygonF([tip - forward * 8 + aside * 6, tip, tip - forward * 8 - aside * 6]))


def _on_view(points: Sequence[tuple[float, float]], mapping: Mapping) -> list[QPointF]:
    return [mapping.point_of_fraction(x, y) for x, y in points]


def _pair(point: QPointF) -> tuple[float, float]:
    return point.x(), point.y()


def _distance(one: QPointF, other: QPointF) -> float:
    return math.hypot(one.x() - other.x(), one.y() - other.y())


def _distance_to_line(point: QPointF, start: QPointF, end: QPointF) -> float:
    along, way = end - start, point - start
    square = QPointF.dotProduct(along, along)
    share = min(max(QPointF.dotProduct(way, along) / square, 0.0), 1.0) if square else 0.0
    return _distance(point, start + along * share)
