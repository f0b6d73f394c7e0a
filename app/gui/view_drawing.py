"""What a view paints on top of a picture: texts on grounds of their own, so that they can be read on any, and outlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPalette, QPen, qGray

from framehook.app.gui.theme import is_dark

_ROLE: Final = QPalette.ColorRole
_VEIL: Final = 200  # of 255: what is under a text shows a little, and white letters on it are read on white pictures, too
_FAINT: Final = 150  # of 255: for what is always there, over what may be labels of objects
_LIGHT: Final = 100  # of 255: on colours lighter than this, black letters are read better than white ones
_SMALL: Final = 0.85
_MARGIN: Final = 8.0
_PADDING: Final = 6.0


def surround(palette: QPalette) -> QColor:
    """What is around a frame: dark, whatever the scheme, for the eye compares."""
    darker = _ROLE.Window if is_dark(palette) else _ROLE.WindowText
    return palette.color(darker).darker(160)


def ink(palette: QPalette) -> QColor:
    """Letters on `surround`."""
    return palette.color(_ROLE.WindowText if is_dark(palette) else _ROLE.Base)


def accent(palette: QPalette) -> QColor:
    """Lines on a picture that mean what is chosen."""
    return palette.color(_ROLE.Highlight).lighter(130)


def draw_caption(painter: QPainter, bounds: QRectF, text: str, palette: QPalette, *, faint: bool = True) -> QRectF:
    """Write a line in the left upper corner of `bounds`, cut short where it is too long. Returns where.

    What is faint is small, and close to the corner, so that it hides little of the picture.
    """
    painter.save()
    if faint:
        small = QFont(painter.font())
        small.setPointSizeF(small.pointSizeF() * _SMALL)
        painter.setFont(small)
    margin, padding = (_MARGIN / 2, _PADDING * 2 / 3) if faint else (_MARGIN, _PADDING)
    metrics = QFontMetricsF(painter.font())
    text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, bounds.width() - 2 * (margin + padding))
    size = metrics.size(0, text)
    plate = QRectF(bounds.left() + margin, bounds.top() + margin, size.width() + 2 * padding, size.height() + padding / 2)
    _draw_plate(painter, plate, _veiled(palette, _FAINT if faint else _VEIL))
    painter.setPen(ink(palette))
    painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()
    return plate


def fits_caption(painter: QPainter, bounds: QRectF, text: str) -> bool:
    """Whether a line that is not faint has room beside the corner of `bounds`."""
    return QFontMetricsF(painter.font()).size(0, text).width() <= bounds.width() - 2 * (_MARGIN + _PADDING)


def draw_message(painter: QPainter, bounds: QRectF, title: str, text: str, palette: QPalette) -> None:
    """Write a large line, and a smaller text under it, in the middle of `bounds`."""
    large = QFont(painter.font())
    large.setPointSizeF(large.pointSizeF() * (1.9 if bounds.width() > 420 else 1.3))
    large.setWeight(QFont.Weight.DemiBold)
    wrap = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignHCenter
    room = QRectF(0, 0, min(bounds.width() - 4 * _MARGIN, 640), bounds.height())
    heading = QFontMetricsF(large).boundingRect(room, int(wrap), title)
    below = QFontMetricsF(painter.font()).boundingRect(room, int(wrap), text) if text else QRectF()
    gap = _PADDING if text else 0.0
    height = heading.height() + gap + below.height()
    middle = bounds.center()
    plate = QRectF(0, 0, max(heading.width(), below.width()) + 5 * _PADDING, height + 4 * _PADDING)
    plate.moveCenter(middle)
    _draw_plate(painter, plate, _veiled(palette))
    painter.setPen(ink(palette))
    painter.save()
    painter.setFont(large)
    top = plate.top() + 2 * _PADDING
    painter.drawText(QRectF(middle.x() - room.width() / 2, top, room.width(), heading.height()), int(wrap), title)
    painter.restore()
    if text:
        top += heading.height() + gap
        painter.drawText(QRectF(middle.x() - room.width() / 2, top, room.width(), below.height()), int(wrap), text)


def draw_card(
    painter: QPainter, beside: QRectF, bounds: QRectF, title: str, facts: Sequence[tuple[str, str]], palette: QPalette
) -> None:
    """Write facts, each with its name, beside a rectangle, on the side where there is room, and within `bounds`."""
    bold = QFont(painter.font())
    bold.setWeight(QFont.Weight.DemiBold)
    metrics, heavy = QFontMetricsF(painter.font()), QFontMetricsF(bold)
    line = metrics.height()
    names = max((metrics.horizontalAdvance(name) for name, _ in facts), default=0.0)
    values = max((metrics.horizontalAdvance(value) for _, value in facts), default=0.0)
    width = max(names + 2 * _PADDING + values, heavy.horizontalAdvance(title)) + 2 * _PADDING
    width = min(width, bounds.width() - 2)
    plate = QRectF(0, 0, width, line * (len(facts) + 1) + 2 * _PADDING)
    left = beside.right() + _MARGIN
    if left + width > bounds.right():
        left = beside.left() - _MARGIN - width
    plate.moveLeft(min(max(left, bounds.left() + 1), bounds.right() - width - 1))
    plate.moveTop(max(min(beside.top(), bounds.bottom() - plate.height() - 1), bounds.top() + 1))
    _draw_plate(painter, plate, palette.color(_ROLE.ToolTipBase), palette.color(_ROLE.Mid))
    painter.setPen(palette.color(_ROLE.ToolTipText))
    painter.setClipRect(plate)
    baseline = plate.top() + _PADDING + metrics.ascent()
    painter.save()
    painter.setFont(bold)
    painter.drawText(QPointF(plate.left() + _PADDING, baseline), title)
    painter.restore()
    for name, value in facts:
        baseline += line
        painter.drawText(QPointF(plate.left() + _PADDING, baseline), name)
        painter.drawText(QPointF(plate.left() + 3 * _PADDING + names, baseline), value)
    painter.setClipping(False)


def tag_size(painter: QPainter, text: str) -> QSizeF:
    """How large a tag is."""
    size = QFontMetricsF(painter.font()).size(0, text)
    return QSizeF(size.width() + 2 * _PADDING, size.height() + _PADDING)


def draw_tag(painter: QPainter, at: QPointF, text: str, ground: QColor) -> None:
    """Write a line on a ground of a colour, with its left upper corner at `at`."""
    plate = QRectF(at, tag_size(painter, text))
    _draw_plate(painter, plate, ground)
    painter.setPen(Qt.GlobalColor.black if qGray(ground.rgb()) > _LIGHT else Qt.GlobalColor.white)
    painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)


def draw_outline(painter: QPainter, rect: QRectF, palette: QPalette, *, strong: bool) -> None:
    """Outline an object: seen on dark and on light, over whatever is drawn round it already."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    width = 3.0 if strong else 1.5
    around = rect.adjusted(-width, -width, width, width) if strong else rect
    for colour, line in ((surround(palette), width + 2), (accent(palette) if strong else ink(palette), width)):
        painter.setPen(_sharp(colour, line))
        painter.drawRect(around)


def draw_frame(painter: QPainter, bounds: QRectF, palette: QPalette) -> None:
    """Draw the frame of the view that actions are about."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(_sharp(accent(palette), 2))
    painter.drawRect(bounds.adjusted(1, 1, -1, -1))


def _draw_plate(painter: QPainter, plate: QRectF, colour: QColor, edge: QColor | None = None) -> None:
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen if edge is None else QPen(edge, 1))
    painter.setBrush(colour)
    painter.drawRoundedRect(plate, 4, 4)
    painter.restore()


def _sharp(colour: QColor, width: float) -> QPen:
    """A pen whose corners are not cut off."""
    pen = QPen(colour, width)
    pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
    return pen


def _veiled(palette: QPalette, veil: int = _VEIL) -> QColor:
    colour = surround(palette)
    colour.setAlpha(veil)
    return colour
