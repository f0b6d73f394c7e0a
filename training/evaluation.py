"""From boxes and labels to figures; average precision is worked out by `faster-coco-eval`, as COCO's own code does it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes
from framehook.inference.errors import MissingDependencyError
from framehook.training.data.sample import Sample
from framehook.training.matching import judged, overlaps
from framehook.training.metrics import ClassMetrics, Curves, DetectionMetrics, FloatArray

SIZES: Final = ("small", "medium", "large")
MAX_DET: Final = 100
"""Boxes a picture and class that COCO counts, the best; the leader boards' figures are made with it."""
_STEPS: Final = 1001
_OVERLAP: Final = 0.5
_AT_ONCE: Final = 200_000
"""Boxes that the library is given at once, of one class or of several: it takes a kilobyte and more for each."""
_SHAPE: Final = (10, 101, len(SIZES) + 1)
"""Overlaps, recalls, and sizes with all of them first."""

# The library tells of each of its steps.
_library = logging.getLogger("faster_coco_eval")
if _library.level == logging.NOTSET:
    _library.setLevel(logging.WARNING)


def check_installed() -> None:
    """Raise MissingDependencyError unless what works out average precision is installed."""
    if find_spec("faster_coco_eval") is None:
        raise MissingDependencyError(
            "validations need the package faster-coco-eval, which is not installed; install it with: "
            "pip install 'framehook[val]'"
        )


def evaluate(
    samples: Sequence[Sample], found: Sequence[Boxes], names: Mapping[int, str], *, max_det: int = MAX_DET
) -> DetectionMetrics:
    """Compare what was found in pictures with what is in them.

    Average precision is that of COCO (Lin et al., 2014; 101 recalls, interpolated); with `max_det=100` it is the very figure
    that `pycocotools` gives. Precision and recall are counted, not interpolated, at the score where the mean F1 of the classes
    is best, among a thousand. Classes without objects count nowhere.

    Args:
        samples: The labelled pictures.
        found: The boxes of each, in pixels of the picture; class numbers are those of `names`.
        names: Class number to class name.
        max_det: Boxes a picture and class that count, the best.

    Raises:
        MissingDependencyError: the extra `val` is not installed.
    """
    check_installed()
    labels, boxes = _labelled(samples), _best(_found(found), max_det)
    alone = ~labels.crowd
    present = np.unique(labels.cls[alone]).tolist()
    precision = _average_precision(samples, labels, boxes, present, max_det)
    right, uncounted = _judged(labels, boxes)
    objects = [int(np.count_nonzero(labels.cls[alone] == cls)) for cls in present]
    pictures = [len(np.unique(labels.picture[alone & (labels.cls == cls)])) for cls in present]
    counted = [(boxes.cls == cls) & ~uncounted for cls in present]
    outcomes = [(boxes.score[rows], right[rows], count) for rows, count in zip(counted, objects, strict=True)]
    curves = _curves(outcomes, precision[0, :, :, 0].T)
    # The lowest of equals, with which most is found.
    best = int(np.argmax(curves.f1.mean(axis=0))) if present else 0
    per_class = tuple(
        ClassMetrics(
            name=names[cls],
            pictures=pictures[row],
            objects=objects[row],
            precision=float(np.nan_to_num(curves.precision[row, best])),
            recall=float(curves.recall[row, best]),
            map50=_mean(precision[0, :, row, 0]),
            map=_mean(precision[:, :, row, 0]),
        )
        for row, cls in enumerate(present)
    )
    by_size = {size: precision[..., place] for place, size in enumerate(SIZES, start=1)}
    return DetectionMetrics(
        precision=float(np.mean([each.precision for each in per_class])) if per_class else 0.0,
        recall=float(np.mean([each.recall for each in per_class])) if per_class else 0.0,
        confidence=float(curves.confidence[best]),
        map50=_mean(precision[0, ..., 0]),
        map75=_mean(precision[5, ..., 0]),
        map=_mean(precision[..., 0]),
        by_size={size: _mean(of_size) if (of_size > -1).any() else None for size, of_size in by_size.items()},
        per_class=per_class,
        curves=curves,
        pictures=len(samples),
        objects=sum(objects),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Objects, or boxes, of all pictures in one list.

    Attributes:
        picture: n: number of the picture, ascending.
        cls: n: class number.
        xyxy: n x 4, in pixels of the picture.
        area: n: pixels.
        crowd: n: which objects are crowds.
        score: n: of boxes.
    """

    picture: npt.NDArray[np.int64]
    cls: npt.NDArray[np.int64]
    xyxy: FloatArray
    area: FloatArray
    crowd: npt.NDArray[np.bool_]
    score: FloatArray

    def __getitem__(self, rows: Any) -> _Rows:
        return _Rows(self.picture[rows], self.cls[rows], self.xyxy[rows], self.area[rows], self.crowd[rows], self.score[rows])

    def entries(self) -> list[dict[str, Any]]:
        """What COCO's files hold of them; numbers are from 1, as COCO's code takes 0 for no object at all."""
        bbox = np.concatenate((self.xyxy[:, :2], self.xyxy[:, 2:] - self.xyxy[:, :2]), axis=1)
        columns = (self.picture, self.cls, bbox, self.area, self.crowd.astype(np.int64), self.score)
        names = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "score")
        return [
            dict(zip(names, row, strict=True))
            for row in zip(range(1, len(self.cls) + 1), *(column.tolist() for column in columns), strict=True)
        ]


def _labelled(samples: Sequence[Sample]) -> _Rows:
    xyxy = _joined([each.xyxy for each in samples], (0, 4))
    return _Rows(
        picture=np.repeat(np.arange(len(samples)), [len(each) for each in samples]),
        cls=_joined([each.cls for each in samples], (0,)).astype(np.int64),
        xyxy=xyxy,
        area=_joined([each.area for each in samples], (0,)),
        crowd=_joined([each.crowd for each in samples], (0,)).astype(np.bool_),
        score=np.ones(len(xyxy)),
    )


def _found(found: Sequence[Boxes]) -> _Rows:
    xyxy = _joined([each.xyxy for each in found], (0, 4)).astype(np.float64)
    return _Rows(
        picture=np.repeat(np.arange(len(found)), [len(each) for each in found]),
        cls=_joined([each.cls for each in found], (0,)).astype(np.int64),
        xyxy=xyxy,
        area=np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1),
        crowd=np.zeros(len(xyxy), np.bool_),
        score=_joined([each.conf for each in found], (0,)).astype(np.float64),
    )


def _joined(arrays: list[Any], empty: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(empty)


def _best(boxes: _Rows, most: int) -> _Rows:
    """The best boxes of each picture and class, best first, those of a picture still together."""
    by_class = boxes[np.lexsort((-boxes.score, boxes.cls, boxes.picture))]
    fresh = np.ones(len(by_class.cls), np.bool_)
    fresh[1:] = (by_class.cls[1:] != by_class.cls[:-1]) | (by_class.picture[1:] != by_class.picture[:-1])
    starts = np.flatnonzero(fresh)
    rank = np.arange(len(fresh)) - np.repeat(starts, np.diff(np.append(starts, len(fresh))))
    return by_class[rank < most]


def _average_precision(samples: Sequence[Sample], labels: _Rows, boxes: _Rows, present: list[int], max_det: int) -> FloatArray:
    """Overlaps x recalls x classes x sizes (all, small, medium, large): precisions, -1 where there are no objects."""
    from faster_coco_eval import COCO, COCOeval_faster

    images = [{"id": index, "width": each.size[0], "height": each.size[1]} for index, each in enumerate(samples)]
    parts = [np.empty((*_SHAPE[:2], 0, _SHAPE[2]))]
    for classes in _portions(boxes, present):
        known: dict[str, Any] = {"images": images, "categories": [{"id": cls, "name": str(cls)} for cls in classes]}
        there, here = (rows[np.isin(rows.cls, classes)].entries() for rows in (labels, boxes))
        truth, said = (COCO({**known, "annotations": entries}) for entries in (there, here))
        judge: Any = COCOeval_faster(truth, said, "bbox", print_function=_silent)
        judge.params.maxDets = [max_det]
        judge.evaluate()
        judge.accumulate()
        parts.append(np.asarray(judge.eval["precision"])[..., 0])
    return np.concatenate(parts, axis=2)


def _silent(*_: object) -> None:
    """What the library has to say of its progress."""


def _portions(boxes: _Rows, present: list[int]) -> Iterator[list[int]]:
    """Classes, in their order, as many together as have a bounded number of boxes; one at least."""
    portion: list[int] = []
    filled = 0
    for cls in present:
        count = int(np.count_nonzero(boxes.cls == cls))
        if portion and filled + count > _AT_ONCE:
            yield portion
            portion, filled = [], 0
        portion.append(cls)
        filled += count
    if portion:
        yield portion


def _judged(labels: _Rows, boxes: _Rows) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which boxes are right, and which do not count; the rest are wrong."""
    right, uncounted = np.zeros(len(boxes.cls), np.bool_), np.zeros(len(boxes.cls), np.bool_)
    for picture in np.unique(labels.picture).tolist():
        there = slice(*np.searchsorted(labels.picture, (picture, picture + 1)))
        first, end = np.searchsorted(boxes.picture, (picture, picture + 1))
        for cls in np.unique(labels.cls[there]).tolist():
            here = first + np.flatnonzero(boxes.cls[first:end] == cls)
            if len(here):
                objects = labels[there][labels.cls[there] == cls]
                overlap = overlaps(boxes.xyxy[here], objects.xyxy, objects.crowd)
                right[here], uncounted[here] = judged(overlap, objects.crowd, _OVERLAP)
    return right, uncounted


def _curves(outcomes: Sequence[tuple[FloatArray, npt.NDArray[np.bool_], int]], precision_at: FloatArray) -> Curves:
    """Of each class the scores of its boxes, which of them are right, and how many objects there are."""
    confidence = np.linspace(0, 1, _STEPS)
    shape = len(outcomes), _STEPS
    precision, recall, f1 = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape)
    for row, (scores, right, objects) in enumerate(outcomes):
        order = np.argsort(-scores, kind="stable")
        hits = np.concatenate(([0], np.cumsum(right[order])))
        count = np.searchsorted(-scores[order], -confidence, side="right")
        np.divide(hits[count], count, out=precision[row], where=count > 0)
        recall[row] = hits[count] / objects
        f1[row] = 2 * hits[count] / (count + objects)
    return Curves(confidence, precision, recall, f1, np.linspace(0, 1, precision_at.shape[1]), precision_at)


def _mean(precision: Any) -> float:
    """The mean of precisions, of which -1 means that there is nothing to find."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else 0.0
