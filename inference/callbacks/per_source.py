"""What a callback keeps for each run, source and track, so that one callback object may serve several runs at once.

And which callback of a run counts, where a user added one beside the built-in one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from framehook.inference.connection import SourceChange, SourceState
from framehook.inference.errors import OptionError
from framehook.inference.frame import Frame, SourceInfo, SourceKind

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

StateT = TypeVar("StateT")

IDLE_FRAMES: Final = 300
"""A file that gave none of the last frames of its run is over: its state is let go, so that long lists of files hold none."""
REMEMBERED: Final = 10_000
"""Tracks of a source known by their number at a time: memory must not grow with a stream, and old ones do not come back."""
IDLE_LIVE: Final = 256
"""Live sources that are silent and keep their state, at most: in a run to which sources come and go for months."""
PICTURES: Final = (SourceKind.IMAGE, SourceKind.ARRAY)
"""Kinds of sources whose frames are pictures that stand for themselves, with no media time."""


class PerRun(Generic[StateT]):
    """One state for each run. The run itself holds it, so that it is there for as long as the run can fire events.

    A weak reference to the run would not do: where the garbage collector takes a run, such references are gone before its end
    is told, and what was to be finished then would be lost.
    """

    def __init__(self, make: Callable[[], StateT]) -> None:
        """Have `make` called for each new run."""
        self._make = make
        self._lock = threading.RLock()  # a run may be collected, and ended, while its thread is in here

    def of(self, run: Any) -> StateT:
        """The state of a run, made when first asked for.

        Raises:
            OptionError: it is no run but a snapshot of one.
        """
        with self._lock:
            try:
                kept: dict[object, StateT] = run.kept
            except AttributeError:
                raise OptionError(
                    "this callback keeps something for each run and cannot work on snapshots; add it without background=True"
                ) from None
            state = kept.get(self)
            if state is None:
                state = kept[self] = self._make()
            return state

    def find(self, run: Any) -> StateT | None:
        """The state of a run, or None where it has none, as snapshots have."""
        with self._lock:
            return getattr(run, "kept", {}).get(self)

    def pop(self, run: Any) -> StateT | None:
        """Take away the state of a run."""
        with self._lock:
            return getattr(run, "kept", {}).pop(self, None)  # type: ignore[no-any-return]


@dataclass(slots=True)
class _Kept(Generic[StateT]):
    state: StateT
    last_used: int
    live: bool


class PerSource(Generic[StateT]):
    """One state for each source of a run; used by the thread that advances the run."""

    def __init__(self, make: Callable[[Frame], StateT], *, let_go: Callable[[StateT], None] | None = None) -> None:
        """Have `make` called with the first frame of each source, and `let_go` with the states of sources that are over."""
        self._make = make
        self._let_go = let_go
        self._kept: dict[str, _Kept[StateT]] = {}
        self._frames = 0

    def of(self, frame: Frame) -> StateT:
        """The state of a frame's source, made with its first frame."""
        key = frame.source.group
        self._frames += 1
        kept = self._kept.get(key)
        if kept is None:
            self._drop_idle()
            kept = self._kept[key] = _Kept(self._make(frame), self._frames, frame.source.live)
        kept.last_used = self._frames
        return kept.state

    def end(self, source: SourceInfo) -> None:
        """Let go of the state of a source that is over; that of picture files stays, which they have together."""
        kept = None if source.kind is SourceKind.IMAGE else self._kept.pop(source.group, None)
        if kept is not None and self._let_go is not None:
            self._let_go(kept.state)

    def values(self) -> list[StateT]:
        """Every state that is kept."""
        return [kept.state for kept in self._kept.values()]

    def _drop_idle(self) -> None:
        idle = {key: kept for key, kept in self._kept.items() if self._frames - kept.last_used > IDLE_FRAMES}
        live = sorted((key for key, kept in idle.items() if kept.live), key=lambda key: idle[key].last_used)
        # A camera that is silent may come back, so that it keeps its state, unless there are very many of them.
        for key in [key for key in idle if not idle[key].live] + live[: max(0, len(live) - IDLE_LIVE)]:
            state = self._kept.pop(key).state
            if self._let_go is not None:
                self._let_go(state)


class PerTrack(Generic[StateT]):
    """One state for each track of a source, the last `REMEMBERED` that were seen."""

    def __init__(self, make: Callable[[], StateT]) -> None:
        """Have `make` called for each new track."""
        self._make = make
        self._states: dict[int, StateT] = {}

    def of(self, number: int) -> StateT:
        """The state of a track that is seen now, made when it is seen first."""
        state = self._states.pop(number, None)
        if state is None:
            state = self._make()
            if len(self._states) >= REMEMBERED:
                del self._states[next(iter(self._states))]
        self._states[number] = state
        return state

    def values(self) -> list[StateT]:
        """Every state that is kept."""
        return list(self._states.values())


class Spacing:
    """Picks frames of one source that lie some time apart: media time of files, time of capture of live sources."""

    def __init__(self, seconds: float) -> None:
        """Pick frames at least `seconds` apart; 0 for every frame."""
        self._seconds = seconds
        self._last: tuple[int, float] | None = None

    def due(self, frame: Frame) -> bool:
        """Whether enough time has gone by since the last frame that was taken; always where frames have no times."""
        time = time_of(frame)
        if time is None or self._last is None:
            return True
        segment, before = self._last
        # After a seek or a reconnection it is another stretch; half a millisecond less is as good, since times are rounded.
        return segment != frame.segment or time < before or time - before >= self._seconds - 0.0005

    def take(self, frame: Frame) -> None:
        """Count from this frame on."""
        time = time_of(frame)
        self._last = None if time is None else (frame.segment, time)


def is_gone(change: SourceChange) -> bool:
    """Whether no frame of a source is to come any more: it was removed, or is live and ended.

    Of a file that ended the state is let go a while later: of a list of files it is the last one that is told of.
    """
    return change.state is SourceState.ENDED and (change.source.live or change.reason == "removed")


def time_of(frame: Frame) -> float | None:
    """Seconds by the clock of a frame's source: media time of files, time of capture of live sources; None for pictures."""
    return frame.captured_at if frame.source.live else frame.pts


class OptionFollower(Protocol):
    """A callback that follows the run's options, or else has settings of its own."""

    @property
    def follows_options(self) -> bool:
        """Whether it has no settings of its own."""
        ...


def is_replaced(predictor: Predictor, own: OptionFollower, kind: type[OptionFollower]) -> bool:
    """Whether a user added a callback of the kind, with settings of its own, which counts instead of the options."""
    others: tuple[OptionFollower, ...] = predictor.callbacks.objects(kind)  # type: ignore[type-var]
    return any(other is not own and not other.follows_options for other in others)
