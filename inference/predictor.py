"""One run: pulls frames, fires events, yields results."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from framehook.inference.backends import usable_cores
from framehook.inference.batch import Batch
from framehook.inference.callbacks.overlay import check_layers
from framehook.inference.callbacks.registry import Callbacks
from framehook.inference.callbacks.tracking import check_tracker
from framehook.inference.detector import Detector, Found
from framehook.inference.errors import CallbackError, FramehookError, OptionError, one_line
from framehook.inference.events import PredictEvent
from framehook.inference.feed import DirectFeed, Feed, ThreadedFeed
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.ledger import Cause, LedgerBook
from framehook.inference.options import AT_START, PredictOptions
from framehook.inference.result import Result
from framehook.inference.saving import remove_unused_folder
from framehook.inference.snapshot import PredictSnapshot
from framehook.inference.sources.base import Source
from framehook.inference.stats import Meter, Stats

log = logging.getLogger("framehook")

READ_AHEAD_BYTES: Final = 256 << 20
"""Pixels that are read ahead of the network at most."""


@dataclass(slots=True)
class _Job:
    """A batch under way."""

    frames: list[Frame]
    generation: int
    future: Future[Found] | None = None


class Predictor:
    """One run of a detector over a source. It is used once; its methods `stop`, `pause` ... may be called from any thread.

    Frames flow in one of two ways. Live sources, and inputs of fewer frames than cores, are computed one batch at a time in
    the caller's thread, over all cores. Files keep a batch in flight on each core, each on one thread, and results are put
    back in order; but only while nobody listens to `on_predict_batch_start`, so that callbacks cannot tell the difference.
    Callbacks always run in the thread that advances the run.

    Attributes:
        args: The options in force.
        model: The model this run was started from.
        device: What the network runs on.
        source: What is known of the source.
        batch: The frames of the current batch.
        results: What the run yields for the current batch; `on_predict_batch_end` may replace it by any iterable.
        frame_results: The engine's own results of the current batch.
        frame: The current frame, the first of its batch.
        speed: Milliseconds a frame of the current batch spent in preprocess, inference and postprocess.
        save_dir: Where the run saves, or None when it saves nothing.
        error: What ended the run, or None.
    """

    def __init__(
        self,
        detector: Detector,
        source: Source,
        options: PredictOptions,
        *,
        callbacks: Callbacks | None = None,
        model: object = None,
        save_dir: Path | None = None,
    ) -> None:
        """Prepare a run; nothing is read before `stream` is advanced.

        Args:
            detector: Finds the boxes.
            source: Where frames come from; closed when the run ends.
            options: The options to begin with.
            callbacks: The run's registry.
            model: What `predictor.model` shows.
            save_dir: Where built-in callbacks save.

        Raises:
            OptionError: the options do not fit the model.
        """
        check_options(options, detector)
        self.args = options
        self.model = detector if model is None else model
        self.device = detector.backend.device
        self.source = source.info
        self.batch: Batch | None = None
        self.results: Iterable[Any] = []
        self.frame_results: list[Result] = []
        self.frame: Frame | None = None
        self.speed: Mapping[str, float] = {}
        self.save_dir = save_dir
        self.error: BaseException | None = None
        self.callbacks = Callbacks() if callbacks is None else callbacks
        self._detector = self._side_by_side = detector
        self._ledger = LedgerBook()
        self._meter = Meter()
        self._lock = threading.Lock()
        self._wanted = options
        self._jobs: deque[_Job] = deque()
        self._current: _Job | None = None
        self._failure: FramehookError | None = None
        self._filling: _Job | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._worker_threads: set[int] = set()
        self._workers = usable_cores()
        info = source.info
        at_hand = info.kind in (SourceKind.IMAGE, SourceKind.ARRAY) and not source.may_block
        few = at_hand and info.frame_count is not None and info.frame_count < max(self._workers, 2)
        self._overlaps = not info.live and not few and options.pace == "max"
        self._feed = self._make_feed(source, few=few)

    # Controls -----------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the run after the frame under way; the run then ends as at the end of its source."""
        self._feed.stop()

    def release(self) -> None:
        """Close the source of a run that was never started."""
        self._feed.close()
        remove_unused_folder(self)

    def pause(self) -> None:
        """Hold the run before its next batch."""
        self._feed.pause()

    def resume(self) -> None:
        """Go on after `pause` or `step`."""
        self._feed.resume()

    def step(self, count: int = 1) -> None:
        """Pause, and let `count` batches through."""
        self._feed.step(count)

    def seek(self, seconds: float) -> None:
        """Go to a media time in seconds.

        Raises:
            SeekError: the source has no positions.
        """
        self._feed.seek(seconds)

    def update(self, changes: Mapping[str, Any]) -> None:
        """Change options; `args` shows them, and they are in force, from the next batch on.

        Raises:
            UnknownOptionError, OptionError: nothing is changed then.
        """
        with self._lock:
            options = self._wanted.replace(changes)
            for name in changes:
                if name in AT_START:
                    raise OptionError(f"{name} is chosen when a run starts and cannot change in it; start another run")
            check_options(options, self._detector)
            self._wanted = options

    # What callbacks look at -----------------------------------------------------------------------------------------------

    @property
    def stats(self) -> Stats:
        """The figures of the run so far; final in `on_predict_end`."""
        return self._meter.read(self._ledger, self.callbacks.background_dropped)

    @property
    def paused(self) -> bool:
        """Whether the run is held."""
        return self._feed.paused

    def snapshot(self) -> PredictSnapshot:
        """A frozen copy for a background callback."""
        copies = {id(result): result.copy() for result in self.frame_results}
        frame_results = list(copies.values())
        # An iterable that a callback put there may be read only once, and that is the run's to do.
        listed = self.results if isinstance(self.results, list) else frame_results
        return PredictSnapshot(
            args=self.args,
            model=self.model,
            device=self.device,
            source=self.source,
            batch=None if self.batch is None else self.batch.copy(),
            results=[copies.get(id(each), each) for each in listed],
            frame_results=frame_results,
            frame=self.frame,
            speed=dict(self.speed),
            stats=self.stats,
            save_dir=self.save_dir,
            error=self.error,
        )

    def where(self) -> str:
        """The current frame in words, for messages."""
        return "" if self.frame is None else f"frame {self.frame.index} of {self.frame.source.name}"

    # The run --------------------------------------------------------------------------------------------------------------

    def stream(self) -> Generator[Any, None, None]:
        """Run: yield what `results` holds for each batch. Closing the generator ends the run.

        Raises:
            CallbackError: a callback raised.
            SourceError, FrameError: the source failed.
            InferenceError: the network failed.
            ExceptionGroup: several of these.
        """
        try:
            self._meter = Meter()
            self.callbacks.fire(PredictEvent.START, self)
            while self._feed.enter():
                job = self._next_job()
                if job is None:
                    break
                yield from self._deliver(job)
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._finish()

    def _next_job(self) -> _Job | None:
        """The oldest batch under way, with others started behind it as far as may be; None at the end."""
        while True:
            if self._overlaps and not self.callbacks.has(PredictEvent.BATCH_START):
                self._run_ahead()
            job = self._jobs.popleft() if self._jobs else self._take()
            if job is None or job.generation == self._feed.generation:
                return job
            self._drop(job, Cause.SEEK)

    def _run_ahead(self) -> None:
        """Start batches on the workers while there are frames at hand: one on each core, and one that waits for a core."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(
                self._workers, "framehook-infer", initializer=_note_thread, initargs=(self._worker_threads,)
            )
            self._side_by_side = self._detector.for_mode("throughput")
        while self._overlaps and len(self._jobs) <= self._workers and (not self._jobs or self._feed.ready()):
            job = self._take()
            if job is None:
                return
            self._jobs.append(job)
            images = [frame.image for frame in job.frames]
            try:
                # The workers know nothing of this predictor, so that an abandoned run can be collected while they work.
                job.future = self._executor.submit(self._side_by_side.find, images, self._wanted)
            except RuntimeError:
                # The main thread is over and Python has closed all pools; this run goes on in the thread that advances it.
                self._overlaps = False

    def _take(self) -> _Job | None:
        """A batch of up to `batch` frames: all of them from a file, what is ready from a live source; None at the end.

        Raises:
            SourceError: the source failed, and everything captured before it was handed on.
        """
        job = self._filling = _Job([], self._feed.generation)
        while self._failure is None and len(job.frames) < self.args.batch:
            if job.frames and self.source.live and not self._feed.ready():
                break
            try:
                taken = self._feed.take()
            except FramehookError as error:
                self._failure = error
                break
            if taken is None:
                break
            if taken.generation != job.generation:
                self._drop(job, Cause.SEEK)
                job = self._filling = _Job([], taken.generation)
            job.frames.append(taken.frame)
        self._filling = None
        if self._failure is not None and not job.frames and not self._jobs:
            raise self._failure
        return job if job.frames else None

    def _deliver(self, job: _Job) -> Generator[Any, None, None]:
        """Fire the events of a batch and yield its results."""
        frames = job.frames
        self._current = job
        self.args = self._wanted
        self.frame = frames[0]
        self.batch = Batch.of(frames)
        found = self._find(job, self.batch)
        self.speed = found.speed
        self.frame_results = [
            Result(frame, boxes, self._detector.names, found.speed) for frame, boxes in zip(frames, found.boxes, strict=True)
        ]
        self.results = self.frame_results
        self.callbacks.fire(PredictEvent.POSTPROCESS_END, self)
        self.callbacks.fire(PredictEvent.BATCH_END, self)
        results = self._iterator()
        self._current = None
        now = time.monotonic()
        for result in self.frame_results:
            result.latency_ms = (now - result.frame.captured_at) * 1e3
            self._ledger.deliver(result.frame.source)
            self._meter.count(result.latency_ms, result.speed, len(result.boxes), now)
        while True:
            try:
                item = next(results)
            except StopIteration:
                return
            except Exception as error:
                raise self._bad_results(f"failed: {type(error).__name__}: {one_line(error)}") from error
            yield item

    def _iterator(self) -> Iterator[Any]:
        try:
            return iter(self.results)
        except TypeError:
            raise self._bad_results("cannot be iterated; it must be an iterable of what the run yields") from None

    def _bad_results(self, what: str) -> CallbackError:
        return CallbackError(
            f"predictor.results, which a callback replaced by a {type(self.results).__name__} at {self.where()}, {what}",
            event=PredictEvent.BATCH_END,
            callback="",
        )

    def _find(self, job: _Job, batch: Batch) -> Found:
        """The boxes of a batch under the options in force now."""
        if self.callbacks.has(PredictEvent.BATCH_START):
            # Whatever was computed ahead before somebody began to listen is not used: the callback may change the images.
            self.callbacks.fire(PredictEvent.BATCH_START, self)
            batch.check()
            return self._detector.find(batch.images, self.args)
        if job.future is None:
            return self._detector.find(batch.images, self.args)
        found = job.future.result()
        if found.options is self.args:
            return found
        # The options changed while this batch was under way; what a callback sees must not depend on that.
        if self._detector.input_size(self.args) == found.computed.input_size:
            return self._detector.decode(found.computed, self.args)
        return self._detector.find(batch.images, self.args)

    def _drop(self, job: _Job, cause: Cause) -> None:
        for frame in job.frames:
            self._ledger.drop(frame.source, cause)

    def _make_feed(self, source: Source, *, few: bool) -> Feed:
        stride = self.args.vid_stride
        if source.info.live:
            return ThreadedFeed(source, self._ledger, stride=stride, depth=1, newest_only=Cause.OVERWRITTEN)
        if self.args.pace == "realtime" and source.info.kind not in (SourceKind.IMAGE, SourceKind.ARRAY):
            return ThreadedFeed(source, self._ledger, stride=stride, depth=1, newest_only=Cause.PACE)
        if few:
            return DirectFeed(source, self._ledger, stride=stride)
        return ThreadedFeed(source, self._ledger, stride=stride, depth=self._depth(source.info), newest_only=None)

    def _depth(self, info: SourceInfo) -> int:
        """Frames to read ahead: one for each worker, but no more than fit in `READ_AHEAD_BYTES`."""
        width, height = info.size or (1920, 1080)
        return max(1, min(self._workers, READ_AHEAD_BYTES // (width * height * 3)))

    def _finish(self) -> None:
        """End the run: release everything and fire the end event, whatever goes wrong meanwhile.

        Raises:
            ExceptionGroup: several things went wrong; one alone is raised as it is.
        """
        with ExitStack() as last_first:  # each step is taken even if one before it raises, a second Ctrl-C say
            last_first.callback(remove_unused_folder, self)
            last_first.callback(self._fire_end)
            last_first.callback(self._meter.stop)
            last_first.callback(self._settle)
            last_first.callback(self._stop_workers)
            last_first.callback(self._feed.close)

    def _stop_workers(self) -> None:
        if self._executor is not None:
            # An abandoned run may be collected in any thread, and a worker cannot wait for itself.
            inside = threading.get_ident() in self._worker_threads
            self._executor.shutdown(wait=not inside, cancel_futures=True)

    def _settle(self) -> None:
        """Count what was under way as stopped."""
        for job in (self._current, self._filling, *self._jobs):
            if job is not None:
                self._drop(job, Cause.STOPPED)
        self._current = self._filling = None
        self._jobs.clear()

    def _fire_end(self) -> None:
        failures: list[Exception] = []
        try:
            self.callbacks.drain()
            failures += self.callbacks.fire_all(PredictEvent.END, self)
        finally:
            failures += self.callbacks.close()
        if not failures:
            return
        if self.error is not None and not isinstance(self.error, Exception):
            for failure in failures:
                log.error("%s", failure)
            return
        errors = failures if self.error is None else [self.error, *failures]
        if len(errors) == 1:
            raise errors[0]
        raise ExceptionGroup(f"the run ended with {len(errors)} errors", errors)


def check_options(options: PredictOptions, detector: Detector) -> None:
    """Check what options can only be checked against: the model, the layers of the overlay, the trackers.

    Raises:
        OptionError: something does not fit.
    """
    detector.check(options)
    check_layers(options.overlay)
    if options.tracker is not None:
        check_tracker(options.tracker, options.tracker_options or {})


def _note_thread(threads: set[int]) -> None:
    threads.add(threading.get_ident())
