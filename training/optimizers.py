"""The optimizer of a training, and how its learning rate goes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from framehook.training.options import TrainOptions

SHORT: Final = 10_000
"""Steps below which `auto` takes AdamW, which comes far in few; SGD ends better after many."""
FIRST_RATES: Final = {"SGD": 0.01, "AdamW": 0.001}
LEAST_WARMUP: Final = 100
"""Batches of warm-up at least, as epochs may be short; never more than half of a training."""
BIASES: Final = 2
"""Number of the parameter group of biases."""


LEAST_STEPS: Final = 10
"""Steps of an epoch at least: gradients of a small dataset are accumulated less, or it would learn next to nothing."""


class Chosen(NamedTuple):
    """Which optimizer it is to be: its name and first learning rate."""

    name: str
    lr0: float


def choose_optimizer(options: TrainOptions, *, steps: int) -> Chosen:
    """What `optimizer` and `lr0` come to for a training of so many steps of the optimizer."""
    name = options.optimizer if options.optimizer != "auto" else "AdamW" if steps < SHORT else "SGD"
    return Chosen(name, FIRST_RATES[name] if options.lr0 is None else options.lr0)


def batches_a_step(options: TrainOptions, *, batch: int, batches: int) -> int:
    """Batches whose gradients make one step after the warm-up.

    Args:
        options: Its `nbs` is the number of pictures that a step is to see.
        batch: Pictures of a batch, of all processes together.
        batches: Batches of an epoch.
    """
    return max(min(round(options.nbs / batch), batches // LEAST_STEPS), 1)


def make_optimizer(net: nn.Module, chosen: Chosen, *, momentum: float, weight_decay: float) -> Optimizer:
    """An optimizer over three groups: weights, which decay, those of norms, and biases.

    Args:
        net: Parameters that ask for no gradient are left out.
        chosen: Which one.
        momentum: Of SGD (Nesterov's), or the first beta of AdamW.
        weight_decay: Of the weights of convolutions and the like.
    """
    weights, norms, biases = [], [], []
    for module in net.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            if name == "bias":
                biases.append(parameter)
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                norms.append(parameter)
            else:
                weights.append(parameter)
    groups = [
        {"params": weights, "weight_decay": weight_decay},
        {"params": norms, "weight_decay": 0.0},
        {"params": biases, "weight_decay": 0.0},
    ]
    if chosen.name == "SGD":
        return SGD(groups, lr=chosen.lr0, momentum=momentum, nesterov=momentum > 0)
    return AdamW(groups, lr=chosen.lr0, betas=(momentum, 0.999))


def course(options: TrainOptions) -> Callable[[int], float]:
    """What the learning rate is multiplied by in each epoch: from 1 down to `lrf`, along a line or half a cosine."""
    epochs, last = options.epochs, options.lrf
    if options.cos_lr:
        return lambda epoch: last + (1 - last) * (1 + math.cos(math.pi * min(epoch / epochs, 1))) / 2
    return lambda epoch: last + (1 - last) * max(1 - epoch / epochs, 0)


class Schedule:
    """Learning rate and momentum, epoch by epoch, and batch by batch while it warms up.

    Attributes:
        scheduler: PyTorch's own, by epochs.
        warmup: Batches of the warm-up.
    """

    def __init__(self, optimizer: Optimizer, options: TrainOptions, *, batches: int) -> None:
        """Begin before the first epoch of `batches` batches."""
        self._optimizer = optimizer
        self._options = options
        self._course = course(options)
        self.scheduler = LambdaLR(optimizer, self._course)
        self.set_batches(batches)

    def set_batches(self, batches: int) -> None:
        """Tell how many batches an epoch has."""
        options = self._options
        wanted = max(round(options.warmup_epochs * batches), LEAST_WARMUP) if options.warmup_epochs else 0
        self.warmup = min(wanted, options.epochs * batches // 2)

    def begin_epoch(self, epoch: int) -> None:
        """Set the learning rate of an epoch, whichever came before."""
        self.scheduler.last_epoch = epoch
        for group in self._optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self._course(epoch)
        self.scheduler._last_lr = [group["lr"] for group in self._optimizer.param_groups]  # what `get_last_lr` tells

    def begin_batch(self, number: int, epoch: int) -> None:
        """Set what is in force for a batch; `number` counts all batches of the training from 0."""
        if not self.warmup:
            return
        options, span = self._options, [0, self.warmup]
        for place, group in enumerate(self._optimizer.param_groups):
            if number <= self.warmup:  # afterwards a callback may have set another
                # Biases of SGD begin fast: those of the head's scores have far to go. AdamW's steps are large at once.
                begin = options.warmup_bias_lr if place == BIASES and isinstance(self._optimizer, SGD) else 0.0
                group["lr"] = float(np.interp(number, span, [begin, group["initial_lr"] * self._course(epoch)]))
            momentum = float(np.interp(number, span, [options.warmup_momentum, options.momentum]))
            if "momentum" in group:
                group["momentum"] = momentum
            else:
                group["betas"] = (momentum, group["betas"][1])

    def accumulate(self, number: int, full: int) -> int:
        """Batches whose gradients make one step: few at first, `full` of them after the warm-up."""
        if number >= self.warmup:
            return full
        return max(1, round(float(np.interp(number, [0, self.warmup], [1, full]))))
