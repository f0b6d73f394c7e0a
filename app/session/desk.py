"""One thread that does one thing after another, so that what a session decides needs no locks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Job = Callable[[], object]


class Desk:
    """Does jobs in the order in which they were handed in, on a thread of its own.

    Jobs are short. What takes long (to open a stream, to load a model) goes `aside`, to a thread of its own, and hands its
    outcome back in.
    """

    def __init__(self, name: str, failed: Callable[[BaseException], None]) -> None:
        """Open the desk.

        Args:
            name: The thread's name.
            failed: Told of what a job raised; the desk goes on.
        """
        self._failed = failed
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._asides: set[threading.Thread] = set()
        self._lock = threading.RLock()  # a thread is started in here, and the collector may run meanwhile
        self._closed = False
        self._thread.start()

    def hand_in(self, job: Job) -> bool:
        """Have a job done after those before it; from any thread. False where the desk is closed, and it never will be."""
        with self._lock:
            if not self._closed:
                self._jobs.put(job)
            return not self._closed

    def aside(self, name: str, job: Job) -> None:
        """Do a long job beside the others."""

        def work() -> None:
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - whoever handed it in is to be told
                self._failed(error)
            finally:
                with self._lock:
                    self._asides.discard(threading.current_thread())

        thread = threading.Thread(target=work, name=name, daemon=True)
        with self._lock:  # whoever waits for it must find it started
            thread.start()
            self._asides.add(thread)

    def close(self) -> None:
        """Do what was handed in so far, and nothing after it."""
        with self._lock:
            self._closed = True
            self._jobs.put(None)

    def join(self, remaining: Callable[[], float]) -> bool:
        """Once it is closed, wait for the end of everything.

        Args:
            remaining: How many seconds are left.

        Returns:
            False where something still goes on.
        """
        self._thread.join(max(0.0, remaining()))
        with self._lock:
            asides = list(self._asides)
        for thread in asides:
            thread.join(max(0.0, remaining()))
        return not any(thread.is_alive() for thread in (self._thread, *asides))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - one job that fails must not end the others
                self._failed(error)
            del job  # a thread that waits must not keep what it did last alive
