"""A run that is played to its end on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from framehook.inference.run import Run


class Playing:
    """One run under way.

    Attributes:
        run: The run, to be steered from any thread.
        stopped: Whether its end was asked for.
    """

    def __init__(self, run: Run, ended: Callable[[Playing, BaseException | None], None]) -> None:
        """Begin to play; `ended` is called in the playing thread with what the run failed with, if it did."""
        self.run = run
        self.stopped = False
        self._ended = ended
        # A callback that never returns must not keep the process alive when its window was closed.
        self._thread = threading.Thread(target=self._play, name="framehook-play", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end; returns at once."""
        self.stopped = True
        self.run.stop()

    def join(self, timeout: float) -> bool:
        """Wait for the end; False where it did not come in time."""
        self._thread.join(max(timeout, 0.0))
        return not self._thread.is_alive()

    def _play(self) -> None:
        failure: BaseException | None = None
        try:
            with self.run:
                for _ in self.run:
                    pass
        except BaseException as error:  # noqa: BLE001 - `sys.exit` in a callback, say: the window tells of it and stays
            failure = error
        self._ended(self, failure)
