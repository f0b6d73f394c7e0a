"""What trackers of experiments have in common: whatever becomes of them, the training goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from framehook.inference.callbacks.registry import error_text
from framehook.inference.errors import MissingDependencyError
from framehook.inference.saving import way_out
from framehook.training.callbacks.per_epoch import PerEpoch, finite

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer

log = logging.getLogger("framehook")

PICTURES = (".jpg", ".png")


class Tracker(PerEpoch):
    """Writes the options, the figures of every epoch and, in the end, files of a training to where experiments are compared.

    Figures have the number of their epoch, counted from 1 as in `results.csv`, as their step. A training that is resumed goes
    on where it was. If anything fails (a full disk, a server that is gone), that is logged once, and the training goes on.
    """

    order: ClassVar[int] = 100
    name: ClassVar[str] = ""

    def __init__(self) -> None:
        self._told = False
        self._open = False

    def begin(self, trainer: Trainer) -> None:
        self._told = False
        self._open = self._attempt(lambda: self.open(trainer))

    def epoch_done(self, trainer: Trainer, figures: Mapping[str, float]) -> None:
        fitness = {"fitness": float(trainer.fitness)} if self.validated and trainer.fitness is not None else {}
        known = finite({**figures, **fitness, "epoch_time": float(trainer.epoch_time or 0.0)})
        if self._open:
            self._attempt(lambda: self.log(trainer.epoch + 1, known))

    def teardown(self, trainer: Trainer) -> None:
        was_open, self._open = self._open, False
        if was_open:
            self._attempt(lambda: self.close(trainer))

    def open(self, trainer: Trainer) -> None:
        """Begin, or go on with what a resumed training began. Where it fails nothing else is called."""
        raise NotImplementedError

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of an epoch, all of them finite."""
        raise NotImplementedError

    def close(self, trainer: Trainer) -> None:
        """The training is over: `trainer.error` tells how, and all its files are there."""
        raise NotImplementedError

    def _attempt(self, do: Callable[[], None]) -> bool:
        """Do it; returns whether it could be done."""
        try:
            do()
        except Exception as error:
            log.debug("%s failed", self.name, exc_info=True)
            self.tell(error)
            return False
        return True

    def tell(self, error: BaseException) -> None:
        """Log that something failed, if it is the first time in this training."""
        if not self._told:
            self._told = True
            text = (error.strerror if isinstance(error, OSError) else None) or error_text(error)[:300] or type(error).__name__
            log.warning("%s cannot be logged to: %s%s; the training goes on without it", self.name, text, way_out(error))


def required(module: str, what: str, extra: str) -> Any:
    """Import a module that an extra installs.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"{what} needs the package {package}; install it with: pip install 'framehook[{extra}]'"
        ) from None


def files_of(trainer: Any) -> Iterator[Path]:
    """What is worth keeping of a training that is over: the best checkpoint, its table, its options, its pictures."""
    folder: Path = trainer.save_dir
    best = trainer.best if trainer.best.is_file() else trainer.last
    for path in (best, trainer.csv, folder / "args.yaml", *pictures_of(trainer)):
        if path.is_file():
            yield path


def pictures_of(trainer: Any) -> list[Path]:
    """The pictures in a training's folder."""
    return sorted(path for path in trainer.save_dir.iterdir() if path.suffix in PICTURES and not path.name.startswith("."))
