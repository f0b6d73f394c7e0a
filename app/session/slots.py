"""Which source of a run belongs to which place on the screen."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from framehook.app.session.state import Slot
from framehook.inference.connection import SourceState
from framehook.inference.frame import SourceInfo, SourceKind
from framehook.inference.sources.addresses import redacted, slip_of_address
from framehook.inference.sources.base import Source
from framehook.inference.sources.playlist import PlaylistSource
from framehook.inference.sources.screen import is_screen
from framehook.inference.sources.single import is_test_scene

_keys = itertools.count(1)


@dataclass(slots=True)
class Opened:
    """What was opened by one wish of the user: one source, or several that a file of streams names.

    Attributes:
        spec: What to open again.
        slots: The place of each source, by its number among them; None where it was closed.
        number: Counts wishes: their sources stand in this order, whichever answers first.
    """

    spec: Any
    slots: list[Slot | None] = field(default_factory=list)
    number: int = field(default_factory=partial(next, itertools.count()))

    @property
    def seated(self) -> list[Slot]:
        """The places that are in use."""
        return [slot for slot in self.slots if slot is not None]

    def seat(self, sources: Sequence[Source]) -> list[tuple[Slot, Source]]:
        """Give each source a place: the one it had when the same was opened before; those that were closed stay so."""
        known = [*self.slots, *(fresh_slot(self.spec) for _ in sources[len(self.slots) :])]
        self.slots = [None if slot is None else _seated(slot, source) for slot, source in zip(known, sources, strict=False)]
        for slot, source in zip(self.slots, sources, strict=True):
            if slot is None:
                source.close()
        return [(slot, source) for slot, source in zip(self.slots, sources, strict=True) if slot is not None]

    def mark_failed(self, reason: str) -> None:
        """Note that it could not be opened again; its places stay, so that it can be tried once more."""
        self.slots = [
            None if slot is None else replace(slot, connection=SourceState.ENDED, reason=reason) for slot in self.slots
        ]

    def replace(self, key: str, slot: Slot | None) -> None:
        """Put what is known now in the place of that key; None closes it."""
        self.slots = [slot if each is not None and each.key == key else each for each in self.slots]


class Cast:
    """Which source has which slot; read by the playing thread while sources come and go."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._keys: dict[str, str] = {}
        self._lists: list[tuple[PlaylistSource, str]] = []

    def add(self, source: Source, key: str) -> None:
        """Note that frames of `source` belong to the slot `key`."""
        if isinstance(source, PlaylistSource):
            self._lists = [*self._lists, (source, key)]
        self._keys = {**self._keys, source.info.id: key}

    def remove(self, key: str) -> None:
        """Note that nothing belongs to the slot any more."""
        self._lists = [(played, other) for played, other in self._lists if other != key]
        self._keys = {source: other for source, other in self._keys.items() if other != key}

    def key_of(self, source: SourceInfo) -> str | None:
        """The slot of a frame's source, which may be a file of a list; None where there is none."""
        key = self._keys.get(source.id)
        if key is not None or not self._lists:
            return key
        if len(self._lists) == 1:
            return self._lists[0][1]
        return next((key for played, key in self._lists if played.has_played(source.id)), None)


def display_name(spec: Any) -> str:
    """What to call a source before it is opened, without credentials."""
    if isinstance(spec, list | tuple):
        return f"{len(spec)} sources" if len(spec) != 1 else display_name(spec[0])
    if isinstance(spec, int) or (isinstance(spec, str) and spec.isdecimal()):
        return f"camera {spec}"
    if not isinstance(spec, str | Path):
        return type(spec).__name__
    text = str(spec)
    if "://" in text:
        return redacted(text)
    if is_test_scene(spec) or is_screen(spec):
        return text
    slip = slip_of_address(text)  # `rtsp:/me:secret@camera`, say
    if slip is not None and not Path(text).exists():
        return slip
    return (spec.name or text) if isinstance(spec, Path) else text


def device_of(spec: Any) -> str:
    """What a source takes for itself, under one name however it was written: camera 0 is `/dev/video0`."""
    if isinstance(spec, int) or (isinstance(spec, str) and spec.strip().isdecimal()):
        return f"/dev/video{int(spec)}"
    return str(spec).strip()


def devices_of(spec: Any) -> set[str]:
    """What opening a source would take for itself: devices, and other live things by their names."""
    return {device_of(each) for each in (spec if isinstance(spec, list | tuple) else (spec,))}


def fresh_slot(spec: Any) -> Slot:
    """A place for a source that was not opened yet."""
    return Slot(key=str(next(_keys)), spec=spec, name=display_name(spec))


def _seated(slot: Slot, source: Source) -> Slot:
    info = source.info
    return replace(
        slot,
        name=info.name,
        source=info,
        seekable=source.seekable,
        duration=_duration(info),
        connection=SourceState.CONNECTING if source.tells_state else SourceState.CONNECTED,
        reason="",
    )


def _duration(info: SourceInfo) -> float | None:
    if info.kind not in (SourceKind.VIDEO, SourceKind.STREAM, SourceKind.TEST) or not info.fps or not info.frame_count:
        return None
    return info.frame_count / info.fps
