"""The processes of a training: one, or those that `torchrun` started."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Final, TypeVar

import torch
import torch.distributed as dist

from framehook.inference.errors import OptionError, TrainingError, one_line

T = TypeVar("T")
TIMEOUT: Final = timedelta(hours=3)
"""How long the other processes wait for the first, which validates and saves alone."""


class Processes:
    """The processes that train one network together, each on its own share of the pictures.

    Attributes:
        rank: Number of this process; that of number 0 validates, saves and calls the callbacks.
        world: How many there are.
        device: What this process trains on.
    """

    def __init__(self, device: str | int | None) -> None:
        """Join the others, where `torchrun` has started this process among several.

        Args:
            device: As `TrainOptions.device`; processes on GPUs take that of their number where none is named.

        Raises:
            OptionError: there is no such device.
        """
        from framehook.inference.backends.pytorch import choose_device

        self.rank = int(os.environ.get("RANK", "0")) if "WORLD_SIZE" in os.environ else 0
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        local = int(os.environ.get("LOCAL_RANK", self.rank))
        if self.world > 1 and device in (None, "cuda") and torch.cuda.is_available():
            if local >= torch.cuda.device_count():
                raise OptionError(
                    f"process {local} has no GPU of its own: there are {torch.cuda.device_count()}; start as many processes"
                )
            device = local
        self.device = choose_device(device)
        self._mine = False
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo", timeout=TIMEOUT)
            self._mine = True

    @property
    def main(self) -> bool:
        """Whether this is the only process, or the first."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether any process says so; all must ask.

        Raises:
            TrainingError: another process is gone.
        """
        if self.world == 1:
            return flag
        said = torch.tensor([float(flag)], device=self.device)
        self._together(said)
        return bool(said.item())

    def told(self, value: T) -> T:
        """What the first process says; all must ask.

        Raises:
            TrainingError: another process is gone.
        """
        if self.world == 1:
            return value
        said = [value]
        try:
            dist.broadcast_object_list(said, src=0, device=self.device)
        except RuntimeError as error:
            raise self.gone(error) from error
        return said[0]

    def _together(self, value: torch.Tensor) -> None:
        try:
            dist.all_reduce(value, dist.ReduceOp.MAX)
        except RuntimeError as error:
            raise self.gone(error) from error

    def is_lost(self, error: BaseException) -> bool:
        """Whether an error says that the connection to another process broke."""
        return self.world > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error))

    def gone(self, error: BaseException) -> TrainingError:
        """What to raise where a process cannot reach the others."""
        return TrainingError(
            f"process {self.rank} of {self.world} cannot reach the others; one of them has failed, and its own error tells why "
            f"({one_line(error)[:120]})"
        )

    def close(self) -> None:
        """Part from the others."""
        if self._mine and dist.is_initialized():
            dist.destroy_process_group()
