"""Decides what plays: what is wished for is opened aside, and a run begins when the one before has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from framehook.app.session.board import Board
from framehook.app.session.desk import Desk
from framehook.app.session.ending import Endings
from framehook.app.session.hooks import Hooks
from framehook.app.session.loading import ModelLoader, facts_of, fitting
from framehook.app.session.opening import Opener, close_all
from framehook.app.session.plan import Plan, in_order
from framehook.app.session.playing import Playing
from framehook.app.session.renderer import Renderer
from framehook.app.session.retakes import Retakes
from framehook.app.session.slots import Cast, Opened, devices_of, display_name
from framehook.app.session.state import Level, Phase, Slot
from framehook.app.session.zoning import KeptZones, Zoning
from framehook.inference.callbacks import Callbacks
from framehook.inference.callbacks.tracking import check_tracker
from framehook.inference.connection import SourceChange, SourceState
from framehook.inference.errors import FramehookError, OptionError, RunError, one_line
from framehook.inference.frame import SourceInfo
from framehook.inference.options import AT_START
from framehook.inference.predictor import Predictor, check_options
from framehook.inference.result import Result
from framehook.inference.sources import Source
from framehook.inference.stats import Stats
from framehook.model import Model

TOLD: Final = 1000
"""Sources of which it is remembered that their beginning was told."""


class Seat(NamedTuple):
    """A source that is open, and its place."""

    slot: Slot
    source: Source


class Director:
    """The decisions of a session. Everything belongs to the desk, save for what is said to be for any thread.

    What is to be is in three places: the run that plays (until it has ended), the plan for what is to play in its place, and
    the model. Whatever happens, `_advance` looks at the three and takes the next step; `_show` says how they stand.
    """

    def __init__(self, board: Board, desk: Desk, callbacks: Callbacks, *, renderer: Renderer, hooks: Hooks) -> None:
        """Nothing plays yet."""
        self._board = board
        self._desk = desk
        self._callbacks = callbacks
        self._renderer = renderer
        self._hooks = hooks
        self._retakes = Retakes(board, desk, renderer)
        self._opener = Opener(board, desk)
        self._endings = Endings(board, desk)
        self._loader = ModelLoader(board, desk, self.take_model, self._no_model)
        self.zoning = Zoning(callbacks, self.key_of, lambda: self.predictor)
        self._kept_zones = KeptZones()
        self._tuned = False  # whether frames that were under way at a pause may be of other options
        self._redrawn: dict[str, Set[str]] = {}  # and zones, by slot, that they may show as those were before
        self._model: Model | None = None
        self._accepted = board.state.options  # those that were found to be possible
        self._opened: list[Opened] = []  # what has a place on the screen
        self._plan: Plan | None = None
        self._joining: dict[int, Opened] = {}  # what is being opened beside the others, unless it is not wanted any more
        self._playing: Playing | None = None
        self._cast = Cast()
        self._stats: Stats | None = None
        self._failed = False  # whether the last run or plan did
        self._told: dict[str, None] = {}
        self._closed = False

    # For any thread -----------------------------------------------------------------------------------------------------------

    def key_of(self, source: SourceInfo) -> str | None:
        """The slot of a frame's source."""
        return self._cast.key_of(source)

    def stats(self) -> Stats | None:
        """The figures of the run under way, or of the last one."""
        playing = self._playing
        return self._stats if playing is None else playing.run.stats

    @property
    def predictor(self) -> Predictor | None:
        """The engine of the run under way."""
        playing = self._playing
        return None if playing is None else playing.run.predictor

    def show(self, key: str, result: Result) -> None:
        """Take the newest result of a slot; one that was under way when options changed is looked at again."""
        self._renderer.show(key, result)
        if self._tuned:
            self._desk.hand_in(partial(self._retake_late, key))

    def begins_again(self, change: SourceChange) -> bool:
        """Whether a file that has ended is to be played again at once; one without frames would begin again for ever."""
        at_end = change.state is SourceState.ENDED and not change.reason
        return at_end and self._board.state.loop and not change.source.live and bool(change.source.frame_count)

    def source_changed(self, change: SourceChange, key: str) -> None:
        """Take note of a change of a source."""
        self._desk.hand_in(partial(self._note_change, change, key, self.begins_again(change)))

    def forget_zones(self, key: str) -> None:
        """Take the zones of a slot away."""
        self.zoning.forget(key)
        self._board.put_zones(key, None)

    def close(self) -> None:
        """Begin nothing any more, and end what plays."""
        self._closed = True
        self._retakes.forget()
        playing = self._playing
        if playing is not None:
            playing.stop()
        self._desk.hand_in(self.stop)

    def join(self, timeout: float) -> bool:
        """Once the desk is closed: wait for the end of the run; False where it did not come in time."""
        playing = self._playing
        return playing is None or playing.join(timeout)

    # Wishes -------------------------------------------------------------------------------------------------------------------

    def open(self, spec: Any, *, add: bool) -> None:
        """Open something, in place of what is open or beside it."""
        if self._closed:
            return
        wish = Opened(spec)
        if not add or not (self._plan is not None or self._opened or self._joining):
            self._joining.clear()
            self._set_plan(Plan([wish], release_first=self._holds(spec)))
        elif self._holds(spec):
            self._board.note(Level.WARNING, f"{display_name(spec)} is open already")
        elif self._plan is not None:
            self._plan.wishes.append(wish)
            if self._plan.begun:
                self._open(self._plan, wish)
        elif self._steerable is not None:
            self._joining[wish.number] = wish
            self._opener.open(wish, self._join_in)
        else:
            self._set_plan(Plan([*self._opened, wish]))  # the others have ended: all of them start together

    def close_slot(self, key: str) -> None:
        """Close one of the sources."""
        slot = self._board.state.slot(key)
        if slot is None:
            return
        for wish in self._opened:
            wish.replace(key, None)
        self._opened = [wish for wish in self._opened if wish.seated]
        self._cast.remove(key)
        self._forget(key)
        playing = self._playing
        if not self._opened and self._plan is None and not self._joining:
            self.stop()
        elif playing is not None and slot.source is not None:
            # Waiting until a source is released takes a while.
            self._desk.aside("framehook-close", partial(self._release, playing, slot, slot.source))
        self._show()

    def load(self, spec: str | Path | None, make: Callable[[], Model]) -> None:
        """Load a model, and go on with it."""
        if not self._closed:
            self._loader.load(spec, make)

    def take_model(self, model: Model, spec: str | Path | None) -> None:
        """Go on with a model that is loaded."""
        if self._closed:
            return
        changes, told = fitting(self._accepted, model)
        if told:
            self._board.note(Level.WARNING if changes else Level.ERROR, told)
        model.callbacks = self._callbacks
        self._model = model
        # Checking takes a while: only what does not fit is changed, so that what the user chose meanwhile stays.
        self._board.choose(changes)
        self._accepted = self._accepted.replace(changes)
        self._board.change(model=facts_of(model, spec))
        if self._steerable is not None:
            self._outdate(self._steerable)
        else:
            self._retake()
        self._advance()

    # Steering -----------------------------------------------------------------------------------------------------------------

    @property
    def _steerable(self) -> Playing | None:
        """The run under way, unless its end was asked for."""
        playing = self._playing
        return None if playing is None or playing.stopped else playing

    def play(self) -> None:
        """Go on, or start again."""
        self._let_go()
        if self._steerable is not None:
            self._steerable.run.resume()
        elif self._plan is not None:
            self._plan.paused = False
        else:
            self._start_again()
        self._show()

    def pause(self) -> None:
        """Hold."""
        if self._steerable is not None:
            self._steerable.run.pause()
        elif self._plan is not None:
            self._plan.paused = True
        self._show()

    def toggle_play(self) -> None:
        """Hold where it plays, or is about to; else go on, or start again."""
        coming = self._plan is not None and not self._plan.paused
        goes_on = coming if self._steerable is None else not self._steerable.run.paused
        if goes_on:
            self.pause()
        else:
            self.play()

    def stop(self) -> None:
        """End the run, and whatever was to follow it."""
        self._joining.clear()
        plan, self._plan = self._plan, None
        if plan is not None:
            plan.discard()
        self._endings.ask(self._playing)
        self._failed = False
        self._show()

    def step(self) -> None:
        """Pause, and show one frame more."""
        self._let_go()
        if self._steerable is not None:
            self._steerable.run.step()
        elif self._plan is not None:
            self._plan.paused = True
        else:
            self._start_again(paused=True)
        self._show()

    def seek(self, seconds: float, key: str | None) -> None:
        """Go to a time of a file, or of all."""
        self._let_go()
        slots = [slot for slot in self._board.state.slots if slot.seekable and key in (None, slot.key)]
        at = {slot.key: seconds for slot in slots}
        if not slots:
            return
        playing = self._steerable
        if playing is not None:
            ids = [slot.source.id for slot in slots if slot.source is not None]
            for each in ids:
                playing.run.seek(seconds, each)
            if playing.run.paused:
                playing.run.pause()  # takes back steps that were not taken yet
                playing.run.step(sources=ids)  # so that the frames there are shown
        elif self._plan is not None:
            self._plan.at.update(at)
        else:
            self._start_again(at, paused=True)

    def update(self, changes: Mapping[str, Any]) -> None:
        """Put options in force that were changed, or take the change back where they cannot be."""
        wanted = self._accepted.replace(changes)
        try:
            if self._model is not None:
                check_options(wanted, self._model.detector)
            elif wanted.tracker is not None:
                check_tracker(wanted.tracker, wanted.tracker_options or {})
            if self._steerable is not None:
                self._hand_on(self._steerable, changes)
        except FramehookError as error:
            self._board.report(error)
            now = self._board.state.options  # by now it may have been changed once more
            refused = [name for name in changes if getattr(now, name) == getattr(wanted, name)]
            self._board.choose({name: getattr(self._accepted, name) for name in refused})
            return
        self._accepted = wanted
        self._retake(changes)

    def _hand_on(self, playing: Playing, changes: Mapping[str, Any]) -> None:
        """Put options that were changed in force in the run under way, as far as it can have them."""
        at_once = {name: value for name, value in changes.items() if name not in AT_START}
        try:
            playing.run.update(**at_once)
        except FramehookError:
            if not playing.stale:  # else they are checked for the model that was chosen, and it has another one
                raise
        if len(at_once) < len(changes):
            self._outdate(playing)

    def _outdate(self, playing: Playing) -> None:
        """Only another run can have what was chosen; where one is planned, this one goes on until that is there, or fails."""
        playing.stale = True
        if self._plan is None:
            self._restart()

    def zones_changed(self, key: str, names: Set[str]) -> None:
        """Zones of a slot were changed, or count anew: frames that stand show them no more as they were."""
        if self._stands:
            self._redrawn[key] = self._redrawn.get(key, frozenset()) | names
        self._retake((), {key: names})

    def _retake_late(self, key: str) -> None:
        """A frame came that was under way: what was changed since it shows as it was before."""
        self._retake(None, {key: self._redrawn.get(key, frozenset())})

    @property
    def _stands(self) -> bool:
        """Whether no frames come but those that are under way."""
        return self._steerable is None or self._steerable.run.paused

    def _let_go(self) -> None:
        """Other frames come, with the options of now."""
        self._tuned = False
        self._redrawn.clear()
        self._retakes.forget()

    def _retake(self, changed: Iterable[str] | None = None, zones: Mapping[str, Set[str]] | None = None) -> None:
        """Where no frame comes to show what was changed: show it on those that stand, unless callbacks would have their say."""
        if self._stands and self._model is not None and self._hooks.usual:
            keys = [slot.key for slot in self._board.state.slots]
            self._tuned = True
            self._retakes.take(keys, self._model.detector, self._accepted, changed, zones)

    # Planning -----------------------------------------------------------------------------------------------------------------

    def _set_plan(self, plan: Plan) -> None:
        """Have something else play; what was planned before is not wanted any more."""
        former, self._plan = self._plan, plan
        if former is not None:
            former.discard()
        if self._model is None and not self._loader.loading:
            self._loader.load(None, Model)
        self._advance()

    def _restart(self) -> None:
        """Start the run anew, files where they are."""
        at = {}
        for slot in self._board.state.slots:
            last = self._renderer.last(slot.key)
            if slot.seekable and last is not None and last.frame.pts is not None:
                at[slot.key] = last.frame.pts
        paused = self._steerable is not None and self._steerable.run.paused
        self._set_plan(Plan(list(self._opened), at, paused, release_first=True))

    def _start_again(self, at: Mapping[str, float] | None = None, *, paused: bool = False) -> None:
        """Start what has ended."""
        if self._opened and not self._closed:
            self._set_plan(Plan(list(self._opened), dict(at or {}), paused, release_first=True))

    def _advance(self) -> None:
        """Take the next step that can be taken towards what is planned."""
        plan = self._plan
        if plan is None or self._closed:
            pass
        elif plan.release_first and self._playing is not None:
            self._endings.ask(self._playing)
        elif not plan.begun:
            plan.begun = True
            for wish in plan.wishes:
                if wish.number not in plan.open:
                    self._open(plan, wish)
            if plan.complete:
                self._advance()
        elif not plan.complete:
            pass
        elif not plan.open or (self._model is None and not self._loader.loading):
            self._give_up(plan)
        elif self._model is None:
            pass
        elif self._playing is not None:
            self._endings.ask(self._playing)
        else:
            self._plan = None
            self._start(self._model, plan)
        self._show()

    def _open(self, plan: Plan, wish: Opened) -> None:
        self._opener.open(wish, partial(self._answered, plan))

    def _answered(self, plan: Plan, wish: Opened, outcome: list[Source] | Exception) -> None:
        """A wish of a plan was opened, or not."""
        if isinstance(outcome, Exception):
            if not self._closed:
                self._board.report(outcome)
            plan.failed[wish.number] = one_line(outcome)
        elif plan is not self._plan or self._closed:
            close_all(outcome)
        else:
            plan.open[wish.number] = outcome
        if plan is self._plan:
            self._advance()

    def _give_up(self, plan: Plan) -> None:
        """Nothing can be played of a plan; what plays goes on, if anything does."""
        self._plan = None
        plan.discard()
        # What stood before, and was not to be opened again, stands as it did.
        self._failed = self._playing is None and (self._failed or all(wish in plan.wishes for wish in self._opened))
        for wish in self._opened:
            if wish.number in plan.failed:
                wish.mark_failed(plan.failed[wish.number])
        if self._steerable is not None and self._steerable.stale:
            self._restart()

    def _no_model(self) -> None:
        """A model could not be loaded; what waits for one learns that there is none."""
        self._advance()

    # Beginning and ending -----------------------------------------------------------------------------------------------------

    def _start(self, model: Model, plan: Plan) -> None:
        """Play what was opened; what could not be opened keeps the place that it had."""
        seats: list[Seat] = []
        for wish in plan.wishes:
            if wish.number in plan.open:
                seats += [Seat(slot, source) for slot, source in wish.seat(plan.open[wish.number])]
            else:
                wish.mark_failed(plan.failed[wish.number])
        self._opened = [wish for wish in plan.wishes if wish.seated]
        for key in {slot.key for slot in self._board.state.slots} - {slot.key for wish in self._opened for slot in wish.seated}:
            self._forget(key)
        self._failed = not seats
        if not seats:
            return  # all of them were closed meanwhile
        try:
            self._play(model, seats, plan)
        except Exception as error:  # noqa: BLE001 - the window stays, whatever it is
            close_all(source for _, source in seats)
            self._board.report(error)
            self._failed = True

    def _play(self, model: Model, seats: list[Seat], plan: Plan) -> None:
        self._let_go()
        cast = Cast()
        for slot, source in seats:
            cast.add(source, slot.key)
            self._bring_zones(slot)
        # Not those that are shown: what was chosen a moment ago is yet to be checked.
        arguments = {each.name: getattr(self._accepted, each.name) for each in fields(self._accepted)}
        run = model.predict(seats[0].source, stream=True, **arguments)
        for _, source in seats[1:]:
            run.predictor.add_source(source)
        for slot, source in seats:
            if slot.key in plan.at and source.seekable:
                run.seek(plan.at[slot.key], source.info)
        if plan.paused:
            run.step(sources=[source.info for _, source in seats])
        self._cast = cast
        number = self._board.state.run + 1
        self._renderer.begin(number)
        self._hooks.attach(run.predictor.callbacks)
        self._playing = Playing(run, self._ended)
        self._board.change(run=number)
        self._playing.start()

    def _ended(self, playing: Playing, failure: BaseException | None) -> None:
        """In the playing thread: its run is over."""
        self._desk.hand_in(partial(self._has_ended, playing, failure))

    def _has_ended(self, playing: Playing, failure: BaseException | None) -> None:
        self._endings.came(playing)
        self._stats = playing.run.stats
        self._playing = None
        self._hooks.detach()
        self._failed = failure is not None
        if failure is not None and not isinstance(failure, SystemExit):  # that of a callback, which is told by its name
            self._board.report(failure)
        self._advance()

    def _join_in(self, wish: Opened, outcome: list[Source] | Exception) -> None:
        """Take something that was opened beside the others into the run under way, or the one to come."""
        wanted = self._joining.pop(wish.number, None) is not None and not self._closed
        playing = self._steerable
        if isinstance(outcome, Exception):
            if not self._closed:
                self._board.report(outcome)
            self._show()
        elif not wanted:
            close_all(outcome)
        elif self._plan is not None:  # the others are to start anew
            self._plan.take(wish, outcome)
            self._advance()
        elif playing is None:  # they have ended: all of them start together
            plan = Plan(list(self._opened))
            plan.take(wish, outcome)
            self._set_plan(plan)
        else:
            self._opened = in_order([*self._opened, wish])
            for slot, source in wish.seat(outcome):
                self._cast.add(source, slot.key)
                self._bring_zones(slot)
                try:
                    playing.run.predictor.add_source(source)
                except RunError:  # it is ending at this moment: all start again together
                    close_all(outcome)
                    self._set_plan(Plan(list(self._opened), release_first=True))
                    return
                if playing.run.paused:
                    playing.run.step(sources=[source.info])
            self._show()

    def _release(self, playing: Playing, slot: Slot, source: SourceInfo) -> None:
        """In a thread of its own: have a run let go of a source."""
        try:
            playing.run.remove_source(source.id)
        except OptionError:
            pass  # it has gone by itself
        finally:
            self._renderer.forget(slot.key)  # once more: a frame may have been under way

    def _forget(self, key: str) -> None:
        """A slot is gone for good: from the state first, so that whoever sets zones at this moment sees that it is."""
        slot, zones = self._board.state.slot(key), self._board.state.zones.get(key)
        if slot is not None and zones is not None:
            self._kept_zones.keep(slot, zones)
        self._board.change(slots=self._slots())
        self._renderer.forget(key)
        self.forget_zones(key)

    def _bring_zones(self, slot: Slot) -> None:
        """Give a source that was open before the zones that it had."""
        zones = self._kept_zones.of(slot)
        if zones and slot.key not in self._board.state.zones:
            self.zoning.place(slot.key, zones)
            self._board.put_zones(slot.key, zones)

    def _holds(self, spec: Any) -> bool:
        """Whether what plays, or is planned, holds what is wished for: a camera is given to one at a time."""
        wishes = [*self._opened, *(self._plan.wishes if self._plan is not None else ()), *self._joining.values()]
        live = [wish for wish in wishes if not wish.seated or any(slot.source and slot.source.live for slot in wish.seated)]
        held = {device for wish in live for device in devices_of(wish.spec)}
        return not held.isdisjoint(devices_of(spec))

    # Showing ------------------------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Say how everything stands."""
        self._board.change(phase=self._phase(), slots=self._slots())

    def _slots(self) -> tuple[Slot, ...]:
        return tuple(slot for wish in self._opened for slot in wish.seated)

    def _phase(self) -> Phase:
        if self._steerable is not None:
            return Phase.PAUSED if self._steerable.run.paused else Phase.PLAYING
        if self._plan is not None:
            return Phase.OPENING
        if not self._opened:
            return Phase.OPENING if self._joining else Phase.IDLE
        return Phase.FAILED if self._failed else Phase.ENDED

    def _note_change(self, change: SourceChange, key: str, again: bool) -> None:
        for wish in self._opened:
            for slot in wish.seated:
                if slot.key == key and slot.source is not None and slot.source.id == change.source.id:
                    told = replace(slot, connection=change.state, reason=change.reason, source=change.source)
                    wish.replace(key, told)
                    if not again:
                        self._tell(change)
        self._show()

    def _tell(self, change: SourceChange) -> None:
        """Log a source that begins or ends; what happens to its connection meanwhile is logged by the library."""
        source = change.source
        if change.state is SourceState.CONNECTED and source.id not in self._told:
            self._told[source.id] = None
            if len(self._told) > TOLD:
                del self._told[next(iter(self._told))]
            size = "" if source.size is None else f", {source.size[0]} x {source.size[1]}"
            rate = "" if not source.fps else f", {source.fps:g} frames a second"
            self._board.note(Level.INFO, f"{source.name} is open{size}{rate}")
        elif change.state is SourceState.ENDED and not change.reason:
            self._board.note(Level.INFO, f"{source.name} has ended")
