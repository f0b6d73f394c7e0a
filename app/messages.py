"""What the command line says when something is wrong: one line each, and which exit code goes with it."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console

from framehook.app.streams import OutputError
from framehook.inference.errors import (
    CallbackError,
    FramehookError,
    ModelError,
    OptionError,
    did_you_mean,
    one_line,
)
from framehook.inference.options import OPTION_NAMES
from framehook.inference.system_libraries import missing_library

FAILED: Final = 1
"""Exit code of a run that failed, or of a bug."""
WRONG_USE: Final = 2
"""Exit code of a command that cannot succeed as it was typed."""

_IN_SHELL: Final = (
    (", or pass a decoder of your own (register_decoder)", ""),
    ("; register_decoder adds your own", ""),
    ("pass save=True, too", "add --save"),
    ("pass save_segment, too", "add --save-segment"),
    ("leave imgsz out", "leave --imgsz out"),
)
"""What the library says to those who call it, and what it means for those who type a command."""


def output() -> Console:
    """Where results go; made when it is wanted, so that it writes to what `sys.stdout` is then."""
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def diagnostics() -> Console:
    """Where progress, warnings and errors go, so that results can be piped elsewhere."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def report(error: BaseException, *, debug: bool) -> int:
    """Say what went wrong, in a line for each error, and return the exit code.

    Args:
        error: What a command raised.
        debug: Show the traceback as well.
    """
    console = diagnostics()
    if debug and not _is_usage_error(error):
        import traceback

        console.print("".join(traceback.format_exception(error)).rstrip())
    codes = set()
    for each in _leaves(error):
        if isinstance(each, CallbackError) and isinstance(each.__cause__, OutputError):
            each = each.__cause__  # what prints results is a callback, too; but nobody wants to know
        line, code = _explained(each)
        console.print(f"error: {line}")
        codes.add(code)
    return WRONG_USE if codes == {WRONG_USE} else FAILED


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _explained(error: BaseException) -> tuple[str, int]:
    """One line, and the exit code."""
    if isinstance(error, ImportError) and not isinstance(error, FramehookError):
        error = missing_library(error) or error
    if isinstance(error, FramehookError):
        line = one_line(error)
        if isinstance(error, OptionError | ModelError):
            line = in_shell_terms(line)
        return line, WRONG_USE if error.wrong_use else FAILED
    if _is_usage_error(error):
        return _usage_line(error), WRONG_USE
    if isinstance(error, MemoryError):
        return "out of memory; try a smaller --imgsz or --batch", FAILED
    what = one_line(error)
    return f"unexpected {type(error).__name__}{': ' if what else ''}{what} (--debug shows where)", FAILED


def in_shell_terms(line: str) -> str:
    """A message of the library about its options, in terms of the options of the command line."""
    for said, meant in _IN_SHELL:
        line = line.replace(said, meant)
    names = "|".join((*OPTION_NAMES, "architecture", "decoder", "device"))
    return re.sub(rf"(?<![\w-])({names})=(?P<value>['\"(\w.-])?", _option, line)


def _option(found: re.Match[str]) -> str:
    return f"--{found[1].replace('_', '-')}" + (f" {found['value']}" if found["value"] else "")


# Typer keeps the classes of its usage errors to itself, and has moved them between releases; what they have in common is
# that they know how to word themselves and which exit code they mean.
def _is_usage_error(error: BaseException) -> bool:
    return hasattr(error, "format_message") and getattr(error, "exit_code", None) == WRONG_USE


def _usage_line(error: Any) -> str:
    if type(error).__name__ == "NoSuchOption":
        known = [name for each in error.ctx.command.params for name in (*each.opts, *each.secondary_opts)] if error.ctx else []
        # Compared without the dashes, which would make any two of them alike.
        hint = did_you_mean(error.option_name.lstrip("-"), [name[2:] for name in known if name.startswith("--")])
        hint = hint.replace("'", "'--", 1)
        return f"no such option: {error.option_name}.{hint or _see_help(error)}"
    line = one_line(error.format_message()).replace("Input should be", "it should be")
    line = re.sub(r", unable to parse string as an? \w+", "", line)
    line = line[:1].lower() + line[1:]
    return line if "Did you mean" in line else f"{line.rstrip('.')}.{_see_help(error)}"


def _see_help(error: Any) -> str:
    return f" See '{error.ctx.command_path} --help'." if getattr(error, "ctx", None) else ""


class _Lines(logging.Handler):
    """Log records as lines like those of errors: `warning: ...`, and `note: ...` for good news."""

    def __init__(self, console: Console, *, debug: bool) -> None:
        super().__init__(logging.DEBUG if debug else logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        level = "note" if record.levelno == logging.INFO else record.levelname.lower()
        self._console.print(f"{level}: {one_line(record.getMessage())}")
        if record.exc_info and self.level <= logging.DEBUG:
            self._console.print(logging.Formatter().formatException(record.exc_info))


@contextmanager
def logged_to(console: Console, *, debug: bool) -> Iterator[None]:
    """Show what the library logs on `console`: warnings and notes, and with `debug` everything."""
    logger = logging.getLogger("framehook")
    handler = _Lines(console, debug=debug)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


def quieten_libraries(*, debug: bool) -> None:
    """Keep OpenCV, FFmpeg and ONNX Runtime from writing to the terminal by themselves; to be called before they are imported.

    What matters of it reaches the user as our own errors. What a user has set in the environment stays.
    """
    if debug:
        return
    for name, value in {
        "OPENCV_LOG_LEVEL": "SILENT",
        "OPENCV_FFMPEG_LOGLEVEL": "-8",
        "OPENCV_VIDEOIO_DEBUG": "0",
        "ORT_LOGGING_LEVEL": "3",
    }.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")


def wants_debug(arguments: Sequence[str]) -> bool:
    """Whether `--debug` was typed: looked for here, because errors in the arguments are reported too."""
    return "--debug" in arguments
