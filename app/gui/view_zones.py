"""Lines and areas on a view while they are drawn or edited: what is painted of them, and which of them the mouse is at."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QPainter, QPalette, QPen, QPolygonF

from framehook.app.gui.view_drawing import accent, draw_tag, surround
from framehook.app.gui.view_mapping import Mapping
from framehook.app.session.state import ZonesOfSlot
from framehook.inference.options import Points

REACH: Final = 9.0
"""Logical pixels from a corner or a line within which it is meant."""
_HANDLE: Final = 4.5
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


def draw_zone(
    painter: QPainter,
    points: Points,
    mapping: Mapping,
    palette: QPalette,
    *,
    chosen: bool = False,
    handles: bool = True,
) -> None:
    """Draw the outline of a zone and, to be grasped, a handle at each of its corners."""
    corners = _on_view(points, mapping)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    colour = accent(palette)
    for pen in (QPen(surround(palette), 4.5), QPen(colour, 2.5 if chosen else 1.5)):
        painter.setPen(pen)
        if len(corners) > 2:
            painter.drawPolygon(QPolygonF(corners))
        else:
            painter.drawPolyline(QPolygonF(corners))
    if len(corners) == 2:
        _draw_way_in(painter, *corners)
    if handles:
        _draw_handles(painter, corners, palette, chosen=chosen)
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
    """Draw a zone that is not finished, up to where the mouse is."""
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
        _draw_way_in(painter, *ends)
    _draw_handles(painter, corners, palette, chosen=True)
    painter.restore()


def draw_name(painter: QPainter, name: str, points: Points, mapping: Mapping, palette: QPalette) -> None:
    """Write the name of a zone at the highest of its corners."""
    at = min(_on_view(points, mapping), key=lambda corner: corner.y())
    draw_tag(painter, QPointF(at.x(), at.y() - REACH), name, palette)


def _draw_handles(painter: QPainter, corners: Sequence[QPointF], palette: QPalette, *, chosen: bool) -> None:
    painter.setPen(QPen(accent(palette), 1.5))
    painter.setBrush(palette.color(_ROLE.HighlightedText) if chosen else surround(palette))
    for corner in corners:
        painter.drawEllipse(corner, _HANDLE, _HANDLE)


def _draw_way_in(painter: QPainter, start: QPointF, end: QPointF) -> None:
    """Draw an arrow in the middle of a line: the way that counts as in, to the left of who looks along it."""
    along = end - start
    length = math.hypot(along.x(), along.y())
    if length < 1:
        return
    forward = along / length
    inward = QPointF(forward.y(), -forward.x())
    middle = (start + end) / 2
    tip = middle + inward * 22
    painter.drawPolyline(QPolygonF([middle, tip]))
    painter.drawPolyline(QPolygonF([tip - inward * 7 + forward * 5, tip, tip - inward * 7 - forward * 5]))


def _on_view(points: Sequence[tuple[float, float]], mapping: Mapping) -> list[QPointF]:
    return [mapping.point_of_fraction(x, y) for x, y in points]


def _distance(one: QPointF, other: QPointF) -> float:
    return math.hypot(one.x() - other.x(), one.y() - other.y())


def _distance_to_line(point: QPointF, start: QPointF, end: QPointF) -> float:
    along, way = end - start, point - start
    square = QPointF.dotProduct(along, along)
    share = min(max(QPointF.dotProduct(way, along) / square, 0.0), 1.0) if square else 0.0
    return _distance(point, start + along * share)
