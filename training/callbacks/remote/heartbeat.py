"""Tells the server, again and again, that a training is alive."""

from __future__ import annotations

import datetime
import logging
import threading
from typing import Final

from framehook.training.callbacks.remote.server import RefusedError, Server, UnknownError, UnreachableError
from framehook.training.callbacks.remote.tracked_run import TrackedRun

log = logging.getLogger("framehook")

HEARTBEAT: Final = "framehook.heartbeat"


class Heartbeat:
    """Sets a tag of the run to the time, so that a run whose machine died can be told from one that trains.

    A beat that fails is not made up for: the next one says the same. It has a connection of its own, so that a long upload
    does not hold it up.
    """

    def __init__(self, server: Server, run: TrackedRun, seconds: float) -> None:
        """Prepare to beat every `seconds`; `start` begins."""
        self._server = server
        self._run = run
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="framehook-remote-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Stop beating."""
        self._ended.set()
        self._server.abort()
        self._thread.join(2.0)

    def _work(self) -> None:
        while not self._ended.wait(self._seconds):
            run = self._run.found
            if run is None:
                continue
            try:
                self._server.set_tag(run.id, HEARTBEAT, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
            except (UnreachableError, RefusedError, UnknownError) as error:
                log.debug("remote session: no heartbeat: %s", error)
