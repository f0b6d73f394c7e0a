"""How a training went, as a picture: losses, metrics and learning rates over the epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from framehook.inference.errors import OptionError
from framehook.training.callbacks.csv_logger import read_history
from framehook.training.plots.curves import write_figure

ACROSS: Final = 3
MARKED: Final = 60
"""Epochs up to which each has a mark of its own."""


def plot_history(csv: str | Path, out: str | Path | None = None) -> Path:
    """Draw the figures of a `results.csv`.

    A panel each for the losses of a name (of training and validation), for precision and recall, for mAP50 and mAP50-95, and
    for the learning rates. Epochs that have no figure, such as those without validation, are bridged.

    Args:
        csv: What `CSVLogger` wrote.
        out: The picture, a PNG; None for `results.png` beside the table. A file of the name goes.

    Returns:
        The picture.

    Raises:
        OptionError: there is no such table, or nothing in it.
        RecordingError: it cannot be written.
    """
    csv = Path(csv)
    rows = read_history(csv)
    panels = _panels(rows)
    if not panels:
        raise OptionError(f"'{csv}' has no figures to draw; pass the results.csv of a training with one epoch at least")
    down = math.ceil(len(panels) / ACROSS)
    figure = Figure(figsize=(4 * ACROSS, 3 * down), layout="constrained")
    axes = figure.subplots(down, ACROSS, squeeze=False).flatten()
    for panel, (title, lines) in zip(axes, panels.items(), strict=False):
        _draw(panel, title, lines, rows)
    for unused in axes[len(panels) :]:
        unused.set_axis_off()
    return write_figure(csv.with_name("results.png") if out is None else Path(out), figure)


def _panels(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, str]]:
    """Title of each panel to its lines: column to label."""
    panels: dict[str, dict[str, str]] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        group, _, rest = name.partition("/")
        short = rest.removesuffix("(B)")
        if group in ("train", "val"):
            panels.setdefault(rest.replace("_", " "), {})[name] = group
        elif group == "metrics":
            panels.setdefault("mAP" if short.startswith("mAP") else "precision, recall", {})[name] = short
        elif group == "lr":
            panels.setdefault("learning rate", {})[name] = short
    return panels


def _draw(axes: Axes, title: str, lines: Mapping[str, str], rows: Sequence[Mapping[str, float]]) -> None:
    for name, label in lines.items():
        points = [(row["epoch"], row[name]) for row in rows if name in row]
        mark = "." if len(points) <= MARKED else ""
        axes.plot([x for x, _ in points], [y for _, y in points], marker=mark, linewidth=1.2, label=label)
    axes.set_title(title, fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.tick_params(labelsize=8)
    if title.startswith(("mAP", "precision")):
        axes.set_ylim(0, 1.02)
    if len(lines) > 1:
        axes.legend(fontsize=8, frameon=False)
