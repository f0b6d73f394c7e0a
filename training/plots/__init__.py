"""Pictures of what a training sees and comes to. This is their table of contents.

pictures     labelled pictures side by side in one
val_batches  a batch of a validation, as it is labelled and as it was found
curves       precision, recall and F1, and the confusion matrix
history      losses and metrics over the epochs
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from framehook.training.plots.curves import draw_confusion, draw_curves
    from framehook.training.plots.history import plot_history
    from framehook.training.plots.pictures import LabelledPicture, tile
    from framehook.training.plots.val_batches import draw_batch

__all__ = ["LabelledPicture", "tile", "draw_batch", "draw_curves", "draw_confusion", "plot_history"]

# Imported on first use: Matplotlib is slow to import.
_HOMES = {
    "LabelledPicture": "framehook.training.plots.pictures",
    "tile": "framehook.training.plots.pictures",
    "draw_batch": "framehook.training.plots.val_batches",
    "draw_curves": "framehook.training.plots.curves",
    "draw_confusion": "framehook.training.plots.curves",
    "plot_history": "framehook.training.plots.history",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
