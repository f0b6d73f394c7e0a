"""How a source stands: connected, stalled, reconnecting, ended; and what it tells of a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from framehook.inference.frame import SourceInfo


class SourceState(StrEnum):
    """How a source stands."""

    CONNECTING = "connecting"
    """It was not connected yet."""
    CONNECTED = "connected"
    """Frames come, or may come at any moment."""
    STALLED = "stalled"
    """It is silent for longer than its time-out; it is given up on, and connected to anew."""
    RECONNECTING = "reconnecting"
    """There is no connection; the next attempt follows in a moment."""
    ENDED = "ended"
    """It is over, or has failed for good."""


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What `predictor.change` holds during `on_source_change`.

    Attributes:
        source: Whose state changed.
        state: What it is now.
        reason: Why, in words, without credentials; empty where there is nothing to say.
        connections: How often it connected so far, this time included.
        failures: Attempts that failed since it was last connected.
        at: When, in monotonic seconds.
    """

    source: SourceInfo
    state: SourceState
    reason: str
    connections: int
    failures: int
    at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How a source stood at one moment.

    Attributes:
        source: What is known of it.
        shown: `SourceInfo.group` of the frame captured last: of a list of files, the file it is at.
        state: Its state.
        reason: Why, in words, without credentials.
        connections: How often it connected.
        failures: Attempts to connect that failed since.
        captured_at: When its last frame was captured, monotonic seconds, or None before the first.
    """

    source: SourceInfo
    shown: str
    state: SourceState
    reason: str
    connections: int
    failures: int
    captured_at: float | None


Watcher: TypeAlias = Callable[[SourceState, str], None]
"""Called with a source's new state and the reason for it, without credentials, from whatever thread notices."""
