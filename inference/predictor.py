"""One run: pulls frames, fires events, yields results."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from framehook.inference.backends import usable_cores
from framehook.inference.callbacks.registry import Callbacks
from framehook.inference.detector import Detector, Found
from framehook.inference.errors import CallbackError, FrameError, FramehookError
from framehook.inference.events import PredictEvent
from framehook.inference.feed import DirectFeed, Feed, ThreadedFeed
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.ledger import Cause, LedgerBook
from framehook.inference.options import PredictOptions
from framehook.inference.result import Result
from framehook.inference.sources.base import Source
from framehook.inference.stats import Meter, Stats

log = logging.getLogger("framehook")


class Batch(NamedTuple):
    """The frames of one network call, as four lists that belong together.

    Attributes:
        paths: Where each frame comes from.
        images: H x W x 3 uint8 BGR arrays, read-only. In `on_predict_batch_start` an entry may be replaced by a picture of the
            same size, which the network then sees instead; results keep the captured frame.
        frames: The captured frames.
        infos: A few words on each frame for logs.
    """

    paths: list[str]
    images: list[npt.NDArray[np.uint8]]
    frames: list[Frame]
    infos: list[str]


@dataclass(frozen=True, slots=True)
class PredictSnapshot:
    """What a background callback sees in place of the predictor; setting an attribute raises.

    Attributes are those of `Predictor`, `frame_results` and `results` being copies.
    """

    args: PredictOptions
    model: object
    device: str
    source: SourceInfo
    batch: Batch | None
    results: list[Any]
    frame_results: list[Result]
    frame: Frame | None
    speed: Mapping[str, float]
    stats: Stats
    save_dir: Path | None
    error: BaseException | None


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
        detector.check(options)
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
        self._jobs: deque[_Job] = deque()
        self._current: _Job | None = None
        self._failure: FramehookError | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._workers = usable_cores()
        few = source.info.frame_count is not None and source.info.frame_count < max(self._workers, 2)
        self._overlaps = not source.info.live and not few and options.pace == "max"
        self._feed = self._make_feed(source, few=few)

    # Controls -----------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the run after the frame under way; the run then ends as at the end of its source."""
        self._feed.stop()

    def release(self) -> None:
        """Close the source of a run that was never started."""
        self._feed.close()

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
        """Change options from the next frame on.

        Raises:
            UnknownOptionError, OptionError: nothing is changed then.
        """
        with self._lock:
            options = self.args.replace(changes)
            self._detector.check(options)
            self.args = options

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
        copies = [result.copy() for result in self.frame_results]
        own = self.results is self.frame_results
        return PredictSnapshot(
            args=self.args,
            model=self.model,
            device=self.device,
            source=self.source,
            batch=self.batch,
            # An iterable that a callback put there may be read only once, and that is the run's to do.
            results=list(copies) if own or not isinstance(self.results, list) else list(self.results),
            frame_results=copies,
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
            self._executor = ThreadPoolExecutor(self._workers, thread_name_prefix="framehook-infer")
            self._side_by_side = self._detector.for_mode("throughput")
        while len(self._jobs) <= self._workers and (not self._jobs or self._feed.ready()):
            job = self._take()
            if job is None:
                return
            images = [frame.image for frame in job.frames]
            # The workers know nothing of this predictor, so that an abandoned run can be collected while they work.
            job.future = self._executor.submit(self._side_by_side.find, images, self.args)
            self._jobs.append(job)

    def _take(self) -> _Job | None:
        """A batch of up to `batch` frames: all of them from a file, what is ready from a live source; None at the end."""
        job = _Job([], self._feed.generation)
        while self._failure is None and len(job.frames) < self.args.batch:
            if job.frames and self.source.live and not self._feed.ready():
                break
            try:
                frame = self._feed.take()
            except FramehookError as error:
                self._failure = error  # what was captured before it comes first
                break
            if frame is None:
                break
            if self._feed.generation != job.generation:
                self._drop(job, Cause.SEEK)
                job = _Job([], self._feed.generation)
            job.frames.append(frame)
        if self._failure is not None and not job.frames and not self._jobs:
            raise self._failure
        return job if job.frames else None

    def _deliver(self, job: _Job) -> Iterator[Any]:
        """Fire the events of a batch and yield its results."""
        frames = job.frames
        self._current = job
        self.frame = frames[0]
        self.batch = Batch(
            paths=[frame.source.path for frame in frames],
            images=[frame.image for frame in frames],
            frames=frames,
            infos=[_info(frame) for frame in frames],
        )
        found = self._find(job, self.batch)
        self.speed = found.speed
        self.frame_results = [
            Result(frame, boxes, self._detector.names, found.speed) for frame, boxes in zip(frames, found.boxes, strict=True)
        ]
        self.results = self.frame_results
        self.callbacks.fire(PredictEvent.POSTPROCESS_END, self)
        self.callbacks.fire(PredictEvent.BATCH_END, self)
        self._current = None
        now = time.monotonic()
        for result in self.frame_results:
            result.latency_ms = (now - result.frame.captured_at) * 1e3
            self._ledger.deliver(result.frame.source)
            self._meter.count(result.latency_ms, result.speed, len(result.boxes), now)
        if not isinstance(self.results, Iterable):
            raise CallbackError(
                f"predictor.results was replaced by {self.results!r} at {self.where()}; it must be iterable",
                event=PredictEvent.BATCH_END,
                callback="",
            )
        yield from self.results

    def _find(self, job: _Job, batch: Batch) -> Found:
        """The boxes of a batch under the options in force now."""
        if self.callbacks.has(PredictEvent.BATCH_START):
            # Whatever was computed ahead before somebody began to listen is not used: the callback may change the images.
            self.callbacks.fire(PredictEvent.BATCH_START, self)
            for image, frame in zip(batch.images, job.frames, strict=True):
                if np.shape(image) != frame.image.shape:
                    raise FrameError(
                        f"predictor.batch.images holds an image of shape {np.shape(image)} for {self.where()}; "
                        f"replace it by one of shape {frame.image.shape}"
                    )
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
        depth = max(self._workers, self.args.batch)
        return ThreadedFeed(source, self._ledger, stride=stride, depth=depth, newest_only=None)

    def _finish(self) -> None:
        """End the run: release everything, fire the end event, and raise what went wrong meanwhile."""
        self._feed.close()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
        for job in (*([self._current] if self._current else []), *self._jobs):
            self._drop(job, Cause.STOPPED)
        self._current = None
        self._jobs.clear()
        self._meter.stop()
        failures: list[Exception] = list(self.callbacks.fire_all(PredictEvent.END, self))
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


def _info(frame: Frame) -> str:
    width, height = frame.size
    return f"{frame.source.name} frame {frame.index} {width}x{height}"
