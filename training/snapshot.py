"""What callbacks in the background see of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framehook.training.data.description import DataSpec
from framehook.training.options import TrainOptions
from framehook.training.report import TrainReport


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSnapshot:
    """What a background callback sees in place of the trainer; setting an attribute raises.

    Attributes are those of `Trainer`, without what changes under way (network, optimizer, loaders); losses are numbers.
    """

    args: TrainOptions
    data: DataSpec
    device: str
    rank: int
    world: int
    epoch: int
    epochs: int
    start_epoch: int
    batch_i: int
    batch_size: int
    accumulate: int
    amp: bool
    stop: bool
    lr: Mapping[str, float]
    loss: float | None
    loss_names: tuple[str, ...]
    loss_items: tuple[float, ...] | None
    tloss: tuple[float, ...] | None
    metrics: Mapping[str, float]
    fitness: float | None
    best_fitness: float | None
    is_best: bool
    epoch_time: float | None
    save_dir: Path
    wdir: Path
    last: Path
    best: Path
    csv: Path
    report: TrainReport | None
    error: BaseException | None

    def label_loss_items(self, items: Any = None, prefix: str = "train") -> dict[str, float] | list[str]:
        """As `Trainer.label_loss_items`."""
        return label_losses(self.loss_names, items, prefix)


def label_losses(names: tuple[str, ...], items: Any, prefix: str) -> dict[str, float] | list[str]:
    """Losses by name, `train/box_loss`; the names alone where there are no losses."""
    keys = label_names(names, prefix)
    return keys if items is None else dict(zip(keys, map(float, items), strict=True))


def label_names(names: tuple[str, ...], prefix: str) -> list[str]:
    """Names of losses as columns have them: `train/box_loss`."""
    return [f"{prefix}/{name}" for name in names]
