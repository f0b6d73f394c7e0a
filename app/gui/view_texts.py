"""What a view says about its source: a line in the corner, and a message in the middle where there is no news to look at."""

from __future__ import annotations

from typing import Final, NamedTuple

from framehook.app.session.state import Phase, Slot
from framehook.inference.connection import SourceState
from framehook.inference.frame import SourceKind

LOST: Final = (SourceState.STALLED, SourceState.RECONNECTING)
"""How a source stands that was connected, and is not."""
_OVER: Final = (Phase.ENDED, Phase.FAILED)
_STILL: Final = (SourceKind.IMAGE, SourceKind.ARRAY)
"""Kinds of which the last picture is what people want to look at."""


class Message(NamedTuple):
    """A large line, and more of it in small; `passing` where it hides a picture that may be looked at."""

    title: str
    text: str = ""
    passing: bool = False


def caption_of(slot: Slot, phase: Phase, fps: float, *, original: bool, following: str) -> str:
    """The line in the corner: `door · 29.7 fps · reconnecting: no route to host`."""
    parts = [slot.name]
    if phase is Phase.PLAYING and fps > 0 and slot.connection is SourceState.CONNECTED:
        parts.append(f"{fps:.1f} fps")
    if phase is Phase.PAUSED:
        parts.append("paused")
    elif slot.connection in (*LOST, SourceState.CONNECTING):
        parts.append(f"{slot.connection}: {slot.reason}" if slot.reason else str(slot.connection))
    if original:
        parts.append("original")
    if following:
        parts.append(f"following {following}")
    return " · ".join(parts)


def message_of(slot: Slot, phase: Phase, *, pictures: bool) -> Message | None:
    """The message in the middle, or None while there is something to look at; `pictures` tells whether any came so far."""
    if phase in (Phase.PLAYING, Phase.PAUSED) and slot.connection in LOST and pictures:
        return Message("Connection lost", slot.reason or "Trying to connect again…")
    over = phase in _OVER or (slot.connection is SourceState.ENDED and slot.reason != "stopped")
    if not pictures and not over:
        if slot.connection is SourceState.CONNECTED and phase is not Phase.OPENING:
            return Message("Waiting for the first picture…", slot.name)
        live = slot.source is not None and slot.source.live
        return Message("Connecting…" if live else "Opening…", slot.reason or slot.name)
    if not over:
        return None
    reason = "" if slot.reason == "stopped" else slot.reason
    if phase is Phase.FAILED:
        return Message("Stopped by an error", reason or "The log says which.", pictures)
    still = slot.source is not None and slot.source.kind in _STILL
    if pictures and still and not reason:
        return None
    return Message("Stopped" if slot.reason == "stopped" else "Ended", reason, pictures)
