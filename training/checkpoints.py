"""What a training keeps: its weights and whatever it needs to go on as if it had not been interrupted."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from framehook._version import __version__
from framehook.inference.checkpoints import Checkpoint, read_checkpoint
from framehook.inference.errors import TrainingError, one_line
from framehook.inference.nets.net import DetectionNet
from framehook.inference.nets.save import save_checkpoint

STATE_KEY: Final = "training"
"""Key of a training's state in a checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainState:
    """Everything that decides how a training goes on, at the end of an epoch.

    Attributes:
        epoch: Number of the epoch that ended.
        is_whole: Whether all its batches were gone through; one that was cut short is begun again.
        model: State dict of the network that is trained, float32.
        optimizer, scheduler, scaler: Their state dicts.
        ema_updates: Updates of the average; its weights are those of the checkpoint itself.
        random: Of PyTorch on the CPU.
        random_gpu: Of the GPU, where there is one.
        batch: Pictures of a batch: fewer than were asked for if memory was short.
        chosen: Name of the optimizer, and its first learning rate.
        metrics, fitness: What was measured last; empty and None before the first time.
        best_epoch: Number of the best epoch so far, or -1.
        best_metrics: What was measured after it.
        seconds: How long it has trained so far.
    """

    epoch: int
    is_whole: bool
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    scheduler: Mapping[str, Any]
    scaler: Mapping[str, Any]
    ema_updates: int
    random: Tensor
    random_gpu: Tensor | None
    batch: int
    chosen: tuple[str, float]
    metrics: Mapping[str, float]
    fitness: float | None
    best_epoch: int
    best_metrics: Mapping[str, float]
    seconds: float


def write_checkpoint(
    path: Path,
    net: DetectionNet,
    *,
    args: Mapping[str, Any],
    figures: Mapping[str, float],
    epoch: int,
    best_fitness: float | None,
    state: TrainState | None,
) -> None:
    """Write a checkpoint; what was there stays until it is whole.

    Args:
        path: The file.
        net: The averaged network.
        args: Options of the training.
        figures: What was measured.
        epoch: Number of the epoch.
        best_fitness: The best so far.
        state: To go on from it; None for weights alone.

    Raises:
        OSError, RuntimeError: it cannot be written.
    """
    entries = None if state is None else {key: getattr(state, key) for key in state.__slots__}
    save_checkpoint(
        path,
        net,
        more=None if entries is None else {STATE_KEY: entries},
        args=args,
        figures=figures,
        epoch=epoch,
        best_fitness=best_fitness,
        mid_training=state is not None,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        version=__version__,
    )


def read_state(path: Path) -> tuple[Checkpoint, TrainState]:
    """Read a checkpoint to go on from.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsafeModelError: there is none, or it is damaged.
        TrainingError: it holds weights alone.
    """
    checkpoint = read_checkpoint(path)
    try:
        entries = (
            torch.load(path, map_location="cpu", weights_only=True).get(STATE_KEY) if checkpoint.kind == "framehook" else None
        )
        if isinstance(entries, dict):
            return checkpoint, TrainState(**entries)
    except Exception as error:  # PyTorch raises anything on files that were meddled with
        raise TrainingError(f"{path} cannot be gone on from: {one_line(error)[:200]}") from error
    raise TrainingError(
        f"{path} holds weights alone, and no training can go on from it; pass the last.pt of an interrupted one, or start "
        "another from these weights: leave out resume"
    )
