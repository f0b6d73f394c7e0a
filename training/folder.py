"""The folder of a training: what is in it, and how checkpoints get there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framehook.inference.errors import OptionError, TrainingError, one_line
from framehook.inference.nets.net import DetectionNet
from framehook.inference.nets.save import PARTIAL
from framehook.inference.saving import way_out
from framehook.training.checkpoints import TrainState, write_checkpoint

log = logging.getLogger("framehook")


class TrainFolder:
    """Where a training leaves its files. A checkpoint that cannot be written leaves what was there.

    Attributes:
        path: The folder.
        weights: That of the checkpoints within it.
        last: Checkpoint of the last epoch, from which a training goes on.
        best: Weights of the best epoch.
        csv: Losses, metrics and learning rates, a row an epoch.
        failure: Why `last` could not be written the last time that it could not; empty where it always was.
    """

    def __init__(self, path: Path) -> None:
        """Name it; nothing is made or looked at."""
        self.path = path
        self.weights = path / "weights"
        self.last = self.weights / "last.pt"
        self.best = self.weights / "best.pt"
        self.csv = path / "results.csv"
        self.failure = ""

    def check_free(self) -> None:
        """Raise OptionError if it holds another training."""
        if any(each.exists() for each in (self.last, self.best, self.csv)) or any(self.weights.glob("epoch*.pt")):
            again = f"go on with that one (resume={str(self.last)!r}), " if self.last.exists() else ""
            raise OptionError(
                f"save_dir={str(self.path)!r} holds another training; name another folder, {again}or pass exist_ok=True to "
                "replace it"
            )

    def clear(self) -> None:
        """Remove the checkpoints of another training, whose place is taken now.

        Raises:
            TrainingError: they cannot be removed.
        """
        try:
            for path in (self.last, self.best, *self.weights.glob("epoch*.pt")):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise TrainingError(f"another training cannot be replaced: {error.strerror}: {error.filename}") from error

    def make(self) -> None:
        """Make it, and remove what a process that was killed left half-written.

        Raises:
            TrainingError: it cannot be made.
        """
        try:
            self.weights.mkdir(parents=True, exist_ok=True)
            for left in self.weights.glob(PARTIAL):
                left.unlink()
        except OSError as error:
            raise TrainingError(f"the folder to save in cannot be made: {error.strerror}: {error.filename}") from error

    def write(self, path: Path, net: DetectionNet, *, epoch: int, state: TrainState | None = None, **facts: Any) -> bool:
        """Write a checkpoint.

        Args:
            path: One of the folder's.
            net: The averaged network.
            epoch: Number of the epoch.
            state: To go on from it; None for weights alone.
            **facts: `args`, `figures` and `best_fitness`, as `write_checkpoint` takes them.

        Returns:
            Whether it was written. If not that is logged, and what to do.
        """
        try:
            write_checkpoint(path, net, epoch=epoch, state=state, **facts)
        except (OSError, RuntimeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)[:200]
            before = f"{path.name} is that of an earlier epoch" if path.exists() else f"there is no {path.name} so far"
            told = f"{path.name} of epoch {epoch + 1} cannot be written: {why}; {before}{way_out(error)}"
            log.error("%s", told)
            if path == self.last:
                self.failure = told
            return False
        return True


def plain_figures(figures: Mapping[str, Any]) -> dict[str, float]:
    """Figures as checkpoints can hold them; a callback may have added some of other types."""
    return {name: float(value) for name, value in figures.items()}
