"""The curves that precision, recall and F1 are read from, and the confusion matrix, as pictures."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from framehook.inference.errors import RecordingError
from framehook.inference.saving import way_out
from framehook.training.confusion import CONF, ConfusionMatrix
from framehook.training.metrics import DetectionMetrics, FloatArray

CURVES: Final = ("PR_curve.png", "F1_curve.png", "P_curve.png", "R_curve.png")
CONFUSION: Final = ("confusion_matrix.png", "confusion_matrix_normalized.png")
_NAMED: Final = 12
"""Classes that are told apart by colour; of more the lines are grey, and only their mean is named."""
_WRITTEN: Final = 30
"""Rows of a confusion matrix whose numbers can be read."""
_LONGEST: Final = 24
_NO_GLYPH: Final = r"Glyph \d+ .*missing from|Matplotlib currently does not support"


def draw_curves(folder: Path, metrics: DetectionMetrics) -> list[Path]:
    """Write `PR_curve.png`, `F1_curve.png`, `P_curve.png` and `R_curve.png`; files of the name go.

    Returns:
        The files; none where there are no objects, and nothing to draw.

    Raises:
        RecordingError: they cannot be written.
    """
    if not metrics.per_class:
        return []
    curves, per_class = metrics.curves, metrics.per_class
    names = [each.name for each in per_class]
    precise = [f"{each.name} {each.map50:.3f}" for each in per_class]
    at = f"best at {metrics.confidence:.3f}"
    x = curves.confidence
    figures = (
        _lines(
            curves.recall_levels, curves.precision_at, precise, f"all classes, mAP50 {metrics.map50:.3f}", "recall", "precision"
        ),
        _lines(x, curves.f1, names, f"all classes, {at}", "confidence", "F1", mark=metrics.confidence),
        _lines(x, curves.precision, names, "all classes", "confidence", "precision", mark=metrics.confidence),
        _lines(x, curves.recall, names, "all classes", "confidence", "recall", mark=metrics.confidence),
    )
    return [write_figure(folder / name, figure) for name, figure in zip(CURVES, figures, strict=True)]


def draw_confusion(folder: Path, confusion: ConfusionMatrix) -> list[Path]:
    """Write `confusion_matrix.png`, of counts, and `confusion_matrix_normalized.png`, of shares; files of the name go.

    Raises:
        RecordingError: they cannot be written.
    """
    counts = _matrix(confusion.matrix, confusion.labels, "boxes and objects", "{:d}")
    shares = _matrix(confusion.shares(), confusion.labels, "share of what is there", "{:.2f}")
    return [write_figure(folder / name, figure) for name, figure in zip(CONFUSION, (counts, shares), strict=True)]


def write_figure(path: Path, figure: Figure) -> Path:
    """Write a figure as a PNG: as a whole, or not at all.

    Raises:
        RecordingError: it cannot be written; what was there stays.
    """
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        # Its font lacks most of the world's letters; a name is then drawn as boxes.
        warnings.filterwarnings("ignore", _NO_GLYPH, UserWarning)
        # A canvas of its own: nothing of Matplotlib's global state is touched, nor any window system.
        FigureCanvasAgg(figure).print_figure(drawn, format="png", dpi=120)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(drawn.getvalue())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise RecordingError(f"{path} cannot be written: {error.strerror or error}{way_out(error)}") from error
    return path


def _lines(
    x: FloatArray, rows: FloatArray, names: Iterable[str], mean: str, across: str, up: str, *, mark: float | None = None
) -> Figure:
    """A line for each class, and a thick one for their mean."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes: Any = figure.add_subplot()
    few = len(rows) <= _NAMED
    for name, row in zip(names, rows, strict=True):
        axes.plot(x, row, linewidth=1, color=None if few else "0.8", label=_plain(name) if few else None)
    known = np.count_nonzero(~np.isnan(rows), axis=0)
    middle = np.divide(np.nansum(rows, axis=0), known, out=np.full(len(x), np.nan), where=known > 0)
    axes.plot(x, middle, linewidth=2.5, color="#1f4fd8", label=_plain(mean, _LONGEST * 2))
    if mark is not None:
        axes.axvline(mark, linewidth=1, linestyle=":", color="0.4")
    axes.set(xlabel=across, ylabel=up, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(visible=True, color="0.93")
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    return figure


def _matrix(values: Any, labels: tuple[str, ...], said: str, form: str) -> Figure:
    """What was found in rows, what is there in columns; the corner of neither and neither is left empty."""
    count, names = len(labels), [_plain(label) for label in labels]
    many = count > _WRITTEN
    side = min(3 + 0.16 * count, 30) if many else max(6.0, 3 + 0.34 * count)
    figure = Figure(figsize=(side + 1, side), layout=None if many else "constrained")
    if many:  # the layout engine takes seconds over so many names
        room = 0.8 + 0.06 * max(map(len, names))
        figure.subplots_adjust(left=room / (side + 1), bottom=room / side, right=0.96, top=0.98)
    axes: Any = figure.add_subplot()
    shown = np.where(values > 0, values.astype(np.float64), np.nan)
    top = float(np.nanmax(shown)) if (values > 0).any() else 1.0
    image = axes.imshow(shown, cmap="Blues", vmin=0, vmax=top)
    figure.colorbar(image, ax=axes, label=said, shrink=0.8, fraction=0.05, pad=0.02)
    small = "xx-small" if many else "small"
    axes.set_xticks(range(count), names, rotation=90 if count > 5 else 0, fontsize=small)
    axes.set_yticks(range(count), names, fontsize=small)
    axes.set(xlabel="what is there", ylabel=f"what was found, from a score of {CONF:g} on")
    if not many:
        for row, column in np.argwhere(values > 0):
            value = values[row, column]
            colour = "white" if value > 0.6 * top else "black"
            axes.text(column, row, form.format(value), ha="center", va="center", fontsize="small", color=colour)
    return figure


def _plain(name: str, longest: int = _LONGEST) -> str:
    """A name as Matplotlib writes it: short, without what it takes for formulas, and never hidden from the legend."""
    short = name if len(name) <= longest else f"{name[: longest - 1]}…"
    escaped = short.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped
