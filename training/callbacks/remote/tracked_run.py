"""The run on the server that a folder's training belongs to: made once, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from framehook.inference.errors import one_line
from framehook.training.callbacks.remote.queue import Entry, Kind
from framehook.training.callbacks.remote.server import Run, Server, UnknownError, UnreachableError

log = logging.getLogger("framehook")

SESSION: Final = "session.json"
KEY: Final = "framehook.session"
"""Tag that tells a run of ours from others, so that one whose making was never confirmed is found again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is to be known of a session when its training, or the process of it, is no more.

    Attributes:
        key: What it is known by on the server.
        url: The server's address, without credentials.
        experiment: Name of the experiment its run belongs to.
        name: Name of the run.
        started: When it began, in milliseconds since 1970.
        run: Number of its run, once there is one.
        given: Whether that run was there before and named by the user.
    """

    key: str
    url: str
    experiment: str
    name: str
    started: int
    run: str | None = None
    given: bool = False

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """That of a folder, or None where there is none, or none that can be read."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            said = json.loads((folder / SESSION).read_text(encoding="utf-8"))
            texts = [said[name] for name in ("key", "url", "experiment", "name")]
            if all(isinstance(each, str) for each in texts) and isinstance(said["started"], int):
                return cls(**said)
        return None

    @classmethod
    def all_of(cls, folder: Path) -> list[tuple[Path, Self]]:
        """Those of a training's folder, each with its own folder within, the newest last."""
        with contextlib.suppress(OSError):
            found = [(each, session) for each in folder.iterdir() if (session := cls.read(each)) is not None]
            return sorted(found, key=lambda each: each[1].started)
        return []

    @classmethod
    def begin(cls, *, url: str, experiment: str, name: str, run: str | None) -> Self:
        """A new one."""
        started = time.time_ns() // 1_000_000
        key = secrets.token_hex(8)
        return cls(key=key, url=url, experiment=experiment, name=name, started=started, run=run, given=run is not None)

    def write(self, folder: Path) -> None:
        """Keep it in a folder; where that cannot be written, it is known to this process alone."""
        unfinished = folder / f"{SESSION}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
            os.replace(unfinished, folder / SESSION)
        except OSError as error:
            log.warning("remote session: %s cannot be written: %s", folder / SESSION, one_line(error.strerror or error))


class TrackedRun:
    """A session's run, made when something is first sent; used by one thread at a time.

    Attributes:
        session: What is known of it.
        found: The run, once the server has answered for it.
    """

    def __init__(self, server: Server, session: Session, folder: Path) -> None:
        """Prepare; nothing is sent."""
        self.session = session
        self.found: Run | None = None
        self._server = server
        self._folder = folder

    def deliver(self, batch: list[Entry], file: Path | None) -> None:
        """Send entries, which are of one kind.

        Raises:
            UnreachableError: try again later.
            RefusedError: it would be refused again.
            OSError: the file cannot be read.
        """
        run = self.open()
        try:
            for each in batch if batch[0].kind is not Kind.FIGURES else ():
                if file is not None:
                    self._server.upload(run, each.content["to"], file)
                    self._server.log(run.id, params={}, tags=each.content.get("tags", {}))
                elif each.kind is Kind.STATUS:
                    self._server.update(run.id, each.content["status"], each.content.get("end"))
            if batch[0].kind is Kind.FIGURES:
                self._server.log(
                    run.id,
                    metrics=[metric for each in batch for metric in each.content.get("metrics", ())],
                    params=_together(batch, "params"),
                    tags=_together(batch, "tags"),
                )
        except UnknownError as error:
            self.found = None
            raise UnreachableError(str(error)) from None

    def open(self) -> Run:
        """The run: the one that is there, else a new one.

        Raises:
            UnreachableError, RefusedError: it cannot be had.
        """
        if self.found is not None:
            return self.found
        session = self.session
        if session.run is not None:
            try:
                self.found = self._server.get(session.run)
            except UnknownError:
                if session.given:
                    raise UnreachableError(f"it has no run {session.run}") from None
                log.warning("remote session: %s no longer has run %s; another is made", self._server.host, session.run)
        if self.found is None:
            self.found = self._make()
        if self.found.id != session.run:
            self.session = replace(session, run=self.found.id)
            self.session.write(self._folder)
        log.info("remote session: %s", self._server.page_of(self.found))
        return self.found

    def _make(self) -> Run:
        session = self.session
        try:
            experiment = self._server.experiment(session.experiment)
            found = self._server.find(experiment, KEY, session.key)
            if found is not None:
                return found
            tags = {KEY: session.key, "mlflow.source.name": "framehook", "mlflow.source.type": "LOCAL"}
            return self._server.create(experiment, name=session.name, tags=tags, start=session.started)
        except UnknownError as error:
            raise UnreachableError(str(error)) from None


class UsageRuns:
    """Sends usage events, each a run of its own that is over at once."""

    def __init__(self, server: Server, experiment: str) -> None:
        """Prepare; nothing is sent."""
        self._server = server
        self._experiment = experiment

    def deliver(self, batch: list[Entry], file: Path | None) -> None:
        """Send events; one that was sent before, and not confirmed, is not there twice.

        Raises:
            UnreachableError, RefusedError: as `TrackedRun.deliver`.
        """
        del file
        try:
            experiment = self._server.experiment(self._experiment)
            for each in batch:
                said = each.content
                run = self._server.find(experiment, KEY, each.name) or self._server.create(
                    experiment, name=said["event"], tags={KEY: each.name, **said["tags"]}, start=said["time"]
                )
                self._server.log(run.id, params=said["params"], tags={})
                self._server.update(run.id, "FINISHED", said["time"])
        except UnknownError as error:
            raise UnreachableError(str(error)) from None


def _together(batch: list[Entry], part: str) -> Mapping[str, Any]:
    return {key: value for each in batch for key, value in each.content.get(part, {}).items()}
