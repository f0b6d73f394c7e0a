"""An end to trainings that get no better."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from framehook.inference.callbacks.base import Callback
from framehook.inference.errors import OptionError, did_you_mean
from framehook.inference.ranges import is_number, is_whole
from framehook.training.callbacks.per_epoch import figures_of

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer

log = logging.getLogger("framehook")

Mode: TypeAlias = Literal["auto", "min", "max"]


class EarlyStopping(Callback):
    """Ends the training once a figure has not become better for some epochs.

    What the option `patience` does for the fitness, this does for any figure of an epoch: `fitness`, a key of
    `trainer.metrics`, one of `trainer.label_loss_items()`. A figure that is no number (NaN) is no better. Where not every
    epoch is validated, those that are not count as epochs without anything better, as they do for `patience`.

    A training that is resumed starts with its patience afresh, and, for the fitness, from the best there was.

    Attributes:
        best: The best figure so far, None before the first.
        best_epoch: The epoch of it, counted from 0; the one before the first where a training was resumed.
        stopped_epoch: The epoch after which training was ended, None if it was not.
    """

    order: ClassVar[int] = 50  # after users' own, which may change figures, and before those that write them
    foreground_only: ClassVar[bool] = True

    def __init__(self, monitor: str = "fitness", *, patience: int = 10, min_delta: float = 0.0, mode: Mode = "auto") -> None:
        """Choose what ends the training.

        Args:
            monitor: Name of the figure.
            patience: Epochs without anything better after which training ends, 1 at least.
            min_delta: What the figure has to be better by, to be better.
            mode: Whether less (`min`) or more (`max`) is better; `auto` takes less of what is called a loss, more of the rest.

        Raises:
            OptionError: a value that is not possible.
        """
        if not monitor:
            raise OptionError(f"monitor={monitor!r} is no figure; pass a name such as 'fitness' or 'metrics/mAP50(B)'")
        if not is_whole(patience, 1):
            raise OptionError(f"patience={patience!r} is not possible; pass a whole number of epochs from 1")
        if not is_number(min_delta, 0):
            raise OptionError(f"min_delta={min_delta!r} is not possible; pass a number from 0")
        if mode not in ("auto", "min", "max"):
            raise OptionError(f"mode={mode!r} is unknown; pass 'auto', 'min' or 'max'")
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self._sign = -1.0 if mode == "min" or (mode == "auto" and "loss" in monitor) else 1.0
        self.best: float | None = None
        self.best_epoch = -1
        self.stopped_epoch: int | None = None

    def on_train_start(self, trainer: Trainer) -> None:
        self.best = trainer.best_fitness if self.monitor == "fitness" else None
        self.best_epoch = trainer.start_epoch - 1
        self.stopped_epoch = None
        if not trainer.args.val and not self.monitor.startswith(("train/", "lr/")):
            raise OptionError(f"'{self.monitor}' needs validation, which is off; pass val=True, or monitor a train/ loss")

    def on_fit_epoch_end(self, trainer: Trainer) -> None:
        figure = self._figure(trainer)
        if figure is not None and self._is_better(figure):
            self.best, self.best_epoch = figure, trainer.epoch
        elif trainer.epoch - self.best_epoch >= self.patience and not trainer.stop:
            trainer.stop = True
            self.stopped_epoch = trainer.epoch
            told = "no figure yet" if self.best is None else f"the best was {self.best:.5g}, of epoch {self.best_epoch + 1}"
            log.info("training ends: %s has not become better for %d epochs; %s", self.monitor, self.patience, told)

    def _is_better(self, figure: float) -> bool:
        if not math.isfinite(figure):
            return False
        return self.best is None or self._sign * (figure - self.best) > self.min_delta

    def _figure(self, trainer: Any) -> float | None:
        """The figure now; None where there is none yet, or none of this epoch.

        Raises:
            OptionError: there never will be.
        """
        if self.monitor == "fitness":
            return None if trainer.fitness is None else float(trainer.fitness)
        figures: Mapping[str, float] = figures_of(trainer, validated=True)
        if self.monitor in figures:
            return figures[self.monitor]
        losses = list(trainer.label_loss_items())
        if self.monitor in losses:
            return None  # no batch of the epoch could be used
        if trainer.metrics or self.monitor.startswith(("train/", "lr/")):
            known = list(dict.fromkeys(["fitness", *losses, *figures]))
            near = did_you_mean(self.monitor, known) or f" There are {', '.join(known)}."
            raise OptionError(f"monitor='{self.monitor}' is no figure of this training.{near}")
        return None
