"""The panel of how fast it goes: rates, latency, where the time of a frame goes, and where every frame went."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPalette, QPixmap, QResizeEvent, QShowEvent
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
_WIDE: Final = 860
"""Pixels of width from which on the parts stand side by side."""
_NOTHING: Final = "-"
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
        self.plot = pg.PlotWidget()
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
        plot, item = self.plot, self.plot.getPlotItem()
        plot.setAntialiasing(False)  # smooth lines take five times as long
        plot.setMinimumHeight(100)
        plot.setMaximumHeight(400)
        plot.setMinimumWidth(160)
        plot.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        plot.setFrameShape(QFrame.Shape.NoFrame)
        plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # there is nothing to do in it
        plot.setMouseEnabled(x=False, y=False)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setAccessibleName("Time per stage")
        plot.setToolTip("Milliseconds of a frame in each stage, over the last minute")
        plot.setXRange(-SPAN, 0, padding=0)
        item.getAxis("bottom").setTicks([[(-60, "60 s ago"), (-40, "40 s"), (-20, "20 s"), (0, "now")]])
        item.getAxis("left").enableAutoSIPrefix(False)
        item.getAxis("left").setWidth(34)
        item.getAxis("bottom").setStyle(hideOverlappingLabels=False)
        item.layout.setContentsMargins(0, 8, 20, 2)
        self._colour()

    def _lay_out(self) -> None:
        facts = self._facts = QGridLayout()
        facts.setColumnStretch(1, 1)
        for row, value in enumerate((self.rate, self.latency, self.network)):
            title = QLabel(value.accessibleName())
            title.setToolTip(value.toolTip())
            facts.addWidget(title, row, 0, Qt.AlignmentFlag.AlignTop)
            facts.addWidget(value, row, 1)
        facts.addWidget(self.copy_button, 3, 0, 1, 2, Qt.AlignmentFlag.AlignLeft)
        facts.setRowStretch(4, 1)
        facts.setVerticalSpacing(3)
        plot = QVBoxLayout()
        heading = QLabel("Milliseconds per stage")
        heading.setToolTip(self.plot.toolTip())
        heading.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        plot.addWidget(heading)
        plot.addWidget(self.plot, stretch=1)
        legend = self._legend = QGridLayout()
        legend.setSpacing(2)
        legend.setRowStretch(len(LINES), 1)
        cards = QWidget()
        cards.setLayout(self._sources)
        self._sources.setContentsMargins(0, 0, 0, 0)
        self._sources.addStretch()
        sources = _scrolling(cards)
        sources.setMinimumSize(226, 90)
        sources.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        inner = QWidget()
        self._parts = QBoxLayout(QBoxLayout.Direction.TopToBottom, inner)
        self._parts.setContentsMargins(6, 6, 6, 6)
        self._parts.setSpacing(10)
        for part in (facts, plot, legend):
            self._parts.addLayout(part)
        self._parts.addWidget(sources)
        self._wide = False
        self._arrange()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(_scrolling(inner))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        wide = self.width() >= _WIDE
        if wide != self._wide:
            self._wide = wide
            self._arrange()

    def _arrange(self) -> None:
        """Below the picture there is width to fill, beside it height; what is to spare is for the plot, mostly."""
        wide = self._wide
        self._parts.setDirection(QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom)
        for part, stretch in enumerate((0, 5, 0, 1) if wide else (0, 2, 0, 1)):
            self._parts.setStretch(part, stretch)
        metrics = self.rate.fontMetrics()
        widest = max(metrics.horizontalAdvance(text) for text in _WIDEST)
        self._facts.setColumnMinimumWidth(1, widest + 4 if wide else 0)
        columns = 1 if wide else 2
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
        if event is not None and event.type() == QEvent.Type.PaletteChange and hasattr(self, "_curves"):
            self._colour()

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
        highest = 0.0
        for column, (name, box) in enumerate(self.lines.items(), 1):
            values = moments[:, column]
            _set_text(box, f"{name} {values[-1]:.1f}" if math.isfinite(values[-1]) else name)
            if box.isChecked():
                self._curves[name].setData(moments[:, 0], values, connect="finite")
                highest = max(highest, float(np.nanmax(values, initial=0)))
        # Steps, so that the axis does not tremble; and a range of our own, since looking for one costs as much as the drawing.
        self.plot.setYRange(0, _step_above(highest), padding=0)

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
        palette, place = self.palette(), is_dark(self.palette())
        ink = palette.color(QPalette.ColorRole.Text)
        self.plot.setBackground(palette.color(QPalette.ColorRole.Base))
        item = self.plot.getPlotItem()
        for name in ("left", "bottom"):
            axis = item.getAxis(name)
            axis.setTextPen(ink)
            axis.setPen(palette.color(QPalette.ColorRole.Mid))
        item.showGrid(y=True, alpha=0.15)
        for name, curve in self._curves.items():
            colour = QColor(_COLOURS[name][place])
            curve.setPen(pg.mkPen(colour, width=1))
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
    label.setMinimumWidth(170)
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
    box.setChecked(True)
    box.setIconSize(QSize(14, 14))
    box.setAccessibleName(f"Show {name} in the plot")
    box.setToolTip(f"{_TIPS[name]}. Untick it to leave its line out.")
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


def _step_above(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 ... above a value."""
    if value <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _painting_dict(painting: PaintFigures) -> dict[str, Any]:
    return {
        "shown": painting.shown,
        "skipped": painting.skipped,
        "fps": painting.fps,
        "latency_ms": None if painting.latency is None else asdict(painting.latency),
        "paint_ms": painting.paint_ms,
    }
