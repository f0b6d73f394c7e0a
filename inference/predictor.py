"""One run: pulls frames, fires events, yields results."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from framehook.inference.batch import Batch
from framehook.inference.callbacks.overlay import check_layers
from framehook.inference.callbacks.registry import Callbacks
from framehook.inference.callbacks.tracking import check_tracker
from framehook.inference.connection import SourceChange
from framehook.inference.detector import Detector, Found
from framehook.inference.errors import CallbackError, OptionError, one_line
from framehook.inference.events import PredictEvent
from framehook.inference.frame import Frame, SourceInfo
from framehook.inference.gate import Gate
from framehook.inference.intake import Intake
from framehook.inference.ledger import LedgerBook
from framehook.inference.lookahead import Job, Lookahead
from framehook.inference.options import AT_START, PredictOptions
from framehook.inference.policy import feed_for
from framehook.inference.result import Result
from framehook.inference.saving import remove_unused_folder
from framehook.inference.snapshot import PredictSnapshot
from framehook.inference.sources.base import Source
from framehook.inference.stats import Meter, Stats

log = logging.getLogger("framehook")


class Predictor:
    """One run of a detector over one or more sources. It is used once; `stop`, `pause` ... may be called from any thread.

    Frames flow in one of two ways. Where a source is live, and for inputs of fewer frames than cores, they are computed one
    batch at a time in the caller's thread, over all cores. Files keep a batch in flight on each core, each on one thread, and
    results are put back in order; but only while nobody listens to `on_predict_batch_start`, so that callbacks cannot tell the
    difference. Callbacks always run in the thread that advances the run. Several sources take turns (see `Intake`).

    Attributes:
        args: The options in force.
        model: The model this run was started from.
        device: What the network runs on.
        source: What is known of the source, the first of several.
        change: During `on_source_change`, and until the next: which source changed, how and why.
        batch: The frames of the current batch.
        results: What the run yields for the current batch; `on_predict_batch_end` may replace it by any iterable.
        frame_results: The engine's own results of the current batch.
        frame: The current frame, the first of its batch.
        speed: Milliseconds a frame of the current batch spent in preprocess, inference and postprocess.
        save_dir: Where the run saves, or None when it saves nothing.
        error: What ended the run, or None.
        kept: What callbacks keep for this run, by whoever keeps it.
    """

    def __init__(
        self,
        detector: Detector,
        sources: Source | Sequence[Source],
        options: PredictOptions,
        *,
        callbacks: Callbacks | None = None,
        model: object = None,
        save_dir: Path | None = None,
    ) -> None:
        """Prepare a run; nothing is read before `stream` is advanced.

        Args:
            detector: Finds the boxes.
            sources: Where frames come from; closed when the run ends.
            options: The options to begin with.
            callbacks: The run's registry.
            model: What `predictor.model` shows.
            save_dir: Where built-in callbacks save.

        Raises:
            OptionError: the options do not fit the model.
        """
        check_options(options, detector)
        sources = [sources] if isinstance(sources, Source) else sources
        self.args = options
        self.model = detector if model is None else model
        self.device = detector.backend.device
        self.source = sources[0].info
        self.change: SourceChange | None = None
        self.batch: Batch | None = None
        self.results: Iterable[Any] = []
        self.frame_results: list[Result] = []
        self.frame: Frame | None = None
        self.speed: Mapping[str, float] = {}
        self.save_dir = save_dir
        self.error: BaseException | None = None
        self.kept: dict[object, Any] = {}
        self.callbacks = Callbacks() if callbacks is None else callbacks
        self._detector = detector
        self._ledger = LedgerBook()
        self._meter = Meter()
        self._lock = threading.Lock()
        self._wanted = options
        self._consumer_ms = 0.0
        alone = len(sources) == 1
        gate = Gate()
        self._intake = Intake(gate, [feed_for(source, options, self._ledger, gate, alone=alone) for source in sources])
        self._ahead = Lookahead(detector, self._intake)

    # Controls -----------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the run after the frame under way; the run then ends as at the end of its source."""
        self._intake.stop()

    def release(self) -> None:
        """Close the sources of a run that was never started."""
        self._intake.close()
        remove_unused_folder(self)

    def pause(self) -> None:
        """Hold the run before its next batch."""
        self._intake.pause()

    def resume(self) -> None:
        """Go on after `pause` or `step`."""
        self._intake.resume()

    def step(self, count: int = 1, sources: Sequence[str | SourceInfo] | None = None) -> None:
        """Pause, and let `count` batches through; or one batch of each of these sources.

        Raises:
            OptionError: there is no such source.
        """
        self._intake.step(count, sources)

    def seek(self, seconds: float, source: str | SourceInfo | None = None) -> None:
        """Go to a media time in seconds, in one source or in all that have positions.

        Raises:
            SeekError: none has.
            OptionError: there is no such source.
        """
        self._intake.seek(seconds, source)

    def add_source(self, source: Source) -> None:
        """Take frames from one more source; it is closed with the run.

        Raises:
            RunError: the run is over.
        """
        self._intake.add(feed_for(source, self.args, self._ledger, self._intake.gate, alone=False))

    def remove_source(self, source: str | SourceInfo) -> None:
        """Take nothing more from a source, and release it; the run ends with the last one.

        Raises:
            OptionError: there is no such source.
        """
        self._intake.remove(source)

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
        return self._meter.read(self._ledger, self._intake.standings, self.callbacks.background_dropped)

    @property
    def sources(self) -> tuple[SourceInfo, ...]:
        """What is known of each source, those that have ended included and those that were removed not."""
        return tuple(feed.source.info for feed in self._intake.feeds)

    @property
    def paused(self) -> bool:
        """Whether the run is held."""
        return self._intake.gate.paused

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
            sources=self.sources,
            change=self.change,
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
            while self._intake.gate.enter():
                job = self._next_job()
                if job is None and self._intake.conclude():
                    break
                if job is None:
                    continue  # a source was added at the last moment
                yield from self._deliver(job)
            if not self._intake.gate.stopped:  # an interrupted read may fail
                self._raise_failures()
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._finish()

    def _next_job(self) -> Job | None:
        """The next batch, once what comes before it is told; None at the end."""
        while True:
            ahead = not self.callbacks.has(PredictEvent.BATCH_START)
            job = self._ahead.next(self._wanted, ahead=ahead)
            if not isinstance(job, SourceChange):
                return job
            self.change = job
            self.callbacks.fire(PredictEvent.SOURCE_CHANGE, self)

    def _raise_failures(self) -> None:
        failures = self._intake.failures
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup(f"all {len(failures)} sources failed", failures)

    def _deliver(self, job: Job) -> Generator[Any, None, None]:
        """Fire the events of a batch and yield its results."""
        frames = job.frames
        self.args = self._wanted
        self.frame = frames[0]
        self.batch = Batch.of(frames)
        found = self._find(job, self.batch)
        self.speed = found.speed
        own = [
            Result(frame, boxes, self._detector.names, found.speed) for frame, boxes in zip(frames, found.boxes, strict=True)
        ]
        self.frame_results = own
        self.results = list(own)  # callbacks may change that list in place
        began = time.monotonic()
        self.callbacks.fire(PredictEvent.POSTPROCESS_END, self)
        self.callbacks.fire(PredictEvent.BATCH_END, self)
        results = self._iterator()
        now = time.monotonic()
        self._count(job, own, found, callbacks_ms=(now - began) * 1e3 / len(frames), now=now)
        while True:
            try:
                item = next(results)
            except StopIteration:
                break
            except Exception as error:
                raise self._bad_results(f"failed: {type(error).__name__}: {one_line(error)}") from error
            yield item
        self._consumer_ms = (time.monotonic() - now) * 1e3 / len(frames)

    def _count(self, job: Job, results: list[Result], found: Found, *, callbacks_ms: float, now: float) -> None:
        """Count the frames of a batch as delivered."""
        speed = found.speed
        stages = speed["preprocess"], speed["inference"], speed["postprocess"], callbacks_ms, self._consumer_ms
        for result, taken in zip(results, job.taken, strict=True):
            frame = result.frame
            result.latency_ms = (now - frame.captured_at) * 1e3
            wait_ms = (taken.at - frame.captured_at) * 1e3
            self._ledger.deliver(frame.source)
            self._meter.count(frame.source, result.latency_ms, (wait_ms, *stages), len(result.boxes), now)

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

    def _find(self, job: Job, batch: Batch) -> Found:
        """The boxes of a batch under the options in force now."""
        if self.callbacks.has(PredictEvent.BATCH_START):
            # Whatever was computed ahead before somebody began to listen is not used: the callback may change the images.
            self.callbacks.fire(PredictEvent.BATCH_START, self)
            batch.check()
            return self._detector.find(batch.images, self.args)
        return self._ahead.find(job, batch.images, self.args)

    def _finish(self) -> None:
        """End the run: release everything and fire the end event, whatever goes wrong meanwhile.

        Raises:
            ExceptionGroup: several things went wrong; one alone is raised as it is.
        """
        with ExitStack() as last_first:  # each step is taken even if one before it raises, a second Ctrl-C say
            last_first.callback(remove_unused_folder, self)
            last_first.callback(self._fire_end)
            last_first.callback(self._meter.stop)
            last_first.callback(self._ledger.settle)
            last_first.callback(self._ahead.stop_workers)
            last_first.callback(self._intake.close)

    def _fire_end(self) -> None:
        self.callbacks.end(PredictEvent.END, self, error=self.error, what="run")


def check_options(options: PredictOptions, detector: Detector) -> None:
    """Check what options can only be checked against: the model, the layers of the overlay, the trackers.

    Raises:
        OptionError: something does not fit.
    """
    detector.check(options)
    check_layers(options.overlay)
    if options.tracker is not None:
        check_tracker(options.tracker, options.tracker_options or {})
