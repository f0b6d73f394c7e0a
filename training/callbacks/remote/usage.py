"""Usage events: which runs, exports, trainings and validations were started, on a server of one's own; never by default."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any, ClassVar, Final

from framehook._version import __version__
from framehook.inference.callbacks.base import Callback
from framehook.inference.errors import OptionError
from framehook.inference.events import ExportEvent, PredictEvent, TrainEvent, ValEvent
from framehook.inference.registry import models_folder
from framehook.training.callbacks.remote.facts import private_texts
from framehook.training.callbacks.remote.lock import FolderLock
from framehook.training.callbacks.remote.queue import DiskQueue, Kind
from framehook.training.callbacks.remote.server import Server
from framehook.training.callbacks.remote.tracked_run import UsageRuns
from framehook.training.callbacks.remote.uploader import Uploader

log = logging.getLogger("framehook")

LIMIT: Final = 16 << 20
WAIT: Final = 2.0
"""Seconds that the end of a run waits at most for its event to be sent; not at all once the server failed to take one."""


class UsageEvents(Callback):
    """Tells an MLflow server of each training, validation, run and export that is started: its options and its device.

    It is off until it is added, and nothing else adds it. Each event is a run of its own; validations within trainings are
    none. Of paths and addresses the last part is told, credentials never. What cannot be sent waits in a folder of the user's
    and is sent with a later event.
    """

    order: ClassVar[int] = 200
    foreground_only: ClassVar[bool] = True

    def __init__(
        self,
        url: str | None = None,
        *,
        experiment: str = "Framehook usage",
        folder: str | Path | None = None,
        timeout: float = 5.0,
    ) -> None:
        """Choose a server; nothing is sent before something is started.

        Args:
            url: Address of the server, as for `RemoteSession`; None for $MLFLOW_TRACKING_URI.
            experiment: Name of the experiment, made if there is none.
            folder: Where events wait; None for `usage` in the user's cache, or in $FRAMEHOOK_HOME.
            timeout: Seconds without a sign of the server after which a request is given up, to be made again.

        Raises:
            OptionError: no server was named.
        """
        url = url if url is not None else os.environ.get("MLFLOW_TRACKING_URI")
        if not url:
            raise OptionError("no MLflow server was named; pass one like http://host:5000, or set MLFLOW_TRACKING_URI")
        Server(url, timeout=timeout)  # so that a wrong address is told here
        self._url = url
        self._experiment = experiment
        self._folder = models_folder().parent / "usage" if folder is None else Path(folder).expanduser()
        self._timeout = timeout
        self._lock = threading.Lock()
        self._engines: set[int] = set()
        self._sender: _Sender | None = None

    def on_train_start(self, trainer: Any) -> None:
        self._tell(TrainEvent.START, trainer)

    def on_val_start(self, validator: Any) -> None:
        if not validator.training:
            self._tell(ValEvent.START, validator)

    def on_predict_start(self, predictor: Any) -> None:
        self._tell(PredictEvent.START, predictor)

    def on_export_start(self, exporter: Any) -> None:
        self._tell(ExportEvent.START, exporter)

    def teardown(self, trainer: Any) -> None:
        self._end(trainer)

    def on_val_end(self, validator: Any) -> None:
        self._end(validator)

    def on_predict_end(self, predictor: Any) -> None:
        self._end(predictor)

    def on_export_end(self, exporter: Any) -> None:
        self._end(exporter)

    def _tell(self, event: str, engine: Any) -> None:
        said = {
            "event": str(event),
            "time": time.time_ns() // 1_000_000,
            "params": private_texts(engine.args),
            "tags": {"event": str(event), "device": str(engine.device), "framehook.version": __version__},
        }
        with self._lock:
            if self._sender is None:
                self._sender = _Sender(self._folder, Server(self._url, timeout=self._timeout), self._experiment)
            self._engines.add(id(engine))
            self._sender.queue.put(Kind.EVENT, said)

    def _end(self, engine: Any) -> None:
        with self._lock:
            if id(engine) not in self._engines:
                return
            self._engines.discard(id(engine))
            sender = None
            if not self._engines:
                sender, self._sender = self._sender, None
        if sender is not None:
            sender.finish()


class _Sender:
    """Sends events while something runs that they are of."""

    def __init__(self, folder: Path, server: Server, experiment: str) -> None:
        self._lock = FolderLock(folder)
        self._mine = self._lock.take()  # another process sends what it finds; what comes later waits for the next one
        self.queue = DiskQueue(folder, limit=LIMIT)
        self._uploader = Uploader(self.queue, UsageRuns(server, experiment), server, spacing=0.0, about=str(folder))
        if self._mine:
            self._uploader.start()

    def finish(self) -> None:
        if self._mine:
            self._uploader.drain(WAIT, patient=False)
        self._uploader.close()
        self._lock.release()
