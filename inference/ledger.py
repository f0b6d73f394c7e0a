"""Where every captured frame went."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from framehook.inference.frame import SourceInfo


class Cause(StrEnum):
    """Why a captured frame was not delivered."""

    OVERWRITTEN = "overwritten"
    """A live source captured a newer one before it was taken."""
    STRIDE = "stride"
    """`vid_stride` passed over it."""
    PAUSED = "paused"
    """A live source went on capturing while the run was paused."""
    SEEK = "seek"
    """It was read ahead when the run jumped elsewhere."""
    PACE = "pace"
    """A file played in real time could not wait for it."""
    STOPPED = "stopped"
    """It was read ahead, or under way, when the run ended or its source was removed."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The frames of one source, or of a run's picture files together.

    `captured == delivered + sum(dropped.values()) + pending`, always.

    Attributes:
        captured: Frames taken from the source.
        delivered: Frames that went through all their events.
        dropped: Frames lost, by cause.
        pending: Frames read ahead or under way; 0 once the run is over.
    """

    captured: int = 0
    delivered: int = 0
    dropped: Mapping[Cause, int] = field(default_factory=dict)
    pending: int = 0


class LedgerBook:
    """Counts frames by source; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a run may be collected, and ended, while its thread is in here
        self._sources: dict[str, SourceInfo] = {}
        self._captured: dict[str, int] = {}
        self._delivered: dict[str, int] = {}
        self._dropped: dict[str, dict[Cause, int]] = {}

    def capture(self, source: SourceInfo) -> None:
        """Count a frame taken from a source."""
        with self._lock:
            self._sources[source.group] = source
            self._captured[source.group] = self._captured.get(source.group, 0) + 1

    def deliver(self, source: SourceInfo) -> None:
        """Count a frame that went through all its events."""
        with self._lock:
            self._delivered[source.group] = self._delivered.get(source.group, 0) + 1

    def drop(self, source: SourceInfo, cause: Cause) -> None:
        """Count a frame that is lost."""
        with self._lock:
            causes = self._dropped.setdefault(source.group, {})
            causes[cause] = causes.get(cause, 0) + 1

    def source(self, group: str) -> SourceInfo | None:
        """What is known of the source that was captured from last under this `SourceInfo.group`; None before that."""
        with self._lock:
            return self._sources.get(group)

    def read(self) -> dict[str, Ledger]:
        """The ledgers by `SourceInfo.group`, consistent among themselves."""
        with self._lock:
            ledgers = {}
            for source, captured in self._captured.items():
                dropped = dict(self._dropped.get(source, {}))
                delivered = self._delivered.get(source, 0)
                ledgers[source] = Ledger(captured, delivered, dropped, captured - delivered - sum(dropped.values()))
            return ledgers
