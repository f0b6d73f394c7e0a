"""Decoding and suppression as a part of the graph: from raw outputs to finished detections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from onnx import numpy_helper

from framehook.export.graph_build import Operators
from framehook.inference.boxes import FloatArray
from framehook.inference.errors import OptionError
from framehook.inference.ranges import is_number, is_whole

_FINITE: Final = np.finfo(np.float32).max
_NONE: Final = -1.0
"""Score of what is no candidate; below every threshold."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """What suppression inside a graph is built with; it cannot be chosen any more when the graph runs.

    Attributes:
        conf: Only scores above this pass, 0..1. A run may ask for more.
        iou: A box is suppressed by a better one of its class when their intersection over union exceeds this, 0..1.
        max_det: Rows of the output.
    """

    conf: float = 0.01
    iou: float = 0.7
    max_det: int = 300

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            OptionError: a value that suppression cannot be built with.
        """
        for name, value in (("conf", self.conf), ("iou", self.iou)):
            if not is_number(value, 0, 1):
                raise OptionError(f"{name}={value!r} is out of range; pass a number from 0 to 1")
        if not is_whole(self.max_det, 1):
            raise OptionError(f"max_det={self.max_det!r} is out of range; pass a whole number from 1")


@dataclass(frozen=True, slots=True)
class Proposed:
    """Tensors of N images with M candidates each: anchors that pass the threshold in any of the images, and one more.

    The last candidate means nothing. It is there because not every operator can work on nothing.

    Attributes:
        boxes: N x M x 4 float32, left, top, right and bottom in input pixels.
        scores: N x M float32.
        classes: N x M int64.
        count: How many classes there are, int64.
    """

    boxes: str
    scores: str
    classes: str
    count: str


def propose_yolo(ops: Operators, raw: str, conf: float) -> Proposed:
    """Candidates of layout `yolo`: N x (4 + classes) x anchors."""
    best = ops.reduce("ReduceMax", ops.slice(raw, 4, None, axis=1), axis=1)
    rows = ops("Transpose", ops("Gather", raw, _passing(ops, best, conf), axis=2), perm=[0, 2, 1])
    return _proposed(ops, _corners(ops, _columns(ops, rows, 0, 2), _columns(ops, rows, 2, 4)), _columns(ops, rows, 4, None))


def propose_yolov5(ops: Operators, raw: str, conf: float) -> Proposed:
    """Candidates of layout `yolov5`: N x anchors x (5 + classes)."""
    rows, objectness, _ = _pick_by_objectness(ops, raw, conf)
    boxes = _corners(ops, _columns(ops, rows, 0, 2), _columns(ops, rows, 2, 4))
    return _proposed(ops, boxes, _columns(ops, rows, 5, None), objectness)


def propose_yolox(ops: Operators, raw: str, conf: float, grid: FloatArray) -> Proposed:
    """Candidates of layout `yolox`: N x cells x (5 + classes).

    Args:
        ops: Where the operators are written.
        raw: The network's output.
        conf: The threshold.
        grid: Cells x 3: column and row of each cell, and its stride.
    """
    rows, objectness, cells = _pick_by_objectness(ops, raw, conf)
    points = ops("Gather", ops.constant(grid), cells, axis=0)
    stride = ops.slice(points, 2, 3, axis=1)
    centers = ops("Mul", ops("Add", _columns(ops, rows, 0, 2), ops.slice(points, 0, 2, axis=1)), stride)
    boxes = _corners(ops, centers, ops("Mul", ops("Exp", _columns(ops, rows, 2, 4)), stride))
    return _proposed(ops, boxes, _columns(ops, rows, 5, None), objectness)


def propose_nanodet(ops: Operators, raw: str, conf: float, grid: FloatArray, nc: int, bins: int) -> Proposed:
    """Candidates of layout `nanodet`: N x cells x (classes + 4 x bins).

    Args:
        ops: Where the operators are written.
        raw: The network's output.
        conf: The threshold.
        grid: Cells x 3: x and y of each cell's point in input pixels, and its stride.
        nc: Classes.
        bins: Length of the distribution of each side.
    """
    classes = _columns(ops, raw, 0, nc)
    # Scores are never negative; logits show themselves in the first class of some cell of every picture.
    negative = ops.cast(ops("Less", ops.take(raw, 0, axis=2), ops.constant(0)), np.float32)
    logits = ops("Greater", ops.unsqueeze(ops.reduce("ReduceMax", negative, axis=1), 1), ops.constant(0))
    best = ops.reduce("ReduceMax", classes, axis=2)
    scores = ops("Where", logits, ops("Sigmoid", best), best)
    cells = _passing(ops, scores, conf)
    rows = ops("Gather", raw, cells, axis=1)
    points = ops("Gather", ops.constant(grid), cells, axis=0)
    distributions = ops("Reshape", _columns(ops, rows, nc, None), ops.integers(-1, bins))
    # One product of two matrices; of tensors of more axes it would be thousands.
    means = ops("MatMul", ops("Softmax", distributions, axis=1), ops.constant(np.arange(bins)[:, None]))
    images = ops("Concat", ops.gather(ops("Shape", raw), 0), ops.integers(-1, 4), axis=0)
    sides = ops("Mul", ops("Reshape", means, images), ops.slice(points, 2, 3, axis=1))
    point = ops.slice(points, 0, 2, axis=1)
    low, high = ops("Sub", point, _columns(ops, sides, 0, 2)), ops("Add", point, _columns(ops, sides, 2, 4))
    return _proposed(ops, ops("Concat", low, high, axis=2), _columns(ops, rows, 0, nc), logits=logits)


def suppress(ops: Operators, proposed: Proposed, settings: Suppression, *, place: Callable[[str], str], out: str) -> None:
    """Greedy, class-aware suppression: N x max_det x 6, of left, top, right, bottom, score and class; best first, then zeros.

    As `framehook.inference.decoders.nms.suppress`, the order of equal scores included, but for this: overlaps are computed in
    single precision, so that a pair whose overlap is the threshold to within 1e-6 may be judged differently, and no number of
    candidates is too large.

    Args:
        ops: Where the operators are written.
        proposed: What is suppressed.
        settings: How.
        place: Writes what maps N x M x 4 boxes from input pixels to those of the output.
        out: The name to give to the output.
    """
    # In the place of the last one come as many without a score as rows may be wanted.
    count = settings.max_det
    scores, boxes, classes = (ops.slice(each, 0, -1, axis=1) for each in (proposed.scores, proposed.boxes, proposed.classes))
    scores = ops("Pad", scores, ops.integers(0, 0, 0, count), ops.constant(_NONE))
    boxes = ops("Pad", boxes, ops.integers(0, 0, 0, 0, count, 0), ops.constant(0))
    classes = ops("Pad", classes, ops.integers(0, 0, 0, count), ops.constant(0, np.int64))

    limits = ops.constant(settings.max_det, np.int64), ops.constant(settings.iou), ops.constant(settings.conf)
    chosen = ops("NonMaxSuppression", _upright(ops, boxes), _by_class(ops, scores, classes, proposed.count), *limits)
    # Chosen are (image, class, row), class by class; scattered back, they come in order of score and anchor.
    places = ops.gather(chosen, 0, 2, axis=1)
    nothing = ops("ConstantOfShape", ops("Shape", scores), value=numpy_helper.from_array(np.array([_NONE], np.float32)))
    kept = ops("ScatterND", nothing, places, ops("GatherND", scores, places))
    top, order = ops.several("TopK", kept, ops.integers(count), count=2, axis=1, largest=1, sorted=1)

    columns = place(boxes), ops.unsqueeze(scores, 2), ops.unsqueeze(ops.cast(classes, np.float32), 2)
    index = ops("Tile", ops.unsqueeze(order, 2), ops.integers(1, 1, 6))
    rows = ops("GatherElements", ops("Concat", *columns, axis=2), index, axis=1)
    found = ops("Greater", ops.unsqueeze(top, 2), ops.constant(0))
    ops("Where", found, rows, ops.constant(0), out=out)


def _columns(ops: Operators, rows: str, start: int, end: int | None) -> str:
    return ops.slice(rows, start, end, axis=2)


def _passing(ops: Operators, scores: str, conf: float) -> str:
    """Numbers of the anchors that score above `conf` in any image, of images x anchors, and one more number.

    Of thousands it is a handful in most pictures, and all that follows is done for those alone.
    """
    passed = ops.cast(ops("Greater", scores, ops.constant(conf)), np.float32)
    anywhere = ops("Greater", ops.reduce("ReduceMax", passed, axis=0), ops.constant(0))
    return ops("Concat", ops("Reshape", ops("NonZero", anywhere), ops.integers(-1)), ops.integers(0), axis=0)


def _pick_by_objectness(ops: Operators, raw: str, conf: float) -> tuple[str, str, str]:
    """Rows of the anchors whose objectness, column 4, passes, their objectness, and their numbers."""
    anchors = _passing(ops, ops.take(raw, 4, axis=2), conf)
    rows = ops("Gather", raw, anchors, axis=1)
    return rows, ops.take(rows, 4, axis=2), anchors


def _corners(ops: Operators, centers: str, sizes: str) -> str:
    half = ops("Mul", sizes, ops.constant(0.5))
    return ops("Concat", ops("Sub", centers, half), ops("Add", centers, half), axis=2)


def _proposed(
    ops: Operators, boxes: str, classes: str, objectness: str | None = None, *, logits: str | None = None
) -> Proposed:
    """Candidates of boxes and class scores N x M x classes; what is not made of finite numbers gets no score."""
    best = ops.reduce("ReduceMax", classes, axis=2)
    scores = best if objectness is None else ops("Mul", best, objectness)
    if logits is not None:
        scores = ops("Where", logits, ops("Sigmoid", best), best)
    # A comparison with NaN is never true.
    numbers = ops.cast(ops("Less", classes, ops.constant(np.inf)), np.float32)
    finite = ops.cast(ops("Less", ops("Abs", boxes), ops.constant(_FINITE)), np.float32)
    sound = ops("Concat", *(ops.unsqueeze(ops.reduce("ReduceMin", each, axis=2), 2) for each in (numbers, finite)), axis=2)
    good = ops("Greater", ops.reduce("ReduceMin", sound, axis=2), ops.constant(0))
    good = ops("And", good, ops("Less", ops("Abs", scores), ops.constant(_FINITE)))
    return Proposed(
        ops("Where", ops.unsqueeze(good, 2), boxes, ops.constant(0)),
        ops("Where", good, scores, ops.constant(_NONE)),
        ops("ArgMax", classes, axis=2, keepdims=0),
        ops.take(ops("Shape", classes), 2, axis=0),
    )


def _by_class(ops: Operators, scores: str, classes: str, count: str) -> str:
    """Scores N x classes x M: that of a candidate in the row of its class alone."""
    numbers = ops.unsqueeze(ops("Range", ops.constant(0, np.int64), count, ops.constant(1, np.int64)), 1)
    own = ops("Equal", ops.unsqueeze(classes, 1), numbers)
    return ops("Where", own, ops.unsqueeze(scores, 1), ops.constant(_NONE))


def _upright(ops: Operators, boxes: str) -> str:
    """Boxes of negative size as boxes without area: ONNX would take them for the mirrored ones."""
    low, high = _columns(ops, boxes, 0, 2), _columns(ops, boxes, 2, 4)
    return ops("Concat", low, ops("Max", low, high), axis=2)
