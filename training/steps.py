"""The mechanics of a training step: losses, gradients, their accumulation, the optimizer and the average. No callbacks here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW, Optimizer

from framehook.inference.errors import one_line
from framehook.inference.nets.net import DetectionNet, Heads
from framehook.training.batch import TrainBatch
from framehook.training.ema import ModelEMA
from framehook.training.losses import DetectionLoss
from framehook.training.processes import Processes

ADAMW_STATE: Final = 3
"""Entries that AdamW keeps of a parameter; it makes them one by one, with its first step."""


class ShortOfMemoryError(Exception):
    """There was not enough memory for a batch; nothing of it is left."""


class Steps:
    """Computes gradients batch by batch, and makes steps of them.

    Attributes:
        loss: Of the last batch, what was gone backward from; detached.
        loss_items: Its parts.
        pending: Batches whose gradients wait for a step.
        ema: The average that follows each step.
    """

    def __init__(
        self, net: DetectionNet, loss: DetectionLoss, optimizer: Optimizer, *, processes: Processes, amp: bool, clip: float
    ) -> None:
        """Prepare for a network on its device.

        Args:
            net: In training mode whenever a batch is measured.
            loss: What is made small.
            optimizer: Over the parameters of the network.
            processes: Those that train it together.
            amp: Compute in mixed precision.
            clip: Largest norm of all gradients together; 0 for none.
        """
        self.ema = ModelEMA(net)
        self.loss: Tensor | None = None
        self.loss_items: Tensor | None = None
        self.pending = 0
        self._net = net
        self._measure = loss
        self._optimizer = optimizer
        self._processes = processes
        self._amp = amp
        self._clip = clip or math.inf
        self._scaler = self._new_scaler({})
        self._learning = [each for each in net.parameters() if each.requires_grad]
        self._forward: Callable[[Tensor], Heads] = net
        if processes.world > 1:
            ids = [processes.device.index] if processes.device.type == "cuda" else None
            self._forward = DistributedDataParallel(net, device_ids=ids)

    def to_device(self, batch: TrainBatch) -> TrainBatch:
        """A batch on the device of the network.

        Raises:
            ShortOfMemoryError: there was not enough memory.
        """
        device = self._processes.device
        with self._memory():
            images = batch.images.to(device, non_blocking=True, memory_format=torch.channels_last)
            return TrainBatch(images, batch.targets.to(device), batch.paths)

    def gradients(self, batch: TrainBatch) -> bool:
        """Measure a batch and add its gradients to those that are pending.

        Returns:
            Whether its loss is a number, on every process; if not, nothing was added.

        Raises:
            ShortOfMemoryError: there was not enough memory; nothing is pending any more.
            TrainingError: another process is gone.
        """
        with self._memory():
            with torch.autocast(self._processes.device.type, enabled=self._amp):
                heads = self._forward(batch.images.float() / 255)
            loss, self.loss_items = self._measure(heads, batch.targets)
            self.loss = loss.detach()
            if self._processes.any(not math.isfinite(float(self.loss))):
                self._heal()
                return False
            # Gradients are averaged over processes; one process with all their pictures would have added them up.
            self._scaler.scale(loss * self._processes.world).backward()  # type: ignore[no-untyped-call]
        self.pending += 1
        return True

    def clip(self) -> bool:
        """Limit the pending gradients; whether they are numbers. If not, they are of no use, and to be forgotten.

        Raises:
            ShortOfMemoryError: there was not enough memory.
        """
        with self._memory():
            self._scaler.unscale_(self._optimizer)
            norm = nn.utils.clip_grad_norm_(self._learning, self._clip)
        if math.isfinite(float(norm)):
            return True
        if self._amp:  # the loss may have been scaled up too far: a step that is left out lets the scaler find out
            self._scaler.step(self._optimizer)
            self._scaler.update()
        return False

    def step(self) -> None:
        """Let the optimizer make its step, and the average follow.

        Raises:
            ShortOfMemoryError: there was not enough memory, as the optimizer takes some with its first step.
        """
        with self._memory():
            self._scaler.step(self._optimizer)
            self._scaler.update()
            self.ema.update(self._net)

    def forget(self) -> None:
        """Drop the gradients."""
        self.pending = 0
        self._optimizer.zero_grad(set_to_none=True)

    def _heal(self) -> None:
        """Put right the statistics of batch norms that took in what is no number."""
        averaged = dict(self.ema.net.named_buffers())
        for name, buffer in self._net.named_buffers():
            if buffer.is_floating_point() and not bool(buffer.isfinite().all()):
                buffer.copy_(averaged[name])

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Tell memory that was too short, and another process that is gone, from other errors."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                self._begin_step_anew()
                self.loss = self.loss_items = None
                raise ShortOfMemoryError(one_line(error)[:200]) from None  # whose frames hold what memory there was
            if self._processes.is_lost(error):
                raise self._processes.gone(error) from error
            raise

    def _begin_step_anew(self) -> None:
        """Leave nothing half done of a step that found too little memory."""
        self.forget()
        for parameter, kept in list(self._optimizer.state.items()):
            if isinstance(self._optimizer, AdamW) and len(kept) < ADAMW_STATE:
                del self._optimizer.state[parameter]
        self._scaler = self._new_scaler(self._scaler.state_dict())

    def _new_scaler(self, state: Mapping[str, Any]) -> torch.amp.GradScaler:
        """A scaler that is in no step, and scales as another did."""
        scaler = torch.amp.GradScaler(self._processes.device.type, enabled=self._amp)
        if state:
            scaler.load_state_dict(dict(state))
        return scaler

    def state(self) -> dict[str, Any]:
        """What mixed precision needs to go on."""
        return self._scaler.state_dict()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`; one of a training without mixed precision holds nothing."""
        if self._amp:
            self._scaler = self._new_scaler(state)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was too short, that of a GPU or the machine's own, for which PyTorch has no error of its own."""
    told = ("not enough memory", "can't allocate memory", "out of memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(each in str(error) for each in told)
