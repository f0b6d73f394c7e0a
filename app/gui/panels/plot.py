"""A plot to be looked at: its numbers are there at every size and font, and it follows light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QRectF, Qt
from PyQt6.QtGui import QPalette, QResizeEvent
from PyQt6.QtWidgets import QFrame, QSizePolicy

from framehook.app.gui.theme import watch

Ticks: TypeAlias = Sequence[tuple[float, str]]
"""Where something is written at an axis, and what; what matters most comes first."""
TicksFor: TypeAlias = Callable[[int], Ticks]
"""Makes the ticks of an axis at which about so many texts have room."""
LINE: Final = 2
"""Pixels that a line is wide."""

_BESIDE: Final = 8
"""Pixels between a number and its axis, and what is around it."""
_BELOW: Final = 6
"""Pixels between the bottom axis and what is written there, so that it keeps clear of the number in the corner."""
_GAP: Final = 6
"""Pixels between two texts at least."""


class Plot(pg.PlotWidget):  # type: ignore[misc]  # it comes without types
    """Axes with ticks of one's own, a grid, and room for all that is written beside them.

    What is written takes the widget's font. Where there is no room for all of it, what matters least is left out.
    """

    _ready = False

    def __init__(self, name: str, tip: str, *, widest: str = "", high: int = 90) -> None:
        """A plot without lines.

        Args:
            name: What it is called by screen readers.
            tip: What it shows.
            widest: The widest number at its left that is usual: with it there, nothing moves.
            high: Pixels of height that it needs.
        """
        left, bottom = _Axis("left"), _Axis("bottom")
        super().__init__(axisItems={"left": left, "bottom": bottom}, enableMenu=False)
        self._left, self._bottom, self._widest = left, bottom, widest
        self._ranges: dict[str, tuple[float, float, TicksFor]] = {
            "left": (0.0, 1.0, lambda most: round_steps(1.0, most)),
            "bottom": (0.0, 1.0, lambda _most: ()),
        }
        bottom.setStyle(tickTextOffset=_BELOW)
        self.setAntialiasing(False)  # smooth lines take five times as long
        self.setMinimumSize(120, high)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # there is nothing to do in it
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self._ready = True
        watch(self, self._colour)
        self._fit()

    def set_bottom(self, low: float, high: float, ticks: TicksFor) -> None:
        """Show this range from left to right."""
        self._ranges["bottom"] = low, high, ticks
        self.setXRange(low, high, padding=0)
        self._fit()

    def set_left(self, low: float, high: float, ticks: TicksFor) -> None:
        """Show this range from bottom to top."""
        self._ranges["left"] = low, high, ticks
        self.setYRange(low, high, padding=0)
        self._fit()

    def written(self) -> tuple[list[str], list[str]]:
        """What stands at the left axis, from bottom to top, and at the bottom one, from left to right."""
        return self._left.written(), self._bottom.written()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if self._ready:
            self._fit()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() is QEvent.Type.FontChange and self._ready:
            self._fit()

    def _fit(self) -> None:
        """Give the axes the room that what is written takes, and write what has room."""
        metrics = self.fontMetrics()
        line = metrics.height()
        above, below = line // 2 + 2, line + _BELOW
        low, high, ticks = self._ranges["left"]
        tall = max(self.height() - above - below, 1)
        left = _apart(ticks(max(int(tall / (1.4 * line)), 2)), low, high, tall, lambda _text: line - 2)
        widths = [metrics.horizontalAdvance(text) for text in (self._widest, *(text for _, text in left))]
        low, high, ticks = self._ranges["bottom"]
        wanted = ticks(max(int(self.width() / (2.5 * line)), 2))

        def half(end: float) -> int:
            """Pixels that a text at an end of the axis stands out by."""
            return max((metrics.horizontalAdvance(text) // 2 for value, text in wanted if value == end), default=0) + 4

        beside, after = max(max(widths) + _BESIDE, half(low)), half(high)
        wide = max(self.width() - beside - after, 1)
        bottom = _apart(wanted, low, high, wide, lambda text: metrics.horizontalAdvance(text) + _GAP)
        self.getPlotItem().layout.setContentsMargins(0, above, after, 0)
        for axis, shown in ((self._left, left), (self._bottom, bottom)):
            axis.setStyle(tickFont=self.font())
            axis.write(shown)
        self._left.let_stand_out(0, line)
        self._bottom.let_stand_out(beside + after, 0)
        self._left.setWidth(beside)
        self._bottom.setHeight(below)

    def _colour(self) -> None:
        palette = self.palette()
        self.setBackground(palette.color(QPalette.ColorRole.Base))
        for axis in (self._left, self._bottom):
            axis.setTextPen(palette.color(QPalette.ColorRole.Text))
            axis.setPen(palette.color(QPalette.ColorRole.Mid))
        self.getPlotItem().showGrid(y=True, alpha=0.2)


class _Axis(pg.AxisItem):  # type: ignore[misc]  # it comes without types
    """Also writes what is at its ends, of which half stands out."""

    _stands_out = (0, 0)

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation)
        self._written: Ticks = ()
        self.enableAutoSIPrefix(False)

    def write(self, ticks: Ticks) -> None:
        """Have these ticks."""
        if ticks != self._written:
            self._written = ticks
            self.setTicks([ticks])

    def written(self) -> list[str]:
        """The texts of the ticks, from the lowest value on."""
        return [text for _, text in sorted(self._written)]

    def let_stand_out(self, sideways: int, upwards: int) -> None:
        """Let texts stand out by so many pixels to both sides; more than that is left out by the axis."""
        if self._stands_out != (sideways, upwards):
            self.prepareGeometryChange()
            self._stands_out = sideways, upwards

    def boundingRect(self) -> QRectF:
        sideways, upwards = self._stands_out
        rect: QRectF = super().boundingRect()
        return rect.adjusted(-sideways, -upwards, sideways, upwards)


def round_steps(high: float, most: int) -> Ticks:
    """Ticks from 0 to `high` (above 0) in steps of 1, 2 or 5 times a power of ten: `most` of them at most, but two at least."""
    wanted = high / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(wanted))
    steps = [power * each for each in (0.5, 1, 2, 5, 10)]
    step = next(each for each in steps if each >= wanted * 0.999)
    if step > high:
        step = max(each for each in steps if each <= high)
    return [(number * step, f"{number * step:g}") for number in range(int(high / step * 1.0001) + 1)]


def powers_of_ten(low: int, high: int, most: int) -> Ticks:
    """Ticks of a logarithmic axis, at which a value stands for a power of ten: all of them, or each second, third ..."""
    step = math.ceil((high - low + 1) / most)
    return [(float(power), f"{10.0**power:g}") for power in range(high, low - 1, -step)]


def _apart(ticks: Ticks, low: float, high: float, length: float, size: Callable[[str], float]) -> Ticks:
    """Those ticks that keep clear of what matters more."""
    taken: list[tuple[float, float]] = []
    kept = []
    for value, text in ticks:
        at, half = (value - low) / (high - low) * length, size(text) / 2
        if all(at + half <= start or at - half >= end for start, end in taken):
            taken.append((at - half, at + half))
            kept.append((value, text))
    return kept
