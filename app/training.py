"""`framehook train`: a line for every epoch, bars while it goes on, then what came of it and what to do next."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from framehook.app.interrupt import StopOnSignal
from framehook.app.messages import diagnostics, logged_to, output
from framehook.app.rows import print_json
from framehook.inference.callbacks import Callbacks
from framehook.inference.errors import DatasetError, ModelFormatError, OptionError, TrainingError
from framehook.model import missing_for_training
from framehook.training.callbacks import ProgressBar
from framehook.training.options import TrainArgs, TrainOptions

try:
    from framehook.training.trainer import Trainer
except ImportError as error:
    raise missing_for_training(error) from error


def train(
    start: str,
    options: TrainArgs,
    callbacks: Callbacks,
    *,
    architecture: str | None,
    as_json: bool = False,
    debug: bool = False,
) -> int:
    """Train a network, show how it goes, and say what came of it.

    Ctrl-C ends it after the batch under way, with its validation and checkpoint; a second one at once.

    Args:
        start: What it begins with, as `Trainer` takes it.
        options: The options of the training.
        callbacks: The user's.
        architecture: Name of the network of a checkpoint that holds weights alone.
        as_json: Print the report as JSON, and nothing else on standard output.
        debug: Show what the library logs in detail.

    Returns:
        The exit code: 0, or 128 and the number of the signal that ended it.
    """
    out, err = output(), diagnostics()
    with logged_to(err, debug=debug), _in_shell_terms():
        trainer = Trainer(start, callbacks=callbacks, architecture=architecture, **options)
        trainer.callbacks.add("on_train_start", lambda trainer: err.print(_beginning(trainer)))
        trainer.callbacks.add(ProgressBar(Console(stderr=True, highlight=False, markup=False, emoji=False)))
        stopping = StopOnSignal(_Stopping(trainer, err))
        try:
            with stopping:
                trainer.run()
        except KeyboardInterrupt:
            kept = f"; go on with: framehook train --resume {shlex.quote(str(trainer.last))}" if _kept(trainer) else ""
            err.print(f"interrupted{kept}")
            return 128 + (stopping.received or signal.SIGINT)
        finally:
            if trainer.report is not None and trainer.rank == 0:  # also where a callback failed at the end
                _print_report(out, trainer, as_json=as_json)
    return 128 + stopping.received if stopping.received else 0


def _print_report(out: Console, trainer: Trainer, *, as_json: bool) -> None:
    report: Any = trainer.report
    if as_json:
        print_json(out, report.as_dict())
        return
    for line in report.lines():
        out.print(line)
    if report.last is not None and (report.is_cut or report.epochs < trainer.epochs):
        out.print("go on with it:")
        out.print(f"  framehook train --resume {shlex.quote(str(report.last))}")


def _kept(trainer: Trainer) -> bool:
    return hasattr(trainer, "save_dir") and trainer.last.is_file()


@dataclass
class _Stopping:
    """Ends a training after its batch, as runs end after their frame."""

    trainer: Trainer
    console: Console

    def stop(self) -> None:
        self.trainer.stop = True
        self.console.print("ending after this batch, with its validation and checkpoint; Ctrl-C again to end at once")


def _beginning(trainer: Trainer) -> str:
    """What is about to happen, in a line."""
    name, rate = type(trainer.optimizer).__name__, trainer.optimizer.param_groups[0]["initial_lr"]
    pictures = f"{len(trainer.train_loader.dataset)} pictures in batches of {trainer.batch_size}"
    network = f"{trainer.model.architecture.name} on {trainer.device}"
    return f"{network}, {pictures}, {name} with lr0 {rate:g}; files go to {trainer.save_dir}"


# What the library says of its options, to those who type them ---------------------------------------------------------

_TYPED: Final = (
    *("data", "epochs", "imgsz", "batch", "workers", "patience", "time", "lr0", "optimizer", "freeze", "seed", "save_dir"),
    *("device", "resume", "architecture"),
)
"""Options that have one of their own on the command line; all others are given by --set."""
_OPTION: Final = re.compile(rf"(?<![\w-])({'|'.join((*TrainOptions().as_dict(), 'architecture'))})=(?P<value>['\"(\[\w./-])?")
_SAID: Final = (
    ("or pass exist_ok=True to", "or add --exist-ok to"),
    ("leave out resume", "leave out --resume"),
    ("Model('yolo11n.yaml')", "--model yolo11n.yaml"),
)


@contextmanager
def _in_shell_terms() -> Iterator[None]:
    """Word what is wrong in terms of the command line."""
    try:
        yield
    except (OptionError, TrainingError, DatasetError, ModelFormatError) as error:
        line = str(error)
        for said, meant in _SAID:
            line = line.replace(said, meant)
        error.args = (_OPTION.sub(_option, line), *error.args[1:])
        raise


def _option(found: re.Match[str]) -> str:
    value = found["value"] or ""
    if found[1] not in _TYPED:
        return f"--set {found[1]}={value}"
    return f"--{found[1].replace('_', '-')}{' ' if value else ''}{value}"


def assignments(texts: list[str]) -> dict[str, Any]:
    """Read `NAME=VALUE` texts: numbers, true and false, none, else texts.

    Raises:
        OptionError: one is none.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise OptionError(f"--set {text} is no assignment; write NAME=VALUE, such as --set mixup=0.1")
        found[name.strip().replace("-", "_")] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    if "," in text:
        return [_value(each) for each in text.split(",")]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
