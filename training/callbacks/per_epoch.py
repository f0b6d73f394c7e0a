"""The figures of each epoch, for callbacks that keep them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from framehook.inference.callbacks.base import Callback

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer
    from framehook.training.validator import Validator


class PerEpoch(Callback):
    """Is given the figures of every epoch: of training, of validation where the epoch had one, and the learning rates.

    Where not every epoch is validated, `trainer.metrics` keeps the last figures there were. They belong to another epoch, and
    are not given a second time.

    Attributes:
        validated: Whether the epoch that is over was validated, so that `trainer.metrics` and `trainer.fitness` are its own.
    """

    foreground_only: ClassVar[bool] = True

    validated: bool = False

    def on_train_start(self, trainer: Trainer) -> None:
        self.validated = False
        self.begin(trainer)

    def on_val_end(self, validator: Validator) -> None:
        self.validated = validator.training and validator.error is None

    def on_fit_epoch_end(self, trainer: Trainer) -> None:
        try:
            self.epoch_done(trainer, figures_of(trainer, validated=self.validated))
        finally:
            self.validated = False

    def begin(self, trainer: Trainer) -> None:
        """A training began, or goes on from an epoch other than the first."""

    def epoch_done(self, trainer: Trainer, figures: Mapping[str, float]) -> None:
        """An epoch is over; `figures` are by the names the field knows them, `train/box_loss` and the like."""
        raise NotImplementedError


def figures_of(trainer: Any, *, validated: bool) -> dict[str, float]:
    """The figures of the epoch under way, in the order they are to be shown in.

    Args:
        trainer: The trainer, or a snapshot of it.
        validated: Whether `trainer.metrics` are of this epoch; they are left out otherwise.
    """
    figures = losses_of(trainer)
    if validated:
        figures |= {name: value for name, value in trainer.metrics.items() if name != "fitness"}
    figures |= trainer.lr
    return {name: float(figures[name]) for name in in_order(figures)}


def losses_of(trainer: Any) -> dict[str, float]:
    """The losses of training, as means over the epoch so far; none before the first batch that has one."""
    return {} if trainer.tloss is None else dict(trainer.label_loss_items(trainer.tloss, prefix="train"))


def in_order(names: Iterable[str]) -> list[str]:
    """Names of figures: losses of training, metrics, losses of validation, others, learning rates; as they came within each."""
    ranks = {"train": 0, "metrics": 1, "val": 2, "lr": 4}
    return sorted(names, key=lambda name: ranks.get(name.partition("/")[0], 3))


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """Those that can be drawn, and that trackers take."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}
