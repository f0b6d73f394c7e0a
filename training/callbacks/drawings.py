"""The pictures that a training leaves: what it was shown, what it found, and how it went."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.base import Callback
from framehook.inference.saving import write_picture
from framehook.inference.sources.image import decode_image
from framehook.training.batches import ValBatch
from framehook.training.plots.pictures import LabelledPicture, tile
from framehook.training.plots.val_batches import draw_batch

if TYPE_CHECKING:
    from framehook.training.confusion import ConfusionMatrix
    from framehook.training.metrics import DetectionMetrics
    from framehook.training.trainer import Trainer
    from framehook.training.validator import Validator

DRAWN: Final = 3
"""Batches, the first, that are drawn."""
_MOST: Final = 16


class Drawings(Callback):
    """Draws the first batches of a training as the network sees them and, at its end, how it went.

    That is what the best epoch found in the first batches of its validation, its curves and confusion matrix, and losses and
    metrics over the epochs. A trainer adds it itself.
    """

    order: ClassVar[int] = 110  # after the table of figures was written
    foreground_only: ClassVar[bool] = True

    def __init__(self) -> None:
        self._seen: list[tuple[ValBatch, list[Boxes]]] = []
        self._best: tuple[list[tuple[ValBatch, list[Boxes]]], DetectionMetrics, ConfusionMatrix] | None = None

    def on_train_batch_end(self, trainer: Trainer) -> None:
        """Draw a batch with its labels."""
        batch, number = trainer.batch, trainer.batch_i
        if trainer.epoch > trainer.start_epoch or number >= DRAWN or batch is None:
            return
        picture, cls, xyxy = (each.cpu().numpy() for each in batch.targets)
        images = batch.images[:_MOST, [2, 1, 0]].permute(0, 2, 3, 1).contiguous().cpu().numpy()
        drawn = [
            LabelledPicture(image, xyxy[picture == place], cls[picture == place], None, Path(batch.paths[place]).name)
            for place, image in enumerate(images)
        ]
        write_picture(trainer.save_dir / f"train_batch{number}.jpg", tile(drawn, trainer.data.names), overwrite=True)

    def on_val_start(self, validator: Validator) -> None:
        """Forget what was found before."""
        self._seen = []

    def on_val_batch_end(self, validator: Validator) -> None:
        """Keep what was found in the first batches."""
        if validator.batch is not None and len(self._seen) < DRAWN:
            batch = validator.batch
            # Without the pictures, which are read again at the end: they may be large.
            kept = ValBatch(batch.paths[:_MOST], [], batch.samples[:_MOST])
            self._seen.append((kept, validator.preds[:_MOST]))

    def on_fit_epoch_end(self, trainer: Trainer) -> None:
        """Keep what the best epoch found."""
        validator = trainer.validator
        if trainer.is_best and validator is not None and validator.metrics is not None:
            self._best = self._seen, validator.metrics, validator.confusion_matrix.copy()

    def on_train_end(self, trainer: Trainer) -> None:
        """Draw all of it; Matplotlib is slow to import, and not needed before."""
        from framehook.training.plots.curves import draw_confusion, draw_curves
        from framehook.training.plots.history import plot_history

        folder = trainer.save_dir
        if self._best is not None:
            seen, metrics, confusion = self._best
            for number, (batch, found) in enumerate(seen):
                images = [image for path in batch.paths if (image := decode_image(path)) is not None]
                if len(images) == len(batch.paths):
                    draw_batch(folder, number, ValBatch(batch.paths, images, batch.samples), found, trainer.data.names)
            draw_curves(folder, metrics)
            draw_confusion(folder, confusion)
        if trainer.csv.is_file():
            plot_history(trainer.csv, folder / "results.png")
