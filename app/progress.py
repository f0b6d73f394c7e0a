"""What is shown while a run goes on: a bar for a file, a table of figures for streams and for several sources."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from framehook.inference.connection import SourceState
from framehook.inference.frame import SourceInfo
from framehook.inference.ledger import Cause
from framehook.inference.run import Run
from framehook.inference.stats import SourceStats, Stats

EVERY: Final = 0.1
"""Seconds between two updates of the bar; the figures are not worked out more often than they are shown."""
ROWS: Final = 16
"""Sources that are shown at most, those first that are in trouble; the rest is counted."""

_STYLES: Final = {SourceState.CONNECTED: "green", SourceState.ENDED: "dim"}


class RunDisplay(Protocol):
    """Shows the figures of a run while it is entered."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    def frame_done(self) -> None:
        """To be called after each frame."""
        ...


def display_for(console: Console, run: Run, *, total: int | None) -> RunDisplay:
    """What fits the sources of a run; nothing is shown where there is no terminal, so that logs and pipes stay short.

    Args:
        console: The terminal, if it is one.
        run: The run.
        total: Frames it will deliver, or None when nobody knows.
    """
    sources = run.predictor.sources
    if len(sources) == 1 and not sources[0].live:
        return RunBar(console, run, sources[0], total=total)
    return RunTable(console, run)


class RunBar:
    """How far a file is."""

    def __init__(self, console: Console, run: Run, source: SourceInfo, *, total: int | None) -> None:
        """Show nothing yet."""
        self._run = run
        self._progress = Progress(
            *_columns(total),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            refresh_per_second=8,
            # What callbacks print appears above the bar; but if standard output goes to a file, it has to get there.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task(_shortened(source.name), total=total, figures="")
        self._next = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def frame_done(self) -> None:
        """Show the figures of this moment, if it is time to."""
        if self._progress.disable or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        stats = self._run.stats
        self._progress.update(self._task, completed=stats.frames, figures=f"{stats.fps_recent:.1f} fps")


class RunTable:
    """A row for each source, which goes on changing while nothing comes."""

    def __init__(self, console: Console, run: Run) -> None:
        """Show nothing yet."""
        self._run = run
        self._console = console
        self._live = Live(
            console=console,
            transient=True,
            refresh_per_second=4,
            get_renderable=lambda: table_of(run.stats, width=console.width),
            redirect_stdout=sys.stdout.isatty(),
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def frame_done(self) -> None:
        """Nothing: the table is drawn at its own pace."""


def table_of(stats: Stats, *, width: int) -> Table:
    """The figures of each source.

    Args:
        stats: The figures.
        width: Columns of the terminal; the least needed figures are left out of narrow ones.
    """
    wide = width >= 100
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("source", no_wrap=True, overflow="ellipsis", min_width=8, ratio=1)
    table.add_column("state", no_wrap=True)
    for name in ("fps", "latency ms", *(("p95", "p99") if wide else ()), "frames", "dropped", *(("conn.",) if wide else ())):
        table.add_column(name, justify="right", no_wrap=True)
    sources = sorted(stats.sources.values(), key=_trouble)
    names = Counter(each.source.name for each in sources)
    for each in sources[:ROWS]:
        name = each.source.name if names[each.source.name] == 1 else each.source.id
        table.add_row(Text(name), *_cells(each, wide=wide))
    if len(sources) > ROWS:
        table.add_row(f"and {len(sources) - ROWS} more", style="dim")
    troubled = [each for each in sources[:ROWS] if each.reason and each.state not in (SourceState.CONNECTED, SourceState.ENDED)]
    if troubled:
        table.caption = Text("\n".join(f"{each.source.name}: {each.reason}" for each in troubled), style="yellow")
        table.caption_justify = "left"
    return table


def _trouble(figures: SourceStats) -> int:
    """Those in trouble first, those that are over last."""
    return {SourceState.CONNECTED: 1, SourceState.ENDED: 2}.get(figures.state, 0)


def _cells(figures: SourceStats, *, wide: bool) -> list[Text | str]:
    style = _STYLES.get(figures.state, "yellow")
    silent = figures.silence is not None and figures.silence > 1 and figures.state is not SourceState.ENDED
    state = f"{figures.state} {figures.silence:.0f} s" if silent else str(figures.state)
    latency = figures.latency
    late = [f"{value:.0f}" for value in (latency.p50, latency.p95, latency.p99)] if latency is not None else ["-"] * 3
    return [
        Text(state, style=style),
        f"{figures.fps:.1f}",
        *(late if wide else late[:1]),
        f"{figures.ledger.delivered:,}",
        f"{missed(figures):,}",
        *([str(figures.connections)] if wide else []),
    ]


def missed(figures: SourceStats) -> int:
    """Frames of a source that were captured and lost; those read ahead when a run was stopped are not missed by anybody."""
    return sum(figures.ledger.dropped.get(cause, 0) for cause in (Cause.OVERWRITTEN, Cause.PACE))


def _columns(total: int | None) -> Sequence[ProgressColumn]:
    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    figures = TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True))
    if total is None:
        count = TextColumn("{task.completed:,.0f} frames", table_column=Column(no_wrap=True))
        return [SpinnerColumn("line"), name, TimeElapsedColumn(), count, figures]
    count = TextColumn("{task.completed:.0f}/{task.total:.0f}", table_column=Column(no_wrap=True))
    return [name, BarColumn(bar_width=None), count, figures, TimeRemainingColumn(compact=True)]


def _shortened(name: str, width: int = 20) -> str:
    return name if len(name) <= width else f"...{name[3 - width :]}"
