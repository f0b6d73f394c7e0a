"""Where callbacks come from, and what they raised."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from framehook.app.session.motion import Motion
from framehook.inference.callbacks import Callbacks, Registration, ZoneCounter, registry
from framehook.inference.callbacks.registry import error_text
from framehook.inference.callbacks.userfile import Loaded
from framehook.inference.errors import FramehookError, one_line
from framehook.inference.events import ONCE_A_RUN, PredictEvent

BUILT_IN: Final = "built in"
"""Where callbacks come from that belong to Framehook."""
CODE: Final = "code"
"""Where callbacks come from that were neither built in nor loaded from a file: those of a model that was handed over, say."""

_SWITCHED_BY_PARTS: Final = frozenset({*ONCE_A_RUN, PredictEvent.SOURCE_CHANGE})


def check_callbacks(found: list[Loaded], file: Path) -> None:
    """Refuse what cannot be registered, before anything changes."""
    for each in found:
        try:
            Callbacks().add(each.event, each.function)
        except FramehookError as error:
            line = getattr(getattr(each.function or each.event, "__code__", None), "co_firstlineno", None)
            place = f"{file}, line {line}" if line else str(file)
            raise type(error)(f"{place}: {one_line(error)}") from None


def _object_of(registration: Registration) -> Any:
    """The object whose method is called, or the function itself."""
    return getattr(registration.function, "__self__", registration.function)


def _module_name(registration: Registration) -> str:
    function = _object_of(registration)
    return str(getattr(function, "__module__", "") or "")


def origin_of(registration: Registration) -> str:
    """Where a callback comes from that is in no file of the user's: `BUILT_IN` or `CODE`."""
    return BUILT_IN if _module_name(registration).startswith("framehook.") else CODE


def title_of(registration: Registration) -> str:
    """A callback's name; several counters of zones differ in what they count."""
    counter = _object_of(registration)
    return f"{registration.name} ({', '.join(counter.zones)})" if isinstance(counter, ZoneCounter) else registration.name


def about(registration: Registration) -> str:
    """The first paragraph of its docstring, in one line; of a method that has none that of its class."""
    told = getattr(registration.function, "__doc__", None) or getattr(_object_of(registration), "__doc__", None)
    return one_line(str(told or "").strip().partition("\n\n")[0])


def is_fixed(registration: Registration) -> bool:
    """Whether the app, or what a built-in callback has begun, would be broken without it."""
    module = _module_name(registration)
    if module.startswith("framehook.app.") and not isinstance(_object_of(registration), Motion):
        return True
    return module.startswith("framehook.") and registration.event in _SWITCHED_BY_PARTS


def modified_at(file: Path) -> int:
    """When a file was modified, nanoseconds since the epoch; 0 where that is unknown."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def modules_of(file: Path) -> set[str]:
    """The names of the modules that were made of a file."""
    held = [(name, getattr(module, "__dict__", {})) for name, module in list(sys.modules.items())]
    return {name for name, values in held if values.get("__file__") == str(file)}


def forget_modules(names: Iterable[str]) -> None:
    """Take modules out of the list that keeps them alive."""
    for name in names:
        sys.modules.pop(name, None)


# What they raised ---------------------------------------------------------------------------------------------------------


def below_registry(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the callback on."""
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == registry.__file__:
        trace = trace.tb_next
    return trace


def from_file(trace: TracebackType | None, file: Path) -> TracebackType | None:
    """A traceback from the first line of a file on; None where it does not pass through it."""
    while trace is not None and trace.tb_frame.f_code.co_filename != str(file):
        trace = trace.tb_next
    return trace


def traceback_of(error: BaseException, trace: TracebackType | None) -> str:
    """An error, as Python shows it, with a part of its traceback."""
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()


def what_failed(error: BaseException, trace: TracebackType | None, registration: Registration, file: Path | None) -> str:
    """What a callback raised, in one line: `ValueError: no luck (mine.py line 3)`; for built-ins without the line."""
    told = f"{type(error).__name__}: {error_text(error)}"
    if file is None:
        code = getattr(inspect.unwrap(registration.function), "__code__", None)
        if code is None or origin_of(registration) == BUILT_IN:
            return told
        file = Path(code.co_filename)
    line = line_in(trace, file)
    return f"{told} ({file.name} line {line})" if line else told


def line_in(trace: TracebackType | None, file: Path) -> int | None:
    """The last line of a file that an error passed through; None where it passed through none."""
    lines = [line for frame, line in traceback.walk_tb(trace) if frame.f_code.co_filename == str(file)]
    return lines[-1] if lines else None
