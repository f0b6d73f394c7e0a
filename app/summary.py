"""What is said when a run is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from framehook.app.tally import Tally
from framehook.inference.frame import SourceKind
from framehook.inference.ledger import Cause
from framehook.inference.predictor import Predictor
from framehook.inference.result import Result
from framehook.inference.stats import Stats

PLURALS = {"person": "people", "bus": "buses", "knife": "knives", "mouse": "mice", "sheep": "sheep", "skis": "skis"}
"""Class names of the field whose plural is not made by adding an s."""

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
        unit = "frame" if stats.frames == 1 else "frames"
        console.print(f"{predictor.source.name}: {stats.frames:,} {unit} in {duration(stats.elapsed)}")
        rows += _figures(stats, tally)
    elif stats.frames == 0:
        console.print(f"{predictor.source.name}: no frame was delivered")
    elif stats.frames > 1:
        console.print(f"{stats.frames:,} pictures: {listed(tally.boxes)}")
    rows += [("saved", text) for text in _places(predictor, saved)]
    width = max((len(label) for label, _ in rows), default=0)
    for label, text in rows:
        console.print(f"  {label:<{width}}  {text}")


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


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
    """The file, where there is one; the folder, where there are several."""
    if predictor.save_dir is None:
        return []
    places = [str(saved[0])] if len(saved) == 1 else [f"{len(saved)} files in {predictor.save_dir}"] if saved else []
    if predictor.args.save_txt and predictor.stats.frames:
        places.append(str(predictor.save_dir / "labels"))
    return places
