"""The handle of a run: an iterator that can be steered, and that ends properly however it is left."""

from __future__ import annotations

import atexit
import inspect
import logging
import threading
import warnings
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self, Unpack

from framehook.inference.errors import RunError, one_line
from framehook.inference.frame import SourceInfo
from framehook.inference.options import PredictArgs
from framehook.inference.predictor import Predictor
from framehook.inference.sources import open_source
from framehook.inference.stats import Stats

log = logging.getLogger("framehook")

LAST_SECONDS: Final = 2.0
"""How long the end of the interpreter waits for the frame under way in a run that was left open."""

_open_runs: weakref.WeakSet[Run] = weakref.WeakSet()


class Run:
    """What `predict(stream=True)` returns: iterate it for results, use it as a context manager, steer it from any thread.

    A run that is simply dropped ends as well, with a `ResourceWarning`: `on_predict_end` fires, files are finished and threads
    joined. What is still open when the interpreter exits is closed then.

    Attributes:
        predictor: The engine that callbacks receive.
        endless: Whether a source never ends by itself.
    """

    def __init__(self, predictor: Predictor, *, endless: bool = False) -> None:
        """Take over a predictor that was not started; `endless` tells that its source never ends by itself."""
        self.predictor = predictor
        self.endless = endless
        self._stream = predictor.stream()
        # Held while the run advances, so that closing it from another thread waits for the frame under way.
        self._advancing = threading.RLock()
        _open_runs.add(self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        with self._advancing:
            if self._state == inspect.GEN_RUNNING:
                raise RunError("a callback asked its own run for the next result; only who iterates the run can")
            try:
                return next(self._stream)
            finally:
                if self._state == inspect.GEN_CLOSED:
                    _open_runs.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if "_advancing" not in self.__dict__ or self._state == inspect.GEN_CLOSED:
            return
        if self._state == inspect.GEN_SUSPENDED:
            warnings.warn(
                f"{self!r} was dropped before its end; close it, or use `with`", ResourceWarning, source=self, stacklevel=2
            )
        _close_quietly(self)

    def __repr__(self) -> str:
        return f"Run({', '.join(source.name for source in self.predictor.sources)})"

    def close(self) -> None:
        """End the run and release everything; waits for the frame under way. From inside a callback it is the same as `stop`.

        Raises:
            CallbackError: a callback of the end failed.
        """
        self.predictor.stop()
        with self._advancing:
            if self._state == inspect.GEN_RUNNING:
                return  # called by a callback of this run, which ends when that returns
            if self._state == inspect.GEN_CREATED:
                # A generator that never ran has no `finally` to run; the source was opened all the same.
                self.predictor.release()
            _open_runs.discard(self)
            self._stream.close()

    def stop(self) -> None:
        """Ask the run to end after the frame under way; returns at once."""
        self.predictor.stop()

    def pause(self) -> None:
        """Hold the run before its next batch; live sources go on and their frames are counted as paused."""
        self.predictor.pause()

    def resume(self) -> None:
        """Go on after `pause` or `step`."""
        self.predictor.resume()

    def step(self, count: int = 1, sources: Sequence[str | SourceInfo] | None = None) -> None:
        """Pause, and let `count` batches through.

        Args:
            count: How many.
            sources: Instead of any `count`, one of each of these: of several, whichever is ready has its turn otherwise.

        Raises:
            OptionError: there is no such source.
        """
        self.predictor.step(count, sources)

    def seek(self, seconds: float, source: str | SourceInfo | None = None) -> None:
        """Go to a media time in seconds, in one source or in all that have positions.

        Raises:
            SeekError: none has.
            OptionError: there is no such source.
        """
        self.predictor.seek(seconds, source)

    def add_source(self, spec: Any, **options: Any) -> SourceInfo:
        """Take frames from one more source, from now on; it has tracks, figures and files of its own.

        Args:
            spec: Anything `open_source` takes.
            **options: Those of `open_source`.

        Returns:
            What is known of it; `remove_source` takes it back.

        Raises:
            SourceError: it cannot be opened.
            RunError: the run is over.
        """
        source = open_source(spec, **options)
        try:
            self.predictor.add_source(source)
        except BaseException:
            source.close()
            raise
        self.endless = self.endless or source.endless
        return source.info

    def remove_source(self, source: str | SourceInfo) -> None:
        """Take nothing more from a source, and release it; the run ends with the last one.

        Args:
            source: Its `SourceInfo`, its id, or its name where no other has it.

        Raises:
            OptionError: there is no such source.
        """
        self.predictor.remove_source(source)

    def update(self, **options: Unpack[PredictArgs]) -> None:
        """Change options from the next frame on; those of how frames are read (batch, vid_stride, pace) belong to the start.

        Raises:
            UnknownOptionError, OptionError: nothing is changed then.
        """
        self.predictor.update(options)

    @property
    def paused(self) -> bool:
        """Whether the run is held."""
        return self.predictor.paused

    @property
    def stats(self) -> Stats:
        """The figures of the run so far."""
        return self.predictor.stats

    @property
    def _state(self) -> str:
        return inspect.getgeneratorstate(self._stream)


def _close_quietly(run: Run) -> None:
    """Close a run where nobody could catch an error."""
    try:
        run.close()
    except Exception as error:  # noqa: BLE001 - callbacks may raise anything
        log.error("%r ended with an error: %s", run, one_line(error))


@atexit.register
def _close_open_runs() -> None:
    for run in list(_open_runs):
        if run._advancing.acquire(timeout=LAST_SECONDS):  # a callback that never returns holds it
            run._advancing.release()
            _close_quietly(run)
