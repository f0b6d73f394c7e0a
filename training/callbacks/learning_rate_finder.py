"""A learning rate to begin with, found by trying."""

from __future__ import annotations

import copy
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from matplotlib.figure import Figure

from framehook.inference.callbacks.base import Callback
from framehook.inference.errors import OptionError, RecordingError
from framehook.inference.ranges import is_number, is_whole
from framehook.training.plots.curves import write_figure

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer

log = logging.getLogger("framehook")

SMOOTHING: Final = 0.9
"""Share of the average so far in the next."""
DIVERGED: Final = 3.0
"""Times the least loss at which a sweep has seen enough."""
FEWEST: Final = 10
"""Steps from which anything can be told."""


class LearningRateFinder(Callback):
    """Raises the learning rate step by step over the first steps of a training, and suggests one.

    The range test of Smith, "Cyclical Learning Rates for Training Neural Networks" (2017): the rate grows by the same factor
    with each step, and what is suggested is the one at which the smoothed loss falls most steeply. The sweep ends after its
    steps, or when the loss has grown to a multiple of its least. Weights, their average and the optimizer are then what they
    were before it.

    By default the training ends there, so that it can be begun with `lr0=finder.suggestion`; with `stop=False` it goes on with
    its own rates. Checkpoints written during the sweep hold weights of it: let it end within the first epoch.

    Attributes:
        rates, losses: What was tried, and the loss of each step, as it was measured.
        suggestion: The learning rate; None before the end of the sweep, and where no rate made the loss fall.
        path: The picture of the sweep, `learning_rates.png` in the training's folder; None before.
    """

    order: ClassVar[int] = 1000  # after users' own, so that the rate is what it says
    foreground_only: ClassVar[bool] = True

    def __init__(self, steps: int = 100, *, lowest: float = 1e-6, highest: float = 1.0, stop: bool = True) -> None:
        """Choose the sweep.

        Args:
            steps: Of the optimizer.
            lowest: Learning rate of the first step.
            highest: Learning rate of the last.
            stop: End the training after the sweep.

        Raises:
            OptionError: a value out of range.
        """
        if not is_whole(steps, FEWEST):
            raise OptionError(f"steps={steps!r} is out of range; pass a whole number from {FEWEST}")
        if not is_number(lowest, 0) or not is_number(highest, 0) or not 0 < lowest < highest:
            raise OptionError(f"lowest={lowest!r}, highest={highest!r} is no range; pass two numbers above 0, the lower first")
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.suggestion: float | None = None
        self.path: Path | None = None
        self._steps = steps
        self._lowest = lowest
        self._highest = highest
        self._stop = stop
        self._before: dict[str, Any] | None = None
        self._pending: list[float] = []
        self._stepped = False
        self._rate = lowest

    def on_train_start(self, trainer: Trainer) -> None:
        if trainer.world > 1:
            raise OptionError("LearningRateFinder works in one process; find the learning rate without torchrun first")
        self.rates, self.losses, self._pending = [], [], []
        self.suggestion = self.path = None
        self._stepped = False
        self._rate = self._lowest
        self._before = copy.deepcopy(
            {
                "model": trainer.model.state_dict(),
                "average": trainer.ema.net.state_dict(),
                "updates": trainer.ema.updates,
                "optimizer": trainer.optimizer.state_dict(),
            }
        )

    def optimizer_step(self, trainer: Trainer) -> None:
        if self._before is None:
            return
        self._rate = self._lowest * (self._highest / self._lowest) ** (len(self.rates) / (self._steps - 1))
        for group in trainer.optimizer.param_groups:
            group["lr"] = self._rate
        self._stepped = True

    def on_train_batch_end(self, trainer: Trainer) -> None:
        if self._before is None:
            return
        items = trainer.loss_items
        self._pending.append(math.nan if items is None else float(items.sum()))
        if not self._stepped and math.isfinite(self._pending[-1]):
            return
        # The loss was measured before the step, and so tells what the rates until the last one have come to.
        self.rates.append(self._rate)
        self.losses.append(float(np.mean(self._pending)))
        self._pending, self._stepped = [], False
        smooth = smoothed(self.losses)
        diverged = len(smooth) >= FEWEST and not smooth[-1] < DIVERGED * np.nanmin(smooth)
        if diverged or not math.isfinite(self.losses[-1]) or len(self.rates) >= self._steps:
            self._finish(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        if self._before is not None:
            self._finish(trainer)

    def teardown(self, trainer: Trainer) -> None:
        self._before = None  # weights twice over

    def _finish(self, trainer: Trainer) -> None:
        """Put everything back, and tell what was found."""
        before, self._before = self._before, None
        assert before is not None  # the sweep was under way
        trainer.model.load_state_dict(before["model"])
        trainer.ema.net.load_state_dict(before["average"])
        trainer.ema.updates = before["updates"]
        trainer.optimizer.load_state_dict(before["optimizer"])
        trainer.optimizer.zero_grad()
        self.suggestion = suggested(self.rates, self.losses)
        if self.suggestion is None:
            log.warning("no learning rate from %g to %g made the loss fall; try others", self._lowest, self._highest)
        else:
            log.info("learning rate: lr0=%.2g is suggested", self.suggestion)
        try:
            self.path = write_figure(trainer.save_dir / "learning_rates.png", self._drawn())
        except RecordingError as error:
            log.warning("%s; the training goes on without this picture", error)
        if self._stop:
            trainer.stop = True

    def _drawn(self) -> Figure:
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes: Any = figure.add_subplot()
        axes.plot(self.rates, self.losses, color="0.8", linewidth=1, label="measured")
        axes.plot(self.rates, smoothed(self.losses), color="#1f4fd8", linewidth=2, label="smoothed")
        if self.suggestion is not None:
            axes.axvline(self.suggestion, color="0.4", linewidth=1, linestyle=":", label=f"suggested: {self.suggestion:.2g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        axes.grid(visible=True, color="0.93")
        axes.legend(frameon=False)
        return figure


def smoothed(losses: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Exponential averages, corrected for having begun with nothing, as those of Adam are."""
    average, means = 0.0, []
    for number, loss in enumerate(losses, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        means.append(average / (1 - SMOOTHING**number))
    return np.array(means)


def suggested(rates: list[float], losses: list[float]) -> float | None:
    """The rate at which the smoothed loss falls most steeply before it is at its least; None where it does not fall."""
    smooth = smoothed([loss for loss in losses if math.isfinite(loss)])
    if len(smooth) < FEWEST:
        return None
    least = int(np.argmin(smooth))
    slopes = np.gradient(smooth, np.log(rates[: len(smooth)]))[: least + 1]
    steepest = int(np.argmin(slopes))
    return rates[steepest] if slopes[steepest] < 0 else None
