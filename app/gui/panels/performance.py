"""The panel of how fast it goes: rates, latency, where the time of a frame goes, and where every frame went."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from dataclasses import asdict
from functools import partial
from typing import Any, Final

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPixmap, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import (
    QBoxLayout,
    QCheckBox,
    QFrame,
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.panels.plot import LINE, Plot, Ticks, powers_of_ten
from framehook.app.gui.theme import is_dark
from framehook.app.session.state import Figures, PaintFigures, SessionState, Slot
from framehook.inference.connection import SourceState
from framehook.inference.ledger import Cause
from framehook.inference.stats import STAGES, Latency, SourceStats

SPAN: Final = 60.0
"""Seconds that the plot shows."""
POINTS: Final = 240
"""Moments that are remembered for it, at most."""
PAINT: Final = "paint"
LINES: Final = (*STAGES, PAINT)
"""What the plot has a line for."""
LEFT_OUT: Final = ("wait",)
"""Lines that are not shown unless one ticks them: waiting is no work, and often takes longer than all work."""

_COLOURS: Final[dict[str, tuple[str, str]]] = {  # on light, on dark ground
    "wait": ("#8a8f98", "#9aa0a8"),
    "preprocess": ("#00857a", "#2fd0c3"),
    "inference": ("#1760bd", "#74aef5"),
    "postprocess": ("#8a3fd0", "#c79bff"),
    "callbacks": ("#b36b00", "#f2b33d"),
    "consumer": ("#4d7a00", "#a5d64c"),
    PAINT: ("#c4281f", "#ff7b74"),
}
_TIPS: Final = {
    "wait": "Waiting to be taken: behind other frames, or for its time in a file that plays in real time",
    "preprocess": "Making a frame fit the network",
    "inference": "The network",
    "postprocess": "Turning what the network says into boxes",
    "callbacks": "Tracking, drawing, recording and your callbacks",
    "consumer": "Handing the result on",
    PAINT: "Painting the picture in the window, the median",
}
DROPPED: Final = {
    Cause.OVERWRITTEN: "overwritten by newer frames",
    Cause.STRIDE: "passed over by the frame stride",
    Cause.PAUSED: "while paused",
    Cause.SEEK: "read ahead, then jumped away from",
    Cause.PACE: "too late for real time",
    Cause.STOPPED: "under way at the end",
}
"""Why frames were dropped, in words."""
_STATES: Final = {
    SourceState.CONNECTING: "connecting",
    SourceState.CONNECTED: "connected",
    SourceState.STALLED: "silent, is connected to anew",
    SourceState.RECONNECTING: "connection lost, trying again",
    SourceState.ENDED: "ended",
}
_PLOT: Final = 200
"""Pixels of width that the plot needs beside the other parts."""
_VALUE: Final = 170
"""Pixels of width that figures need there; in less than their whole width they are wrapped."""
_CARD: Final = 226
"""Pixels of width that the list of the sources needs."""
_CARD_TEXT: Final = "delivered, but skipped"
"""What is to stand in one line there."""
_MOST: Final = 10_000
"""Pixels: more than anything is high or wide."""
_AROUND: Final = 6
_BETWEEN: Final = 10
_LOWEST: Final = -2
"""The plot goes down to 0.01 ms at most, as a power of ten; what takes less is drawn there."""
_TIMES: Final[Ticks] = ((0, "now"), (-60, "60 s ago"), (-40, "40 s"), (-20, "20 s"))
_NOTHING: Final = "-"
_PLOT_TIP: Final = (
    "Milliseconds of a frame in each stage, over the last minute; each grid line stands for ten times what the one below does"
)
_WIDEST: Final = ("000.0 delivered, 000.0 painted", "p50 0000, p95 0000, p99 0000 ms")
"""Figures as wide as they get: while they change, nothing is to move."""


class PerformancePanel(QWidget):
    """Rates, latency, time per stage over the last minute, and the frames of each source.

    It draws nothing while it is hidden; the plot has no gap when it is shown again.
    """

    def __init__(self, bridge: Bridge) -> None:
        """Listen to a bridge."""
        super().__init__()
        self._bridge = bridge
        self._figures: Figures | None = None
        self._history: deque[tuple[float, ...]] = deque(maxlen=POINTS)

        self.rate = _value("Frame rate", "Frames a second: that came through the model, and that were painted")
        self.latency = _value(
            "Latency", "Milliseconds from the capture of a frame to its picture: of half, 95 % and 99 % of all"
        )
        self.network = _value("Network", "Time a frame spends in the network, the mean of recent ones")
        self.lines = {name: _line_box(name) for name in LINES}
        self.plot = Plot("Time per stage", _PLOT_TIP, widest="1000", high=90)
        self._curves = {name: self.plot.plot([], []) for name in LINES}
        self._set_up_plot()
        self.copy_button = QPushButton("Copy as JSON")
        self.copy_button.setToolTip("Copy all figures of the run to the clipboard, as JSON")
        self.copy_button.setAccessibleName("Copy figures as JSON")
        self._cards: dict[str, _SourceCard] = {}
        self._sources = QVBoxLayout()
        self._sources.setSpacing(8)
        self._lay_out()

        for name, box in self.lines.items():
            box.toggled.connect(self._curves[name].setVisible)
            box.toggled.connect(self._draw_lines)
        self.copy_button.clicked.connect(self.copy)
        bridge.figures_changed.connect(self._take)
        bridge.state_changed.connect(self._follow)
        self._follow(bridge.state)
        self._draw()

    def _set_up_plot(self) -> None:
        self.plot.setMaximumHeight(400)
        self.plot.setMinimumWidth(160)
        self.plot.set_bottom(-SPAN, 0, lambda _most: _TIMES)
        for name, curve in self._curves.items():
            curve.setVisible(self.lines[name].isChecked())
        self._colour()

    def _lay_out(self) -> None:
        facts = self._facts = QGridLayout()
        facts.setColumnStretch(1, 1)
        self._titles = []
        for row, value in enumerate((self.rate, self.latency, self.network)):
            title = QLabel(value.accessibleName())
            title.setToolTip(value.toolTip())
            self._titles.append(title)
            facts.addWidget(title, row, 0, Qt.AlignmentFlag.AlignTop)
            facts.addWidget(value, row, 1)
        facts.addWidget(self.copy_button, 3, 0, 1, 2, Qt.AlignmentFlag.AlignLeft)
        facts.setRowStretch(4, 1)
        facts.setVerticalSpacing(3)
        plot = QVBoxLayout()
        heading = self._heading = QLabel("Milliseconds per stage")
        heading.setToolTip(self.plot.toolTip())
        heading.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        plot.addWidget(heading)
        plot.addWidget(self.plot, stretch=1)
        legend = self._legend = QGridLayout()
        legend.setSpacing(0)
        legend.setRowStretch(len(LINES), 1)
        boxes = QWidget()
        boxes.setLayout(legend)
        legend.setContentsMargins(0, 0, 0, 0)
        lines = self._boxes = _scrolling(boxes)
        lines.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the boxes in it are reached by themselves
        cards = QWidget()
        cards.setLayout(self._sources)
        self._sources.setContentsMargins(0, 0, 0, 0)
        self._sources.addStretch()
        sources = self._list = _scrolling(cards)
        sources.setAccessibleName("Figures of each source")
        sources.setMinimumHeight(90)
        sources.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        inner = QWidget()
        self._parts = QBoxLayout(QBoxLayout.Direction.TopToBottom, inner)
        self._parts.setContentsMargins(_AROUND, _AROUND, _AROUND, _AROUND)
        self._parts.setSpacing(_BETWEEN)
        self._parts.addLayout(facts)
        self._parts.addLayout(plot)
        self._parts.addWidget(lines)
        self._parts.addWidget(sources)
        self._arranged: tuple[bool, int] | None = None  # whether side by side, and in how many columns the lines are
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        area = self._area = _scrolling(inner)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # what is in it is reached by itself
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        outer.addWidget(area)
        self._arrange()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        """Below the picture there is width to fill, beside it height; what is to spare is for the plot, mostly."""
        metrics = self.rate.fontMetrics()
        card = max(_CARD, metrics.horizontalAdvance(_CARD_TEXT) + 50)
        bar = self._area.verticalScrollBar()
        beside = 0 if bar is None else bar.sizeHint().width()
        box = max(self.lines.values(), key=lambda each: max(each.sizeHint().width(), each.minimumWidth()))
        boxed = line = max(box.sizeHint().width(), box.minimumWidth())
        # Below the picture the plot keeps its height, whatever else has to scroll.
        if len(LINES) * max(box.sizeHint().height(), box.minimumHeight()) > self.height() - 2 * _AROUND:
            line += beside
        titles = max(title.sizeHint().width() for title in self._titles)
        parts = titles, line, max(_PLOT, self._heading.sizeHint().width()), card
        room = self.width() - beside - sum(parts) - self._facts.horizontalSpacing() - 3 * _BETWEEN - 2 * _AROUND
        wide = room >= _VALUE
        self._list.setMinimumWidth(card if wide else 0)
        widest = max(metrics.horizontalAdvance(text) for text in _WIDEST) + 4
        self._facts.setColumnMinimumWidth(1, min(widest, room) if wide else 0)
        columns = 1 if wide or 2 * boxed + _AROUND > self.width() - beside - 2 * _AROUND else 2
        rows = math.ceil(len(LINES) / columns) * max(box.sizeHint().height(), box.minimumHeight())
        self._boxes.setMinimumSize(line if wide else 0, 60 if wide else rows)
        self._boxes.setMaximumSize(line if wide else _MOST, _MOST if wide else rows)
        if (wide, columns) == self._arranged:
            return
        self._arranged = wide, columns
        self._parts.setDirection(QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom)
        for part, stretch in enumerate((0, 5, 0, 1) if wide else (0, 2, 0, 1)):
            self._parts.setStretch(part, stretch)
        for place, box in enumerate(self.lines.values()):
            self._legend.addWidget(box, place // columns, place % columns)

    def sizeHint(self) -> QSize:
        return QSize(320, 520)

    def copy(self) -> None:
        """Put the figures of the run, and of painting, onto the clipboard as JSON."""
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None and self._figures is not None and self._figures.stats is not None:
            painting = self._figures.painting
            figures = {**self._figures.stats.as_dict(), "painting": _painting_dict(painting)}
            clipboard.setText(json.dumps(figures, indent=2))

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._draw()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and hasattr(self, "_arranged"):
            if event.type() is QEvent.Type.PaletteChange:
                self._colour()
            elif event.type() is QEvent.Type.FontChange:
                self._arrange()

    # What comes ------------------------------------------------------------------------------------------------------------

    def _take(self, figures: Figures) -> None:
        self._figures = figures
        stats = figures.stats
        if stats is not None:
            moment = (*(stats.speed_recent.get(stage, math.nan) for stage in STAGES), _or_nan(figures.painting.paint_ms))
            self._history.append((time.monotonic(), *moment))
        if self.isVisible():
            self._draw()

    def _follow(self, state: SessionState) -> None:
        slots = {slot.key: slot for slot in state.slots}
        for key in [key for key in self._cards if key not in slots]:
            card = self._cards.pop(key)
            card.hide()
            self._sources.removeWidget(card)
            card.deleteLater()
        for key in slots:
            if key not in self._cards:
                card = self._cards[key] = _SourceCard()
                self._sources.insertWidget(self._sources.count() - 1, card)
        if self.isVisible():
            self._draw_sources()

    # What is drawn ---------------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        figures = self._figures
        stats = None if figures is None else figures.stats
        self.copy_button.setEnabled(stats is not None)
        if figures is None or stats is None:
            for label in (self.rate, self.latency, self.network):
                _set_text(label, _NOTHING)
        else:
            _set_text(self.rate, f"{stats.fps_recent:.1f} delivered, {figures.painting.fps:.1f} painted")
            _set_text(self.latency, _latency(figures.painting.latency))
            _set_text(self.network, _milliseconds(stats.speed_recent.get("inference")))
        self._draw_lines()
        self._draw_sources()

    def _draw_lines(self) -> None:
        if not self._history:
            for name, box in self.lines.items():
                box.setText(name)
            return
        moments = np.array(self._history)
        moments[:, 0] -= moments[-1, 0]
        moments = moments[moments[:, 0] >= -SPAN]
        lows, highs = [], []
        for column, (name, box) in enumerate(self.lines.items(), 1):
            values = moments[:, column]
            _set_text(box, f"{name} {values[-1]:.1f}" if math.isfinite(values[-1]) else name)
            if box.isChecked():
                powers = np.log10(np.maximum(values, 10.0**_LOWEST))  # what was not measured stays so
                self._curves[name].setData(moments[:, 0], powers, connect="finite")
                if np.isfinite(powers).any():
                    lows.append(float(np.nanmin(powers)))
                    highs.append(float(np.nanmax(powers)))
        # Whole powers of ten, so that the axis does not tremble; looking for a range costs as much as the drawing.
        low = math.floor(min(lows, default=-1.0))
        high = max(math.ceil(max(highs, default=2.0)), low + 2)
        self.plot.set_left(low, high, partial(powers_of_ten, low, high))

    def _draw_sources(self) -> None:
        figures = self._figures
        for slot in self._bridge.state.slots:
            card = self._cards.get(slot.key)
            if card is None:
                continue
            of_source, painting = None, None
            if figures is not None:
                group = figures.groups.get(slot.key)
                of_source = None if figures.stats is None or group is None else figures.stats.sources.get(group)
                painting = figures.slots.get(slot.key)
            card.show_figures(slot, of_source, painting)

    def _colour(self) -> None:
        place = is_dark(self.palette())
        for name, curve in self._curves.items():
            colour = QColor(_COLOURS[name][place])
            curve.setPen(pg.mkPen(colour, width=LINE))
            self.lines[name].setIcon(_swatch(colour))


class _SourceCard(QFrame):
    """How one source stands, and where its frames went."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setMinimumWidth(200)
        self._title = _wrapping()
        font = self._title.font()
        font.setBold(True)
        self._title.setFont(font)
        self._state = _wrapping()
        self._frames = _wrapping()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(2)
        for label in (self._title, self._state, self._frames):
            layout.addWidget(label)

    def show_figures(self, slot: Slot, figures: SourceStats | None, painting: PaintFigures | None) -> None:
        """Show what is known of a source."""
        self.setAccessibleName(f"Figures of {slot.name}")
        _set_text(self._title, slot.name)
        state = _STATES[slot.connection] + (f": {slot.reason}" if slot.reason else "")
        if figures is None:
            _set_text(self._state, state)
            self._frames.hide()
            return
        ledger = figures.ledger
        if slot.connection is SourceState.CONNECTED:
            state += f", {figures.fps:.1f} fps"
        if figures.connections > 1:
            state += f"; connected {figures.connections} times"
        _set_text(self._state, state)
        lines = [f"{ledger.delivered:,} of {ledger.captured:,} frames delivered"]
        if dropped := sum(ledger.dropped.values()):
            lines.append(f"{dropped:,} dropped:")
            lines += [f"    {number:,} {DROPPED[cause]}" for cause, number in ledger.dropped.items() if number]
        if painting is not None and painting.skipped:
            lines.append(f"{painting.skipped:,} delivered, but skipped by the window")
        _set_text(self._frames, "\n".join(lines))
        self._frames.show()


def _value(name: str, tip: str) -> QLabel:
    label = _wrapping()
    label.setAccessibleName(name)
    label.setToolTip(tip)
    label.setMinimumWidth(100)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _scrolling(widget: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidget(widget)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area


def _wrapping() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def _line_box(name: str) -> QCheckBox:
    box = QCheckBox(name)
    box.setChecked(name not in LEFT_OUT)
    box.setIconSize(QSize(14, 14))
    box.setAccessibleName(f"Show {name} in the plot")
    box.setToolTip(f"{_TIPS[name]}. Tick it to show its line.")
    box.setIcon(_swatch(QColor(_COLOURS[name][0])))
    box.setText(f"{name} 000.0")  # as wide as it gets
    box.setMinimumWidth(box.sizeHint().width())
    box.setText(name)
    return box


def _swatch(colour: QColor) -> QIcon:
    pixmap = QPixmap(32, 32)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.fillRect(2, 12, 28, 8, colour)
    painter.end()
    return QIcon(pixmap)


def _set_text(label: QLabel | QCheckBox, text: str) -> None:
    """Only where it changes: to set a text has the whole panel laid out anew."""
    if label.text() != text:
        label.setText(text)


def _milliseconds(value: float | None) -> str:
    if value is None or math.isnan(value):
        return _NOTHING
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return _NOTHING
    return f"p50 {latency.p50:.0f}, p95 {latency.p95:.0f}, p99 {latency.p99:.0f} ms"


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _painting_dict(painting: PaintFigures) -> dict[str, Any]:
    return {
        "shown": painting.shown,
        "skipped": painting.skipped,
        "fps": painting.fps,
        "latency_ms": None if painting.latency is None else asdict(painting.latency),
        "paint_ms": painting.paint_ms,
    }
