"""How a training in a process of its own is stopped. Nothing slow is imported here, so that it can be from the beginning."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from framehook.app.child_talk import interrupt_main

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer

STOP: Final = "stop"
"""What ends a training, said to it."""


class Stopper:
    """Ends a training when that is asked for: after the batch, or at once where none has begun.

    Attributes:
        asked: Whether it was asked for.
    """

    def __init__(self) -> None:
        self.asked = False
        self._lock = threading.Lock()
        self._trainer: Trainer | None = None

    def hear(self, line: Any) -> None:
        """Something was told to this process."""
        if line != STOP:
            return
        with self._lock:
            self.asked = True
            if self._trainer is None:
                interrupt_main()
            else:
                self._trainer.stop = True

    def check(self) -> None:
        """Something failed: if that was since it was interrupted, which libraries make errors of, be interrupted again.

        Raises:
            KeyboardInterrupt: it was asked to stop before there was anything to be completed.
        """
        if self.asked and self._trainer is None:
            raise KeyboardInterrupt

    def begins(self, trainer: Trainer) -> None:
        """From now on there is something to be completed."""
        with self._lock:
            self._trainer = trainer
