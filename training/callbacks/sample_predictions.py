"""What the network finds in some pictures, epoch by epoch."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from framehook.inference.callbacks.base import Callback
from framehook.inference.errors import OptionError, RecordingError
from framehook.inference.ranges import is_number, is_whole
from framehook.inference.saving import write_picture
from framehook.training.plots.pictures import LabelledPicture, tile

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer
    from framehook.training.validator import Validator

log = logging.getLogger("framehook")


class SamplePredictions(Callback):
    """Writes a picture of what is found in some of the pictures that are validated on: `samples/epoch1.jpg` and so on.

    They are the same in each epoch, spread evenly over the split, so that one sees the network learn. It is the averaged
    network that finds them, as in all validation. If a picture cannot be written, that is logged once, and training goes on.

    Attributes:
        path: The picture that was written last, or None.
    """

    order: ClassVar[int] = 100
    foreground_only: ClassVar[bool] = True

    def __init__(self, count: int = 8, *, every: int = 1, conf: float = 0.25, side: int = 320) -> None:
        """Choose what is drawn.

        Args:
            count: Pictures.
            every: Validations from one to the next; the last has one in any case.
            conf: What is found with less confidence is not drawn.
            side: Side in pixels of the square each picture is fitted into.

        Raises:
            OptionError: a value out of range.
        """
        if not is_whole(count, 1, 256):
            raise OptionError(f"count={count!r} is out of range; pass a whole number from 1 to 256")
        if not is_whole(every, 1):
            raise OptionError(f"every={every!r} is out of range; pass a whole number from 1")
        if not is_number(conf, 0, 1):
            raise OptionError(f"conf={conf!r} is out of range; pass a number from 0 to 1")
        if not is_whole(side, 64, 4096):
            raise OptionError(f"side={side!r} is out of range; pass a whole number from 64 to 4096")
        self.path: Path | None = None
        self._count = count
        self._every = every
        self._conf = conf
        self._side = side
        self._told = False
        self._wanted: frozenset[Path] = frozenset()
        self._found: list[LabelledPicture] = []
        self._drawn: tuple[int, npt.NDArray[np.uint8]] | None = None

    def on_train_start(self, trainer: Trainer) -> None:
        self.path, self._told, self._found, self._drawn = None, False, [], None

    def on_val_start(self, validator: Validator) -> None:
        self._found = []
        samples = validator.dataloader.samples
        chosen = np.linspace(0, len(samples) - 1, min(self._count, len(samples))).round().astype(int)
        self._wanted = frozenset(samples[number].path for number in chosen) if validator.training else frozenset()

    def on_val_batch_end(self, validator: Validator) -> None:
        if not self._wanted or validator.batch is None:
            return
        for path, image, boxes in zip(validator.batch.paths, validator.batch.images, validator.preds, strict=True):
            if path in self._wanted:
                sure = boxes[boxes.conf >= self._conf]
                self._found.append(LabelledPicture(image, sure.xyxy, sure.cls, sure.conf, path.name))

    def on_fit_epoch_end(self, trainer: Trainer) -> None:
        found, self._found = self._found, []
        if not found:
            return
        epoch = trainer.epoch + 1
        self._drawn = epoch, tile(found, trainer.data.names, side=self._side)
        # By the epoch rather than counted, so that a training that is resumed keeps step.
        if epoch // trainer.args.val_period % self._every == 0:
            self._write(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        # Which epoch is the last may be decided after it was validated.
        self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        """Write what was found last, unless it was written."""
        if self._drawn is None:
            return
        (epoch, drawn), self._drawn = self._drawn, None
        try:
            self.path = write_picture(trainer.save_dir / "samples" / f"epoch{epoch}.jpg", drawn, overwrite=True)
        except RecordingError as error:
            if not self._told:
                log.warning("%s; the training goes on without these pictures", error)
            self._told = True
