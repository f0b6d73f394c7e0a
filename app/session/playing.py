"""A run that is played to its end on a thread of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from framehook.app.session.hook_origins import BUILT_IN, origin_of, title_of
from framehook.inference.callbacks import Registration, registry
from framehook.inference.run import Run


class Playing:
    """One run under way.

    Attributes:
        run: The run, to be steered from any thread.
        stopped: Whether its end was asked for.
        over: Whether its end came.
        stale: Whether a model or options were chosen since that only another run can have.
    """

    def __init__(self, run: Run, ended: Callable[[Playing, BaseException | None], None]) -> None:
        """Begin to play; `ended` is called in the playing thread with what the run failed with, if it did."""
        self.run = run
        self.stopped = False
        self.over = False
        self.stale = False
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

    def held_up_by(self) -> str:
        """The callback of the user's that is being called at this moment, in words; an empty text where there is none."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        passed: list[FrameType] = []  # from the innermost on
        while frame is not None:
            registration = frame.f_locals.get("registration") if frame.f_code.co_filename == registry.__file__ else None
            if isinstance(registration, Registration):
                return "" if origin_of(registration) == BUILT_IN else _call_in_words(registration, passed)
            passed.append(frame)
            frame = frame.f_back
        return ""

    def _play(self) -> None:
        failure: BaseException | None = None
        try:
            with self.run:
                for _ in self.run:
                    pass
        except BaseException as error:  # noqa: BLE001 - `sys.exit` in a callback, say: the window tells of it and stays
            failure = error
        self._ended(self, failure)


def _call_in_words(registration: Registration, passed: list[FrameType]) -> str:
    """Which callback is being called, and where in its file it is: `count (mine.py line 3) in on_predict_batch_end`."""
    code = getattr(registration.function, "__code__", None)
    line = next((frame.f_lineno for frame in passed if code is not None and frame.f_code.co_filename == code.co_filename), None)
    where = f" ({Path(code.co_filename).name} line {line})" if code is not None and line else ""
    return f"{title_of(registration)}{where} in {registration.event}"
