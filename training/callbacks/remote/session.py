"""A training's session on an MLflow server: its figures, checkpoints and final model, sent beside the training."""

from __future__ import annotations

import logging
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from framehook._version import __version__
from framehook.inference.callbacks.base import Callback
from framehook.inference.errors import OptionError
from framehook.inference.ranges import is_number, is_whole
from framehook.training.callbacks.remote.facts import Operations, epoch_values, figures, model_facts, texts
from framehook.training.callbacks.remote.heartbeat import Heartbeat
from framehook.training.callbacks.remote.lock import FolderLock
from framehook.training.callbacks.remote.queue import DiskQueue, Kind
from framehook.training.callbacks.remote.server import LONGEST, Server
from framehook.training.callbacks.remote.tracked_run import Session, TrackedRun
from framehook.training.callbacks.remote.uploader import Uploader

log = logging.getLogger("framehook")

FOLDER: Final = ".remote"
"""Folder within `save_dir` where everything waits, that of each session in a folder of its own."""
EXPERIMENT: Final = "framehook"
WAIT_AFTER_ERROR: Final = 5.0
COMMAND: Final = "python -m framehook.training.callbacks.remote"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStatus:
    """How a session stands.

    Attributes:
        run: Number of its run on the server; None before the server was reached.
        page: Address at which people see the run, or None.
        sent: What was delivered, in entries: the figures of an epoch are one, a file is one.
        waiting: Entries that wait on the disk.
        refused: Entries that the server will not have.
        dropped: Entries for which the queue had no room.
        failures: Requests that failed, and were or will be made again.
        seconds: Time that the callbacks took in the thread that trains, without that of the wait at its end.
        waited: Seconds that the end of the training waited for what was left.
    """

    run: str | None
    page: str | None
    sent: int
    waiting: int
    refused: int
    dropped: int
    failures: int
    seconds: float
    waited: float


class RemoteSession(Callback):
    """Gives a training a run on an MLflow tracking server, which is started with `mlflow server`.

    The run has the options as parameters, every epoch's losses, learning rates and metrics, the network's size and speed with
    the first of them, the newest and the best checkpoint every so often, at last the final model; and a heartbeat by which a
    training that goes on is told from one whose machine died. A training that is resumed goes on in its run; one that begins
    anew in a folder that was used before has a run of its own. A training takes one session.

    Nothing of it waits for the server in the thread that trains: what is to be sent is put on the disk, in `save_dir/.remote`,
    and sent from there by a thread of its own, until the server has it. A server that is down, slow, or comes and goes costs a
    training nothing, and loses nothing. What is left when a training ends, or when its process was killed, is sent when the
    training is resumed, or by `python -m framehook.training.callbacks.remote FOLDER`.

    It speaks HTTP itself and needs no package. Credentials: see `url`.
    """

    order: ClassVar[int] = 200
    foreground_only: ClassVar[bool] = True

    def __init__(
        self,
        url: str | None = None,
        *,
        experiment: str | None = None,
        name: str | None = None,
        run: str | None = None,
        metrics_every: float = 3.0,
        checkpoints_every: float | None = 900.0,
        heartbeat: float = 60.0,
        wait: float = 60.0,
        timeout: float = 10.0,
        limit_mb: int = 4096,
    ) -> None:
        """Choose a server; nothing is sent before a training begins.

        Args:
            url: Address of the server, `http://host:5000`; None for $MLFLOW_TRACKING_URI. Credentials are better given by
                MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, than in it.
            experiment: Name of the experiment, made if there is none; None for $MLFLOW_EXPERIMENT_NAME, else `framehook`.
            name: Name of the run; None for that of the training's folder.
            run: Number of a run that is there already, to go on in; None for $MLFLOW_RUN_ID, else that of the training that
                is resumed, else a new one.
            metrics_every: Seconds between requests with figures; what gathers meanwhile goes together.
            checkpoints_every: Seconds between checkpoints; None for the final model alone.
            heartbeat: Seconds between heartbeats.
            wait: Seconds that the end of a training waits at most for what is left to be sent; 5 at most after an error.
            timeout: Seconds without a sign of the server after which a request is given up, to be made again.
            limit_mb: Most that may wait on the disk.

        Raises:
            OptionError: no server was named, or a value is not possible.
        """
        url = url if url is not None else os.environ.get("MLFLOW_TRACKING_URI")
        if not url:
            raise OptionError("no MLflow server was named; pass one like http://host:5000, or set MLFLOW_TRACKING_URI")
        for what, value, least in (
            ("metrics_every", metrics_every, 0),
            ("checkpoints_every", 0 if checkpoints_every is None else checkpoints_every, 0),
            ("heartbeat", heartbeat, 0.1),
            ("wait", wait, 0),
        ):
            if not is_number(value, least, LONGEST):
                raise OptionError(f"{what}={value!r} is not possible; pass seconds from {least:g} to {LONGEST:g}")
        if not is_whole(limit_mb, 1, 1 << 30):
            raise OptionError(f"limit_mb={limit_mb!r} is not possible; pass a whole number from 1 to {1 << 30}")
        Server(url, timeout=timeout)  # so that a wrong address or time-out is told here
        self._url = url
        self._experiment = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        self._name = name
        self._run = run or os.environ.get("MLFLOW_RUN_ID") or None
        self._metrics_every = metrics_every
        self._checkpoints_every = checkpoints_every
        self._heartbeat = heartbeat
        self._wait = wait
        self._timeout = timeout
        self._limit = limit_mb << 20
        self._trainings: dict[int, _Training] = {}
        self._newest: _Training | None = None

    @property
    def status(self) -> RemoteStatus | None:
        """How the session of the training that began last stands, also when it is over; None before any began."""
        return None if self._newest is None else self._newest.status()

    # Events of a trainer --------------------------------------------------------------------------------------------------

    def on_pretrain_routine_start(self, trainer: Any) -> None:
        with self._of(trainer):
            pass

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        with self._of(trainer) as training:
            training.start_timers(self._metrics_every, self._checkpoints_every)

    def on_train_start(self, trainer: Any) -> None:
        with self._of(trainer) as training:
            training.begin(trainer)

    def on_train_batch_end(self, trainer: Any) -> None:
        training = self._trainings.get(id(trainer))
        if training is not None and training.operations is not None:
            with training.timed():
                training.stop_watching()

    def on_fit_epoch_end(self, trainer: Any) -> None:
        with self._of(trainer) as training:
            training.queue_epoch(trainer)

    def on_model_save(self, trainer: Any) -> None:
        with self._of(trainer) as training:
            training.queue_checkpoints(trainer)

    def on_train_end(self, trainer: Any) -> None:
        with self._of(trainer) as training:
            training.queue_end(trainer)
        training.finish(self._wait if trainer.error is None else min(self._wait, WAIT_AFTER_ERROR))

    def teardown(self, trainer: Any) -> None:
        training = self._trainings.pop(id(trainer), None)
        if training is None or training.ended:
            return
        with training.timed():
            training.queue_end(trainer)
        training.finish(min(self._wait, WAIT_AFTER_ERROR))

    @contextmanager
    def _of(self, trainer: Any) -> Iterator[_Training]:
        """The session of a training, begun unless there is one; the time spent in it is counted."""
        training = self._trainings.get(id(trainer))
        if training is None:
            began = time.perf_counter()
            training = self._newest = self._trainings[id(trainer)] = self._begin(trainer)
            training.seconds += time.perf_counter() - began
        with training.timed():
            yield training

    def _begin(self, trainer: Any) -> _Training:
        number = len(trainer.callbacks.objects(RemoteSession))
        if number > 1:
            raise OptionError(f"a training takes one RemoteSession, and this one has {number}; remove the others")
        save_dir = Path(trainer.save_dir)
        server = Server(self._url, timeout=self._timeout)
        earlier = Session.all_of(save_dir / FOLDER)
        # What lies in the folder of a training that begins anew is another training's, with a run of its own.
        known = earlier.pop() if earlier and trainer.start_epoch and self._run in (None, earlier[-1][1].run) else None
        if known is not None:
            folder, session = known
        else:
            name = self._name or save_dir.name
            session = Session.begin(url=server.url, experiment=self._experiment, name=name, run=self._run)
            folder = save_dir / FOLDER / session.key
        if any(DiskQueue.holds_something(each) for each, _ in earlier):
            command = f"{COMMAND} {shlex.quote(str(save_dir))}"
            log.warning("remote session: what an earlier training left waits in %s; send it with: %s", folder.parent, command)
        training = _Training(save_dir, folder, server, session, resumed=known is not None, limit=self._limit)
        if known is None:
            tags = {"framehook.device": str(trainer.device), "framehook.version": __version__}
            training.queue.put(Kind.FIGURES, {"params": texts(trainer.args), "tags": tags})
        session.write(folder)
        training.start(Heartbeat(Server(self._url, timeout=self._timeout), training.run, self._heartbeat))
        return training


class _Training:
    """The session of one training."""

    def __init__(self, save_dir: Path, folder: Path, server: Server, session: Session, *, resumed: bool, limit: int) -> None:
        self.seconds = 0.0
        self.waited = 0.0
        self.ended = False
        self.operations: Operations | None = None
        self.queue = DiskQueue(folder, limit=limit)
        self.run = TrackedRun(server, session, folder)
        self._resumed = resumed
        self._begun = False
        self._metrics: Mapping[str, float] = {}
        self._save_dir = save_dir
        self._server = server
        self._lock = FolderLock(folder)
        self._uploader = Uploader(self.queue, self.run, server, spacing=0.0, about=str(folder))
        self._heart: Heartbeat | None = None
        self._facts: dict[str, float] | None = {}
        self._between: float | None = None
        self._checkpoint_due = 0.0
        self._best: dict[str, str] | None = None
        self._queued: dict[str, tuple[int, int, int]] = {}

    @contextmanager
    def timed(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - began

    def start(self, heart: Heartbeat) -> None:
        if not self._lock.take():
            log.warning("remote session: another process sends what waits in %s; this one leaves it there", self.queue.folder)
            return
        self._uploader.start()
        self._heart = heart
        heart.start()

    def start_timers(self, metrics: float, checkpoints: float | None) -> None:
        self._uploader.spacing = metrics
        self._between = checkpoints
        self._checkpoint_due = time.monotonic() + (checkpoints or 0)

    def begin(self, trainer: Any) -> None:
        if self._resumed:
            self.queue.put(Kind.STATUS, {"status": "RUNNING"})
        self._begun = True
        self.operations = Operations(trainer.model)

    def stop_watching(self) -> None:
        if self.operations is not None and self._facts is not None:
            self._facts["model/GFLOPs"] = self.operations.stop()
        self.operations = None

    def queue_epoch(self, trainer: Any) -> None:
        # Where not every epoch is validated, the metrics are still those of another one.
        values = epoch_values(trainer, validated=trainer.metrics is not self._metrics)
        self._metrics = trainer.metrics
        if self._facts is not None:
            values |= self._facts | model_facts(trainer)
            self._facts = None
        self.queue.put(Kind.FIGURES, {"metrics": figures(values, step=trainer.epoch + 1)})

    def queue_checkpoints(self, trainer: Any) -> None:
        if trainer.is_best:
            self._best = {
                "framehook.best.epoch": str(trainer.epoch + 1),
                "framehook.best.fitness": f"{trainer.best_fitness:.6g}",
            }
        if self._between is None or time.monotonic() < self._checkpoint_due:
            return
        self._checkpoint_due = time.monotonic() + self._between
        self._queue_file(trainer.last, {"framehook.last.epoch": str(trainer.epoch + 1)})
        if self._best is not None:
            self._queue_file(trainer.best, self._best)
            self._best = None

    def queue_end(self, trainer: Any) -> None:
        self.ended = True
        if self._resumed and not self._begun:
            return  # nothing became of going on, and the run stays what it was
        if self.operations is not None:
            self.stop_watching()
        final = next((each for each in (trainer.best, trainer.last) if each is not None and Path(each).is_file()), None)
        if final is not None:
            mark = {"framehook.final": f"weights/{Path(final).name}"} if trainer.error is None else {}
            self._queue_file(final, {**(self._best or {}), **mark})
        error = trainer.error
        status = "FINISHED" if error is None else "FAILED" if isinstance(error, Exception) else "KILLED"
        self.queue.put(Kind.STATUS, {"status": status, "end": time.time_ns() // 1_000_000})

    def finish(self, wait: float) -> None:
        """Wait for what is left, so long at most, and end the threads."""
        began = time.perf_counter()
        try:
            if self._heart is not None:
                self._heart.end()
                if not self._uploader.drain(min(1.0, wait)) and wait > 1:
                    log.info("remote session: sending what is left to %s, for %g s at most", self._server.host, wait)
                    self._uploader.drain(wait - 1)
        finally:
            self._uploader.close()
            self._lock.release()
            self.waited += time.perf_counter() - began
            if self.queue:
                self._tell_what_is_left()

    def status(self) -> RemoteStatus:
        found = self.run.found
        return RemoteStatus(
            run=self.run.session.run,
            page=None if found is None else self._server.page_of(found),
            sent=self._uploader.sent,
            waiting=len(self.queue),
            refused=self.queue.refused,
            dropped=self.queue.dropped,
            failures=self._uploader.failures,
            seconds=self.seconds,
            waited=self.waited,
        )

    def _queue_file(self, path: Path, tags: dict[str, str]) -> None:
        """Queue a file, or its tags alone where that very file is there or on its way."""
        path = Path(path)
        try:
            said = path.stat()
        except OSError:
            return
        identity = (said.st_ino, said.st_size, said.st_mtime_ns)
        if self._queued.get(path.name) == identity:
            self.queue.put(Kind.FIGURES, {"tags": tags})
        elif self.queue.put(
            Kind.FILE, {"to": f"weights/{path.name}", "tags": tags, "first": path.name == "best.pt"}, file=path
        ):
            self._queued[path.name] = identity

    def _tell_what_is_left(self) -> None:
        self.queue.save()
        number, size = len(self.queue), self.queue.size
        log.warning(
            "remote session: %d %s (%.1f MB) for %s could not be sent; send %s later with: %s %s",
            number,
            "entry" if number == 1 else "entries",
            size / 1e6,
            self._server.host,
            "it" if number == 1 else "them",
            COMMAND,
            shlex.quote(str(self._save_dir)),
        )
