"""Sends what is queued, on a thread of its own, again and again until the server has it."""

from __future__ import annotations

import logging
import random
import threading
import time
from pathlib import Path
from typing import Final, Protocol

from framehook.inference.errors import one_line
from framehook.training.callbacks.remote.queue import DiskQueue, Entry, Kind
from framehook.training.callbacks.remote.server import RefusedError, Server, UnreachableError

log = logging.getLogger("framehook")

FIRST: Final = 0.5
"""Seconds after the first failure until the next attempt; they double, with 20 % jitter."""
MOST: Final = 30.0
MOST_AT_END: Final = 8.0
"""Longest such pause while the end of a training waits."""
JOIN: Final = 2.0


class Delivery(Protocol):
    """What knows how to send entries."""

    def deliver(self, batch: list[Entry], file: Path | None) -> None:
        """Send entries of one kind; see `TrackedRun.deliver`."""
        ...


class Uploader:
    """Sends what is in a queue while a training goes on, and never waits for anything in the training's thread.

    Figures go at most once in `spacing` seconds, all that gathered meanwhile together. A request that fails leaves everything
    in the queue; the next attempt is made after 0.5 s, then after twice as long, up to 30 s.

    Attributes:
        sent: Entries that were delivered.
        failures: Attempts that failed.
    """

    def __init__(self, queue: DiskQueue, delivery: Delivery, server: Server, *, spacing: float, about: str) -> None:
        """Prepare; `start` starts the thread.

        Args:
            queue: What is to be sent.
            delivery: How.
            server: Where to; its request under way is broken off when the uploader is closed.
            spacing: Seconds between requests with figures.
            about: Where the queue is, for messages.
        """
        self.sent = 0
        self.failures = 0
        self.spacing = spacing
        self._queue = queue
        self._delivery = delivery
        self._server = server
        self._about = about
        self._changed = queue.changed
        self._thread: threading.Thread | None = None
        self._closing = False
        self._draining = False
        self._away = 0
        self._not_before = 0.0
        self._figures_at = 0.0

    def start(self) -> None:
        """Start sending."""
        self._thread = threading.Thread(target=self._work, name="framehook-remote-upload", daemon=True)
        self._thread.start()

    def drain(self, seconds: float, *, patient: bool = True) -> bool:
        """Send all there is, without pauses between figures, and tell whether nothing is left.

        Args:
            seconds: How long to wait for it at most.
            patient: Wait on while attempts fail, which begin anew with short pauses; otherwise the first failure is enough.
        """
        with self._changed:
            self._draining = True
            if patient:
                self._away = 0
                self._not_before = 0.0
            self._changed.notify_all()
            self._changed.wait_for(lambda: not len(self._queue) or (not patient and self._away > 0), seconds)
            return not len(self._queue)

    def close(self) -> None:
        """End the thread; what it was sending stays in the queue. A server that hangs is not waited for longer than 2 s."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._server.abort()
        if self._thread is not None:
            self._thread.join(JOIN)

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            failure: str | None = None
            try:
                self._send(batch)
            except UnreachableError as error:
                failure = str(error)
            except Exception as error:  # whatever is wrong here must not end what goes on beside it
                log.debug("remote session", exc_info=True)
                failure = f"{type(error).__name__}: {one_line(error)[:200]}"
            self._note(failure)

    def _next(self) -> list[Entry] | None:
        """Wait for something that is due; None when the thread is to end."""
        with self._changed:
            while True:
                if self._closing:
                    return None
                batch = list(self._queue.batch())
                pause = self._pause(batch) if batch else None
                if pause == 0:
                    if batch[0].kind is Kind.FIGURES:
                        self._figures_at = time.monotonic() + self.spacing
                    return batch
                self._changed.wait(pause)

    def _pause(self, batch: list[Entry]) -> float:
        due = self._not_before
        if batch[0].kind is Kind.FIGURES and not self._draining:
            due = max(due, self._figures_at)
        return max(due - time.monotonic(), 0)

    def _send(self, batch: list[Entry]) -> None:
        """Deliver a batch and let go of it; of one that is refused each entry alone, so that one bad one costs no other.

        Raises:
            UnreachableError: not now.
        """
        file = self._queue.file_of(batch[0]) if batch[0].kind is Kind.FILE else None
        try:
            self._delivery.deliver(batch, file)
        except RefusedError as error:
            if len(batch) == 1:
                self._queue.refuse(batch[0], f"the server refuses it: {error}")
                return
            for each in batch:
                self._send([each])
            return
        except OSError as error:
            if file is None:
                raise
            self._queue.refuse(batch[0], f"its file cannot be read: {error.strerror or type(error).__name__}")
            return
        self.sent += len(batch)
        self._queue.remove(batch)

    def _note(self, failure: str | None) -> None:
        if failure is None:
            if self._away:
                log.info("remote session: %s is there again", self._server.host)
            self._away = 0
            self._queue.save()
            return
        self.failures += 1
        with self._changed:
            if self._closing:
                return
            most = MOST_AT_END if self._draining else MOST
            pause = min(FIRST * 2 ** min(self._away, 10), most) * random.uniform(0.8, 1.2)
            self._not_before = time.monotonic() + pause
            self._away += 1
            self._changed.notify_all()
        if self._away == 1 and not self._draining:
            where = self._about
            log.warning(
                "remote session: %s takes nothing: %s; what is to be sent waits in %s", self._server.host, failure, where
            )
