"""A training without its pictures: it fires a trainer's events in their order, and holds what a trainer holds then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from framehook.inference.callbacks import Callbacks
from framehook.inference.callbacks.base import Callback
from framehook.training.options import TrainOptions

BATCHES = 3


class Training:
    """Fires the events of `epochs` epochs; a network of one convolution goes through batches of noise."""

    def __init__(self, save_dir: Path, *callbacks: Callback, epochs: int, start_epoch: int = 0, **options: Any) -> None:
        self.callbacks = Callbacks()
        for each in callbacks:
            self.callbacks.add(each)
        self.args = TrainOptions(epochs=epochs, imgsz=32, **options)
        self.epochs, self.start_epoch, self.epoch = epochs, start_epoch, start_epoch
        self.device = torch.device("cpu")
        self.model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU())
        self.tloss: torch.Tensor | None = None
        self.lr = {"lr/pg0": 0.01}
        self.metrics: dict[str, float] = {}
        self.fitness: float | None = None
        self.best_fitness: float | None = None
        self.is_best = False
        self.error: BaseException | None = None
        self.epoch_time: float | None = None
        self.validator = SimpleNamespace(speed={"inference": 1.5, "loss": None}, training=True)
        self.save_dir = save_dir
        self.wdir = save_dir / "weights"
        self.last, self.best = self.wdir / "last.pt", self.wdir / "best.pt"
        self.seconds = 0.0

    def snapshot(self) -> object:
        return SimpleNamespace(args=self.args)

    def where(self) -> str:
        return f"epoch {self.epoch}"

    def label_loss_items(self, items: Any = None, prefix: str = "train") -> dict[str, float]:
        names = ("box_loss", "cls_loss", "dfl_loss")
        return {f"{prefix}/{name}": float(value) for name, value in zip(names, items, strict=True)}

    def run(self, after_epoch: Callable[[int], object] = lambda epoch: None) -> None:
        """Go through all of it; `after_epoch` is called with the number of each epoch once it is over."""
        began = time.perf_counter()
        try:
            for event in ("on_pretrain_routine_start", "on_pretrain_routine_end", "on_train_start"):
                self.callbacks.fire(event, self)
            try:
                for epoch in range(self.start_epoch, self.epochs):
                    self.epoch = epoch
                    self._epoch()
                    after_epoch(epoch)
            except BaseException as error:
                self.error = error
                raise
            finally:
                self.callbacks.fire("on_train_end", self)
        finally:
            self.callbacks.fire_all("teardown", self)
            self.seconds = time.perf_counter() - began

    def _epoch(self) -> None:
        began = time.perf_counter()
        self.callbacks.fire("on_train_epoch_start", self)
        for batch in range(BATCHES):
            self.callbacks.fire("on_train_batch_start", self)
            self.model(torch.zeros(2, 3, 32, 32))
            self.tloss = torch.tensor([1.0, 2.0, 3.0]) / (1 + self.epoch * BATCHES + batch)
            self.callbacks.fire("on_train_batch_end", self)
        self.callbacks.fire("on_train_epoch_end", self)
        self.fitness = fitness_of(self.epoch)
        self.metrics = {"metrics/mAP50-95(B)": self.fitness, "val/box_loss": float("nan")}
        self.is_best = self.best_fitness is None or self.fitness > self.best_fitness
        self.best_fitness = max(self.fitness, self.best_fitness or 0)
        _write(self.last, f"last of epoch {self.epoch} ".encode() * 1000)
        if self.is_best:
            _write(self.best, f"best of epoch {self.epoch} ".encode() * 1000)
        self.callbacks.fire("on_model_save", self)
        self.epoch_time = time.perf_counter() - began
        self.callbacks.fire("on_fit_epoch_end", self)


def fitness_of(epoch: int) -> float:
    """The fitness after an epoch: it grows but for every third epoch."""
    return (epoch + (0 if epoch % 3 == 2 else 1)) / 1000


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
