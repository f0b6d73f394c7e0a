"""What a session shows of itself: small frozen pieces, replaced as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeAlias

from framehook.inference.connection import SourceState
from framehook.inference.frame import SourceInfo
from framehook.inference.options import Points, PredictOptions
from framehook.inference.stats import Latency, Stats

ZonesOfSlot: TypeAlias = dict[str, Points]
"""Points by the name of a zone, in fractions of the frame's width and height."""


class Phase(StrEnum):
    """What a session is doing."""

    IDLE = "idle"
    """Nothing was opened yet, or all was closed."""
    OPENING = "opening"
    """A source is being opened, and nothing plays yet."""
    PLAYING = "playing"
    PAUSED = "paused"
    ENDED = "ended"
    """At the end of its files, or stopped; the last picture stands, and `play` starts again."""
    FAILED = "failed"
    """The run ended with an error, which was noted; the last picture stands, and `play` tries again."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One source in its place, which it keeps over restarts, changes of the model and lost connections.

    Attributes:
        key: Names the place.
        spec: What was opened: a path, a URL (it may hold credentials: never show it), a camera's number ...
        name: What to call it to people.
        source: What is known of it in the current run, or None before it was opened.
        seekable: Whether it has positions.
        duration: Seconds it lasts, or None where that is unknown or endless.
        connection: How it stands.
        reason: Why, in words.
    """

    key: str
    spec: Any
    name: str
    source: SourceInfo | None = None
    seekable: bool = False
    duration: float | None = None
    connection: SourceState = SourceState.CONNECTING
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of the model in use.

    Attributes:
        title: What to call it: a file's name, or `bundled person detector`.
        spec: What was opened; None for the bundled detector.
        device: What it runs on.
        names: Class number to class name.
        input: What its network takes, in words: `416 x 416`.
        layout: How its outputs are laid out.
    """

    title: str
    spec: str | Path | None
    device: str
    names: dict[int, str]
    input: str
    layout: str


TakeKind: TypeAlias = Literal["annotated", "original", "rows"]
"""What is saved while it plays: the video with or without the overlay, or what was found."""


@dataclass(frozen=True, slots=True)
class TakeFacts:
    """Something that is being saved, or was.

    Attributes:
        kind: What.
        began: When, monotonic seconds.
        paths: The files so far.
        going_on: Whether it still goes on.
        finishing: Whether its files are being completed.
    """

    kind: TakeKind
    began: float
    paths: tuple[Path, ...] = ()
    going_on: bool = True
    finishing: bool = False


@dataclass(frozen=True, slots=True)
class SessionState:
    """Everything a window shows of a session except its pictures and figures, at one moment.

    Attributes:
        phase: What it is doing.
        slots: Its sources, in the order in which they were opened.
        model: The model in use, or None before the first was loaded.
        options: The options of the run, or of the next one.
        zones: The zones of each slot, by its key.
        takes: What is being saved.
        busy: What is under way, in words for people: `opening rtsp://camera/1`.
        loop: Whether files begin again at their end.
        run: Counts runs; 0 before the first.
    """

    phase: Phase = Phase.IDLE
    slots: tuple[Slot, ...] = ()
    model: ModelFacts | None = None
    options: PredictOptions = field(default_factory=PredictOptions)
    zones: dict[str, ZonesOfSlot] = field(default_factory=dict)
    takes: tuple[TakeFacts, ...] = ()
    busy: tuple[str, ...] = ()
    loop: bool = False
    run: int = 0

    def slot(self, key: str) -> Slot | None:
        """The slot of that key, or None."""
        return next((slot for slot in self.slots if slot.key == key), None)

    def take(self, kind: TakeKind) -> TakeFacts | None:
        """What is being saved of that kind, or None."""
        return next((take for take in self.takes if take.kind == kind and take.going_on), None)


class Level(StrEnum):
    """How much a note matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell the user: a source that changed, a warning, an error with what to do.

    Attributes:
        level: How much it matters.
        text: One line.
        at: Seconds since the epoch.
        detail: More, of several lines (a traceback of the user's own callback, say), or an empty text.
    """

    level: Level
    text: str
    at: float
    detail: str = ""


Tell: TypeAlias = Callable[[Level, str, str], None]
"""What notes are handed to, from any thread: how much it matters, a line, and more lines."""


@dataclass(frozen=True, slots=True)
class PaintFigures:
    """What became of the results of a slot, or of all slots together, since its run began.

    Attributes:
        shown: Results of which a picture was painted.
        skipped: Results that no picture was painted of, since newer ones came before the window was ready for them.
        fps: Pictures painted per second, recently.
        latency: Milliseconds from capture to paint, recently, or None before the first.
        paint_ms: Milliseconds that painting one took, the median of recent ones; None before the first.
    """

    shown: int = 0
    skipped: int = 0
    fps: float = 0.0
    latency: Latency | None = None
    paint_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a session at one moment.

    Attributes:
        stats: Those of the run, or None before the first.
        painting: Those of all slots together.
        slots: Those of each slot, by its key.
        groups: Slot key to the `SourceInfo.group` under which `stats.sources` has its figures.
    """

    stats: Stats | None
    painting: PaintFigures
    slots: dict[str, PaintFigures]
    groups: dict[str, str]
