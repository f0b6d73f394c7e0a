"""What a benchmark measured, and how it is told."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from rich.console import Console
from rich.table import Table

from framehook.app.machine import installed_packages, this_machine, versions
from framehook.app.passes import STAGES, Pass
from framehook.app.rows import print_rows
from framehook.inference.backends import usable_cores
from framehook.inference.frame import SourceInfo
from framehook.inference.options import PredictOptions
from framehook.model import Model

DECODE, BARE, BARE_TOGETHER, SERIAL, TOGETHER = "decode", "bare", "bare_overlapped", "run", "run_overlapped"
TITLES: Final = {
    DECODE: "reading alone",
    BARE: "network, one by one",
    SERIAL: "run, one by one",
    BARE_TOGETHER: "network, overlapped",
    TOGETHER: "run, overlapped",
}
_RATIOS: Final = ((SERIAL, BARE), (TOGETHER, BARE_TOGETHER), (TOGETHER, BARE), (TOGETHER, SERIAL))
"""Which way's speed is compared with which."""
_STEADY: Final = 1.3
"""Factor between two rounds of the same beyond which the machine was not steady."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What all passes of one way gave.

    Attributes:
        ms: Milliseconds a frame, of each round.
        p50: Milliseconds of the median frame, from its pixels to its boxes.
        p95: As `p50`, of all but a twentieth.
        p99: As `p50`, of all but a hundredth.
        stages: Mean milliseconds of a frame in each stage, the median of the rounds.
        latency: Median milliseconds from capture to boxes, the wait behind other frames included; or None.
    """

    ms: Sequence[float]
    p50: float
    p95: float
    p99: float
    stages: Mapping[str, float]
    latency: float | None

    @classmethod
    def of(cls, passes: Sequence[Pass]) -> Self:
        """Put the passes of a way together."""
        each = np.concatenate([one.each for one in passes])
        p50, p95, p99 = (float(value) for value in np.percentile(each, (50, 95, 99)))
        stages = {stage: statistics.median(one.stages[stage] for one in passes) for stage in passes[0].stages}
        latencies = [one.latency for one in passes if one.latency is not None]
        return cls([one.ms for one in passes], p50, p95, p99, stages, statistics.median(latencies) if latencies else None)


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """What a run over something live gave, after its first second.

    Attributes:
        seconds: How long was measured.
        frames: Frames that came through.
        fps: Frames a second.
        latency: Milliseconds from capture to hand-over: median, all but a twentieth, all but a hundredth.
        dropped: Frames that were lost, by cause.
        stages: Mean milliseconds of a frame in each stage.
    """

    seconds: float
    frames: int
    fps: float
    latency: tuple[float, float, float]
    dropped: Mapping[str, int]
    stages: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """A benchmark.

    Attributes:
        model: The model.
        source: What was read.
        size: (width, height) of its frames in pixels.
        frames: Frames of a pass.
        ways: What was measured, by way.
        live: What was measured of something live, else None.
        interrupted: Whether Ctrl-C kept a file from being read as often as was meant.
    """

    model: Model
    source: SourceInfo
    size: tuple[int, int]
    frames: int
    ways: Mapping[str, Figures]
    live: LiveFigures | None = None
    interrupted: bool = False

    @property
    def ratios(self) -> dict[tuple[str, str], list[float]]:
        """How much faster the first way was than the second, round by round: the speed of machines drifts."""
        return {
            (fast, slow): [theirs / ours for ours, theirs in zip(self.ways[fast].ms, self.ways[slow].ms, strict=True)]
            for fast, slow in _RATIOS
            if fast in self.ways and slow in self.ways
        }


def print_report(console: Console, report: Report) -> None:
    """Print the figures, for people; not wider than 80 columns."""
    name = Path(report.model.detector.backend.network.source).stem
    rate = f", {report.source.fps:.4g} frames/s" if report.source.fps else ""
    console.print(f"{name} on {report.model.device}, {_cores()}")
    console.print(f"{report.source.name}: {report.size[0]}x{report.size[1]}{rate}")
    console.print()
    if report.live is not None:
        _print_live(console, report.live, report.ways[BARE])
        return
    rounds = len(report.ways[TOGETHER].ms)
    console.print(_table(report), soft_wrap=False)
    console.print()
    plural = "" if rounds == 1 else "s"
    console.print(f"{rounds} round{plural} of {report.frames} frames, in turn: the median, and the range of the rounds.")
    console.print("p50, p95, p99: milliseconds from a frame's pixels to its boxes, without waiting.")
    console.print()
    stages = report.ways[SERIAL].stages
    console.print("A frame, one by one: " + ", ".join(f"{stage} {stages[stage]:.2f}" for stage in STAGES) + " ms")
    for (fast, slow), ratios in report.ratios.items():
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        console.print(f"{TITLES[fast]:<15} has {statistics.median(ratios):.2f} x the speed of '{TITLES[slow]}' {spread}")
    network = report.ways[BARE].ms
    if max(network) > _STEADY * min(network):
        console.print(f"The machine was busy: the network alone took {max(network) / min(network):.1f} x its best time.")
        console.print("Measure again when nothing else runs.")


def as_json(report: Report) -> dict[str, Any]:
    """The figures, for JSON; times are in milliseconds where nothing else is said."""
    detector, machine = report.model.detector, this_machine()
    path = Path(detector.backend.network.source)
    return {
        "versions": versions(installed_packages()),
        "machine": {**asdict(machine), "usable_cores": usable_cores()},
        "model": {
            "name": path.name,
            "bytes": path.stat().st_size if path.is_file() else None,
            "layout": detector.decoder.name,
            "input": detector.input_size(PredictOptions()),
            "device": report.model.device,
        },
        "source": {
            "name": report.source.name,
            "path": report.source.path,
            "kind": str(report.source.kind),
            "live": report.source.live,
            "size": report.size,
            "fps": report.source.fps,
        },
        "frames": report.frames,
        "interrupted": report.interrupted,
        "ways": {name: _figures(figures) for name, figures in report.ways.items()},
        "ratios": {f"{fast}/{slow}": _spread(ratios) for (fast, slow), ratios in report.ratios.items()},
        "live": None if report.live is None else _live(report.live),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "ms": _spread(figures.ms),
        "fps": 1e3 / statistics.median(figures.ms),
        "frame_ms": {"p50": figures.p50, "p95": figures.p95, "p99": figures.p99},
        "stages_ms": dict(figures.stages),
        "latency_ms": figures.latency,
    }


def _live(live: LiveFigures) -> dict[str, Any]:
    p50, p95, p99 = live.latency
    return {**asdict(live), "latency": {"p50": p50, "p95": p95, "p99": p99}}


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "rounds": list(values)}


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="")
    table.add_column("")
    for title in ("ms a frame", "range", "frames/s", "p50", "p95", "p99"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, figures in report.ways.items():
        ms = statistics.median(figures.ms)
        spread = f"{_number(min(figures.ms))} to {_number(max(figures.ms))}"
        ends = (_number(value) for value in (figures.p50, figures.p95, figures.p99))
        table.add_row(TITLES[name], _number(ms), spread, _number(1e3 / ms), *ends)
    return table


def _print_live(console: Console, live: LiveFigures, network: Figures) -> None:
    p50, p95, p99 = live.latency
    lost = sum(live.dropped.values())
    causes = ", ".join(f"{number:,} {cause}" for cause, number in live.dropped.items())
    ms = statistics.median(network.ms)
    spread = f"({_number(min(network.ms))} to {_number(max(network.ms))})"
    rows = {
        "frames": f"{live.frames:,} in {live.seconds:.1f} s, {live.fps:.1f} frames/s",
        "dropped": f"{lost:,} of {live.frames + lost:,} ({causes})" if lost else f"none of {live.frames:,}",
        "latency": f"{p50:.1f} ms median, {p95:.1f} ms p95, {p99:.1f} ms p99",
        "stages": ", ".join(f"{stage} {mean:.2f}" for stage, mean in live.stages.items()) + " ms",
        "network alone": f"{_number(ms)} ms a frame {spread}, {_number(1e3 / ms)} frames/s",
    }
    print_rows(console, rows.items())


def _number(value: float) -> str:
    """Three digits that count, or all of a large number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cores() -> str:
    usable = usable_cores()
    return f"{usable} core{'' if usable == 1 else 's'}"
