"""Callbacks from a user's own Python file."""

from __future__ import annotations

import itertools
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from framehook.inference.callbacks.base import Callback, overridden_events
from framehook.inference.callbacks.registry import CallbackFunction, Callbacks, Handle
from framehook.inference.errors import CallbackFileError, FramehookError, UnknownEventError, did_you_mean, one_line
from framehook.inference.events import EVENTS

_numbers = itertools.count(1)


class Loaded(NamedTuple):
    """A callback found in a file, as `Callbacks.add` takes it: `callbacks.add(*loaded)`.

    Attributes:
        event: The event that a function is named after; or a `Callback` object, which names its own.
        function: The function; None with an object.
    """

    event: str | Callback
    function: CallbackFunction | None = None


def load_callbacks(path: str | Path, callbacks: Callbacks | None = None) -> list[Loaded]:
    """Run a Python file and collect its callbacks.

    These are, in the file's order: whatever is callable and named after an event, `Callback` objects, and classes derived from
    `Callback` in the file itself, of which one object each is made without arguments, unless the file holds one already or
    derives another class from it. What begins with an underscore is left alone. The file runs as a module of its own: files of
    the same name do not get into each other's way. Its folder is the first on `sys.path` while it is executed, and no longer:
    it imports its neighbours at the top, not inside of functions. Those are ordinary modules, one of a name in a process.

    Args:
        path: The file.
        callbacks: A registry to add them to, all or none.

    Raises:
        CallbackFileError: the file is missing, does not run, or holds no callback; the message names file and line.
        UnknownEventError: something in it is named `on_...` after no event.
        CallbackSignatureError: a function cannot take the engine as its one argument; nothing is registered then.
    """
    file = Path(path).expanduser()
    module = _run(file)
    try:
        found = list(_callbacks_of(module, file))
        if not found:
            raise CallbackFileError(
                f"{file} holds no callback; define a function named after an event, such as on_predict_batch_end(predictor)"
            )
    except FramehookError:
        del sys.modules[module.__name__]
        raise
    if callbacks is not None:
        _register(found, callbacks)
    return found


def _register(found: list[Loaded], callbacks: Callbacks) -> None:
    handles: list[Handle] = []
    try:
        for each in found:
            handles.append(callbacks.add(each.event, each.function))  # noqa: PERF401 - those added must be known on failure
    except FramehookError:
        for handle in handles:
            handle.remove()
        raise


def _run(file: Path) -> ModuleType:
    """Execute the file as a module under a name that nothing else has."""
    try:
        source = file.read_bytes()
    except FileNotFoundError:
        raise CallbackFileError(f"{file} does not exist; pass a Python file of callbacks") from None
    except OSError as error:
        raise CallbackFileError(f"{file} cannot be read: {error.strerror or error}") from error
    try:
        code = compile(source, str(file), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise CallbackFileError(f"{file}, line {error.lineno}: {type(error).__name__}: {error.msg}") from error
    except ValueError as error:  # null bytes
        raise CallbackFileError(f"{file} is no Python file: {error}") from error
    module = ModuleType(f"framehook_callbacks_{next(_numbers)}")
    module.__file__ = str(file)
    # Dataclasses and type hints look their module up here, also long after it was loaded.
    sys.modules[module.__name__] = module
    folder = str(file.parent.resolve())
    sys.path.insert(0, folder)
    try:
        exec(code, vars(module))
    except BaseException as error:
        del sys.modules[module.__name__]
        place = f"{file}, line {_line_in(file, error)}"
        text = one_line(error)
        if isinstance(error, UnknownEventError):
            raise UnknownEventError(f"{place}: {text}") from error
        if isinstance(error, (Exception, SystemExit)):
            raise CallbackFileError(f"{place}: {type(error).__name__}: {text}") from error
        raise
    finally:
        # This very entry: the file may have taken it away itself, and an equal one may be the user's.
        sys.path[:] = [each for each in sys.path if each is not folder]
    return module


def _callbacks_of(module: ModuleType, file: Path) -> Iterator[Loaded]:
    held = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    objects = {id(value): value for value in held.values() if isinstance(value, Callback)}
    own = [value for value in held.values() if isinstance(value, type) and value.__module__ == module.__name__]
    yielded: set[int] = set()
    for name, value in held.items():
        if id(value) in yielded:
            continue
        if isinstance(value, Callback):
            yielded.add(id(value))
            yield Loaded(value)
        elif isinstance(value, type):
            in_use = any(isinstance(each, value) for each in objects.values())
            derived = any(issubclass(other, value) and other is not value for other in own)
            if value in own and issubclass(value, Callback) and not in_use and not derived:
                yielded.add(id(value))
                made = _make(value, file)
                if overridden_events(made):
                    yield Loaded(made)
        elif callable(value) and name in EVENTS:
            yield Loaded(name, value)
        elif callable(value) and name.startswith("on_") and getattr(value, "__module__", None) == module.__name__:
            line = getattr(getattr(value, "__code__", None), "co_firstlineno", None)
            place = f"{file}, line {line}" if line else str(file)
            hint = did_you_mean(name, EVENTS) or " Rename it, with an underscore in front if it is no callback."
            raise UnknownEventError(f"{place}: '{name}' is named after no event.{hint}")


def _make(kind: type[Callback], file: Path) -> Callback:
    try:
        return kind()
    except Exception as error:
        text = one_line(error)
        raise CallbackFileError(
            f"{file}: {kind.__name__} cannot be made without arguments ({type(error).__name__}: {text}); "
            f"make one in the file: name = {kind.__name__}(...)"
        ) from error


def _line_in(file: Path, error: BaseException) -> int:
    """The last line of the file that the error passed through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return next((line for line in reversed(lines) if line is not None), 1)
