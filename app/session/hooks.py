"""The user's callback files, and what is known of every callback: how long it takes, what it raised, whether it is on."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from framehook.app.session.hook_origins import (
    BUILT_IN,
    about,
    below_registry,
    check_callbacks,
    forget_modules,
    from_file,
    is_fixed,
    line_in,
    modified_at,
    modules_of,
    origin_of,
    title_of,
    traceback_of,
    what_failed,
)
from framehook.app.session.state import Level, Tell
from framehook.inference.callbacks import Callbacks, Handle, Registration, load_callbacks
from framehook.inference.callbacks.registry import error_text
from framehook.inference.callbacks.userfile import Loaded
from framehook.inference.errors import FramehookError
from framehook.inference.events import PredictEvent

EVERY_FRAME: Final = frozenset({PredictEvent.BATCH_START, PredictEvent.POSTPROCESS_END, PredictEvent.BATCH_END})
RECENT: Final = 240
"""Calls over which the times of a callback are taken."""


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
    ended_run: bool = False

    def count(self, seconds: float) -> None:
        if self.number < RECENT:
            self.recent.append(seconds)
        else:
            self.recent[self.number % RECENT] = seconds
        self.number += 1
        self.last = seconds


@dataclass(slots=True, eq=False)
class _Loading:
    """A file that is being run; `before` is what there was when that began: modules made of it, entries of `sys.path`."""

    before: set[str]
    entries_before: int
    modules: set[str] = field(default_factory=set)


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

    Everything may be called from any thread. `load` runs the user's code in the thread that calls it, and nothing else waits
    for it: a file that does not come to its end may be taken away, or loaded anew, from another thread.
    """

    def __init__(self, callbacks: Callbacks, note: Tell, changed: Callable[[], None]) -> None:
        """Begin without files, and watch.

        Args:
            callbacks: The registry that all runs call; it is given an observer.
            note: Given what there is to tell the user.
            changed: Called, from any thread, when callbacks were loaded, switched, or raised.
        """
        self._callbacks = callbacks
        self._note = note
        self._changed = changed
        # Never held while the user's code runs; but a run may be collected, and ended, while its thread is in here.
        self._lock = threading.RLock()
        self._files: dict[Path, _File] = {}
        self._loading: dict[Path, _Loading] = {}
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
        with self._lock:  # known from the first moment on, so that it can be given up
            instead = self._give_up(file)
            loading = self._loading[file] = _Loading(modules_of(file), sys.path.count(str(file.parent)))
        if instead:
            self._note(Level.WARNING, f"{file.name} is still being run; that is given up, and the file is run anew", "")
        self._changed()
        modified = modified_at(file)
        try:
            found = load_callbacks(file)
            check_callbacks(found, file)
        except BaseException as error:
            self._not_loaded(file, loading, error)
            if isinstance(error, KeyboardInterrupt):  # meant for whoever runs Python
                raise
            return False
        with self._lock:
            wanted = self._end_loading(file, loading)
            if wanted:
                self._replace(HookFile(file, time.time(), modified, 0), found, tuple(loading.modules))
                self._apply_switches()
        if not wanted:
            forget_modules(loading.modules)
            return False
        self._changed()
        self._note_loaded(file)
        return True

    def unload(self, path: str | Path) -> None:
        """Take the callbacks of a file away, also of one that is being run now; what is not loaded is left alone."""
        file = Path(path).expanduser().resolve()
        with self._lock:
            self._give_up(file)
            known = self._files.pop(file, None)
            if known is not None:
                self._let_go(known)
        if known is not None:
            self._note(Level.INFO, f"the callbacks of {file.name} were removed", "")
        self._changed()

    def _give_up(self, file: Path) -> bool:
        """Leave aside what is being run of a file, if anything: nobody can stop it, and it is not wanted once it returns."""
        loading = self._loading.pop(file, None)
        if loading is None:
            return False
        loading.modules = modules_of(file) - loading.before
        folder = str(file.parent)
        if sys.path.count(folder) > loading.entries_before:  # others must not find its neighbours for as long as it hangs
            sys.path.remove(folder)
        return True

    def _end_loading(self, file: Path, loading: _Loading) -> bool:
        """A file has been run; False where it was given up meanwhile."""
        with self._lock:
            wanted = self._loading.get(file) is loading
            if wanted:
                del self._loading[file]
                loading.modules = modules_of(file) - loading.before
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
        forget_modules(file.modules)

    def _note_loaded(self, file: Path) -> None:
        events = [registration.event for key, registration in self._keyed(self._callbacks) if key.origin == str(file)]
        hint = ""
        if self._going_on and PredictEvent.START in events:
            hint = f"; {PredictEvent.START} is called when the next run begins"
        self._note(
            Level.INFO, f"{len(events)} {'callback' if len(events) == 1 else 'callbacks'} loaded from {file.name}{hint}", ""
        )

    def _not_loaded(self, file: Path, loading: _Loading, error: BaseException) -> None:
        if isinstance(error, FramehookError):
            text = error_text(error)
            # What the file itself raised tells more than what was made of it.
            inner = error.__cause__
        else:  # `sys.exit` in a `Callback` of the file, say
            line = line_in(error.__traceback__, file)
            text = f"{file}{f', line {line}' if line else ''}: {type(error).__name__}: {error_text(error)}"
            inner = error
        with self._lock:
            wanted = self._end_loading(file, loading)
            before = self._files.get(file)
            if wanted and before is not None:
                self._files[file] = replace(before, facts=replace(before.facts, problem=text))
        forget_modules(loading.modules)
        if wanted:
            stays = "" if before is None else "; the callbacks loaded before stay"
            detail = "" if inner is None else traceback_of(inner, from_file(inner.__traceback__, file))
            self._note(Level.ERROR, f"{text}{stays}", detail)
        self._changed()

    # Runs -------------------------------------------------------------------------------------------------------------------

    def attach(self, callbacks: Callbacks) -> None:
        """A run is about to begin: its callbacks are those of `rows` from now on, counted from zero."""
        with self._lock:
            self._run = callbacks
            self._going_on = True
            # What ended a run is off in those that follow, and still tells why.
            self._calls = {
                each: _Calls(error=calls.error, detail=calls.detail, ended_run=True)
                for each, calls in self._calls.items()
                if calls.ended_run and not callbacks.is_on(each)
            }
        self._apply_switches()
        self._changed()

    def detach(self) -> None:
        """The run is over; its figures stand until the next begins."""
        self._going_on = False
        self._changed()

    def observe(self, registration: Registration, seconds: float, error: BaseException | None) -> None:
        """Count a call; called by the registry, in the thread of the callback."""
        calls = self._calls.get(registration) or self._begin_counting(registration)
        calls.count(seconds)
        if error is not None:
            self._raised(registration, calls, error)

    def _begin_counting(self, registration: Registration) -> _Calls:
        """The first call of a callback in a run; what was removed since is forgotten, with all that it holds."""
        with self._lock:
            calls = self._calls.setdefault(registration, _Calls())
            held = set(self._run or self._callbacks)
            for each in self._calls.keys() - held:
                del self._calls[each]
            return calls

    def _raised(self, registration: Registration, calls: _Calls, error: BaseException) -> None:
        file = self._file_of(registration)
        trace = below_registry(error.__traceback__)
        first = calls.errors == 0
        calls.error = what_failed(error, trace, registration, file)
        calls.detail = traceback_of(error, trace)
        calls.errors += 1
        what = f"{title_of(registration)} failed in {registration.event}: {calls.error}"
        correct = "Correct the file and load it again, or switch it on again" if file else "It can be switched on again"
        if not isinstance(error, Exception):  # `sys.exit`, which ends the run whatever `on_error` says
            calls.ended_run = True
            if not is_fixed(registration):
                self._callbacks.switch(registration, False)
            off = "" if self._callbacks.is_on(registration) else f"; it is switched off. {correct}"
            self._note(Level.ERROR, what + off, calls.detail)
        elif registration.on_error == "disable":
            run = self._run
            if run is not None:
                run.switch(registration, False)  # as the registry is about to do, so that whoever is told now sees it off
            self._note(Level.ERROR, f"{what}; it is switched off. {correct}", calls.detail)
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

    @property
    def usual(self) -> bool:
        """Whether each frame goes through all that is built in and through nothing else: what comes of it can be foretold."""
        registry_now = self._run or self._callbacks
        return all(
            (key.origin == BUILT_IN) == registry_now.is_on(registration)
            for key, registration in self._keyed(registry_now)
            if registration.event in EVERY_FRAME
        )

    def switch(self, key: HookKey, on: bool) -> None:
        """Switch a callback off or on again: in this run from the next event on, in later ones, and when its file is reloaded.

        One that is fixed is left alone.
        """
        for each, registration in self._keyed(self._run or self._callbacks):
            if each == key and not is_fixed(registration):
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
            about=about(registration),
            order=registration.order,
            background=registration.background,
            on=on,
            fixed=is_fixed(registration),
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
            known_by = (files.get(each.owner) or origin_of(each), title_of(each), each.event)
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
