"""How far a training is."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from framehook.training.callbacks.per_epoch import PerEpoch, losses_of

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer
    from framehook.training.validator import Validator

EVERY: Final = 0.1
"""Seconds between two updates: reading losses off a GPU makes it wait, so they are not read more often than they are shown."""


class ProgressBar(PerEpoch):
    """Shows epochs and batches, losses and the time that is left, and leaves a line of figures for every epoch.

    Where there is no terminal (a log, a pipe) the lines are all that is written. Whatever ends the training, the bars are gone
    and the terminal is as it was.
    """

    order: ClassVar[int] = 1000  # what the others log of an epoch comes before its line

    def __init__(self, console: Console | None = None) -> None:
        """Choose where to; None for standard error, so that what a program prints stays apart from it."""
        self._console = console or Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bars: _Bars | None = None
        self._began = self._epoch_began = 0.0

    def begin(self, trainer: Trainer) -> None:
        self._began = time.monotonic()
        if self._console.is_terminal:
            self._bars = _Bars(self._console, trainer)

    def on_train_epoch_start(self, trainer: Trainer) -> None:
        self._epoch_began = time.monotonic()
        if self._bars is not None:
            self._bars.begin(f"epoch {trainer.epoch + 1}/{trainer.epochs}", len(trainer.train_loader))

    def on_train_batch_end(self, trainer: Trainer) -> None:
        if self._bars is not None and self._bars.is_time():
            done = trainer.batch_i + 1
            losses = "  ".join(_losses(losses_of(trainer)))
            epochs = trainer.epoch + done / len(trainer.train_loader)
            self._bars.show(done, losses, epochs, self._left(trainer, done))

    def on_val_start(self, validator: Validator) -> None:
        if self._bars is not None and validator.training:
            self._bars.begin("validation", len(validator.dataloader))

    def on_val_batch_end(self, validator: Validator) -> None:
        if self._bars is not None and validator.training and self._bars.is_time():
            self._bars.show(validator.batch_i + 1)

    def epoch_done(self, trainer: Trainer, figures: Mapping[str, float]) -> None:
        width = len(str(trainer.epochs))
        seconds = time.monotonic() - self._epoch_began
        told = [
            f"epoch {trainer.epoch + 1:>{width}}/{trainer.epochs}",
            *_losses(figures),
            *_metrics(figures),
            duration(seconds),
        ]
        left = self._left(trainer)
        self._console.print(
            "  ".join([*told, *([f"{duration(left)} left"] if left and not trainer.stop else [])]), soft_wrap=True
        )

    def on_train_end(self, trainer: Trainer) -> None:
        self._end()

    def teardown(self, trainer: Trainer) -> None:
        self._end()  # also where training never came to its end

    def _end(self) -> None:
        bars, self._bars = self._bars, None
        if bars is not None:
            bars.end()

    def _left(self, trainer: Trainer, batches: int | None = None) -> float:
        """Seconds until the training is over if it goes on as it did, or until its time is up."""
        part = 1.0 if batches is None else batches / len(trainer.train_loader)
        done = trainer.epoch - trainer.start_epoch + part
        elapsed = time.monotonic() - self._began
        left = elapsed / done * (trainer.epochs - trainer.start_epoch - done)
        return left if trainer.args.time is None else max(min(left, trainer.args.time * 3600 - elapsed), 0.0)


class _Bars:
    """Two bars: of epochs, and of the batches of what is under way. No thread draws them, they are drawn when they change."""

    def __init__(self, console: Console, trainer: Trainer) -> None:
        fixed = Column(no_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=fixed),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}", markup=False, table_column=fixed),
            TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
            transient=True,
            auto_refresh=False,
            # What callbacks print appears above the bars; but if standard output goes to a file, it has to get there.
            redirect_stdout=sys.stdout.isatty(),
        )
        epochs, done = trainer.epochs, trainer.start_epoch
        self._epochs = self._progress.add_task("training", total=epochs, completed=done, count=f"{done}/{epochs}", figures="")
        self._batches: TaskID = self._progress.add_task("", total=None, count="", figures="")
        self._total = 0
        self._next = 0.0
        self._progress.start()

    def begin(self, name: str, batches: int) -> None:
        self._total = batches
        self._progress.update(self._batches, description=name, total=batches, completed=0, count=f"0/{batches}")
        self._progress.refresh()

    def is_time(self) -> bool:
        return time.monotonic() >= self._next

    def show(self, batches: int, losses: str | None = None, epochs: float | None = None, left: float = 0.0) -> None:
        """Show the batches that are done, and, while there is training, the losses, epochs, and seconds that are left."""
        count = f"{batches}/{self._total}"
        if losses is None:
            self._progress.update(self._batches, completed=batches, count=count)
        else:
            self._progress.update(self._batches, completed=batches, count=count, figures=losses)
        if epochs is not None:
            total = self._progress.tasks[0].total or 0
            figures = f"{duration(left)} left"
            self._progress.update(self._epochs, completed=epochs, count=f"{int(epochs)}/{total:.0f}", figures=figures)
        self._progress.refresh()
        self._next = time.monotonic() + EVERY

    def end(self) -> None:
        self._progress.stop()


def _losses(figures: Mapping[str, float]) -> list[str]:
    """`box 1.234` for `train/box_loss`."""
    of_training = {name.removeprefix("train/"): value for name, value in figures.items() if name.startswith("train/")}
    return [f"{name.removesuffix('_loss')} {value:.4g}" for name, value in of_training.items()]


def _metrics(figures: Mapping[str, float]) -> list[str]:
    """`mAP50 0.512` for `metrics/mAP50(B)`."""
    names = {name: name.removeprefix("metrics/").removesuffix("(B)") for name in figures if name.startswith("metrics/mAP")}
    return [f"{short} {figures[name]:.3f}" for name, short in names.items()]


def duration(seconds: float) -> str:
    """A time as one reads it: `8.2 s`, `3:05`, `2:14:09`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
