"""`framehook val`: a bar while the pictures go by, then how well the model finds what is in them."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from framehook.app.interrupt import RaiseOnSignal
from framehook.app.messages import diagnostics, logged_to, output
from framehook.app.rows import print_json
from framehook.inference.errors import OptionError
from framehook.model import Model
from framehook.training.data import load_split, read_data
from framehook.training.metrics import DetectionMetrics
from framehook.training.options import ValArgs, ValOptions
from framehook.training.validator import Validator

_READING: Final = "reading the dataset"
_VALIDATING: Final = "validating"


def validate(model: Model, options: ValArgs, *, as_json: bool = False, debug: bool = False) -> int:
    """Validate a model, show how it goes, and say how well it does.

    Args:
        model: The model, with the user's callbacks.
        options: The options of the validation, `data` among them.
        as_json: Print the figures as JSON, and nothing else on standard output.
        debug: Show what the library logs in detail.

    Returns:
        The exit code: 0, or 128 and the number of the signal that ended it.
    """
    out, err = output(), diagnostics()
    validator: Validator | None = None
    with logged_to(err, debug=debug), _in_shell_terms():
        args = ValOptions.build(options)
        if args.data is None:
            raise OptionError("--data is missing; pass the dataset's YAML file, or a COCO json")
        try:
            with RaiseOnSignal() as interruption, _Display(err, interruption) as display:
                split = load_split(read_data(args.data), args.split, progress=display.reading)
                given: ValArgs = {**options, "split": split}
                validator = Validator(model, **given)
                validator.callbacks.add("on_val_start", display.validating)
                validator.callbacks.add("on_val_batch_end", display.validating)
                validator.run()
        except KeyboardInterrupt:
            err.print(f"interrupted; {validator.seen if validator else 0} pictures were validated")
            return 128 + (interruption.received or signal.SIGINT)
        finally:
            if validator is not None and validator.metrics is not None:  # also where a callback failed at the end
                _print_figures(out, model, validator, validator.metrics, as_json=as_json)
    return 0


def _print_figures(out: Console, model: Model, validator: Validator, metrics: DetectionMetrics, *, as_json: bool) -> None:
    if as_json:
        print_json(out, _figures(model, validator, metrics))
        return
    for line in metrics.lines():
        out.print(line)
    out.print("ms a picture: " + ", ".join(f"{stage} {spent:.1f}" for stage, spent in _speed(validator).items()))
    if validator.args.plots:
        out.print(f"curves and pictures are in {validator.save_dir}")


def _figures(model: Model, validator: Validator, metrics: DetectionMetrics) -> dict[str, Any]:
    return {
        "model": model.detector.backend.network.source,
        "device": validator.device,
        "data": str(validator.args.data),
        "split": validator.split.name,
        **metrics.details(),
        "ms a picture": _speed(validator),
        "save_dir": str(validator.save_dir) if validator.args.plots else None,
    }


def _speed(validator: Validator) -> dict[str, float]:
    """Milliseconds a picture; the loss is worked out in trainings alone."""
    return {stage: spent for stage, spent in validator.speed.items() if stage != "loss"}


class _Display:
    """Shows how far a validation is: a bar, or a line for each of its two parts where there is no terminal."""

    def __init__(self, console: Console, interruption: RaiseOnSignal) -> None:
        self._console = console
        self._interruption = interruption
        self._part = ""
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            refresh_per_second=8,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task(_READING, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def reading(self, done: int, total: int) -> None:
        """Show how many pictures of the dataset were read and checked."""
        self._show(_READING, done, total)

    def validating(self, validator: Validator) -> None:
        """Show how many pictures were validated."""
        self._interruption.check()
        self._show(_VALIDATING, validator.seen, len(validator.split.samples))

    def _show(self, part: str, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total, description=part.ljust(len(_READING)))
        if part != self._part and not self._console.is_terminal:
            self._console.print(f"{part} ...")
        self._part = part


_VALUE: Final = re.compile(r"(?<![\w-])(data|split|workers)=(?=['\"(\w.-])")


@contextmanager
def _in_shell_terms() -> Iterator[None]:
    """Word what is wrong in terms of the command line, where `messages` does not: options that predictions do not have."""
    try:
        yield
    except OptionError as error:
        error.args = (_VALUE.sub(r"--\1 ", str(error)), *error.args[1:])
        raise
