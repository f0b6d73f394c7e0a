"""The objects of a result, as somebody who points at them means them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from framehook.app.session.motion import TrackFacts
from framehook.inference.boxes import FloatArray
from framehook.inference.result import Result

_SAME: Final = 0.3
"""Overlap (intersection over union) from which on a box without an id is the one of the frame before."""


def object_at(result: Result, x: float, y: float) -> int | None:
    """The row of the box at a point of the frame in pixels: the smallest, which lies before others or is part of them."""
    boxes = result.boxes.xyxy
    left, top, right, bottom = boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3]
    rows = np.flatnonzero((left <= x) & (x < right) & (top <= y) & (y < bottom))
    if not len(rows):
        return None
    areas = (right - left)[rows] * (bottom - top)[rows]
    return int(rows[areas.argmin()])


def id_of(result: Result, row: int) -> int | None:
    """The track id of a box, or None where it belongs to no track."""
    ids = result.boxes.id
    return int(ids[row]) if ids is not None and ids[row] >= 0 else None


def row_of(result: Result, number: int) -> int | None:
    """The row of a track, or None where it is not in the frame."""
    if result.boxes.id is None:
        return None
    rows = np.flatnonzero(result.boxes.id == number)
    return int(rows[0]) if len(rows) else None


def title_of(result: Result, row: int) -> str:
    """A box in short: `person #3`."""
    name, number = result.name_of(int(result.boxes.cls[row])), id_of(result, row)
    return name if number is None else f"{name} #{number}"


def facts_of(result: Result, row: int) -> list[tuple[str, str]]:
    """What is known of a box, each fact with its name, for people."""
    boxes = result.boxes
    number = id_of(result, row)
    _, _, width, height = boxes.xywh[row].tolist()
    facts = [("class", result.name_of(int(boxes.cls[row]))), ("confidence", f"{boxes.conf[row]:.2f}")]
    if number is not None:
        facts.append(("id", str(number)))
    motion: TrackFacts | None = None if number is None else result.data.get("motion", {}).get(number)
    if motion is not None:
        facts.append(("age", f"{motion.age:.1f} s"))
        if motion.speed is not None:
            facts.append(("speed", f"{motion.speed:.0f} px/s"))
    return [*facts, ("size", f"{width:.0f} x {height:.0f} px")]


@dataclass(frozen=True, slots=True)
class Mark:
    """A box that was chosen and has no id: in the next frame it is the box of its class that overlaps it most.

    Attributes:
        cls: Its class.
        xyxy: Its edges in pixels of the frame.
    """

    cls: int
    xyxy: FloatArray

    @classmethod
    def of(cls, result: Result, row: int) -> Mark:
        """Mark a box."""
        return cls(int(result.boxes.cls[row]), result.boxes.xyxy[row])

    def row_in(self, result: Result) -> int | None:
        """Its row in a result, or None where it is gone."""
        rows = np.flatnonzero(result.boxes.cls == self.cls)
        if not len(rows):
            return None
        boxes = result.boxes.xyxy[rows]
        low, high = np.maximum(boxes[:, :2], self.xyxy[:2]), np.minimum(boxes[:, 2:], self.xyxy[2:])
        shared = np.clip(high - low, 0, None).prod(1)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (self.xyxy[2:] - self.xyxy[:2]).prod()
        overlaps = shared / np.maximum(areas - shared, 1e-9)
        best = int(overlaps.argmax())
        return int(rows[best]) if overlaps[best] >= _SAME else None
