"""The figures of a run as JSON lines."""

from __future__ import annotations

import json
import logging
import math
import threading
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PerRun
from framehook.inference.errors import OptionError, RecordingError, one_line

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

log = logging.getLogger("framehook")


class StatsLog(Callback):
    """Appends a line with `predictor.stats` to a file, every second and once more at the end, also while nothing comes.

    A line is a JSON object: `time` (UTC, ISO 8601), what `Stats.as_dict` tells, and `error` and `final` on the last one of a
    run. Each is written at once. If the file cannot be written any more, that is logged, and the run goes on without.
    """

    order: ClassVar[int] = 1000  # the last, so that the final line tells of everything
    foreground_only: ClassVar[bool] = True

    def __init__(self, path: str | Path, *, every: float = 1.0) -> None:
        """Choose the file.

        Args:
            path: Where to; lines are added to a file that exists.
            every: Seconds from line to line.

        Raises:
            OptionError: `every` is not above 0.
        """
        if not 0 < every < math.inf:
            raise OptionError(f"every={every!r} is not possible; pass a number of seconds above 0")
        self.path = Path(path).expanduser()
        self._every = every
        self._writers: PerRun[_Writer] = PerRun(_Writer)

    def on_predict_start(self, predictor: Predictor) -> None:
        self._writers.of(predictor).begin(self.path, self._every, predictor)

    def on_predict_end(self, predictor: Predictor) -> None:
        writer = self._writers.pop(predictor)
        if writer is not None:
            writer.finish(predictor)


class _Writer:
    """The file of one run, and the thread that adds to it."""

    def __init__(self) -> None:
        self._file: TextIO | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, path: Path, every: float, predictor: Predictor) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from error
        # The thread holds no run that nobody else holds, so that an abandoned one can be collected.
        held = weakref.ref(predictor)
        self._thread = threading.Thread(target=self._write, args=(held, every), name="framehook-stats", daemon=True)
        self._thread.start()

    def finish(self, predictor: Predictor) -> None:
        self._over.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if self._file is not None:
            error = None if predictor.error is None else one_line(predictor.error)
            self._line({**predictor.stats.as_dict(), "error": error, "final": True})
            self._close()

    def _write(self, held: weakref.ref[Predictor], every: float) -> None:
        while not self._over.wait(every):
            predictor = held()
            if predictor is None:
                return
            self._line(predictor.stats.as_dict())
            del predictor

    def _line(self, figures: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            json.dump({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **_rounded(figures)}, self._file)
            self._file.write("\n")
            self._file.flush()
        except OSError as error:
            log.error("%s cannot be written: %s; the run goes on without", self._file.name, error.strerror or error)
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                log.debug("what was not written stays unwritten", exc_info=True)


def _rounded(value: Any) -> Any:
    """Numbers to a millionth: more is noise."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value
