"""A session: what is looked at, through which model, with which options; started, steered and tuned while it plays."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from framehook.app.session.board import Board
from framehook.app.session.desk import Desk
from framehook.app.session.director import Director
from framehook.app.session.hooks import Hooks
from framehook.app.session.motion import Motion
from framehook.app.session.relay import Relay
from framehook.app.session.renderer import Renderer
from framehook.app.session.state import Figures, Level, Note, SessionState, TakeKind, ZonesOfSlot
from framehook.app.session.takes import Takes
from framehook.app.session.turns import Turns
from framehook.inference.callbacks import Callbacks
from framehook.inference.callbacks.overlay import check_layers
from framehook.inference.callbacks.tracking import KEEP_UNCONFIRMED
from framehook.inference.options import PredictOptions
from framehook.inference.result import Result
from framehook.model import Model

SAVING: Final = "saving a picture"
TRACKER: Final = "bytetrack"
"""What follows objects unless something else is chosen: a viewer shows ids."""


class Session:
    """Plays sources through a model, for a window to look at.

    Everything that is asked of it returns at once, from any thread, and is done in the order in which it was asked; what came
    of it shows in `state`, and what went wrong in its notes. It never raises into a run, nor lets a run end the session.

    Threads: a desk, which decides; the playing thread, which advances the run and calls callbacks; the renderer; and one for
    each thing that takes long. `wake` is called from any of them whenever there is something new to look at.

    Attributes:
        callbacks: What every run of this session calls, whatever the model.
        renderer: Where pictures come from.
        hooks: The user's callback files, and what is known of each callback.
        hooks_version: Counts changes of these.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        *,
        model: Model | None = None,
        options: Mapping[str, Any] | None = None,
        loop: bool = False,
        poison: bool = False,
    ) -> None:
        """Begin without a source.

        Args:
            wake: Called, from any thread, when state, pictures, notes or callbacks have changed.
            model: A model to begin with, whose callbacks are called, too; None loads the bundled detector when it
                is first needed.
            options: Options of runs, other than the defaults: in a session files play in real time, and are tracked.
            loop: Whether files begin again at their end.
            poison: Fill buffers that are given back, so that a picture painted too late gives itself away.

        Raises:
            UnknownOptionError, OptionError: an option is wrong.
        """
        self._wake = wake
        self.callbacks = Callbacks(parent=None if model is None else model.callbacks)
        chosen = PredictOptions.build(_with_all_shown({"pace": "realtime", "tracker": TRACKER, **(options or {})}))
        check_layers(chosen.overlay)
        self.renderer = Renderer(wake, poison=poison)
        self._board = Board(wake, SessionState(options=chosen, loop=loop))
        self._desk = Desk("framehook-session", self._board.report)
        self._files = Turns(self._desk, self._board.note)  # files of callbacks are run one after another
        self.hooks_version = 0
        self.hooks = Hooks(self.callbacks, self._board.note, self._hooks_changed)
        self._director = director = Director(self._board, self._desk, self.callbacks, renderer=self.renderer, hooks=self.hooks)
        self._takes = Takes(self.callbacks, self._board.note, self._takes_changed, begins_again=director.begins_again)
        relay = Relay(director.show, director.source_changed, director.begins_again, director.key_of)
        for callback in (Motion(), relay):
            self.callbacks.add(callback, on_error="log")
        self._board.notes.attach()
        if model is not None:
            self._desk.hand_in(partial(self._director.take_model, model, model.detector.backend.network.source))

    # What a window looks at -------------------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """How everything stands; a new object with every change."""
        return self._board.state

    def take_notes(self) -> list[Note]:
        """What there is to tell the user since this was asked last."""
        return self._board.notes.take()

    def note(self, level: Level, text: str, detail: str = "") -> None:
        """Add a note for the user."""
        self._board.note(level, text, detail)

    def figures(self) -> Figures:
        """The figures of the run under way, or of the last one."""
        painting, slots = self.renderer.figures()
        groups = {}
        for slot in self.state.slots:
            last = self.renderer.last(slot.key)
            if last is not None:
                groups[slot.key] = last.frame.source.group
            elif slot.source is not None:
                groups[slot.key] = slot.source.group
        return Figures(self._director.stats(), painting, slots, groups)

    def zone_counts(self, key: str) -> dict[str, dict[str, Any]]:
        """What the zones of a slot have counted, by their names; see `ZoneCounter`."""
        return self._director.zoning.counts(key)

    def zone_colours(self, key: str) -> dict[str, str]:
        """The colours that the zones of a slot are drawn in, such as `#ff8800`, by their names."""
        return self._director.zoning.colours(key)

    # Opening ----------------------------------------------------------------------------------------------------------------

    def open(self, spec: Any, *, add: bool = False) -> None:
        """Open what `open_sources` takes, and play it; what plays goes on until it is there.

        Args:
            spec: What to open.
            add: Show it beside what is open, instead of in its place.
        """
        self._desk.hand_in(partial(self._director.open, spec, add=add))

    def close_slot(self, key: str) -> None:
        """Close one of the sources."""
        self._desk.hand_in(partial(self._close_slot, key))

    def use_model(
        self,
        spec: str | Path | None,
        *,
        device: str | None = None,
        decoder: str | None = None,
        architecture: str | None = None,
    ) -> None:
        """Load a model and go on with it, files where they are; the one in use goes on until it is loaded.

        Args:
            spec: What `Model` takes; None for the bundled detector.
            device: As for `Model`.
            decoder: As for `Model`.
            architecture: As for `Model`.
        """
        load = partial(Model, spec, device=device, decoder=decoder, architecture=architecture)
        self._desk.hand_in(partial(self._director.load, spec, load))

    # Playing ----------------------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Go on, or start again from the beginning where it had ended."""
        self._desk.hand_in(self._director.play)

    def pause(self) -> None:
        """Hold; live sources go on, and the frames that come meanwhile are left out."""
        self._desk.hand_in(self._director.pause)

    def toggle_play(self) -> None:
        """Hold where it plays, else go on or start again; decided when its turn comes, so that two of them cancel out."""
        self._desk.hand_in(self._director.toggle_play)

    def stop(self) -> None:
        """End the run, and what is being saved; cameras and streams are let go, the last pictures stand."""
        self._desk.hand_in(self._director.stop)
        self._desk.hand_in(self._takes.end_all)

    def step(self) -> None:
        """Pause, and show one frame more."""
        self._desk.hand_in(self._director.step)

    def seek(self, seconds: float, key: str | None = None) -> None:
        """Go to a time of a file, or of all files.

        Args:
            seconds: From the beginning.
            key: The slot; None for all that have positions.
        """
        self._desk.hand_in(partial(self._director.seek, seconds, key))

    def set_loop(self, on: bool) -> None:
        """Choose whether files begin again at their end."""
        self._board.change(loop=on)

    # Tuning -----------------------------------------------------------------------------------------------------------------

    def update(self, **changes: Any) -> None:
        """Change options; they are in force from the next frame on.

        Those that a run begins with (`pace`, `vid_stride`, `batch`) start it anew, files where they are.

        Raises:
            UnknownOptionError, OptionError: a value that no model takes; nothing is changed then.
        """
        changes = _with_all_shown(changes)
        check_layers(changes.get("overlay"))
        self._board.choose(changes)
        self._desk.hand_in(partial(self._director.update, changes))

    def set_zones(self, key: str, zones: ZonesOfSlot) -> None:
        """Choose where to count in a slot; zones that did not change go on counting.

        Args:
            key: The slot.
            zones: Points in fractions of the frame by name: two are a line, three or more an area.

        Raises:
            OptionError: a zone that is no line and no area.
        """
        if self.state.slot(key) is None:
            return  # it was closed meanwhile
        before = self.state.zones.get(key, {})
        self._director.zoning.place(key, zones)
        self._board.put_zones(key, zones)
        changed = {name for name, points in before.items() if zones.get(name) != points}
        self._desk.hand_in(partial(self._director.zones_changed, key, changed))
        if self.state.slot(key) is None:
            self._director.forget_zones(key)  # it was closed at this moment
            return
        if any(len(points) == 2 for points in zones.values()) and self.state.options.tracker is None:
            self.update(tracker=TRACKER)
            self.note(Level.INFO, "Tracking was switched on: the crossings of a line are counted by tracks")

    def reset_zones(self, key: str) -> None:
        """Count from zero in a slot."""
        self._director.zoning.reset(key)
        self._desk.hand_in(partial(self._director.zones_changed, key, set(self.state.zones.get(key, {}))))

    # Saving -----------------------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where recordings and snapshots go that are given no name."""
        return self._takes.folder

    @folder.setter
    def folder(self, folder: Path) -> None:
        self._takes.folder = folder

    def record(self, path: Path | None = None, *, original: bool = False) -> None:
        """Record from now on.

        Args:
            path: The video file; None for one of a free name in `folder`.
            original: The captured frames, rather than what is shown.
        """
        self._begin_take("original" if original else "annotated", path)

    def save_rows(self, path: Path | None = None) -> None:
        """Write what is found as rows from now on; the file's ending (.jsonl, .csv, .txt for MOT) chooses how."""
        self._begin_take("rows", path)

    def stop_take(self, kind: TakeKind) -> None:
        """End what is being saved; its files are completed meanwhile."""
        self._desk.hand_in(partial(self._takes.end, kind))

    def toggle_take(self, kind: TakeKind, path: Path | None = None) -> None:
        """End what is being saved of a kind, else begin; decided when its turn comes, so that two of them cancel out.

        Args:
            kind: What to save.
            path: As for `record` and `save_rows`; of no account where it ends.
        """
        self._desk.hand_in(partial(self._toggle_take, kind, path))

    def snapshot(self, key: str, path: Path | None = None, *, original: bool = False) -> None:
        """Save what a slot shows as a picture.

        Args:
            key: The slot.
            path: The file, .png or .jpg; None for one of a free name in `folder`.
            original: The captured frame, rather than what is shown.
        """
        result = self.renderer.last(key)
        if result is None:
            self.note(Level.WARNING, "There is no picture to save yet")
            return
        self._desk.aside("framehook-snapshot", partial(self._save, result, path, original=original))

    # The user's callbacks ---------------------------------------------------------------------------------------------------

    def load_hooks(self, path: Path) -> None:
        """Run a Python file and add the callbacks in it, in place of those it had; files are run one after another."""
        file = path.expanduser().resolve()
        self._files.take(file, partial(self.hooks.load, file))

    def unload_hooks(self, path: Path) -> None:
        """Take the callbacks of a file away."""
        file = path.expanduser().resolve()
        self._files.take(file, partial(self.hooks.unload, file), at_once=True)

    # The end ----------------------------------------------------------------------------------------------------------------

    def close(self, timeout: float = 2.0) -> bool:
        """End everything; files are completed.

        Args:
            timeout: Seconds to wait for it.

        Returns:
            False where something still goes on then: a callback that does not return, a server that does not answer.
        """
        until = time.monotonic() + timeout

        def remaining() -> float:
            return max(until - time.monotonic(), 0.0)

        # All of them first, so that they end side by side; and files before what may hang.
        self._director.close()
        self._takes.end_all()
        self._desk.close()
        ended = [
            self._takes.close(remaining()),
            self._desk.join(remaining),
            self._director.join(remaining()),
            self.renderer.close(remaining()),
        ]
        self._board.notes.detach()
        return all(ended)

    def _save(self, result: Result, path: Path | None, *, original: bool) -> None:
        self._board.busy(SAVING)
        try:
            self._takes.snapshot(result, path, original=original)
        finally:
            self._board.done(SAVING)

    def _begin_take(self, kind: TakeKind, path: Path | None) -> None:
        self._desk.hand_in(lambda: self._takes.begin(kind, path, self._director.predictor))

    def _toggle_take(self, kind: TakeKind, path: Path | None) -> None:
        if any(take.kind == kind and take.going_on for take in self._takes.facts()):
            self._takes.end(kind)
        else:
            self._takes.begin(kind, path, self._director.predictor)

    def _close_slot(self, key: str) -> None:
        self._director.close_slot(key)
        if not self.state.slots:
            self._takes.end_all()  # nobody expects that what is opened next is recorded

    def _takes_changed(self) -> None:
        self._board.change(takes=self._takes.facts())

    def _hooks_changed(self) -> None:
        self.hooks_version += 1
        self._wake()


def _with_all_shown(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of options in which a tracker that is chosen leaves nothing out, unless the user wants it to.

    Whoever moves a threshold wants to see what is found, also what no second frame has borne out yet: it has no id.
    """
    changes = dict(changes)
    if "tracker" in changes and changes["tracker"] is None:
        changes.setdefault("tracker_options", None)
    elif changes.get("tracker") is not None or changes.get("tracker_options") is not None:
        changes["tracker_options"] = {KEEP_UNCONFIRMED: True, **(changes.get("tracker_options") or {})}
    return changes
