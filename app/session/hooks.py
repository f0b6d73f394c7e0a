"""The user's callback files, and what is known of every callback: how long it takes, what it raised, whether it is on."""

from __future__ import annotations

import inspect
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

from framehook.app.session.motion import Motion
from framehook.app.session.state import Level
from framehook.inference.callbacks import Callbacks, Handle, Registration, ZoneCounter, load_callbacks, registry
from framehook.inference.callbacks.userfile import Loaded
from framehook.inference.errors import FramehookError, one_line
from framehook.inference.events import ONCE_A_RUN, PredictEvent

RECENT: Final = 240
"""Calls over which the times of a callback are taken."""
BUILT_IN: Final = "built in"
"""Where callbacks come from that belong to Framehook."""
CODE: Final = "code"
"""Where callbacks come from that were neither built in nor loaded from a file: those of a model that was handed over, say."""

_SWITCHED_BY_PARTS: Final = frozenset({*ONCE_A_RUN, PredictEvent.SOURCE_CHANGE})


class HookKey(NamedTuple):
    """What a callback is known by, over runs and reloads.

    Attributes:
        origin: The full path of its file, `BUILT_IN` or `CODE`.
        name: Its name.
        event: Its event.
        number: Its place among those of which all that is the same.
    """

    origin: str
    name: str
    event: str
    number: int


@dataclass(frozen=True, slots=True)
class HookRow:
    """One callback of one event, at one moment. Times are in milliseconds, over its last `RECENT` calls in this run.

    Attributes:
        key: What it is known by.
        origin: Where it comes from, for people: the name of its file, `BUILT_IN` or `CODE`.
        name: Its name.
        event: Its event.
        about: What it says of itself in its first lines, or an empty text.
        order: Callbacks of one event run from low to high.
        background: Whether it runs on a thread of its own.
        on: Whether it is called.
        fixed: Whether it cannot be switched off, since what others began would not be finished, or nothing be shown.
        calls: How often it was called in this run.
        last: The time of its last call, or None before the first.
        mean: The mean time.
        p95: The time that nineteen in twenty calls stay below.
        errors: How often it raised in this run.
        error: What it raised last, in one line: `ValueError: no luck (mine.py line 3)`; or an empty text.
        detail: The traceback of that, from the callback on; or an empty text.
        status: How it stands, in words: `on`, `off`, or `off: raised ValueError: no luck (mine.py line 3)`.
    """

    key: HookKey
    origin: str
    name: str
    event: str
    about: str
    order: int
    background: bool
    on: bool
    fixed: bool
    calls: int = 0
    last: float | None = None
    mean: float | None = None
    p95: float | None = None
    errors: int = 0
    error: str = ""
    detail: str = ""
    status: str = "on"


@dataclass(frozen=True, slots=True)
class HookFile:
    """A file of callbacks that is loaded.

    Attributes:
        path: Its full path.
        at: When it was loaded, seconds since the epoch.
        modified: When it had been modified then, nanoseconds since the epoch as `os.stat` gives them; 0 where that is unknown.
        count: How many callbacks came from it, one for each event.
        problem: Why it could not be loaded again since, in one line; or an empty text.
    """

    path: Path
    at: float
    modified: int
    count: int
    problem: str = ""


@dataclass(slots=True)
class _Calls:
    """The calls of one callback in a run; written by the thread that calls it, read by any."""

    number: int = 0
    recent: list[float] = field(default_factory=list)
    last: float = 0.0
    errors: int = 0
    error: str = ""
    detail: str = ""

    def count(self, seconds: float) -> None:
        if self.number < RECENT:
            self.recent.append(seconds)
        else:
            self.recent[self.number % RECENT] = seconds
        self.number += 1
        self.last = seconds


@dataclass(frozen=True, slots=True)
class _File:
    facts: HookFile
    handles: tuple[Handle, ...]
    modules: tuple[str, ...]


class Hooks:
    """Loads the user's callback files into a registry, and watches every callback of its runs.

    A callback of a file that raises is switched off for the run, with a note that names file and line; the stream goes on. What
    the user switched off stays off in later runs, and when its file is loaded again.

    A file is run when it is loaded and at no other time: that it has changed on disk changes nothing. What it imports from its
    folder are ordinary modules, which loading it again does not run again.

    Everything may be called from any thread. `load` and `reload` run the user's code in the thread that calls them, and nothing
    else waits for it.
    """

    def __init__(self, callbacks: Callbacks, note: Callable[[Level, str, str], None], changed: Callable[[], None]) -> None:
        """Begin without files, and watch.

        Args:
            callbacks: The registry that all runs call; it is given an observer.
            note: Called, from any thread, with what there is to tell the user: how much it matters, a line, and more lines.
            changed: Called, from any thread, when callbacks were loaded, switched, or raised.
        """
        self._callbacks = callbacks
        self._note = note
        self._changed = changed
        # Never held while the user's code runs; but a run may be collected, and ended, while its thread is in here.
        self._lock = threading.RLock()
        self._files: dict[Path, _File] = {}
        self._loading: dict[Path, object] = {}
        self._off: set[HookKey] = set()
        self._run: Callbacks | None = None
        self._going_on = False
        self._calls: dict[Registration, _Calls] = {}
        callbacks.observer = self.observe

    # Files ------------------------------------------------------------------------------------------------------------------

    @property
    def files(self) -> tuple[HookFile, ...]:
        """The files that are loaded, in the order in which they were."""
        with self._lock:
            return tuple(file.facts for file in self._files.values())

    @property
    def loading(self) -> tuple[Path, ...]:
        """The files that are being run now."""
        with self._lock:
            return tuple(self._loading)

    def load(self, path: str | Path) -> bool:
        """Run a file and register every callback in it, all or none; one that is loaded already is loaded again.

        Where that fails, what was there before stays, and a note tells why, with file and line.

        Returns:
            Whether its callbacks are in force.
        """
        file = Path(path).expanduser().resolve()
        token = object()
        with self._lock:
            if file in self._loading:
                return False
            self._loading[file] = token
        self._changed()
        before = _modules_of(file)
        modified = _modified(file)
        try:
            found = load_callbacks(file)
            _check(found, file)
        except FramehookError as error:
            _forget_modules(_modules_of(file) - before)
            self._not_loaded(file, token, error)
            return False
        except BaseException:
            _forget_modules(_modules_of(file) - before)
            self._end_loading(file, token)
            self._changed()
            raise
        modules = tuple(_modules_of(file) - before)
        with self._lock:
            wanted = self._end_loading(file, token)
            if wanted:
                self._replace(HookFile(file, time.time(), modified, 0), found, modules)
                self._apply_switches()
        if not wanted:  # it was taken away again while it ran
            _forget_modules(modules)
            return False
        self._changed()
        self._note_loaded(file)
        return True

    def reload(self, path: str | Path) -> bool:
        """Run a file again and put its callbacks in the place of those it had; as `load`."""
        return self.load(path)

    def unload(self, path: str | Path) -> None:
        """Take the callbacks of a file away, also of one that is being run now; what is not loaded is left alone."""
        file = Path(path).expanduser().resolve()
        with self._lock:
            self._loading.pop(file, None)
            known = self._files.pop(file, None)
            if known is not None:
                self._let_go(known)
        if known is not None:
            self._note(Level.INFO, f"the callbacks of {file.name} were removed", "")
        self._changed()

    def _end_loading(self, file: Path, token: object) -> bool:
        """A file has been run; False where it was taken away meanwhile."""
        with self._lock:
            wanted = self._loading.get(file) is token
            if wanted:
                del self._loading[file]
            return wanted

    def _replace(self, facts: HookFile, found: list[Loaded], modules: tuple[str, ...]) -> None:
        """Put the callbacks of a file in the place of those it had."""
        before = self._files.get(facts.path)
        if before is not None:
            self._let_go(before)
        handles = tuple(self._callbacks.add(each.event, each.function, on_error="disable") for each in found)
        registered = sum(each.owner in handles for each in self._callbacks)
        self._files[facts.path] = _File(replace(facts, count=registered), handles, modules)

    def _let_go(self, file: _File) -> None:
        """Remove the callbacks of a file, and let go of all that they hold: a model, say."""
        for handle in file.handles:
            handle.remove()
        for registration in list(self._calls):
            if registration.owner in file.handles:
                self._calls.pop(registration, None)
        _forget_modules(file.modules)

    def _note_loaded(self, file: Path) -> None:
        events = [registration.event for key, registration in self._keyed(self._callbacks) if key.origin == str(file)]
        hint = ""
        if self._going_on and PredictEvent.START in events:
            hint = f"; {PredictEvent.START} is called when the next run begins"
        self._note(
            Level.INFO, f"{len(events)} {'callback' if len(events) == 1 else 'callbacks'} loaded from {file.name}{hint}", ""
        )

    def _not_loaded(self, file: Path, token: object, error: FramehookError) -> None:
        text = one_line(error)
        with self._lock:
            wanted = self._end_loading(file, token)
            before = self._files.get(file)
            if wanted and before is not None:
                self._files[file] = replace(before, facts=replace(before.facts, problem=text))
        if wanted:
            stays = "" if before is None else "; the callbacks loaded before stay"
            # What the file itself raised tells more than what was made of it.
            inner = error.__cause__
            detail = "" if inner is None else _formatted(inner, _from_file(inner.__traceback__, file))
            self._note(Level.ERROR, f"{text}{stays}", detail)
        self._changed()

    # Runs -------------------------------------------------------------------------------------------------------------------

    def attach(self, callbacks: Callbacks) -> None:
        """A run is about to begin: its callbacks are those of `rows` from now on, counted from zero."""
        with self._lock:
            self._run = callbacks
            self._going_on = True
            self._calls = {}
        self._apply_switches()
        self._changed()

    def detach(self) -> None:
        """The run is over; its figures stand until the next begins."""
        self._going_on = False
        self._changed()

    def observe(self, registration: Registration, seconds: float, error: BaseException | None) -> None:
        """Count a call; called by the registry, in the thread of the callback."""
        calls = self._calls.get(registration)
        if calls is None:
            calls = self._calls.setdefault(registration, _Calls())
        calls.count(seconds)
        if isinstance(error, Exception):
            self._raised(registration, calls, error)

    def _raised(self, registration: Registration, calls: _Calls, error: Exception) -> None:
        file = self._file_of(registration)
        trace = _below_registry(error.__traceback__)
        first = calls.errors == 0
        calls.error = f"{type(error).__name__}: {one_line(error)}{_line(trace, registration, file)}"
        calls.detail = _formatted(error, trace)
        calls.errors += 1
        what = f"{_title(registration)} failed in {registration.event}: {calls.error}"
        if registration.on_error == "disable":
            run = self._run
            if run is not None:
                run.switch(registration, False)  # as the registry is about to do, so that whoever is told now sees it off
            again = "; it is switched off. " + (
                "Correct the file and load it again, or switch it on again"
                if file is not None
                else "It can be switched on again"
            )
            self._note(Level.ERROR, what + again, calls.detail)
        elif registration.on_error == "log" and first:  # it may fail at every frame; the session tells what ends a run
            self._note(Level.ERROR, what, calls.detail)
        self._changed()

    # What a panel shows -----------------------------------------------------------------------------------------------------

    def rows(self) -> tuple[HookRow, ...]:
        """Every callback of the run under way, or of the last one, in calling order; before the first those of the session."""
        registry_now = self._run or self._callbacks
        with self._lock:
            off = set(self._off)
        calls = self._calls
        return tuple(
            self._row(registration, key, registry_now.is_on(registration), key in off, calls.get(registration))
            for key, registration in self._keyed(registry_now)
        )

    def switch(self, key: HookKey, on: bool) -> None:
        """Switch a callback off or on again: in this run from the next event on, in later ones, and when its file is reloaded.

        One that is fixed is left alone.
        """
        for each, registration in self._keyed(self._run or self._callbacks):
            if each == key and not _is_fixed(registration):
                break
        else:
            return
        with self._lock:
            if on:
                self._off.discard(key)
            else:
                self._off.add(key)
        self._put(registration, on)
        self._changed()

    def _row(self, registration: Registration, key: HookKey, on: bool, by_hand: bool, calls: _Calls | None) -> HookRow:
        calls = calls or _Calls()
        recent = sorted(calls.recent.copy())
        raised = not on and not by_hand and calls.error
        return HookRow(
            key=key,
            origin=Path(key.origin).name,
            name=key.name,
            event=registration.event,
            about=_about(registration),
            order=registration.order,
            background=registration.background,
            on=on,
            fixed=_is_fixed(registration),
            calls=calls.number,
            last=calls.last * 1e3 if recent else None,
            mean=sum(recent) / len(recent) * 1e3 if recent else None,
            p95=recent[math.ceil(0.95 * len(recent)) - 1] * 1e3 if recent else None,
            errors=calls.errors,
            error=calls.error,
            detail=calls.detail,
            status=f"off: raised {calls.error}" if raised else "on" if on else "off",
        )

    def _keyed(self, callbacks: Callbacks) -> Iterable[tuple[HookKey, Registration]]:
        """Every callback of a registry, with what it is known by."""
        with self._lock:
            files = {handle: str(path) for path, file in self._files.items() for handle in file.handles}
        numbers: dict[tuple[str, str, str], count[int]] = {}
        for each in list(callbacks):
            known_by = (files.get(each.owner) or _origin(each), _title(each), each.event)
            yield HookKey(*known_by, next(numbers.setdefault(known_by, count()))), each

    def _apply_switches(self) -> None:
        """Switch off in new runs, and in files that were loaded again, what the user switched off."""
        with self._lock:
            off = set(self._off)
        for key, registration in self._keyed(self._run or self._callbacks):
            if key in off:
                self._put(registration, False)

    def _put(self, registration: Registration, on: bool) -> None:
        for each in (self._callbacks, self._run):
            if each is not None:
                each.switch(registration, on)

    def _file_of(self, registration: Registration) -> Path | None:
        with self._lock:
            return next((path for path, file in self._files.items() if registration.owner in file.handles), None)


# Where callbacks come from ------------------------------------------------------------------------------------------------


def _check(found: list[Loaded], file: Path) -> None:
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


def _origin(registration: Registration) -> str:
    return BUILT_IN if _module_name(registration).startswith("framehook.") else CODE


def _title(registration: Registration) -> str:
    """A callback's name; several counters of zones differ in what they count."""
    counter = _object_of(registration)
    return f"{registration.name} ({', '.join(counter.zones)})" if isinstance(counter, ZoneCounter) else registration.name


def _about(registration: Registration) -> str:
    """The first paragraph of its docstring, in one line; of a method that has none that of its class."""
    told = getattr(registration.function, "__doc__", None) or getattr(_object_of(registration), "__doc__", None)
    return one_line(str(told or "").strip().partition("\n\n")[0])


def _is_fixed(registration: Registration) -> bool:
    """Whether the app, or what a built-in callback has begun, would be broken without it."""
    module = _module_name(registration)
    if module.startswith("framehook.app.") and not isinstance(_object_of(registration), Motion):
        return True
    return module.startswith("framehook.") and registration.event in _SWITCHED_BY_PARTS


def _modified(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _modules_of(file: Path) -> set[str]:
    """The names of the modules that were made of a file."""
    held = [(name, getattr(module, "__dict__", {})) for name, module in list(sys.modules.items())]
    return {name for name, values in held if values.get("__file__") == str(file)}


def _forget_modules(names: Iterable[str]) -> None:
    """Take modules out of the list that keeps them alive."""
    for name in names:
        sys.modules.pop(name, None)


# What they raised ---------------------------------------------------------------------------------------------------------


def _below_registry(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the callback on."""
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == registry.__file__:
        trace = trace.tb_next
    return trace


def _from_file(trace: TracebackType | None, file: Path) -> TracebackType | None:
    """A traceback from the first line of a file on; None where it does not pass through it."""
    while trace is not None and trace.tb_frame.f_code.co_filename != str(file):
        trace = trace.tb_next
    return trace


def _formatted(error: BaseException, trace: TracebackType | None) -> str:
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()


def _line(trace: TracebackType | None, registration: Registration, file: Path | None) -> str:
    """The last line of the callback's own file that an error passed through: ` (mine.py line 3)`; nothing for built-ins."""
    if file is None:
        if _origin(registration) == BUILT_IN:
            return ""
        code = getattr(inspect.unwrap(registration.function), "__code__", None)
        if code is None:
            return ""
        file = Path(code.co_filename)
    lines = [line for frame, line in traceback.walk_tb(trace) if frame.f_code.co_filename == str(file)]
    return f" ({file.name} line {lines[-1]})" if lines else ""
