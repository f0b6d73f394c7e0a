"""The zones that were drawn on the pictures, and what they have counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from framehook.app.session.state import Slot, ZonesOfSlot
from framehook.inference.callbacks import Callbacks, Handle, ZoneCounter
from framehook.inference.callbacks.drawing import PALETTE
from framehook.inference.frame import SourceInfo
from framehook.inference.options import Points, checked_zones

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

KEPT: Final = 100
"""Sources whose zones are kept after they were closed."""


class _Counter(ZoneCounter):
    """Counts while it can: the crossings of a line not while nothing is tracked, which here can be switched at any moment."""

    def on_predict_postprocess_end(self, predictor: Predictor) -> None:
        if predictor.args.tracker is not None or all(len(points) > 2 for points in self.zones.values()):
            super().on_predict_postprocess_end(predictor)

    def leave(self, predictor: Predictor) -> None:
        """Keep nothing for a run any more."""
        self._runs.pop(predictor)


@dataclass(frozen=True, slots=True)
class _Zone:
    points: Points
    counter: _Counter
    handle: Handle
    colour: int


class Zoning:
    """Zones of each slot. Every zone counts by itself, so that the others go on when one is moved."""

    def __init__(
        self,
        callbacks: Callbacks,
        key_of: Callable[[SourceInfo], str | None],
        predictor: Callable[[], Predictor | None],
    ) -> None:
        """Begin without zones.

        Args:
            callbacks: Where counters are registered.
            key_of: The slot of a source.
            predictor: The run under way.
        """
        self._predictor = predictor
        self._callbacks = callbacks
        self._key_of = key_of
        self._lock = threading.Lock()
        self._slots: dict[str, dict[str, _Zone]] = {}

    def place(self, key: str, zones: ZonesOfSlot) -> None:
        """Choose the zones of a slot; those that stay where they are go on counting, whatever they are called now.

        Args:
            key: The slot.
            zones: Points in fractions of the frame, by name.

        Raises:
            OptionError: a zone that is no line and no area; nothing is changed then.
        """
        wanted = checked_zones(zones)
        with self._lock:
            there = self._slots.setdefault(key, {})
            gone = {name: there.pop(name) for name in list(there) if wanted.get(name) != there[name].points}
            for name, points in wanted.items():
                former = next((old for old, zone in gone.items() if name not in there and zone.points == points), None)
                if former is not None:
                    there[name] = gone.pop(former)
                    there[name].counter.rename(former, name)
            for zone in gone.values():
                self._remove(zone)
            for name, points in wanted.items():
                if name not in there:
                    moved = gone.get(name)  # keeps its colour
                    taken = {zone.colour for zone in there.values()}
                    colour = _free_colour(taken, len(there)) if moved is None or moved.colour in taken else moved.colour
                    there[name] = self._add(key, name, points, colour)
            self._slots[key] = {name: there[name] for name in wanted}

    def reset(self, key: str) -> None:
        """Count from zero in a slot."""
        with self._lock:
            there = self._slots.get(key, {})
            for name, zone in list(there.items()):
                self._remove(zone)
                there[name] = self._add(key, name, zone.points, zone.colour)

    def forget(self, key: str) -> None:
        """Take the zones of a slot away."""
        with self._lock:
            for zone in self._slots.pop(key, {}).values():
                self._remove(zone)

    def counts(self, key: str) -> dict[str, dict[str, Any]]:
        """What the zones of a slot have counted; see `ZoneCounter`."""
        with self._lock:
            return {name: zone.counter.counts[name] for name, zone in self._slots.get(key, {}).items()}

    def colours(self, key: str) -> dict[str, str]:
        """The colours that the zones of a slot are drawn in, such as `#ff8800`, by their names."""
        with self._lock:
            return {name: PALETTE[zone.colour] for name, zone in self._slots.get(key, {}).items()}

    def _add(self, key: str, name: str, points: Points, colour: int) -> _Zone:
        colours = [*PALETTE[colour:], *PALETTE[:colour]]
        counter = _Counter({name: points}, only=partial(self._is_of, key), colors=colours)
        return _Zone(points, counter, self._callbacks.add(counter, on_error="disable"), colour)

    def _remove(self, zone: _Zone) -> None:
        zone.handle.remove()
        predictor = self._predictor()
        if predictor is not None:
            zone.counter.leave(predictor)  # else the run would keep each place a zone was dragged to

    def _is_of(self, key: str, source: SourceInfo) -> bool:
        return self._key_of(source) == key


class KeptZones:
    """The zones of sources that were closed, in case they are opened again."""

    def __init__(self) -> None:
        """None yet."""
        self._kept: dict[tuple[str, str], ZonesOfSlot] = {}

    def keep(self, slot: Slot, zones: ZonesOfSlot) -> None:
        """A slot is closed that had these zones; those of sources closed long ago are forgotten."""
        self._kept.pop((str(slot.spec), slot.name), None)
        if zones:
            self._kept[str(slot.spec), slot.name] = dict(zones)
        for stale in list(self._kept)[:-KEPT]:
            del self._kept[stale]

    def of(self, slot: Slot) -> ZonesOfSlot:
        """The zones that the source of a slot had when it was closed."""
        return self._kept.get((str(slot.spec), slot.name), {})


def _free_colour(taken: set[int], count: int) -> int:
    """The first colour that no other of the `count` zones of a slot has."""
    return next((number for number in range(len(PALETTE)) if number not in taken), count % len(PALETTE))
