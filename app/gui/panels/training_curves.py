"""The curves of a training: losses, and accuracy, over its epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from framehook.app.gui.panels.plot import LINE, Plot, Ticks, round_steps
from framehook.app.gui.theme import is_dark, watch
from framehook.app.session.trainings import MAP, MAP50, TRAIN, VAL, TrainingState

_COLOURS: Final = (("#1760bd", "#74aef5"), ("#b36b00", "#f2b33d"), ("#8a3fd0", "#c79bff"), ("#00857a", "#2fd0c3"))
"""Of lines, on light and on dark ground."""
_ACCURACY: Final = {MAP50: "mAP50", MAP: "mAP50-95"}
_DOTS: Final = 25
"""Epochs up to which each is marked: of one epoch alone there is no line."""
_HIGH: Final = 60


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
            "Accuracy",
            "mAP50: boxes that overlap by half count as found; mAP50-95: the mean over stricter ones",
            measure="mAP",
        )
        self.accuracy.set_most(1.0)
        self._line = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._line.setContentsMargins(0, 0, 0, 0)
        self._line.setSpacing(8)
        self._line.addWidget(self.losses, 1)
        self._line.addWidget(self.accuracy, 1)
        self.show_state(TrainingState())

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
    """A plot, and above it what it shows, what its lines are and where they have got to."""

    def __init__(self, title: str, tip: str, *, measure: str = "") -> None:
        """A plot without lines.

        Args:
            title: What it shows.
            tip: What its lines are.
            measure: What the names of all lines begin with, which is said once, above them.
        """
        super().__init__()
        self._measure = measure
        self._most: float | None = None
        self._curves: dict[str, pg.PlotDataItem] = {}
        self._lines: list[_Line] = []
        self._latest: dict[str, float] = {}
        heading = QLabel(f"<b>{title}</b> {measure}")
        self._legend = QLabel()
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._legend.setAccessibleName(title)
        for label in (heading, self._legend):
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            label.setToolTip(tip)
        self.plot = Plot(title, tip, widest="0.0", high=_HIGH)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(heading)
        column.addWidget(self._legend)
        column.addWidget(self.plot, 1)
        watch(self, self._colour)

    def set_most(self, most: float) -> None:
        """Have the axis go up to this, always."""
        self._most = most

    def show_lines(self, lines: list[_Line], rows: list[tuple[float, Mapping[str, float]]], epochs: int) -> None:
        """Draw lines through rows of (epoch, figures by key)."""
        if lines != self._lines:
            self._lines = lines
            for curve in self._curves.values():
                self.plot.removeItem(curve)
            self._curves = {line.key: self.plot.plot([], []) for line in lines}
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
        most = self._most or highest * 1.05 or 1.0
        self.plot.set_left(0, most, partial(round_steps, most))
        last = max(epochs, math.ceil(rows[-1][0]) if rows else 0)
        self.plot.set_bottom(0, max(last, 1), partial(_epochs, last))
        self._tell()

    def _tell(self) -> None:
        parts, spoken = [], []
        for line in self._lines:
            if line.dashed:
                continue
            value = f" {self._latest[line.name]:.3f}" if line.name in self._latest else ""
            short = line.name.removeprefix(self._measure)
            parts.append(f"<span style='color:{self._colour_of(line).name()}'>■</span>&nbsp;{short}")
            spoken.append(f"{line.name}{value}")
        text = "&ensp;".join(parts) or "&nbsp;"  # as high as with lines
        if text != self._legend.text():
            self._legend.setText(text)
        self._legend.setAccessibleDescription(", ".join(spoken))

    def _colour_of(self, line: _Line) -> QColor:
        return QColor(_COLOURS[line.colour % len(_COLOURS)][is_dark(self.palette())])

    def _colour(self) -> None:
        for line in self._lines:
            curve, colour = self._curves[line.key], self._colour_of(line)
            curve.setPen(pg.mkPen(colour, width=LINE, style=Qt.PenStyle.DashLine if line.dashed else Qt.PenStyle.SolidLine))
            curve.setSymbolSize(5)
            curve.setSymbolPen(pg.mkPen(colour))
            curve.setSymbolBrush(pg.mkBrush(colour))
        self._tell()


def _epochs(last: int, most: int) -> Ticks:
    """What it is that goes to the right, the last epoch, and others between."""
    if not last:
        return [(0, "epoch")]
    between = [(value, text) for value, text in round_steps(last, most) if value and value.is_integer()]
    return [(0, "epoch"), (last, str(last)), *between]


def _loss_name(key: str) -> str:
    """`box` of `train/box_loss`."""
    return key.partition("/")[2].removesuffix("_loss")
