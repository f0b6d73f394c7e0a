"""`framehook export`: a bar while the stages go by, then what came of it and what to do next."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from framehook.app.interrupt import RaiseOnSignal
from framehook.app.messages import diagnostics, logged_to, output
from framehook.app.rows import print_json
from framehook.export.exporter import Exporter
from framehook.export.options import OPTION_NAMES, ExportArgs
from framehook.export.progress import Stage
from framehook.export.report import ExportReport
from framehook.inference.errors import ExportError, OptionError
from framehook.model import Model

SAID: Final = {
    Stage.FRAMES: "taking frames",
    Stage.NETWORK: "making the graph",
    Stage.SIMPLIFY: "simplifying",
    Stage.HALF: "going over to float16",
    Stage.INT8: "calibrating int8",
    Stage.MERGE: "merging stages",
    Stage.WRITE: "writing",
    Stage.VERIFY: "comparing with the source",
}
"""The stages of an export, for people."""
_LONGEST: Final = max(map(len, SAID.values()))


def export(model: Model, options: ExportArgs, *, as_json: bool = False, debug: bool = False) -> int:
    """Export a model, show how it goes, and say what came of it.

    Args:
        model: The model, with the user's callbacks.
        options: The options of the export.
        as_json: Print the report as JSON, and nothing else on standard output.
        debug: Show what the library logs in detail.

    Returns:
        The exit code: 0, or 128 and the number of the signal that ended it.
    """
    out, err = output(), diagnostics()
    with logged_to(err, debug=debug), _in_shell_terms():
        exporter = Exporter(model, **options)
        try:
            with RaiseOnSignal() as interruption, _Display(err, exporter, interruption):
                exporter.run()
        except KeyboardInterrupt:
            there = "was not written" if exporter.path is None else "was written"
            err.print(f"interrupted; {exporter.target.name} {there}")
            return 128 + (interruption.received or signal.SIGINT)
        finally:
            if exporter.report is not None:  # also where a callback failed at the end: the file is there all the same
                _print_report(out, exporter.report, as_json=as_json)
    return 0


def _print_report(out: Console, report: ExportReport, *, as_json: bool) -> None:
    if as_json:
        print_json(out, report.as_dict())
        return
    for line in report.lines():
        to_copy = report.command in line or report.code in line
        out.print(line if to_copy else in_shell_terms(line))


class _Display:
    """Shows how far an export is: a bar, or a line for each stage where there is no terminal."""

    def __init__(self, console: Console, exporter: Exporter, interruption: RaiseOnSignal) -> None:
        self._console = console
        self._interruption = interruption
        self._stage = ""
        name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
        share = TextColumn("{task.percentage:>3.0f} %", table_column=Column(no_wrap=True))
        self._progress = Progress(
            name,
            BarColumn(bar_width=None),
            share,
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            refresh_per_second=8,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task("".ljust(_LONGEST), total=1.0)
        exporter.callbacks.add("on_export_progress", self.show)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, exporter: Exporter) -> None:
        """Show how far it is now."""
        self._interruption.check()
        said = SAID[Stage(exporter.stage)]
        self._progress.update(self._task, completed=exporter.fraction, description=said.ljust(_LONGEST))
        if exporter.stage != self._stage and not self._console.is_terminal:
            self._console.print(f"{said} ...")
        self._stage = exporter.stage


# What the library says of its options, to those who type them ---------------------------------------------------------

_VALUE: Final = re.compile(rf"(?<![\w-])({'|'.join(OPTION_NAMES)})=(?P<value>True|False|(?=['\"(\w.-]))?")
_WORD: Final = re.compile(rf"\b(leave|pass|without|with) ({'|'.join(OPTION_NAMES)})\b(?!=)")


@contextmanager
def _in_shell_terms() -> Iterator[None]:
    """Word what is wrong in terms of the command line."""
    try:
        yield
    except (OptionError, ExportError) as error:
        error.args = (in_shell_terms(str(error)), *error.args[1:])
        raise


def in_shell_terms(line: str) -> str:
    """A message about the options of an export, in terms of those of the command line."""
    return _WORD.sub(lambda found: f"{found[1]} --{_typed(found[2])}", _VALUE.sub(_option, line))


def _option(found: re.Match[str]) -> str:
    no = "no-" if found["value"] == "False" else ""
    more = " " if found["value"] == "" else ""
    return f"--{no}{_typed(found[1])}{more}"


def _typed(name: str) -> str:
    return name.replace("_", "-")
