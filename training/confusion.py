"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes
from framehook.training.data.sample import Sample
from framehook.training.matching import overlaps

CONF: Final = 0.25
IOU: Final = 0.45


class ConfusionMatrix:
    """How often objects of a class were found as each class, not found, or found where there are none.

    A box belongs to the object it overlaps most, whatever their classes, and each has one of the other at most: the pairs that
    overlap most come first. Boxes in crowds that belong to no object are not counted.

    Attributes:
        names: Class number to class name.
        labels: The names of rows and columns, in their order: the classes by number, and `background` last.
        matrix: n + 1 x n + 1, int64: rows are what was found, columns what is there. The last row counts objects that were not
            found, the last column boxes where no object is.
        conf: Boxes that score less are not counted.
        iou: Least overlap of a box and its object.
    """

    def __init__(self, names: Mapping[int, str], *, conf: float = CONF, iou: float = IOU) -> None:
        """Count nothing yet."""
        self.names = dict(names)
        self.labels = (*(names[number] for number in sorted(names)), "background")
        self.matrix: npt.NDArray[np.int64] = np.zeros((len(self.labels), len(self.labels)), np.int64)
        self.conf = conf
        self.iou = iou
        self._place = {number: place for place, number in enumerate(sorted(names))}

    def add(self, sample: Sample, boxes: Boxes) -> None:
        """Count a picture: its objects, and what was found in it (class numbers of `names`, pixels of the picture)."""
        boxes = boxes[boxes.conf >= self.conf]
        overlap = overlaps(boxes.xyxy, sample.xyxy, sample.crowd)
        in_crowd = np.any(overlap[:, sample.crowd] >= self.iou, axis=1)
        overlap = overlap[:, ~sample.crowd]
        there = [self._place[cls] for cls in sample.cls[~sample.crowd].tolist()]
        found = [self._place[cls] for cls in boxes.cls.tolist()]
        background = len(self.names)
        rows, columns = np.nonzero(overlap >= self.iou)
        order = np.argsort(-overlap[rows, columns], kind="stable")
        row_left, column_left = dict(enumerate(found)), dict(enumerate(there))
        for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            if row in row_left and column in column_left:
                self.matrix[row_left.pop(row), column_left.pop(column)] += 1
        for place in column_left.values():
            self.matrix[background, place] += 1
        for row, place in row_left.items():
            if not in_crowd[row]:
                self.matrix[place, background] += 1

    def shares(self) -> npt.NDArray[np.float64]:
        """The matrix with each column divided by its sum: what became of the objects of a class, 0..1."""
        sums = self.matrix.sum(axis=0, keepdims=True)
        shares: npt.NDArray[np.float64] = np.divide(self.matrix, sums, out=np.zeros(self.matrix.shape), where=sums > 0)
        return shares

    def copy(self) -> ConfusionMatrix:
        """The same counts, which no longer change."""
        twin = ConfusionMatrix(self.names, conf=self.conf, iou=self.iou)
        twin.matrix = self.matrix.copy()
        return twin

    def __repr__(self) -> str:
        return f"ConfusionMatrix({len(self.names)} classes, {int(self.matrix.sum())} counted)"
