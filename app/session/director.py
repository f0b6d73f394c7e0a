"""Decides what plays: sources and models are opened aside, and a run begins when the one before has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from framehook.app.session.board import Board
from framehook.app.session.desk import Desk
from framehook.app.session.hooks import Hooks
from framehook.app.session.playing import Playing
from framehook.app.session.renderer import Renderer
from framehook.app.session.slots import Cast, Opened, display_name
from framehook.app.session.state import Level, ModelFacts, Phase, Slot, TakeKind
from framehook.app.session.takes import Takes
from framehook.app.session.zoning import Zoning
from framehook.inference.callbacks import Callbacks
from framehook.inference.connection import SourceChange, SourceState
from framehook.inference.errors import FramehookError, OptionError, one_line
from framehook.inference.frame import SourceInfo
from framehook.inference.network import image_input, takes_frames
from framehook.inference.options import AT_START, PredictOptions
from framehook.inference.predictor import check_options
from framehook.inference.sources import Source, open_sources
from framehook.inference.stats import Stats
from framehook.model import Model

ACTIVE: Final = (Phase.PLAYING, Phase.PAUSED)

Seats: TypeAlias = list[tuple[Opened, list[tuple[Slot, Source]]]]
"""What was opened, and the place of each source."""


@dataclass(frozen=True, slots=True)
class _Next:
    """What begins once the run under way has ended.

    Attributes:
        begin: Called then.
        seats: Open sources that it holds, to be closed where something else begins instead.
    """

    begin: Callable[[], None]
    seats: Seats = field(default_factory=list)


class Director:
    """The decisions of a session. Everything belongs to the desk, save for what is said to be for any thread."""

    def __init__(
        self, board: Board, desk: Desk, callbacks: Callbacks, *, renderer: Renderer, hooks: Hooks, takes: Takes
    ) -> None:
        """Nothing plays yet."""
        self._board = board
        self._desk = desk
        self._callbacks = callbacks
        self._renderer = renderer
        self._hooks = hooks
        self._takes = takes
        self.zoning = Zoning(callbacks, self.key_of)
        self._model: Model | None = None
        self._load_number = 0
        self._loading = False
        self._opened: list[Opened] = []
        self._cast = Cast()
        self._playing: Playing | None = None
        self._stats: Stats | None = None
        self._next: _Next | None = None
        self._attempt = 0  # counts what is to replace what plays; one that is overtaken is put away when it comes
        self._pending = False  # whether the last of them goes on
        self._beside: list[Any] = []  # what is to be opened beside it then
        self._closed = False

    # For any thread -----------------------------------------------------------------------------------------------------------

    def key_of(self, source: SourceInfo) -> str | None:
        """The slot of a frame's source."""
        return self._cast.key_of(source)

    def stats(self) -> Stats | None:
        """The figures of the run under way, or of the last one."""
        playing = self._playing
        return self._stats if playing is None else playing.run.stats

    def source_changed(self, change: SourceChange, key: str) -> bool:
        """In the playing thread: take note of a change; returns whether a file that has ended begins again."""
        self._desk.hand_in(partial(self._note_change, change, key))
        return self._board.state.loop

    def close(self) -> None:
        """Begin nothing any more, and end what plays."""
        self._closed = True
        playing = self._playing
        if playing is not None:
            playing.stop()
        self._desk.hand_in(self._put_all_away)

    def join(self, timeout: float) -> bool:
        """Once the desk is closed: wait for the end of the run; False where it did not come in time."""
        playing = self._playing
        return playing is None or playing.join(timeout)

    # Opening ------------------------------------------------------------------------------------------------------------------

    def open(self, spec: Any, *, add: bool) -> None:
        """Open something, in place of what is open or beside it."""
        if add and self._pending:
            self._beside.append(spec)
            return
        self._beside.clear()
        if add and not (self._playing is not None and self._board.state.phase in ACTIVE) and self._opened:
            self._open([*self._opened, Opened(spec)])  # the others have ended: all of them start together
        elif add and self._opened:
            self._open_beside(Opened(spec))
        else:
            self._open([Opened(spec)])

    def _open(self, wanted: list[Opened], *, at: Mapping[str, float] | None = None, paused: bool = False) -> None:
        """Open sources aside, to play them in place of what plays."""
        if self._closed:
            return
        self._attempt += 1
        attempt = self._attempt
        self._pending = True
        if self._playing is not None and self._excludes(wanted):
            self._when_free(_Next(partial(self._open, wanted, at=at, paused=paused)))
            return
        if self._board.state.phase not in ACTIVE:
            self._board.change(phase=Phase.OPENING)
        self._need_model()

        def finish(found: list[tuple[Opened, list[Source]]]) -> None:
            if self._closed or attempt != self._attempt:
                _close(source for _, sources in found for source in sources)
                return
            seats = [(each, each.seat(sources)) for each, sources in found]
            self._when_free(_Next(partial(self._start, seats, at or {}, paused), seats))

        def give_up() -> None:
            if attempt != self._attempt:
                return
            if self._board.state.phase is Phase.OPENING:
                self._board.change(phase=Phase.FAILED if self._opened else Phase.IDLE)
            self._settle()

        self._open_aside(wanted, finish, give_up)

    def _give_up_opening(self) -> None:
        self._attempt += 1
        self._pending = False
        self._beside.clear()

    def _settle(self) -> None:
        """An attempt has come to its end: open what is to be beside it."""
        self._pending = False
        waiting, self._beside = self._beside, []
        for spec in waiting:
            self.open(spec, add=True)

    def _open_beside(self, wanted: Opened) -> None:
        """Open a source aside, to take it into the run under way."""

        def finish(found: list[tuple[Opened, list[Source]]]) -> None:
            playing = self._playing
            sources = found[0][1]
            if self._closed or playing is None or playing.stopped:
                _close(sources)
                if not self._closed:
                    self.open(wanted.spec, add=True)
                return
            self._opened = sorted([*self._opened, wanted], key=lambda each: each.number)
            for slot, source in wanted.seat(sources):
                playing.cast.add(source, slot.key)
                try:
                    playing.run.predictor.add_source(source)
                except FramehookError as error:
                    source.close()
                    self._board.report(error)
            self._show_slots()

        self._open_aside([wanted], finish, lambda: None)

    def _open_aside(
        self,
        wanted: list[Opened],
        finish: Callable[[list[tuple[Opened, list[Source]]]], None],
        give_up: Callable[[], None],
    ) -> None:
        """Open sources on a thread of its own, and go on at the desk with all of them, or without any."""
        busy = f"opening {', '.join(display_name(each.spec) for each in wanted)}"
        self._board.busy(busy)

        def fail(error: Exception) -> None:
            self._board.done(busy)
            if not self._closed:
                self._board.report(error)
                give_up()

        def succeed(found: list[tuple[Opened, list[Source]]]) -> None:
            self._board.done(busy)
            finish(found)

        def work() -> None:
            found: list[tuple[Opened, list[Source]]] = []
            try:
                for each in wanted:
                    found.append((each, list(open_sources(each.spec))))  # noqa: PERF401 - those opened are known on failure
            except Exception as error:  # noqa: BLE001 - a source of the user's own may raise anything
                _close(source for _, sources in found for source in sources)
                self._desk.hand_in(partial(fail, error))
                return
            self._desk.hand_in(partial(succeed, found))

        self._desk.aside("framehook-open", work)

    def _excludes(self, wanted: list[Opened]) -> bool:
        """Whether what plays holds what is wanted: a camera is given to one at a time."""
        held = {str(slot.spec) for slot in self._board.state.slots if slot.source is not None and slot.source.live}
        return any(str(each.spec) in held for each in wanted)

    def close_slot(self, key: str) -> None:
        """Close one of the sources."""
        slot = self._board.state.slot(key)
        if slot is None:
            return
        for each in self._opened:
            each.replace(key, None)
        self._opened = [each for each in self._opened if each.seated]
        self._cast.remove(key)
        self._forget(key)
        self._show_slots()
        playing = self._playing
        if not self._opened:
            self._give_up_opening()
            self._when_free(_Next(partial(self._board.change, phase=Phase.IDLE)))
        elif playing is not None and slot.source is not None:
            # Waiting until a source is released takes a while.
            self._desk.aside("framehook-close", partial(self._release, playing, slot))

    def _release(self, playing: Playing, slot: Slot) -> None:
        """Aside: have a run let go of a source."""
        if slot.source is not None:
            with suppress(OptionError):  # it has gone by itself
                playing.run.remove_source(slot.source.id)
        self._renderer.forget(slot.key)  # once more: a frame may have been under way

    def _forget(self, key: str) -> None:
        """A slot is gone for good."""
        self._renderer.forget(key)
        self.zoning.forget(key)
        zones = self._board.state.zones
        self._board.change(zones={other: drawn for other, drawn in zones.items() if other != key})

    # The model ----------------------------------------------------------------------------------------------------------------

    def _need_model(self) -> None:
        if self._model is None and not self._loading:
            self.load(None, Model)

    def load(self, spec: str | Path | None, load: Callable[[], Model]) -> None:
        """Load a model aside, and go on with it."""
        if self._closed:
            return
        self._load_number += 1
        self._loading = True
        number = self._load_number
        busy = f"loading {'the bundled detector' if spec is None else Path(spec).name}"
        self._board.busy(busy)

        def fail(error: Exception) -> None:
            self._board.done(busy)
            if self._closed:
                return
            self._board.report(error)
            if number == self._load_number:
                self._loading = False
                if self._model is None:
                    self._go_on()  # what waits for a model learns that there is none

        def succeed(model: Model) -> None:
            self._board.done(busy)
            if not self._closed and number == self._load_number:
                self.take_model(model, spec)

        def work() -> None:
            try:
                model = load()
                if self._board.state.options.tracker is not None:
                    import trackers  # noqa: F401 - slow to import, which is better done now than at the first frame
            except Exception as error:  # noqa: BLE001 - a damaged file may fail anywhere
                self._desk.hand_in(partial(fail, error))
                return
            self._desk.hand_in(partial(succeed, model))

        self._desk.aside("framehook-load", work)

    def take_model(self, model: Model, spec: str | Path | None) -> None:
        """Go on with a model that is loaded."""
        self._loading = False
        try:
            check_options(self._board.state.options, model.detector)
        except FramehookError as error:
            self._board.choose({"classes": None, "imgsz": None})  # and no others: some may be changed just now
            self._board.note(Level.WARNING, f"{one_line(error)}. All classes are shown, at the model's own input size")
        model.callbacks = self._callbacks
        self._model = model
        self._board.change(model=facts_of(model, spec))
        if self._playing is not None:
            self._restart()
        else:
            self._go_on()

    # Beginning and ending -----------------------------------------------------------------------------------------------------

    def _when_free(self, following: _Next) -> None:
        """Begin something once the run under way, if there is one, has ended."""
        self._drop_next()
        self._next = following
        if self._playing is not None:
            self._playing.stop()
        else:
            self._go_on()

    def _go_on(self) -> None:
        following, self._next = self._next, None
        if following is not None:
            following.begin()

    def _drop_next(self) -> None:
        following, self._next = self._next, None
        if following is not None:
            _close(source for _, seated in following.seats for _, source in seated)

    def _start(self, seats: Seats, at: Mapping[str, float], paused: bool) -> None:
        """Play what was opened."""
        if self._model is None and self._loading:
            self._next = _Next(partial(self._start, seats, at, paused), seats)
            return
        here = [(slot, source) for each, seated in seats for slot, source in seated if slot in each.seated]
        _close(source for _, seated in seats for slot, source in seated if (slot, source) not in here)
        former = {slot.key for slot in self._board.state.slots}
        self._opened = [each for each, _ in seats if each.seated]
        for key in former - {slot.key for slot, _ in here}:
            self._forget(key)
        self._show_slots()
        if self._closed or self._model is None or not here:
            _close(source for _, source in here)
            self._board.change(phase=Phase.FAILED if here else Phase.IDLE)
            self._settle()
            return
        try:
            self._play_run(self._model, here, at, paused)
        except Exception as error:  # noqa: BLE001 - the window stays, whatever it is
            _close(source for _, source in here)
            self._board.report(error)
            self._board.change(phase=Phase.FAILED)
        self._settle()

    def _play_run(self, model: Model, here: list[tuple[Slot, Source]], at: Mapping[str, float], paused: bool) -> None:
        cast = Cast()
        for slot, source in here:
            cast.add(source, slot.key)
        run = model.predict(here[0][1], stream=True, **_arguments(self._board.state.options))
        for _, source in here[1:]:
            run.predictor.add_source(source)
        for slot, source in here:
            if slot.key in at and source.seekable:
                run.seek(at[slot.key], source.info)
        if paused:
            run.step()
        self._cast = cast
        number = self._board.state.run + 1
        self._renderer.begin(number)
        self._hooks.attach(run.predictor.callbacks)
        self._playing = Playing(run, cast, self._ended)
        self._board.change(phase=Phase.PAUSED if paused else Phase.PLAYING, run=number)
        self._playing.start()

    def _ended(self, playing: Playing, failure: BaseException | None) -> None:
        """In the playing thread: its run is over."""
        self._desk.hand_in(partial(self._has_ended, playing, failure))

    def _has_ended(self, playing: Playing, failure: BaseException | None) -> None:
        self._stats = playing.run.stats
        self._playing = None
        self._hooks.detach()
        if failure is not None:
            self._board.report(failure)
        if self._next is not None:
            self._go_on()
        elif self._opened:
            self._board.change(phase=Phase.ENDED if failure is None else Phase.FAILED)

    def _restart(self) -> None:
        """Start the run anew, files where they are."""
        at = {}
        for slot in self._board.state.slots:
            last = self._renderer.last(slot.key)
            if slot.seekable and last is not None and last.frame.pts is not None:
                at[slot.key] = last.frame.pts
        paused = self._board.state.phase is Phase.PAUSED
        self._attempt += 1
        self._when_free(_Next(partial(self._open, list(self._opened), at=at, paused=paused)))

    def _put_all_away(self) -> None:
        """At the end."""
        self._drop_next()
        if self._playing is not None:
            self._playing.stop()

    # Steering -----------------------------------------------------------------------------------------------------------------

    @property
    def _steerable(self) -> Playing | None:
        """The run under way, unless its end was asked for."""
        playing = self._playing
        return None if playing is None or playing.stopped else playing

    @property
    def _startable(self) -> bool:
        """Whether there is something to start again."""
        return self._playing is None and bool(self._opened) and self._board.state.phase is not Phase.OPENING

    def play(self) -> None:
        """Go on, or start again."""
        if self._steerable is not None:
            self._steerable.run.resume()
            self._board.change(phase=Phase.PLAYING)
        elif self._startable:
            self._open(list(self._opened))

    def pause(self) -> None:
        """Hold."""
        if self._steerable is not None:
            self._steerable.run.pause()
            self._board.change(phase=Phase.PAUSED)

    def stop(self) -> None:
        """End the run, and whatever was to follow it."""
        self._give_up_opening()
        self._drop_next()
        if self._playing is not None:
            self._playing.stop()
        elif self._board.state.phase is Phase.OPENING:
            self._board.change(phase=Phase.ENDED if self._opened else Phase.IDLE)

    def step(self) -> None:
        """Pause, and show one frame more."""
        if self._steerable is not None:
            self._steerable.run.step()
            self._board.change(phase=Phase.PAUSED)
        elif self._startable:
            self._open(list(self._opened), paused=True)

    def seek(self, seconds: float, key: str | None) -> None:
        """Go to a time of a file, or of all."""
        slots = [slot for slot in self._board.state.slots if slot.seekable and key in (None, slot.key)]
        playing = self._steerable
        if playing is None:
            if slots and self._startable:
                self._open(list(self._opened), at={slot.key: seconds for slot in slots}, paused=True)
            return
        for slot in slots:
            if slot.source is not None:
                playing.run.seek(seconds, slot.source.id)
        if slots and playing.run.paused:
            playing.run.step()  # so that the frame there is shown

    def update(self, changes: Mapping[str, Any], before: PredictOptions) -> None:
        """Put options in force that were changed, or take the change back where the model cannot have them."""
        if self._model is None:
            return
        try:
            check_options(self._board.state.options, self._model.detector)
        except FramehookError as error:
            self._board.report(error)
            self._board.choose({name: getattr(before, name) for name in changes})
            return
        if self._steerable is None:
            return
        if any(name in AT_START for name in changes):
            self._restart()
        else:
            self._steerable.run.update(**changes)

    def begin_take(self, kind: TakeKind, path: Path | None) -> None:
        """Save something from now on."""
        try:
            self._takes.begin(kind, path, None if self._playing is None else self._playing.run.predictor)
        except FramehookError as error:
            self._board.report(error)

    def _note_change(self, change: SourceChange, key: str) -> None:
        for each in self._opened:
            for slot in each.seated:
                if slot.key == key and slot.source is not None and slot.source.id == change.source.id:
                    told = replace(slot, connection=change.state, reason=change.reason, source=change.source)
                    each.replace(key, told)
                    self._tell_change(change)
        self._show_slots()

    def _tell_change(self, change: SourceChange) -> None:
        """Log a source that begins or ends; what happens to its connection meanwhile is logged by the library."""
        name = change.source.name
        if change.state is SourceState.CONNECTED and change.connections <= 1:
            size = "" if change.source.size is None else f", {change.source.size[0]} x {change.source.size[1]}"
            rate = "" if not change.source.fps else f", {change.source.fps:g} frames a second"
            self._board.note(Level.INFO, f"{name} is open{size}{rate}")
        elif change.state is SourceState.ENDED and not change.reason:
            self._board.note(Level.INFO, f"{name} has ended")

    def _show_slots(self) -> None:
        self._board.change(slots=tuple(slot for each in self._opened for slot in each.seated))


def facts_of(model: Model, spec: str | Path | None) -> ModelFacts:
    """What is known of a model, for people."""
    network = model.detector.backend.network
    if takes_frames(network):
        size = "frames of any size"
    else:
        sides = [side if isinstance(side, int) and side > 0 else None for side in image_input(network).shape]
        rest = sides[1:3] if sides[-1] == 3 else sides[2:4]
        size = " x ".join("any" if side is None else str(side) for side in reversed(rest))
    title = "bundled person detector" if spec is None else Path(spec).name
    return ModelFacts(title, spec, model.device, dict(model.names), size, model.detector.decoder.name)


def _arguments(options: PredictOptions) -> dict[str, Any]:
    return {each.name: getattr(options, each.name) for each in fields(options)}


def _close(sources: Iterable[Source]) -> None:
    for source in sources:
        source.close()
