"""What a validation saw: a batch as it is labelled, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from framehook.inference.boxes import Boxes
from framehook.inference.saving import write_picture
from framehook.training.batches import ValBatch
from framehook.training.plots.pictures import LabelledPicture, tile

CONF: Final = 0.25
"""Boxes that score less are not drawn; there are hundreds in a picture when all are measured."""
_MOST: Final = 16


def draw_batch(
    folder: Path, number: int, batch: ValBatch, found: Sequence[Boxes], names: Mapping[int, str]
) -> tuple[Path, Path]:
    """Write `val_batch0_labels.jpg` and `val_batch0_pred.jpg` of a batch, of its first sixteen pictures; files of the name go.

    Raises:
        RecordingError: they cannot be written.
    """
    known = list(zip(batch.paths, batch.images, batch.samples, strict=True))[:_MOST]
    labels = [LabelledPicture(image, each.xyxy, each.cls, None, path.name) for path, image, each in known]
    there = tile(labels, names)
    drawn = [
        LabelledPicture(image, boxes.xyxy[sure], boxes.cls[sure], boxes.conf[sure], path.name)
        for (path, image, _), boxes in zip(known, found, strict=False)
        for sure in [boxes.conf >= CONF]
    ]
    return (
        write_picture(folder / f"val_batch{number}_labels.jpg", there, overwrite=True),
        write_picture(folder / f"val_batch{number}_pred.jpg", tile(drawn, names), overwrite=True),
    )
