"""The registry of callbacks that every engine shares, and how it calls them."""

from __future__ import annotations

import functools
import inspect
import itertools
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from framehook.inference.callbacks.background import DRAIN_SECONDS, BackgroundWorker
from framehook.inference.callbacks.base import Callback, overridden_events
from framehook.inference.errors import CallbackError, CallbackSignatureError, OptionError, one_line
from framehook.inference.events import ONCE_A_RUN, check_event
from framehook.inference.frame import READ_ONLY

log = logging.getLogger("framehook")

OnError: TypeAlias = Literal["raise", "log", "disable"]
CallbackFunction: TypeAlias = Callable[[Any], object]
FunctionT = TypeVar("FunctionT", bound=CallbackFunction)
CallbackT = TypeVar("CallbackT", bound=Callback)

_sequence = itertools.count()


class Engine(Protocol):
    """What the registry asks of a predictor, an exporter, a trainer or a validator."""

    def snapshot(self) -> object:
        """A frozen copy of what a callback may look at later, on another thread."""
        ...

    def where(self) -> str:
        """Where the engine is, for messages: `frame 12 of vtest.avi`, or an empty string."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """One callback of one event.

    Attributes:
        event: The event's name.
        function: What is called with the engine.
        name: The callback's name in messages.
        order: Callbacks run from low to high, those of equal order as they were added.
        on_error: What an exception does: end the run, be logged, or be logged and switch the callback off for the run.
        background: Whether it runs on a worker of its own, on snapshots.
        every_rank: Whether it is called on every process of a training over several, rather than on the first alone.
        number: Place among all registrations ever made.
        owner: The handle that removes it; callbacks of one owner share a worker.
    """

    event: str
    function: CallbackFunction
    name: str
    order: int
    on_error: OnError
    background: bool
    every_rank: bool
    number: int
    owner: Handle


Observer: TypeAlias = Callable[[Registration, float, BaseException | None], None]
"""Is told of each call: what was called, the seconds it took, and what it raised."""


class Handle:
    """What adding a callback returns; `remove()` takes it back, also while a run goes on."""

    def __init__(self, callbacks: Callbacks, name: str) -> None:
        self._callbacks = callbacks
        self.name = name

    def remove(self) -> None:
        """Unregister the callback; removing it again does nothing."""
        self._callbacks.remove(self)

    def __repr__(self) -> str:
        return f"Handle({self.name})"


class Callbacks:
    """Callbacks by event.

    A model has one registry; each run has one of its own on top of it, which also holds what belongs to the run: background
    workers and callbacks that were switched off. Registering and removing is thread-safe and takes effect with the next event.
    """

    def __init__(self, parent: Callbacks | None = None, *, main: bool = True) -> None:
        """Make an empty registry.

        Args:
            parent: What is registered there is called too.
            main: This process is the only one of its run, or the first; on the others only those are called that ask for it.
        """
        self._parent = parent
        self._main = main
        self._lock = threading.RLock()  # a run may be collected, and ended, while its thread is in here
        self._registrations: list[Registration] = []
        self._version = 0
        self._calls: dict[str, tuple[tuple[Registration, CallbackFunction], ...]] = {}
        self._objects: dict[type[Callback], tuple[Any, ...]] = {}
        self._calls_version = -1
        self._switched_off: set[Registration] = set()
        self._observer: Observer | None = None
        self._workers: dict[Handle, BackgroundWorker] = {}
        self._background_failures: dict[Registration, CallbackError] = {}
        self._deadline: float | None = None
        self._closed = False

    def add(
        self,
        event: str | Callback,
        callback: CallbackFunction | None = None,
        *,
        order: int | None = None,
        on_error: OnError = "raise",
        background: bool = False,
        every_rank: bool | None = None,
    ) -> Handle:
        """Register a callback.

        Args:
            event: The event's name, or a `Callback` object, which is registered for every event it handles.
            callback: Any callable that takes the engine as its one positional argument; left out for a `Callback` object.
            order: Callbacks run from low to high; 0 unless the `Callback` object says otherwise.
            on_error: `raise` ends the run with a `CallbackError`, `log` goes on, `disable` goes on without the callback.
            background: Call it on a worker thread, with a frozen snapshot in place of the engine. Its queue is bounded: calls
                that find it full are dropped and counted.
            every_rank: In a training over several processes call it on each of them, not on the first alone; None for what
                the `Callback` object says, else False.

        Raises:
            UnknownEventError: no such event.
            CallbackSignatureError: the callable cannot be called with one positional argument.
            OptionError: `on_error` has another value, or the object cannot run in the background.
        """
        if on_error not in ("raise", "log", "disable"):
            raise OptionError(f"on_error={on_error!r} is unknown; pass 'raise', 'log' or 'disable'")
        if isinstance(event, Callback):
            if callback is not None:
                raise CallbackSignatureError(f"{type(event).__name__} names its own events; pass it alone")
            name = type(event).__name__
            if background and event.foreground_only:
                raise OptionError(f"{name} cannot work on snapshots of a run; add it without background=True")
            functions = [
                (each, _check_callable(each, getattr(event, each), f"{name}.{each}")) for each in overridden_events(event)
            ]
            order = event.order if order is None else order
            every_rank = event.every_rank if every_rank is None else every_rank
        elif isinstance(event, str):
            checked = check_event(event)
            if isinstance(callback, Callback):
                raise CallbackSignatureError(
                    f"{type(callback).__name__} names its own events; pass it alone, without '{checked}'"
                )
            name = _name_of(callback)
            functions = [(checked, _check_callable(checked, callback, name))]
        else:
            raise _no_event(event)
        handle = Handle(self, name)
        with self._lock:
            self._registrations += [
                Registration(each, function, name, order or 0, on_error, background, bool(every_rank), next(_sequence), handle)
                for each, function in functions
            ]
            self._version += 1
        return handle

    def on(self, event: str, **options: Any) -> Callable[[FunctionT], FunctionT]:
        """Decorator form of `add`; the function stays what it was."""

        def register(function: FunctionT) -> FunctionT:
            self.add(event, function, **options)
            return function

        return register

    def remove(self, handle: Handle) -> None:
        """Unregister what `handle` stands for."""
        with self._lock:
            self._registrations = [each for each in self._registrations if each.owner is not handle]
            self._switched_off = {each for each in self._switched_off if each.owner is not handle}
            self._version += 1

    def switch(self, registration: Registration, on: bool) -> None:
        """Switch one callback of one event off or on again, here and in every run below; in force from the next event.

        What was switched off in a model's registry is off in each of its runs, whatever they say themselves; what one run
        switched off, as `on_error="disable"` does, is off in that run alone and can be switched on again there. A callback that
        is off is not called, nor made up for: one of a run's start or end that is off at that moment misses it, so that a
        `Callback` object whose end is switched off does not finish what it began. What is not registered here, or in a parent,
        is left alone.
        """
        with self._lock:
            if registration not in list(self):
                return
            if on:
                self._switched_off.discard(registration)
            else:
                self._switched_off.add(registration)
            self._version += 1

    def is_on(self, registration: Registration) -> bool:
        """Whether a callback is called here: neither this registry nor a parent has it switched off."""
        return registration not in self._switched_off and (self._parent is None or self._parent.is_on(registration))

    @property
    def observer(self) -> Observer | None:
        """What is told of every call once it is over, or None; set one, also while a run goes on, from the next event on.

        A run's registry has the one of its parent unless it is given one of its own. It is called in the thread of the
        callback, that of the background where it runs there, and is to be quick and not to raise.
        """
        if self._observer is None and self._parent is not None:
            return self._parent.observer
        return self._observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        with self._lock:
            self._observer = observer
            self._version += 1

    def has(self, event: str) -> bool:
        """Whether anything would be called."""
        return bool(self._prepared(event))

    def __iter__(self) -> Iterator[Registration]:
        """Every registration, the parent's included, in calling order."""
        inherited = list(self._parent) if self._parent is not None else []
        return iter(sorted([*inherited, *self._registrations], key=lambda each: (each.order, each.number)))

    def objects(self, kind: type[CallbackT]) -> tuple[CallbackT, ...]:
        """The registered `Callback` objects of a class, the parent's included, each once, in calling order."""
        self._renew()
        found = self._objects.get(kind)
        if found is None:
            owners = {id(owner): owner for each in self if isinstance(owner := getattr(each.function, "__self__", None), kind)}
            found = self._objects[kind] = tuple(owners.values())
        return found

    def fire(self, event: str, engine: Engine) -> None:
        """Call every callback of an event, in order.

        Raises:
            CallbackError: a callback raised whose `on_error` is `raise`; those after it are not called.
        """
        if self._background_failures:
            raise self._background_failures.pop(next(iter(self._background_failures)))
        for registration, call in self._prepared(event):
            try:
                call(engine)
            except Exception as error:
                failure = _failure(registration, error, engine.where())
                if registration.on_error == "raise":
                    raise failure from error
                self._tolerate(registration, failure)

    def fire_all(self, event: str, engine: Engine) -> list[CallbackError]:
        """Call every callback of an end event, whatever the others do, and return the errors of those that raise."""
        failures: list[CallbackError] = []
        interrupt: KeyboardInterrupt | None = None
        for registration, call in self._prepared(event):
            try:
                call(engine)
            except Exception as error:
                log.debug("callback failed in %s", event, exc_info=True)
                failure = _failure(registration, error, engine.where())
                failure.__cause__ = error
                if registration.on_error == "raise":
                    failures.append(failure)
                else:
                    self._tolerate(registration, failure)
            except KeyboardInterrupt as error:  # the others still have something to finish
                interrupt = interrupt or error
        if interrupt is not None:
            for failure in failures:
                log.error("%s", failure)
            raise interrupt
        return failures

    def drain(self) -> None:
        """Let queued background calls run for at most `DRAIN_SECONDS` in all, and drop the rest."""
        self._deadline = time.monotonic() + DRAIN_SECONDS
        for worker in self._workers.values():
            worker.drain(self._deadline)

    def close(self) -> list[CallbackError]:
        """End the background workers; return the errors they had and nobody was told of, one a callback."""
        deadline = time.monotonic() + DRAIN_SECONDS if self._deadline is None else max(self._deadline, time.monotonic() + 0.1)
        for worker in self._workers.values():
            worker.close(deadline)
        with self._lock:
            self._closed = True
            failures, self._background_failures = self._background_failures, {}
        return list(failures.values())

    def end(self, event: str, engine: Engine, *, error: BaseException | None, what: str, last: bool = True) -> None:
        """Fire an engine's end event, whatever goes wrong meanwhile, and end the background workers.

        Args:
            event: The end event; every callback of it is called, whatever the others do.
            engine: The engine.
            error: What ended it, or None. Where it is an interrupt, which is being raised, failures of callbacks are logged.
            what: What ended, for the message: `run`, `export`.
            last: The engine fires nothing more; without it the background workers go on.

        Raises:
            CallbackError: one callback failed, and nothing else was wrong.
            ExceptionGroup: several things were wrong, `error` being the first of them.
        """
        failures: list[Exception] = []
        try:
            if last:
                self.drain()
            failures += self.fire_all(event, engine)
        finally:
            if last:
                failures += self.close()
        if not failures:
            return
        if error is not None and not isinstance(error, Exception):
            for failure in failures:
                log.error("%s", failure)
            return
        errors = failures if error is None else [error, *failures]
        if len(errors) == 1:
            raise errors[0]
        raise ExceptionGroup(f"the {what} ended with {len(errors)} errors", errors)

    @property
    def background_dropped(self) -> int:
        """Background calls that were dropped so far."""
        return sum(worker.dropped for worker in self._workers.values())

    def _current_version(self) -> int:
        return self._version + (self._parent._current_version() if self._parent is not None else 0)

    def _renew(self) -> None:
        version = self._current_version()
        if version != self._calls_version:
            with self._lock:
                self._calls = {}
                self._objects = {}
                # What was removed is forgotten, with all that it holds.
                self._switched_off = {each for each in self if each in self._switched_off}
                self._calls_version = version

    def _prepared(self, event: str) -> tuple[tuple[Registration, CallbackFunction], ...]:
        """What to call for an event; worked out again only after something was registered, removed or switched off."""
        self._renew()
        known = self._calls  # if it is renewed by another thread meanwhile, what was worked out before goes with it
        calls = known.get(event)
        if calls is None:
            calls = known[event] = self._prepare(event)
        return calls

    def _prepare(self, event: str) -> tuple[tuple[Registration, CallbackFunction], ...]:
        observer = self.observer
        chosen = [each for each in self if each.event == event and (self._main or each.every_rank) and self.is_on(each)]
        return tuple((each, self._call_of(each, observer)) for each in chosen)

    def _call_of(self, registration: Registration, observer: Observer | None) -> CallbackFunction:
        """What to call for a registration; that it is observed costs nothing where it is not."""
        function = registration.function if observer is None else _observed(registration, observer)
        return self._in_background(registration, function) if registration.background else function

    def _tolerate(self, registration: Registration, failure: CallbackError) -> None:
        marks = {"observed": self.observer is not None}  # who listens to the log and observes, too, need not tell it twice
        if registration.on_error == "disable":
            log.error("%s; it is switched off for this run", failure, extra=marks)
            with self._lock:
                self._switched_off.add(registration)
                self._version += 1
        else:
            log.error("%s", failure, extra=marks)

    def _note_background(self, registration: Registration, failure: CallbackError) -> None:
        """Keep an error of the background for the run, which raises it with its next event, or at its end."""
        if registration.on_error != "raise":
            self._tolerate(registration, failure)
            return
        with self._lock:
            late = self._closed
            if not late:
                self._background_failures.setdefault(registration, failure)
        if late:
            log.error("%s, after the run had ended", failure)

    def _in_background(self, registration: Registration, function: CallbackFunction) -> CallbackFunction:
        """A function that queues a call of `function` with a snapshot of the engine."""
        worker = self._workers.setdefault(registration.owner, BackgroundWorker(registration.name))

        def enqueue(engine: Engine) -> None:
            if registration.event not in ONCE_A_RUN and not worker.has_room():
                worker.drop()
                return
            snapshot, where = engine.snapshot(), engine.where()

            def call() -> None:
                if not self.is_on(registration):
                    return
                try:
                    function(snapshot)
                except Exception as error:
                    log.debug("background callback failed in %s", registration.event, exc_info=True)
                    failure = _failure(registration, error, where)
                    failure.__cause__ = error
                    self._note_background(registration, failure)

            worker.submit(call)

        return enqueue


def _observed(registration: Registration, observer: Observer) -> CallbackFunction:
    """The callback, with `observer` told of every call."""
    function = registration.function

    def observed(engine: Any) -> None:
        began = time.perf_counter()
        try:
            function(engine)
        except BaseException as error:
            observer(registration, time.perf_counter() - began, error)
            raise
        observer(registration, time.perf_counter() - began, None)

    return observed


def _no_event(given: object) -> CallbackSignatureError:
    what = f"the class {given.__name__}" if isinstance(given, type) else repr(given)
    return CallbackSignatureError(f"{what} is no event; pass an event's name and a callable, or a Callback object")


def _name_of(callback: object) -> str:
    return getattr(callback, "__qualname__", None) or type(callback).__name__


def _check_callable(event: str, callback: CallbackFunction | None, name: str) -> CallbackFunction:
    if not callable(callback):
        raise CallbackSignatureError(f"the callback of {event} is {callback!r}; pass a callable that takes the engine")
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):
        return callback  # some builtins tell no signature; they are called as they are
    try:
        signature.bind(None)
    except TypeError:
        raise CallbackSignatureError(
            f"callback '{name}{signature}' of {event} cannot be called with one positional argument, the engine"
        ) from None
    return callback


def error_text(error: BaseException) -> str:
    """What an error says, in one line; an exception of the user's own may fail to say anything."""
    try:
        return one_line(error)
    except Exception:  # noqa: BLE001 - what it raised matters less than that it did
        return "(its text cannot be shown)"


def _failure(registration: Registration, error: Exception, where: str) -> CallbackError:
    text = error_text(error)
    # OpenCV says "readonly" of the array it was asked to draw on, but not what to draw on instead.
    hint = f" ({READ_ONLY})" if "readonly" in text else ""
    place = f" at {where}" if where else ""
    line = _line_of(registration.function, error)
    return CallbackError(
        f"callback '{registration.name}' failed in {registration.event}{place}: {type(error).__name__}: {text}{line}{hint}",
        event=registration.event,
        callback=registration.name,
    )


def _line_of(function: CallbackFunction, error: Exception) -> str:
    """The last line of a user's own file that an error passed through, such as ` (my.py line 2)`; nothing for built-ins."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not hasattr(function, "__code__"):
        function = type(function).__call__
    code = getattr(function, "__code__", None)  # a method has that of its function
    if code is None or str(getattr(function, "__module__", "")).startswith("framehook."):
        return ""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == code.co_filename]
    return f" ({Path(code.co_filename).name} line {lines[-1]})" if lines else ""
