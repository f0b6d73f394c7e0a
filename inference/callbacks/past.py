"""Where the boxes of a source have been: what trails and heat maps are drawn from."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes, FloatArray, IntArray
from framehook.inference.frame import Frame

HEAT_CELLS: Final = 128
"""Cells of a heat map along the longer side of the frame: 64 KB, so that every frame can hold its own."""
_SPREAD: Final = 4  # cells from the middle of a spot to its edge

_reach = np.arange(-_SPREAD, _SPREAD + 1, dtype=np.float32)
_spot = np.exp(-(_reach[:, None] ** 2 + _reach[None, :] ** 2) / (2 * (_SPREAD / 2) ** 2)).astype(np.float32)


class Step(NamedTuple):
    """The tracks of one frame: their ids and the N x 2 float32 centres of their boxes in frame pixels."""

    ids: IntArray
    centres: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What came before a frame in one uninterrupted stretch of its source. It never changes: each frame has its own.

    Attributes:
        segment: The stretch, as frames count them.
        size: (width, height) of its frames in pixels.
        steps: The last frames, oldest first; as many as trails are long.
        heat: How often boxes stood in each cell, or None. Rows of cells from the top of the frame.
    """

    segment: int
    size: tuple[int, int]
    steps: tuple[Step, ...] = ()
    heat: npt.NDArray[np.float32] | None = None

    @classmethod
    def none(cls, frame: Frame) -> Self:
        """Nothing, before the first frame of a stretch."""
        return cls(frame.segment, frame.size)

    def until(self, frame: Frame) -> Self:
        """The past of a frame: this, or nothing where the frame does not follow on it."""
        return self if (self.segment, self.size) == (frame.segment, frame.size) else self.none(frame)

    def extended(self, boxes: Boxes, layers: Set[str], trail_length: int) -> Self:
        """The past of the next frame, after one with these boxes; what no layer needs is not kept."""
        if not layers & {"trails", "heatmap"} and not self.steps and self.heat is None:
            return self
        steps: tuple[Step, ...] = ()
        if "trails" in layers and trail_length > 1:
            steps = (*self.steps[-(trail_length - 2) :], step_of(boxes)) if trail_length > 2 else (step_of(boxes),)
        return replace(self, steps=steps, heat=self.heat_with(boxes) if "heatmap" in layers else None)

    def heat_with(self, boxes: Boxes) -> npt.NDArray[np.float32]:
        """The heat once these boxes have added theirs, each around the middle of its lower edge."""
        width, height = self.size
        cell = max(width, height) / HEAT_CELLS
        rows, columns = max(round(height / cell), 1), max(round(width / cell), 1)
        # A margin takes what reaches over the edge.
        heat = np.zeros((rows + 2 * _SPREAD, columns + 2 * _SPREAD), np.float32)
        if self.heat is not None:
            heat[_SPREAD:-_SPREAD, _SPREAD:-_SPREAD] = self.heat
        feet = np.stack((boxes.xywh[:, 0], boxes.xyxy[:, 3]), axis=1)
        spots = np.clip((feet / np.float32(cell)).astype(int), 0, (columns - 1, rows - 1))
        for column, row in spots:
            heat[row : row + 2 * _SPREAD + 1, column : column + 2 * _SPREAD + 1] += _spot
        return heat[_SPREAD:-_SPREAD, _SPREAD:-_SPREAD]


def step_of(boxes: Boxes) -> Step:
    """The tracks among some boxes."""
    if boxes.id is None:
        return Step(np.empty(0, np.int64), np.empty((0, 2), np.float32))
    tracked = boxes.id >= 0
    return Step(boxes.id[tracked], boxes.xywh[tracked, :2])
