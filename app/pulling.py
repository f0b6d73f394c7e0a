"""`framehook models pull`: a model by its name, with a bar while it comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Self

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from framehook.app.describe import size_of
from framehook.app.messages import diagnostics, output
from framehook.app.rows import print_rows
from framehook.app.summary import duration
from framehook.inference.errors import OptionError
from framehook.inference.load import BUNDLED
from framehook.inference.registry import Registry


def pull_models(names: Sequence[str], registry: Registry, *, force: bool = False) -> None:
    """Pull models one after another, and say of each where it lies and how to use it.

    Raises:
        OptionError: there is no name.
        ModelNotFoundError: one is unknown; nothing was pulled.
        DownloadError: one cannot be had, or is not the right one.
    """
    if not names:
        raise OptionError(f"models pull needs a name; known are {', '.join(registry.entries)} (a file named pull is ./pull)")
    for name in names:
        if name == BUNDLED:
            raise OptionError(f"{BUNDLED} comes with the package, there is nothing to pull; it is the model when none is named")
        registry.entry(name)
    for name in names:
        _pull(name, registry, force=force)


def _pull(name: str, registry: Registry, *, force: bool = False) -> None:
    entry = registry.entry(name)
    was_there = None if force else registry.find(name)
    started = time.monotonic()
    with _Bar(name) as bar:
        try:
            path = was_there or registry.pull(name, force=force, progress=bar.show)
        except KeyboardInterrupt:
            diagnostics().print(f"{name} is not whole yet; the same command goes on from here")
            raise
    how = "is there already" if was_there else f"pulled in {duration(time.monotonic() - started)}"
    out = output()
    out.print(f"{name}: {entry.about}; {size_of(path)}, {how}")
    print_rows(out, [("file", str(path)), ("licence", entry.licence), ("try", f"framehook track 0 --model {name}")])


class _Bar:
    """How much of a file has arrived; nothing is shown where there is no terminal."""

    def __init__(self, name: str) -> None:
        console = diagnostics()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task(name, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, done: int, total: int | None) -> None:
        """Show how far it is."""
        self._progress.update(self._task, completed=done, total=total)
