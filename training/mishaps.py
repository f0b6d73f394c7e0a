"""What may go wrong in a training, how often, and when it is too much."""

from __future__ import annotations

import logging
from typing import Final

from framehook.inference.errors import TrainingError

log = logging.getLogger("framehook")

MOST_HALVINGS: Final = 3
"""How often a batch is halved when memory is short, before a training gives up."""
MOST_RESTORES: Final = 3
"""How often a training whose weights broke goes back to its last checkpoint."""
MOST_SKIPPED: Final = 10
"""Batches in succession without a usable gradient after which weights are taken to be broken."""
_SAID: Final = {"loss": "the loss was no number", "gradients": "the gradients were no numbers"}


class Mishaps:
    """Counts what went wrong, and decides what a training bears.

    Attributes:
        skipped: Batches and steps that were left out since their loss or gradients were no numbers.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.skipped = 0
        self._in_succession = {"loss": 0, "gradients": 0}
        self._restores = self._halvings = 0

    def well(self, what: str) -> None:
        """Take note of a `loss`, or of `gradients`, that are numbers."""
        self._in_succession[what] = 0

    def skip(self, what: str, where: str, *, expected: bool) -> str | None:
        """Count a `loss`, or `gradients`, that are no numbers.

        Args:
            what: Which.
            where: At which batch.
            expected: It happens now and then, and is not told: mixed precision tries how far it can scale a loss up.

        Returns:
            Why the weights are taken to be broken, or None where they are not.
        """
        self._in_succession[what] += 1
        if not expected:
            self.skipped += 1
            if self.skipped <= MOST_SKIPPED:
                log.warning("at %s %s; the batch is left out", where, _SAID[what])
        if self._in_succession[what] < MOST_SKIPPED:
            return None
        return f"{_SAID[what]} {MOST_SKIPPED} times in succession"

    def restore(self, why: str, where: str, *, possible: bool, lr0: float) -> None:
        """Count that weights broke, and are taken from the last checkpoint.

        Args:
            why: What was seen.
            where: At which batch.
            possible: There is such a checkpoint.
            lr0: The learning rate.

        Raises:
            TrainingError: there is none, or it was done too often.
        """
        self._in_succession = dict.fromkeys(self._in_succession, 0)
        self._restores += 1
        if self._restores > MOST_RESTORES or not possible:
            raise TrainingError(
                f"training broke down at {where}: {why}; lower the learning rate (lr0={lr0 / 10:g}), and look at the data: "
                "framehook data check"
            )
        log.warning("%s; going back to the weights of the last checkpoint", why)

    def halve(self, why: str, *, batch: int, imgsz: int, possible: bool) -> int:
        """Count that memory was too short for a batch.

        Args:
            why: What PyTorch told.
            batch: Pictures of the batch.
            imgsz: Their side in pixels.
            possible: Batches can be made smaller.

        Returns:
            Pictures of a batch from now on.

        Raises:
            TrainingError: it was done too often, or cannot be done.
        """
        self._halvings += 1
        if self._halvings > MOST_HALVINGS or batch == 1 or not possible:
            raise TrainingError(
                f"there is not enough memory for batches of {batch} at {imgsz} pixels; pass a smaller batch or imgsz ({why})"
            )
        log.warning("memory is too short for batches of %d; the epoch begins again with %d", batch, batch // 2)
        return batch // 2
