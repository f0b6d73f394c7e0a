"""A training without a net: real callbacks in a real registry, called in the order of a `Trainer`, with figures made up."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from framehook.inference.callbacks import Callback, Callbacks
from framehook.training.options import TrainOptions

NAMES = ("box_loss", "cls_loss", "dfl_loss")


def falling(epoch: int) -> dict[str, float]:
    """Metrics that grow epoch by epoch, and losses that fall."""
    grown = 1 - 0.8 ** (epoch + 1)
    return {
        "metrics/precision(B)": grown,
        "metrics/recall(B)": grown / 2,
        "metrics/mAP50(B)": grown,
        "metrics/mAP50-95(B)": grown / 2,
        "val/box_loss": 2 - grown,
        "val/cls_loss": 3 - grown,
        "val/dfl_loss": 4 - grown,
    }


@dataclass
class Driven:
    """What callbacks see of a trainer; `run()` goes through its events."""

    save_dir: Path
    callbacks: Iterable[Callback]
    epochs: int = 3
    batches: int = 4
    start_epoch: int = 0
    metrics_of: Callable[[int], dict[str, float]] = falling
    val_period: int = 1
    fails_at: tuple[int, int] | None = None
    args: TrainOptions | None = None
    names: dict[int, str] = field(default_factory=lambda: {0: "circle", 1: "square", 2: "triangle"})

    def __post_init__(self) -> None:
        self.args = self.args or TrainOptions(data="data.yaml", epochs=self.epochs, val_period=self.val_period)
        self.wdir = self.save_dir / "weights"
        self.wdir.mkdir(parents=True, exist_ok=True)
        self.last, self.best, self.csv = self.wdir / "last.pt", self.wdir / "best.pt", self.save_dir / "results.csv"
        self.epoch = self.start_epoch
        self.stop, self.error, self.report, self.rank, self.world, self.is_best = False, None, None, 0, 1, False
        self.metrics: dict[str, float] = {}
        self.fitness: float | None = None
        self.best_fitness: float | None = None
        self.loss_names, self.tloss, self.loss_items, self.loss = NAMES, None, None, None
        self.lr: dict[str, float] = {}
        self.train_loader = [None] * self.batches
        self.test_loader = [None] * 2
        self.batch_i, self.epoch_time, self.batch_size, self.accumulate, self.amp, self.device = 0, 0.0, 2, 1, False, "cpu"
        self.data = SimpleNamespace(names=self.names, file=Path("data.yaml"))
        self.validator: SimpleNamespace | None = None
        self._registry = Callbacks()
        for each in self.callbacks:
            self._registry.add(each)

    def label_loss_items(self, items=None, prefix="train"):
        keys = [f"{prefix}/{name}" for name in self.loss_names]
        return keys if items is None else dict(zip(keys, map(float, items), strict=True))

    def where(self) -> str:
        return f"epoch {self.epoch + 1}"

    def fire(self, event: str) -> None:
        self._registry.fire(event, self)

    def run(self) -> "Driven":
        try:
            self.fire("on_pretrain_routine_start")
            self.fire("on_pretrain_routine_end")
            self.fire("on_train_start")
            for epoch in range(self.start_epoch, self.epochs):
                self.epoch = epoch
                self._train()
                if self.stop and self.batch_i + 1 < self.batches:
                    break
                self._finish()
                if self.stop:
                    break
            self.fire("on_train_end")
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._registry.fire_all("teardown", self)
        return self

    def _train(self) -> None:
        self.fire("on_train_epoch_start")
        for number in range(self.batches):
            self.batch_i = number
            self.lr = {"lr/pg0": 0.01 / (self.epoch + 1), "lr/pg1": 0.02 / (self.epoch + 1)}
            self.fire("on_train_batch_start")
            self.loss_items = np.array([3.0, 2.0, 1.0]) / (1 + self.epoch + self.batch_i / self.batches)
            self.tloss, self.loss = self.loss_items, self.loss_items.sum()
            if self.fails_at == (self.epoch, self.batch_i):
                raise RuntimeError("out of luck")
            for event in ("optimizer_step", "on_params_update", "on_before_zero_grad", "on_train_batch_end"):
                self.fire(event)
            if self.stop:
                return
        self.epoch_time = 0.5

    def _finish(self) -> None:
        self.fire("on_train_epoch_end")
        if (self.epoch + 1) % self.val_period == 0 or self.epoch + 1 == self.epochs:
            self.metrics = self.metrics_of(self.epoch)
            self.fitness = 0.1 * self.metrics["metrics/mAP50(B)"] + 0.9 * self.metrics["metrics/mAP50-95(B)"]
            self.is_best = self.best_fitness is None or self.fitness > self.best_fitness
            self.best_fitness = self.fitness if self.best_fitness is None else max(self.best_fitness, self.fitness)
            validator = self.validator or SimpleNamespace()
            vars(validator).update(training=True, error=None, dataloader=self.test_loader, names=self.names, batch_i=0)
            validator.where = self.where
            self._registry.fire("on_val_start", validator)
            for validator.batch_i in range(len(self.test_loader)):
                self._registry.fire("on_val_batch_start", validator)
                self._registry.fire("on_val_batch_end", validator)
            self._registry.fire("on_val_end", validator)
        self.last.write_bytes(b"weights of epoch %d" % self.epoch)
        if self.is_best:
            self.best.write_bytes(self.last.read_bytes())
        self.fire("on_model_save")
        self.fire("on_fit_epoch_end")
