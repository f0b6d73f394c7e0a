"""The detections of an export, judged as those of a detector are, with those of its source as the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes, FloatArray

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_OVERLAP: Final = 0.5


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The detections of an export, judged with those of its source as the truth.

    Attributes:
        ap50: Average precision at an overlap of one half; 1 where there is no truth.
        found_again: The share of the source's detections that are found, scoring half of the threshold at least; 1 where it has
            none.
    """

    ap50: float
    found_again: float


def judge(frames: Iterable[tuple[Boxes, Boxes]], *, conf: float) -> Accuracy:
    """Judge the detections of several frames.

    Average precision as COCO defines it, over 101 levels of recall, of all classes together: few frames hold few objects
    of most classes. Detections of the source that score between `conf / 2` and `conf` are neither truth nor mistakes.

    Args:
        frames: Of each frame the detections of the source, from a score of `conf / 2` on, and those of the export, of any.
        conf: From which score on a detection of the source is the truth.
    """
    scores, hits, wanted, again = [np.empty(0)], [np.empty(0, bool)], 0, 0
    for expected, found in frames:
        truth = expected.conf >= conf
        order = np.argsort(-found.conf, kind="stable")
        overlaps = intersection_over_union(expected.xyxy, found.xyxy)
        overlaps[expected.cls[:, None] != found.cls] = 0
        hit, ignored = _hits(overlaps, truth, order)
        again += int((hit & (found.conf >= conf / 2)).sum())
        scores.append(found.conf[~ignored].astype(np.float64))
        hits.append(hit[~ignored])
        wanted += int(truth.sum())
    if wanted == 0:
        return Accuracy(1.0, 1.0)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    true = np.cumsum(np.concatenate(hits)[order])
    precision = true / np.arange(1, len(true) + 1)
    # At each recall the best precision that this or any higher recall reaches; none beyond the last.
    precision = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    levels = np.searchsorted(true / wanted, np.linspace(0, 1, 101))
    return Accuracy(float(precision[levels].mean()), again / wanted)


def intersection_over_union(a: FloatArray, b: FloatArray) -> Doubles:
    """N x M overlaps of N x 4 and M x 4 boxes, left top right bottom."""
    first, second = a.astype(np.float64)[:, None], b.astype(np.float64)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.maximum(sides, 0).prod(axis=2)
    union = (first[..., 2:] - first[..., :2]).prod(axis=2) + (second[..., 2:] - second[..., :2]).prod(axis=2) - shared
    overlaps: Doubles = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def _hits(overlaps: Doubles, truth: Mask, order: npt.NDArray[np.intp]) -> tuple[Mask, Mask]:
    """Which detections, best first, find a true box that no better one took; and which find none but one that is no truth."""
    overlaps = overlaps.copy()
    hits, ignored = np.zeros(overlaps.shape[1], bool), np.zeros(overlaps.shape[1], bool)
    for column in order:
        near = np.flatnonzero(overlaps[:, column] >= _OVERLAP)
        true = near[truth[near]]
        if len(true):
            hits[column] = True
            overlaps[true[overlaps[true, column].argmax()]] = 0
        else:
            ignored[column] = len(near) > 0
    return hits, ignored
