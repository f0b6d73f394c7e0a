"""Where every captured frame went."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from framehook.inference.frame import SourceInfo, SourceKind


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


EARLIER: Final = SourceInfo("earlier", "earlier sources", "earlier sources", SourceKind.VIDEO)
"""Whose frames those of sources long gone are counted as."""
REMEMBERED: Final = 1000
"""Sources that are kept apart, those of the last frames: a run may see many thousand files, or cameras that come and go."""


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
            self._sources.pop(source.group, None)
            self._sources[source.group] = source  # at the end: the first is the one that has been silent for longest
            self._captured[source.group] = self._captured.get(source.group, 0) + 1
            if len(self._sources) > REMEMBERED:
                self._fold()

    def deliver(self, source: SourceInfo) -> None:
        """Count a frame that went through all its events."""
        with self._lock:
            self._delivered[source.group] = self._delivered.get(source.group, 0) + 1

    def drop(self, source: SourceInfo, cause: Cause) -> None:
        """Count a frame that is lost."""
        with self._lock:
            causes = self._dropped.setdefault(source.group, {})
            causes[cause] = causes.get(cause, 0) + 1

    def settle(self) -> None:
        """Count whatever is pending as stopped: the run is over."""
        with self._lock:
            for group, ledger in self.read().items():
                if ledger.pending:
                    causes = self._dropped.setdefault(group, {})
                    causes[Cause.STOPPED] = causes.get(Cause.STOPPED, 0) + ledger.pending

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

    def _fold(self) -> None:
        """Count the source that has been silent for longest among the earlier ones, once nothing of it is pending."""
        for group in self._sources:
            dropped = self._dropped.get(group, {})
            pending = self._captured[group] - self._delivered.get(group, 0) - sum(dropped.values())
            if pending or group == EARLIER.group:
                continue
            total, delivered = self._captured.pop(group), self._delivered.pop(group, 0)
            self._captured[EARLIER.group] = self._captured.get(EARLIER.group, 0) + total
            self._delivered[EARLIER.group] = self._delivered.get(EARLIER.group, 0) + delivered
            causes = self._dropped.setdefault(EARLIER.group, {})
            for cause, number in self._dropped.pop(group, {}).items():
                causes[cause] = causes.get(cause, 0) + number
            del self._sources[group]
            self._sources.setdefault(EARLIER.group, EARLIER)
            return
