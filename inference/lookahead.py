"""Batches under way: computed one at a time, or side by side ahead of the callbacks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from framehook.inference.backends import usable_cores
from framehook.inference.connection import SourceChange
from framehook.inference.detector import Detector, Found
from framehook.inference.feed import Taken
from framehook.inference.frame import Frame
from framehook.inference.intake import Intake
from framehook.inference.options import PredictOptions


@dataclass(slots=True)
class Job:
    """A batch under way."""

    taken: list[Taken]
    future: Future[Found] | None = None

    @property
    def frames(self) -> list[Frame]:
        """Its frames."""
        return [each.frame for each in self.taken]


class Lookahead:
    """Keeps a batch in flight on each core, each on one thread, and gives them back in order.

    Used by the thread that advances the run.
    """

    def __init__(self, detector: Detector, intake: Intake) -> None:
        """Start nothing yet; the workers start with the first batch that is computed ahead."""
        self._detector = self._side_by_side = detector
        self._intake = intake
        self._jobs: deque[Job | SourceChange] = deque()
        self._executor: ThreadPoolExecutor | None = None
        self._threads: set[int] = set()
        self._workers = usable_cores()
        self._refused = False

    def next(self, options: PredictOptions, *, ahead: bool) -> Job | SourceChange | None:
        """The oldest batch under way, or the change of a source in its place between them; None at the end.

        Args:
            options: What to compute batches with that are begun now.
            ahead: Begin others behind it, as far as may be.
        """
        while True:
            if ahead and not self._refused:
                self._run_ahead(options)
            job = self._jobs.popleft() if self._jobs else self._take(options)
            if not isinstance(job, Job) or self._is_current(job):
                return job

    def find(self, job: Job, images: Sequence[npt.NDArray[np.uint8]], options: PredictOptions) -> Found:
        """The boxes of a batch under these options, whichever it was begun with."""
        if job.future is None:
            return self._detector.find(images, options)
        found = job.future.result()
        if found.options is options:
            return found
        # The options changed while this batch was under way; what a callback sees must not depend on that.
        if self._detector.input_size(options) == found.computed.input_size:
            return self._detector.decode(found.computed, options)
        return self._detector.find(images, options)

    def stop_workers(self) -> None:
        """Cancel what has not begun, and wait for what has."""
        if self._executor is not None:
            # An abandoned run may be collected in any thread, and a worker cannot wait for itself.
            inside = threading.get_ident() in self._threads
            self._executor.shutdown(wait=not inside, cancel_futures=True)

    def _take(self, options: PredictOptions) -> Job | SourceChange | None:
        taken = self._intake.next(options.batch)
        return Job(taken) if isinstance(taken, list) else taken

    def _run_ahead(self, options: PredictOptions) -> None:
        """Start batches on the workers while there are frames at hand: one on each core, and one that waits for a core."""
        while self._intake.overlaps and len(self._jobs) <= self._workers and (not self._jobs or self._intake.ready()):
            job = self._take(options)
            if job is None:
                return
            self._jobs.append(job)
            if isinstance(job, SourceChange):
                continue
            if self._executor is None:
                self._executor = ThreadPoolExecutor(
                    self._workers, "framehook-infer", initializer=_note_thread, initargs=(self._threads,)
                )
                self._side_by_side = self._detector.for_mode("throughput")
            images = [frame.image for frame in job.frames]
            try:
                # The workers know nothing of this run, so that an abandoned one can be collected while they work.
                job.future = self._executor.submit(self._side_by_side.find, images, options)
            except RuntimeError:
                # The main thread is over and Python has closed all pools; this run goes on in the thread that advances it.
                self._refused = True
                return

    def _is_current(self, job: Job) -> bool:
        """Whether anything is left of a batch, once what a seek or a removed source outdated is dropped from it."""
        stale = [each for each in job.taken if each.outdated]
        for each in stale:
            job.taken.remove(each)
            each.drop()
        if stale:
            job.future = None  # its boxes are of more frames
        return bool(job.taken)


def _note_thread(threads: set[int]) -> None:
    threads.add(threading.get_ident())
