"""From boxes and labels to figures; average precision is worked out by `faster-coco-eval`, as COCO's own code does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from framehook.inference.boxes import Boxes
from framehook.inference.errors import MissingDependencyError
from framehook.training.data.sample import Sample
from framehook.training.matching import judged, overlaps
from framehook.training.metrics import ClassMetrics, Curves, DetectionMetrics, FloatArray, mean_of

SIZES: Final = ("small", "medium", "large")
MAX_DET: Final = 100
"""Boxes a picture and class that COCO counts, the best; the leader boards' figures are made with it."""
_STEPS: Final = 1001
_OVERLAP: Final = 0.5


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
    precision = _average_precision(samples, found, names, max_det)
    tallies = _tallies(samples, found, max_det)
    present = [number for number in sorted(names) if number in tallies and tallies[number].objects]
    rows = [sorted(names).index(number) for number in present]
    at_50 = precision[0, :, :, 0][:, rows].T
    curves = _curves([tallies[number] for number in present], at_50)
    balance = curves.f1.mean(axis=0) if present else np.zeros(_STEPS)
    best = int(np.argmax(balance))  # the lowest of equals, with which most is found
    per_class = tuple(
        ClassMetrics(
            name=names[number],
            pictures=tallies[number].pictures,
            objects=tallies[number].objects,
            precision=float(np.nan_to_num(curves.precision[row, best])),
            recall=float(curves.recall[row, best]),
            map50=_mean(precision[0, :, rows[row], 0]),
            map=_mean(precision[:, :, rows[row], 0]),
        )
        for row, number in enumerate(present)
    )
    by_size = {size: precision[..., area] for area, size in enumerate(SIZES, start=1)}
    return DetectionMetrics(
        precision=mean_of(each.precision for each in per_class),
        recall=mean_of(each.recall for each in per_class),
        confidence=float(curves.confidence[best]),
        map50=_mean(precision[0, ..., 0]),
        map75=_mean(precision[5, ..., 0]),
        map=_mean(precision[..., 0]),
        by_size={size: _mean(of_size) if (of_size > -1).any() else None for size, of_size in by_size.items()},
        per_class=per_class,
        curves=curves,
        pictures=len(samples),
        objects=sum(each.objects for each in per_class),
    )


def _mean(precision: Any) -> float:
    """The mean of precisions, of which -1 means that there is nothing to find."""
    known = precision[precision > -1]
    return float(known.mean()) if known.size else 0.0


def _average_precision(samples: Sequence[Sample], found: Sequence[Boxes], names: Mapping[int, str], max_det: int) -> FloatArray:
    """Overlaps x recalls x classes x sizes (all, small, medium, large): precisions, -1 where there are no objects."""
    from faster_coco_eval import COCO, COCOeval_faster

    images = [{"id": index, "width": each.size[0], "height": each.size[1]} for index, each in enumerate(samples)]
    categories = [{"id": number, "name": names[number]} for number in sorted(names)]
    labels = {"images": images, "categories": categories, "annotations": list(_labels(samples))}
    boxes = {"images": images, "categories": categories, "annotations": list(_boxes(found))}
    judge: Any = COCOeval_faster(COCO(labels), COCO(boxes), "bbox")
    judge.params.maxDets = [max_det]
    judge.evaluate()
    judge.accumulate()
    counted: FloatArray = np.asarray(judge.eval["precision"])
    return counted[..., 0]


def _labels(samples: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    number = 1  # COCO's code takes 0 for no object at all
    for index, sample in enumerate(samples):
        sides = sample.xyxy[:, 2:] - sample.xyxy[:, :2]
        bbox = np.concatenate((sample.xyxy[:, :2], sides), axis=1).tolist()
        for cls, box, crowd, area in zip(sample.cls.tolist(), bbox, sample.crowd.tolist(), sample.area.tolist(), strict=True):
            yield {"id": number, "image_id": index, "category_id": cls, "bbox": box, "area": area, "iscrowd": int(crowd)}
            number += 1


def _boxes(found: Sequence[Boxes]) -> Iterator[dict[str, Any]]:
    number = 1
    for index, boxes in enumerate(found):
        xyxy = boxes.xyxy.astype(np.float64)
        sides = xyxy[:, 2:] - xyxy[:, :2]
        bbox, area = np.concatenate((xyxy[:, :2], sides), axis=1).tolist(), np.prod(sides, axis=1).tolist()
        for cls, box, score, size in zip(boxes.cls.tolist(), bbox, boxes.conf.tolist(), area, strict=True):
            yield {
                "id": number,
                "image_id": index,
                "category_id": cls,
                "bbox": box,
                "score": score,
                "area": size,
                "iscrowd": 0,
            }
            number += 1


@dataclass(slots=True)
class _Tally:
    """What there is of a class, and which of its boxes are right.

    Attributes:
        pictures: That show it.
        objects: Of it, crowds not counted.
        scores: Of its boxes that count, a piece a picture.
        right: Which of them are right.
    """

    pictures: int = 0
    objects: int = 0
    scores: list[Any] = field(default_factory=list)
    right: list[Any] = field(default_factory=list)


def _tallies(samples: Sequence[Sample], found: Sequence[Boxes], max_det: int) -> dict[int, _Tally]:
    tallies: dict[int, _Tally] = {}
    for sample, boxes in zip(samples, found, strict=True):
        for cls in np.union1d(sample.cls, boxes.cls).tolist():
            tally = tallies.setdefault(cls, _Tally())
            there = np.flatnonzero(sample.cls == cls)
            crowd = sample.crowd[there]
            here = np.flatnonzero(boxes.cls == cls)
            here = here[np.argsort(-boxes.conf[here], kind="stable")[:max_det]]
            overlap = overlaps(boxes.xyxy[here], sample.xyxy[there], crowd)
            right, uncounted = judged(overlap, crowd, _OVERLAP)
            alone = int(np.count_nonzero(~crowd))
            tally.pictures += alone > 0
            tally.objects += alone
            tally.scores.append(boxes.conf[here][~uncounted])
            tally.right.append(right[~uncounted])
    return tallies


def _curves(tallies: Sequence[_Tally], precision_at: FloatArray) -> Curves:
    confidence = np.linspace(0, 1, _STEPS)
    shape = len(tallies), _STEPS
    precision, recall, f1 = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape)
    for row, tally in enumerate(tallies):
        scores, right = np.concatenate(tally.scores), np.concatenate(tally.right)
        order = np.argsort(-scores, kind="stable")
        hits = np.concatenate(([0], np.cumsum(right[order])))
        count = np.searchsorted(-scores[order].astype(np.float64), -confidence, side="right")
        hit = hits[count]
        np.divide(hit, count, out=precision[row], where=count > 0)
        recall[row] = hit / tally.objects
        f1[row] = 2 * hit / (count + tally.objects)
    return Curves(confidence, precision, recall, f1, np.linspace(0, 1, precision_at.shape[1]), precision_at)
