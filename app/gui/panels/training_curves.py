"""The curves of a training: losses, and accuracy, over its epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QBoxLayout, QFrame, QLabel, QSizePolicy, QVBoxLayout, QWidget

from framehook.app.gui.theme import is_dark, watch
from framehook.app.session.trainings import MAP, MAP50, TRAIN, VAL, TrainingState

_COLOURS: Final = (("#1760bd", "#74aef5"), ("#b36b00", "#f2b33d"), ("#8a3fd0", "#c79bff"), ("#00857a", "#2fd0c3"))
"""Of lines, on light and on dark ground."""
_ACCURACY: Final = {MAP50: "mAP50", MAP: "mAP50-95"}
_DOTS: Final = 25
"""Epochs up to which each is marked: of one epoch alone there is no line."""
_HIGH: Final = 90


class _Line(NamedTuple):
    """One line: the key of its figures, what it is called, the number of its colour, and whether it is dashed."""

    key: str
    name: str
    colour: int
    dashed: bool = False


class TrainingCurves(QWidget):
    """Losses of training (drawn through) and of validation (dashed), and beside them the two figures of accuracy."""

    def __init__(self) -> None:
        super().__init__()
        self.losses = _Plot("Losses", "Means of each epoch: in training, and dashed those of the validation")
        self.accuracy = _Plot(
            "Accuracy", "mAP50: boxes that overlap by half count as found; mAP50-95: the mean over stricter ones"
        )
        self.accuracy.set_most(1.0)
        self._line = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._line.setContentsMargins(0, 0, 0, 0)
        self._line.setSpacing(8)
        self._line.addWidget(self.losses, 1)
        self._line.addWidget(self.accuracy, 1)

    def set_upright(self, upright: bool) -> None:
        """Have the plots stand above each other, rather than side by side."""
        self._line.setDirection(QBoxLayout.Direction.TopToBottom if upright else QBoxLayout.Direction.LeftToRight)

    def show_state(self, state: TrainingState) -> None:
        """Draw what is known so far, also of the epoch under way."""
        rows = [(float(each.epoch), each.figures) for each in state.history]
        under_way = list(rows)
        if state.losses and state.batches and (not rows or state.epoch > rows[-1][0]):
            under_way.append((state.epoch - 1 + state.batch / state.batches, state.losses))
        keys = list(dict.fromkeys(key for _, figures in under_way for key in figures if key.startswith((TRAIN, VAL))))
        names = list(dict.fromkeys(_loss_name(key) for key in keys))
        lines = [_Line(key, _loss_name(key), names.index(_loss_name(key)), key.startswith(VAL)) for key in keys]
        self.losses.show_lines(lines, under_way, state.epochs)
        accuracy = [_Line(key, name, number) for number, (key, name) in enumerate(_ACCURACY.items())]
        self.accuracy.show_lines(accuracy, rows, state.epochs)


class _Plot(QWidget):
    """A plot, and above it what its lines are and where they have got to."""

    def __init__(self, title: str, tip: str) -> None:
        super().__init__()
        self._title = title
        self._most: float | None = None
        self._curves: dict[str, pg.PlotDataItem] = {}
        self._lines: list[_Line] = []
        self._latest: dict[str, float] = {}
        self._legend = QLabel()
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._legend.setAccessibleName(title)
        self._legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._legend.setToolTip(tip)
        self._plot = plot = pg.PlotWidget()
        item = plot.getPlotItem()
        plot.setAntialiasing(False)
        plot.setMinimumSize(120, _HIGH)
        plot.setFrameShape(QFrame.Shape.NoFrame)
        plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # there is nothing to do in it
        plot.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        plot.setMouseEnabled(x=False, y=False)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setAccessibleName(title)
        plot.setToolTip(tip)
        item.getAxis("left").enableAutoSIPrefix(False)
        item.getAxis("bottom").enableAutoSIPrefix(False)
        item.getAxis("left").setWidth(34)
        item.layout.setContentsMargins(0, 4, 10, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._legend)
        column.addWidget(plot, 1)
        watch(self, self._colour)

    def set_most(self, most: float) -> None:
        """Have the axis go up to this, always."""
        self._most = most

    def show_lines(self, lines: list[_Line], rows: list[tuple[float, Mapping[str, float]]], epochs: int) -> None:
        """Draw lines through rows of (epoch, figures by key)."""
        if lines != self._lines:
            self._lines = lines
            for curve in self._curves.values():
                self._plot.removeItem(curve)
            self._curves = {line.key: self._plot.plot([], []) for line in lines}
            self._colour()
        highest = 0.0
        self._latest = {}
        for line in lines:
            points = [(x, figures[line.key]) for x, figures in rows if math.isfinite(figures.get(line.key, math.nan))]
            curve = self._curves[line.key]
            curve.setData([x for x, _ in points], [y for _, y in points])
            curve.setSymbol("o" if len(points) <= _DOTS else None)
            if points:
                highest = max(highest, *(y for _, y in points))
                self._latest.setdefault(line.name, points[-1][1])
        self._plot.setYRange(0, self._most or highest * 1.05 or 1.0, padding=0)
        self._plot.setXRange(0, max(epochs, rows[-1][0] if rows else 0, 1), padding=0)
        self._tell()

    def _tell(self) -> None:
        parts = [f"<b>{self._title}</b>"] if self._most is None else []  # else its lines say what they are
        spoken = []
        for line in self._lines:
            if line.dashed:
                continue
            value = f" {self._latest[line.name]:.3f}" if line.name in self._latest else ""
            parts.append(f"<span style='color:{self._colour_of(line).name()}'>■</span>&nbsp;{line.name}")
            spoken.append(f"{line.name}{value}")
        text = "&ensp;".join(parts)
        if text != self._legend.text():
            self._legend.setText(text)
        self._legend.setAccessibleDescription(", ".join(spoken))

    def _colour_of(self, line: _Line) -> QColor:
        return QColor(_COLOURS[line.colour % len(_COLOURS)][is_dark(self.palette())])

    def _colour(self) -> None:
        palette = self.palette()
        self._plot.setBackground(palette.color(QPalette.ColorRole.Base))
        item = self._plot.getPlotItem()
        for name in ("left", "bottom"):
            axis = item.getAxis(name)
            axis.setTextPen(palette.color(QPalette.ColorRole.Text))
            axis.setPen(palette.color(QPalette.ColorRole.Mid))
        item.showGrid(y=True, alpha=0.15)
        for line in self._lines:
            curve, colour = self._curves[line.key], self._colour_of(line)
            curve.setPen(pg.mkPen(colour, width=1, style=Qt.PenStyle.DashLine if line.dashed else Qt.PenStyle.SolidLine))
            curve.setSymbolSize(4)
            curve.setSymbolPen(pg.mkPen(colour))
            curve.setSymbolBrush(pg.mkBrush(colour))
        self._tell()


def _loss_name(key: str) -> str:
    """`box` of `train/box_loss`."""
    return key.partition("/")[2].removesuffix("_loss")
