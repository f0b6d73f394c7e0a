"""What is said when a run is over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from framehook.app.progress import missed
from framehook.app.rows import print_rows
from framehook.app.tally import Tally
from framehook.inference.callbacks import Crops, Labels, Rows, Snapshots, ZoneCounter
from framehook.inference.frame import SourceKind
from framehook.inference.ledger import Cause
from framehook.inference.predictor import Predictor
from framehook.inference.result import Result
from framehook.inference.stats import SourceStats, Stats

PLURALS = {"person": "people", "bus": "buses", "knife": "knives", "mouse": "mice", "sheep": "sheep", "skis": "skis"}
"""Class names of the field whose plural is not made by adding an s."""

_NAMED = 3
"""Saved files of a kind that are named one by one, at most."""

_NOT_MISSED = (Cause.STRIDE, Cause.STOPPED)
"""Why frames were left out that nobody wanted."""


def counted(number: int, name: str) -> str:
    """`1 person`, `2 people`, `3,000 cars`."""
    return f"{number:,} {name if number == 1 else PLURALS.get(name, name if name.endswith('s') else name + 's')}"


def listed(counts: Counter[str], *, most: int = 6) -> str:
    """`2 people, 1 car`, the most frequent first; `nothing` where there is nothing."""
    shown = [counted(number, name) for name, number in counts.most_common(most)]
    if len(counts) > most:
        shown.append(f"{len(counts) - most} other classes")
    return ", ".join(shown) or "nothing"


def picture_line(result: Result) -> str:
    """What was found in one picture: `bus.jpg: 3 people, 1 bus`."""
    return f"{result.frame.source.name}: {listed(Counter(result.name_of(number) for number in result.boxes.cls))}"


def is_picture(result: Result) -> bool:
    """Whether a result is of a still picture, which is reported by itself."""
    return result.frame.source.kind is SourceKind.IMAGE


def print_summary(console: Console, predictor: Predictor, tally: Tally, saved: Sequence[Path], *, pictures: int) -> None:
    """Say how much was seen, what was found, how fast, and where the results lie.

    Args:
        console: Where to.
        predictor: The run, over.
        tally: What it found.
        saved: Files it wrote.
        pictures: How many of its frames were still pictures, each of which has been reported.
    """
    stats = predictor.stats
    rows: list[tuple[str, str]] = []
    if stats.frames > pictures:
        console.print(f"{_shown(predictor)}: {counted(stats.frames, 'frame')} in {duration(stats.elapsed)}")
        rows += _figures(stats, tally)
    elif stats.frames == 0:
        console.print(f"{_shown(predictor)}: no frame was delivered")
    elif stats.frames > 1:
        console.print(f"{stats.frames:,} pictures: {listed(tally.boxes)}")
    if len(predictor.sources) > 1:
        groups = dict.fromkeys(source.group for source in predictor.sources)
        rows += [("source", source_line(stats.sources[group])) for group in groups if group in stats.sources]
    if stats.frames:
        rows += [("zone", text) for counter in predictor.callbacks.objects(ZoneCounter) for text in zone_lines(counter.counts)]
    rows += [("saved", text) for text in _places(predictor, saved)]
    print_rows(console, rows)


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def source_line(figures: SourceStats) -> str:
    """How one of several sources did: `door: 1,234 frames, 12 ms late, 3 dropped, 2 connections`."""
    said = [counted(figures.ledger.delivered, "frame")]
    if figures.latency is not None and figures.source.live:
        said.append(f"{figures.latency.p50:.0f} ms late")
    if number := missed(figures):
        said.append(f"{number:,} dropped")
    if figures.connections > 1:
        said.append(f"{figures.connections} connections")
    if figures.reason not in ("", "stopped"):
        said.append(figures.reason)
    return f"{figures.source.name}: {', '.join(said)}"


def zone_lines(zones: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """What a `ZoneCounter` counted: `door: in 2 people, 1 car; out nothing`, `yard: entered 7 people; at most 4 at once`."""
    for name, counts in zones.items():
        classes: Mapping[str, Mapping[str, int | None]] = counts["classes"]
        told = {
            way: listed(Counter({each: number for each, figures in classes.items() if (number := figures[way])}))
            for way in ("in", "out", "entered")
            if counts.get(way) is not None
        }
        said = [f"{way} {what}" for way, what in told.items()]
        if "most" in counts:
            said.append(f"at most {counts['most']:,} at once")
        yield f"{name}: {'; '.join(said)}"


def _shown(predictor: Predictor) -> str:
    left = predictor.sources
    return f"{len(left)} sources" if len(left) > 1 else (left[0] if left else predictor.source).name


def _figures(stats: Stats, tally: Tally) -> Iterable[tuple[str, str]]:
    if tally.tracking:
        yield "tracked", listed(tally.tracks)
    else:
        each = sum(tally.boxes.values()) / stats.frames
        yield "found", f"{listed(tally.boxes)} ({each:.1f} a frame)" if tally.boxes else "nothing"
    yield "speed", f"{stats.fps:.1f} frames/s"
    if stats.latency is not None:
        yield "latency", f"{stats.latency.p50:.0f} ms median, {stats.latency.p95:.0f} ms p95, {stats.latency.p99:.0f} ms p99"
    lost: Counter[str] = Counter()
    for figures in stats.sources.values():
        lost.update({str(cause): number for cause, number in figures.ledger.dropped.items() if cause not in _NOT_MISSED})
    if lost:
        causes = ", ".join(f"{number:,} {cause}" for cause, number in lost.most_common())
        yield "dropped", f"{lost.total():,} of {stats.frames + lost.total():,} frames ({causes})"
    if stats.background_dropped:
        yield "background", f"{stats.background_dropped:,} calls dropped, the callback was too slow"


def _places(predictor: Predictor, saved: Sequence[Path]) -> list[str]:
    """The files, where there are few; how many of what lie in which folder, where there are more."""
    callbacks = predictor.callbacks
    shots = [path for path in saved if path.suffix.lower() == ".jpg"]
    videos = [path for path in saved if path.suffix.lower() != ".jpg"]
    rows = [path for each in callbacks.objects(Rows) for path in each.files_of(predictor)]
    places = [_place(videos, "video"), _place(shots, "picture"), _place(rows, "file of rows", "files of rows")]
    places += [str(folder) for each in callbacks.objects(Labels) for folder in each.folders]
    for pictures, name in ((callbacks.objects(Crops), "crop"), (callbacks.objects(Snapshots), "frame")):
        places += [f"{counted(each.count, name)} in {', '.join(map(str, each.folders))}" for each in pictures if each.count]
    return [place for place in places if place]


def _place(files: Sequence[Path], name: str, names: str | None = None) -> str:
    if len(files) <= _NAMED:
        return ", ".join(map(str, files))
    try:
        folder = os.path.commonpath([file.parent for file in files]) or "."
    except ValueError:  # they have nothing in common: other drives, or some are relative
        folder = "several folders"
    return f"{len(files):,} {names or name + 's'} in {folder}"
