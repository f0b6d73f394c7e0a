"""What a training in a process of its own tells the app."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from framehook.app.child_talk import Talk
from framehook.app.session.stopping import Stopper
from framehook.training.callbacks.per_epoch import PerEpoch, losses_of

if TYPE_CHECKING:
    from framehook.training.callbacks import SamplePredictions

SECONDS_BETWEEN: Final = 0.25
"""At least, between two batches that are told of."""


class Teller(PerEpoch):
    """Tells the app how a training goes."""

    order = 200  # what others do with an epoch is done

    def __init__(self, talk: Talk, stopper: Stopper, samples: SamplePredictions) -> None:
        """Tell what happens, and which pictures `samples` has drawn."""
        self._samples = samples
        self._drawn: Path | None = None
        self._talk = talk
        self._stopper = stopper
        self._told = -math.inf
        self._began = 0.0

    def on_pretrain_routine_start(self, trainer: Any) -> None:
        self._talk.say(stage="reading the data", folder=trainer.save_dir)

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        self._talk.say(stage="getting ready", epochs=trainer.epochs, device=trainer.device)

    def begin(self, trainer: Any) -> None:
        self._began = time.monotonic()
        self._stopper.begins(trainer)

    def on_train_epoch_start(self, trainer: Any) -> None:
        self._talk.say(stage="training", epoch=trainer.epoch + 1, batch=0, batches=len(trainer.train_loader), losses={})

    def on_train_batch_end(self, trainer: Any) -> None:
        now, batches = time.monotonic(), len(trainer.train_loader)
        if now - self._told < SECONDS_BETWEEN and trainer.batch_i + 1 < batches:
            return
        self._told = now
        done = trainer.epoch - trainer.start_epoch + (trainer.batch_i + 1) / batches
        left = (now - self._began) / done * (trainer.epochs - trainer.start_epoch - done)
        self._talk.say(epoch=trainer.epoch + 1, batch=trainer.batch_i + 1, losses=losses_of(trainer), left=left)

    def on_train_epoch_end(self, trainer: Any) -> None:
        self._talk.say(stage="validating" if trainer.args.val else "saving")

    def epoch_done(self, trainer: Any, figures: Mapping[str, float]) -> None:
        self._talk.say(ended={"epoch": trainer.epoch + 1, "figures": figures})
        if self._samples.path is not None and self._samples.path != self._drawn:
            self._drawn = self._samples.path
            self._talk.say(picture=self._drawn)
        if trainer.stop or trainer.epoch + 1 == trainer.epochs:
            self._talk.say(stage="drawing curves")

    def on_model_save(self, trainer: Any) -> None:
        self._talk.say(**files_of(trainer))


def files_of(trainer: Any) -> dict[str, Any]:
    """The checkpoints of a training that are there."""
    paths: dict[str, Path] = {"best": trainer.best, "last": trainer.last}
    return {name: path for name, path in paths.items() if path.is_file()}
