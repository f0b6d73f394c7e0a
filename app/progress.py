"""What is shown while a run goes on: a bar for files, a line of figures for streams."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from framehook.inference.frame import SourceInfo
from framehook.inference.ledger import Cause
from framehook.inference.stats import Stats

EVERY: Final = 0.1
"""Seconds between two updates; the figures are not worked out more often than they are shown."""


class RunProgress:
    """The figures of a run on the terminal; nothing where there is none, so that logs and pipes stay short."""

    def __init__(self, console: Console, source: SourceInfo, *, total: int | None) -> None:
        """Show nothing yet.

        Args:
            console: The terminal, if it is one.
            source: What the run reads.
            total: Frames the run will deliver, or None when nobody knows.
        """
        self._live = source.live
        self._progress = Progress(
            *_columns(source, total),
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

    def due(self) -> bool:
        """Whether it is time to show figures again."""
        if self._progress.disable or time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + EVERY
        return True

    def show(self, stats: Stats) -> None:
        """Show the figures of this moment."""
        self._progress.update(self._task, completed=stats.frames, figures=self._figures(stats))

    def _figures(self, stats: Stats) -> str:
        figures = f"{stats.fps_recent:.1f} fps"
        if not self._live:
            return figures
        if stats.latency is not None:
            figures += f"  latency {stats.latency.p50:.0f} ms"
        return f"{figures}  {dropped_frames(stats)} dropped"


def dropped_frames(stats: Stats) -> int:
    """Frames that were captured and lost; those read ahead when a run was stopped are not missed by anybody."""
    causes = (Cause.OVERWRITTEN, Cause.PACE)
    return sum(each.ledger.dropped.get(cause, 0) for each in stats.sources.values() for cause in causes)


def _columns(source: SourceInfo, total: int | None) -> list[ProgressColumn]:
    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    figures = TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True))
    if total is None:
        count = TextColumn("{task.completed:,.0f} frames", table_column=Column(no_wrap=True))
        return [SpinnerColumn("line"), name, TimeElapsedColumn(), count, figures]
    count = TextColumn("{task.completed:.0f}/{task.total:.0f}", table_column=Column(no_wrap=True))
    return [name, BarColumn(bar_width=None), count, figures, TimeRemainingColumn(compact=True)]


def _shortened(name: str, width: int = 20) -> str:
    return name if len(name) <= width else f"...{name[3 - width :]}"
