"""How good a detector is, in numbers: what a validation finds out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]

KEYS: Final = ("metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)")
"""Names of the main figures, as the field writes them."""


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """How well objects of one class are found.

    Attributes:
        name: The class.
        pictures: How many pictures show it.
        objects: How many objects there are of it, crowds not counted.
        precision: Share of the boxes that are right, at the confidence of `DetectionMetrics.confidence`, 0..1.
        recall: Share of the objects that are found there, 0..1.
        map50: Average precision at an overlap of .50, 0..1.
        map: Mean of the average precisions at overlaps of .50, .55 ... .95, 0..1.
    """

    name: str
    pictures: int
    objects: int
    precision: float
    recall: float
    map50: float
    map: float


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What the figures are read from, a row for each of `DetectionMetrics.per_class`, at an overlap of .50.

    Attributes:
        confidence: n, from 0 to 1: least scores.
        precision: classes x n: share of the boxes of this score and more that are right; NaN where there are none.
        recall: classes x n: share of the objects that these boxes find.
        f1: classes x n: harmonic mean of both, 0 where there are no boxes.
        recall_levels: m, from 0 to 1: recalls.
        precision_at: classes x m: the best precision at this recall or more, as COCO defines it.
    """

    confidence: FloatArray
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    recall_levels: FloatArray
    precision_at: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class DetectionMetrics:
    """How well objects are found. All figures are means over the classes that have objects.

    Attributes:
        precision: Share of the boxes that are right (overlap .50), at that `confidence`, 0..1.
        recall: Share of the objects that are found there, 0..1.
        confidence: The score at which the mean F1 is best: a good `conf` for runs.
        map50: Mean average precision at an overlap of .50, as COCO defines it, 0..1.
        map75: The same at .75.
        map: Its mean over overlaps of .50, .55 ... .95: what COCO calls AP, and the field mAP50-95.
        by_size: `map` of small (under 32 x 32 pixels of the picture), medium and large (over 96 x 96) objects; None where there
            are none.
        per_class: Figures of each class that has objects, in the order of their numbers.
        curves: What precision, recall and F1 are at any confidence.
        pictures: How many were looked at.
        objects: How many are in them, crowds not counted.
    """

    precision: float
    recall: float
    confidence: float
    map50: float
    map75: float
    map: float
    by_size: Mapping[str, float | None]
    per_class: tuple[ClassMetrics, ...]
    curves: Curves
    pictures: int
    objects: int

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}={getattr(self, name):.3f}" for name in ("map50", "map", "precision", "recall"))
        return f"DetectionMetrics({figures}, {self.objects} objects in {self.pictures} pictures)"

    @property
    def fitness(self) -> float:
        """The one number by which checkpoints are compared: .1 `map50` + .9 `map`."""
        return 0.1 * self.map50 + 0.9 * self.map

    def as_dict(self) -> dict[str, float]:
        """The main figures by the names the field gives them, and `fitness`."""
        figures = (self.precision, self.recall, self.map50, self.map)
        return {**dict(zip(KEYS, figures, strict=True)), "fitness": self.fitness}

    def details(self) -> dict[str, Any]:
        """All figures but the curves, of plain types: for JSON."""
        return {
            **self.as_dict(),
            "metrics/mAP75(B)": self.map75,
            "confidence": self.confidence,
            "pictures": self.pictures,
            "objects": self.objects,
            "mAP50-95 by size": dict(self.by_size),
            "classes": {
                each.name: {
                    "pictures": each.pictures,
                    "objects": each.objects,
                    "precision": each.precision,
                    "recall": each.recall,
                    "mAP50": each.map50,
                    "mAP50-95": each.map,
                }
                for each in self.per_class
            },
        }

    def lines(self) -> list[str]:
        """A table for people: a row for all classes, one for each, and what size and confidence have to say."""
        rows = [("all", self.pictures, self.objects, self.precision, self.recall, self.map50, self.map)]
        if len(self.per_class) > 1:
            rows += [
                (each.name, each.pictures, each.objects, each.precision, each.recall, each.map50, each.map)
                for each in self.per_class
            ]
        width = max(len("class"), *(len(name) for name, *_ in rows))
        heads = f"{'class':<{width}}  pictures   objects  precision  recall   mAP50  mAP50-95"
        table = [
            f"{name:<{width}}  {pictures:>8}  {objects:>8}  {precision:>9.3f}  {recall:>6.3f}  {map50:>6.3f}  {mean:>8.3f}"
            for name, pictures, objects, precision, recall, map50, mean in rows
        ]
        sizes = [f"{size} {value:.3f}" for size, value in self.by_size.items() if value is not None]
        by_size = f"mAP50-95 by size: {', '.join(sizes)}; " if sizes else ""
        return [heads, *table, f"{by_size}precision and recall are best balanced at conf={self.confidence:.3f}"]
