"""How fast a model is on this machine: the network alone, and a whole run over a file or something live."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from rich.console import Console
from rich.progress import Progress, TextColumn

from framehook.app.arguments import check_seconds, refuse_sources
from framehook.app.cli import INTERRUPTED
from framehook.app.figures import (
    BARE,
    BARE_TOGETHER,
    DECODE,
    SERIAL,
    TITLES,
    TOGETHER,
    Figures,
    LiveFigures,
    Report,
    as_json,
    print_report,
)
from framehook.app.interrupt import StopOnSignal
from framehook.app.messages import diagnostics, logged_to, output
from framehook.app.passes import STAGES, Pass, bare, bare_side_by_side, decode, one_by_one, overlapped, tensor_of
from framehook.app.rows import json_text, print_json
from framehook.inference.errors import OptionError, RecordingError, SourceUnavailableError
from framehook.inference.frame import Frame
from framehook.inference.ledger import Cause
from framehook.inference.result import Result
from framehook.inference.sources import Source, open_source
from framehook.inference.sources.addresses import redacted
from framehook.inference.stats import WINDOW, Stats
from framehook.model import Model

FILE_SECONDS: Final = 20.0
LIVE_SECONDS: Final = 10.0
"""How long is measured when nobody says it."""
ROUNDS: Final = 5
FEWEST_ROUNDS: Final = 3
"""Rounds when a model is so slow that five would take too long."""
FEWEST, MOST = 10, 400
"""Frames of a pass when nobody says it: few enough that the rounds fit into the time."""
WARM_FRAMES: Final = 10
WARM_SECONDS: Final = 1.0
"""What is not measured at the beginning: buffers are made then, sessions opened, and processors clocked up."""
LIVE_CALLS: Final = 50

STDOUT: Final = "-"


def benchmark(
    source: str,
    *,
    model: str | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    json_file: str | None = None,
    device: str | None = None,
    decoder: str | None = None,
    architecture: str | None = None,
    debug: bool = False,
) -> int:
    """Measure a model on a source, and tell; returns the exit code.

    Args:
        source: What the user typed.
        model: Path of an `.onnx` or `.pt` file, or None for the bundled detector.
        frames: Frames of a pass over a file, or of a live run; None for as many as fit into the time.
        seconds: How long to measure, about.
        json_file: Where to save the figures as JSON; `-` prints them in place of the table.
        device: As for `Model`.
        decoder: As for `Model`.
        architecture: As for `Model`.
        debug: Show what the library logs in detail.

    Raises:
        OptionError: an option is none, or the source has too few frames.
        FramehookError: what loading the model, or reading the source, raises.
        RecordingError: the figures cannot be saved.
    """
    if seconds is not None:
        check_seconds(seconds)
    target = None if json_file is None or json_file == STDOUT else Path(json_file).expanduser()
    if target is not None and target.suffix.lower() != ".json":
        raise OptionError(f"--json {target} is no JSON file; pass a name that ends in .json, or - to print the figures")
    if target is not None:
        refuse_sources("--json", target, [source])
    if target is not None and not target.parent.is_dir():
        raise OptionError(f"--json {target}: there is no folder {target.parent}; make it first")
    out, err = output(), diagnostics()
    chosen = Model(model, device=device, decoder=decoder, architecture=architecture)
    with logged_to(err, debug=debug), _Steps(err) as steps:
        opened = open_source(source, reconnect=False)
        if opened.info.live:
            report = measure_live(chosen, opened, seconds or LIVE_SECONDS, frames, steps.show)
        else:
            opened.close()
            report = measure_file(chosen, source, seconds or FILE_SECONDS, frames, steps.show)
    if json_file == STDOUT:
        print_json(out, as_json(report))
    else:
        print_report(out, report)
    if target is not None:
        _save(target, report)
        out.print(f"saved {target}")
    return INTERRUPTED if report.interrupted else 0


def measure_file(model: Model, spec: str, seconds: float, frames: int | None, show: Callable[[str], None]) -> Report:
    """Read the beginning of a file again and again, in each of the ways in turn, since the speed of machines drifts.

    Args:
        model: The model.
        spec: What `open_source` makes a source of that is not live.
        seconds: How long to measure, about.
        frames: Frames of a pass; None for as many as fit into the time.
        show: Told what goes on.

    Raises:
        OptionError: the source has too few frames.
        SourceError: it cannot be read.
        KeyboardInterrupt: no round was complete.
    """
    with open_source(spec) as source:
        info, first = source.info, source.read()
    if first is None:
        raise SourceUnavailableError(f"{info.name} has no frame")
    short = FEWEST if frames is None else min(frames, FEWEST)
    if len(decode(spec, short).each) < FEWEST:
        if short < FEWEST:
            raise OptionError(f"--frames {frames} is too few for a benchmark; pass {FEWEST} or more")
        raise OptionError(f"{redacted(spec)} has fewer frames than the {FEWEST} that a benchmark takes; name a longer film")
    backend, tensor = model.detector.backend, tensor_of(model.detector, first.image)
    ways: dict[str, Callable[[int], Pass]] = {
        DECODE: lambda count: decode(spec, count),
        BARE: lambda count: bare(backend, tensor, count),
        SERIAL: lambda count: one_by_one(model, spec, count),
        BARE_TOGETHER: lambda count: bare_side_by_side(backend, tensor, count),
        TOGETHER: lambda count: overlapped(model, spec, count),
    }
    show("warming up")
    cost = sum(way(WARM_FRAMES).ms for way in ways.values())
    wanted = frames or min(max(round(seconds * 1e3 / ROUNDS / cost), FEWEST), MOST)
    count = len(decode(spec, wanted).each)
    passes: list[dict[str, Pass]] = []
    began = time.monotonic()
    interrupted = False
    try:
        while len(passes) < (ROUNDS if time.monotonic() - began < seconds else FEWEST_ROUNDS):
            one = {}
            for name, way in ways.items():
                show(f"round {len(passes) + 1} of {ROUNDS}: {TITLES[name]}")
                one[name] = way(count)
            passes.append(one)
    except KeyboardInterrupt:
        if not passes:
            raise
        interrupted = True
    figures = {name: Figures.of([one[name] for one in passes]) for name in ways}
    return Report(model, info, first.size, count, figures, interrupted=interrupted)


def measure_live(model: Model, source: Source, seconds: float, frames: int | None, show: Callable[[str], None]) -> Report:
    """Run over something live for a while, and time the network alone afterwards, on the last picture.

    Args:
        model: The model.
        source: What to read; closed at the end.
        seconds: How long to measure, from the end of the first second.
        frames: Stop after so many frames.
        show: Told what goes on.

    Raises:
        SourceError: the source gave no frame after its first second.
    """
    show("warming up")
    watch = _LiveWatch()
    with model.predict(source, stream=True) as run, StopOnSignal(run):
        warm_until: float | None = None
        alarm = threading.Timer(seconds, run.stop)
        alarm.name = "framehook-alarm"
        try:
            for result in run:
                now = time.monotonic()
                if warm_until is None:
                    warm_until = now + WARM_SECONDS
                elif not watch.begun and now >= warm_until:
                    alarm.start()  # stops the run also where nothing comes any more
                    show(f"measuring for {seconds:g} s")
                    watch.begin(run.stats, now)
                elif watch.begun:
                    watch.count(result)
                    if watch.frames == frames:
                        break
            figures = watch.read(run.stats, time.monotonic())
        finally:
            if alarm.is_alive():
                alarm.cancel()
                alarm.join()
    info = run.predictor.sources[0]
    if figures is None or watch.last is None:
        raise SourceUnavailableError(f"{info.name} gave too few frames to measure anything; see 'framehook sources'")
    show("network alone")
    backend, tensor = model.detector.backend, tensor_of(model.detector, watch.last.image)
    network = Figures.of([bare(backend, tensor, LIVE_CALLS) for _ in range(FEWEST_ROUNDS)])
    return Report(model, info, watch.last.size, figures.frames, {BARE: network}, figures)


class _LiveWatch:
    """Counts what a live run gives, from a moment on."""

    def __init__(self) -> None:
        self.begun = False
        self.frames = 0
        self.last: Frame | None = None
        self._began = 0.0
        self._latencies: deque[float] = deque(maxlen=WINDOW)
        self._stages: Counter[str] = Counter()
        self._before: Counter[str] = Counter()

    def begin(self, stats: Stats, now: float) -> None:
        self.begun = True
        self._began = now
        self._before = _dropped(stats)

    def count(self, result: Result) -> None:
        self.frames += 1
        self.last = result.frame
        self._latencies.append(result.latency_ms or 0.0)
        self._stages.update({stage: result.speed[stage] for stage in STAGES})

    def read(self, stats: Stats, now: float) -> LiveFigures | None:
        if not self.frames:
            return None
        seconds = now - self._began
        p50, p95, p99 = (float(value) for value in np.percentile(self._latencies, (50, 95, 99)))
        return LiveFigures(
            seconds=seconds,
            frames=self.frames,
            fps=self.frames / seconds,
            latency=(p50, p95, p99),
            dropped=dict(_dropped(stats) - self._before),
            stages={stage: total / self.frames for stage, total in self._stages.items()},
        )


def _dropped(stats: Stats) -> Counter[str]:
    """Frames lost so far, by cause; what the end of the run drops is missed by nobody."""
    dropped = Counter[str]()
    for each in stats.sources.values():
        dropped.update({str(cause): number for cause, number in each.ledger.dropped.items() if cause is not Cause.STOPPED})
    return dropped


def _save(path: Path, report: Report) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json_text(as_json(report)) + "\n")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from error


class _Steps:
    """A line that says what goes on, where there is a terminal; not a spinner, which would take time from what is measured."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            auto_refresh=False,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, text: str) -> None:
        self._progress.update(self._task, description=f"{text} ...", refresh=True)
