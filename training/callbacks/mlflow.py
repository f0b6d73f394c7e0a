"""The figures of a training in MLflow."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from framehook.inference.callbacks.background import BackgroundWorker
from framehook.inference.errors import MissingDependencyError, OptionError
from framehook.inference.sources.addresses import redacted
from framehook.training.callbacks.tracker import Tracker, files_of, required

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer

log = logging.getLogger("framehook")

KEPT: Final = ".mlflow-run"
"""File in a training's folder with the number of its run, by which a resumed training finds it."""
CLOSING_SECONDS: Final = 60.0
"""How long the end of a training waits for what is still under way."""
_QUIET: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow would try for minutes to reach a server that is gone, and log a line each time.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Settings of MLflow that are in force unless the environment says otherwise."""


class MLflow(Tracker):
    """Writes options, figures and, in the end, files of a training into a run of an MLflow experiment.

    Needs MLflow: its client (the extra `mlflow`) for a server, the whole of it for a database file. Calls are made beside the
    training, which does not wait for them; figures that could not be delivered go with the next epoch's. (What survives the
    end of the program too is `RemoteSession`.) MLflow takes no brackets in names: `metrics/mAP50(B)` is `metrics/mAP50B` there.

    Attributes:
        uri: Of the tracking server or database.
        run_id: Of the run, once it is there; that of the last training.
    """

    name: ClassVar[str] = "MLflow"

    def __init__(
        self, uri: str | None = None, *, experiment: str = "framehook", run_name: str | None = None, artifacts: bool = True
    ) -> None:
        """Choose where to.

        Args:
            uri: The tracking server (`http://127.0.0.1:5000`) or database (`sqlite:///mlflow.db`); None for
                `MLFLOW_TRACKING_URI` of the environment, else what MLflow takes itself, a database in the working directory.
            experiment: Made where there is none of the name.
            run_name: None for the name of the training's folder.
            artifacts: In the end, upload the best checkpoint, `results.csv`, `args.yaml` and the pictures.

        Raises:
            MissingDependencyError: MLflow is not installed, or not as much of it as `uri` needs.
            OptionError: no name for the experiment.
        """
        super().__init__()
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        mlflow = required("mlflow", "MLflow", "mlflow")
        self.uri: str = uri or mlflow.get_tracking_uri()
        if not experiment:
            raise OptionError(f"experiment={experiment!r} is no name; pass that of an experiment, such as 'framehook'")
        if "://" in self.uri and not self.uri.startswith(("http", "file", "databricks")) and find_spec("sqlalchemy") is None:
            raise MissingDependencyError(
                f"{redacted(self.uri)} is a database, which needs the whole of MLflow; install it with: pip install mlflow, "
                "or pass the address of a server"
            )
        self._experiment = experiment
        self._run_name = run_name
        self._artifacts = artifacts
        self.run_id: str | None = None
        self._deliveries: _Deliveries | None = None

    def open(self, trainer: Trainer) -> None:
        self.run_id = None
        self._deliveries = _Deliveries(self, trainer, self._experiment, self._run_name or trainer.save_dir.name)
        self._deliveries.begin()

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        assert self._deliveries is not None  # it is open
        self._deliveries.add(step, figures)

    def close(self, trainer: Trainer) -> None:
        deliveries, self._deliveries = self._deliveries, None
        assert deliveries is not None  # it is open
        files = list(files_of(trainer)) if self._artifacts else []
        error = trainer.error
        status = "FINISHED" if error is None else "FAILED" if isinstance(error, Exception) else "KILLED"
        deliveries.end(status, files)


class _Deliveries:
    """What goes to one run, on a thread of its own."""

    def __init__(self, tracker: MLflow, trainer: Any, experiment: str, name: str) -> None:
        self._tracker = tracker
        self._experiment = experiment
        self._name = name
        self._kept: Path = trainer.save_dir / KEPT
        self._options = {key: str(value)[:500] for key, value in trainer.args.as_dict().items()}
        self._resumed = trainer.start_epoch > 0
        self._client: Any = None
        self._number: str | None = None
        self._worker = BackgroundWorker("MLflow")
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._waiting: list[tuple[int, int, Mapping[str, float]]] = []

    def begin(self) -> None:
        self._worker.submit(self._deliver)

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        with self._lock:
            self._waiting.append((step, int(time.time() * 1000), figures))
        if self._worker.has_room():  # else those before it take it along
            self._worker.submit(self._deliver)

    def end(self, status: str, files: list[Path]) -> None:
        self._worker.submit(lambda: self._end(status, files))
        self._worker.close(time.monotonic() + CLOSING_SECONDS)
        if not self._over.is_set():
            self._tracker.tell(TimeoutError(f"no answer for {CLOSING_SECONDS:.0f} s"))

    def _deliver(self) -> None:
        self._try(self._deliver_waiting)

    def _end(self, status: str, files: list[Path]) -> None:
        def finish() -> None:
            run = self._deliver_waiting()
            for path in files:
                self._client.log_artifact(run, str(path), "weights" if path.suffix == ".pt" else None)
            self._client.set_terminated(run, status)

        self._try(finish)
        self._over.set()

    def _try(self, do: Callable[[], object]) -> None:
        """Do it, twice if need be: a connection that was idle may be gone."""
        for last in (False, True):
            try:
                do()
            except Exception as error:
                log.debug("MLflow failed", exc_info=True)
                if last:
                    self._tracker.tell(_reason(error, self._tracker.uri))
            else:
                return

    def _deliver_waiting(self) -> str:
        """Deliver what is waiting, and return the number of the run."""
        from mlflow.entities import Metric

        run = self._run()
        with self._lock:
            batch = list(self._waiting)
        metrics = [Metric(_plain(name), value, at, step) for step, at, each in batch for name, value in each.items()]
        for start in range(0, len(metrics), 1000):  # what MLflow takes at a time
            self._client.log_batch(run, metrics[start : start + 1000])
        with self._lock:
            del self._waiting[: len(batch)]
        return run

    def _run(self) -> str:
        """The number of the run, which is made, or found again, when first asked for."""
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        if self._client is None:
            self._client = MlflowClient(tracking_uri=self._tracker.uri)
        if self._number is None:
            self._number = self._found() or self._made()
            self._tracker.run_id = self._number
        if self._options:
            self._client.log_batch(self._number, params=[Param(key, value) for key, value in self._options.items()])
            self._options = {}
        return self._number

    def _made(self) -> str:
        number = str(self._client.create_run(self._experiment_id(), run_name=self._name).info.run_id)
        with contextlib.suppress(OSError):  # it is not found again then
            self._kept.write_text(number)
        return number

    def _found(self) -> str | None:
        """The run of the training that is resumed, if it is still there."""
        from mlflow.exceptions import MlflowException

        if not self._resumed or not self._kept.is_file():
            return None
        number = self._kept.read_text().strip()
        try:
            self._client.update_run(number, status="RUNNING")
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        self._options = {}  # it has those it was begun with, which cannot be changed
        return number

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        known = self._client.get_experiment_by_name(self._experiment)
        if known is not None:
            return str(known.experiment_id)
        try:
            return str(self._client.create_experiment(self._experiment))
        except MlflowException:  # another training made it just now
            known = self._client.get_experiment_by_name(self._experiment)
            if known is None:
                raise
            return str(known.experiment_id)


def _plain(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w\-. :/]", "", name)


def _reason(error: Exception, uri: str) -> Exception:
    """What was wrong, in few words and without the credentials in an address."""
    from requests import RequestException

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RequestException):
            return ConnectionError(f"{redacted(uri)} does not answer")
        cause = cause.__cause__ or cause.__context__
    return error if isinstance(error, OSError) else RuntimeError(str(error).replace(uri, redacted(uri)))
