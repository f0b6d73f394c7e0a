"""Outputs of the DETR family: a fixed number of queries, each of which finds one object or none, so nothing is suppressed.

Source: Carion et al., "End-to-End Object Detection with Transformers", 2020. Four layouts are told apart, after the
projects whose graphs have them:

    name         scores                              pixels             graphs
    rtdetr       sigmoid of each class               0..1               RT-DETR, D-FINE, DEIM
    rfdetr       sigmoid of each class               ImageNet's         RF-DETR, LW-DETR, Deformable and Conditional DETR
    detr         softmax, background as last class   ImageNet's         DETR, Table Transformer
    detr_deploy  finished, boxes in pixels           0..1               RT-DETR, D-FINE and DEIM with postprocessing inside

Their boxes do not tell the first three apart, the names of their outputs only in part: `layout_of_detr` says what is known.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import FloatArray, IntArray
from framehook.inference.decoders.base import Candidates
from framehook.inference.decoders.coco import COCO_NAMES, COCO_NAMES_BY_ID
from framehook.inference.decoders.metadata import declared_count
from framehook.inference.decoders.outputs import FiniteFilter, logit, sigmoid, wrong_shape
from framehook.inference.decoders.yolo import center_to_corners
from framehook.inference.geometry import Fit
from framehook.inference.network import ORIGINAL_SIZES, NetworkInfo
from framehook.inference.preprocess import InputFormat

IMAGENET: Final = InputFormat(fit=Fit.STRETCH, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""Pixels normalised by mean and deviation of those of ImageNet."""
COCO_IDS: Final = max(COCO_NAMES_BY_ID) + 1
"""Columns of networks that number COCO's classes as its annotations do, with gaps."""

_PAIRS: Final = (("logits", "pred_boxes"), ("pred_logits", "pred_boxes"), ("labels", "dets"), ("logits", "boxes"))
"""What exporters call class scores and boxes: Transformers (Optimum), the DETR projects, RF-DETR and LW-DETR, others."""
_DEPLOYED: Final = ("labels", "boxes", "scores")

Picked: TypeAlias = tuple[npt.NDArray[np.intp], FloatArray, IntArray]


class _QueryDecoder:
    """What the raw layouts share: class scores N x queries x classes, boxes N x queries x 4.

    Boxes are centre x, centre y, width and height as fractions of the network input. The two tensors are told apart by name
    once `for_network` has seen the network, else by shape, else by their numbers.
    """

    name: ClassVar[str]
    needs_nms: ClassVar[bool] = False
    input_format: ClassVar[InputFormat]

    def __init__(self, order: tuple[int, int] | None = None) -> None:
        """Decode with this order of outputs: positions of class scores and boxes; None to find them."""
        self._order = order
        self._finite = FiniteFilter(self.name)

    def for_network(self, network: NetworkInfo) -> Self:
        """Return a decoder that knows the network's outputs by name, or finds them if they have other names."""
        return type(self)(_order_of(network))

    def decode(self, outputs: Sequence[npt.NDArray[Any]], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        """Decode one network call; see `Decoder.decode`.

        Raises:
            UnknownLayoutError: the outputs are not those of this layout.
        """
        classes, boxes = self._split(outputs)
        width, height = input_size
        size = np.array([width, height, width, height], np.float32)
        found = []
        for values, centers in zip(classes, boxes, strict=True):
            queries, scores, numbers = self._pick(values, conf)
            found.append(self._finite(Candidates(center_to_corners(centers[queries]) * size, scores, numbers)))
        return found

    def _split(self, outputs: Sequence[npt.NDArray[Any]]) -> tuple[FloatArray, FloatArray]:
        order = self._order or _order_by_value(outputs)
        if order is None:
            raise wrong_shape(outputs, layout=self.name, axes="classes N x queries x classes, boxes N x queries x 4")
        classes, boxes = (np.asarray(outputs[position], np.float32) for position in order)
        return classes, boxes

    def _pick(self, values: FloatArray, conf: float) -> Picked:
        """Queries that score above `conf`, with their scores and classes, of queries x columns."""
        raise NotImplementedError


class RtDetrDecoder(_QueryDecoder):
    """Class scores by sigmoid, pixels 0..1: RT-DETR (Zhao et al., 2023), D-FINE, DEIM.

    Outputs as in Transformers' (Optimum's) exports, `logits` N x queries x classes and `pred_boxes`; or one of N x queries x
    (4 + classes), boxes first, as Ultralytics exports RT-DETR. Scores may be logits or 0..1: if any is negative, they are
    logits. Each class of a query counts, so that one query may give several boxes.
    """

    name = "rtdetr"
    input_format = InputFormat(fit=Fit.STRETCH)

    def _split(self, outputs: Sequence[npt.NDArray[Any]]) -> tuple[FloatArray, FloatArray]:
        if self._order is None and [output.ndim for output in outputs] == [3] and outputs[0].shape[2] > 4:
            both = np.asarray(outputs[0], np.float32)
            return both[..., 4:], both[..., :4]
        return super()._split(outputs)

    def _pick(self, values: FloatArray, conf: float) -> Picked:
        return _every_class(values, conf)


class RfDetrDecoder(_QueryDecoder):
    """Class scores by sigmoid, pixels normalised by ImageNet's: RF-DETR, LW-DETR, Deformable and Conditional DETR.

    Outputs as RF-DETR exports them, `dets` (boxes) and `labels` (logits), or under the names of Transformers. 91 columns are
    COCO's, numbered as in its annotations, from 1 with gaps; of any other number the last is a background that is not used,
    unless the metadata names as many classes. Each class of a query counts.
    """

    name = "rfdetr"
    input_format = dataclasses.replace(IMAGENET, size=(560, 560))

    def __init__(self, order: tuple[int, int] | None = None, nc: int | None = None) -> None:
        """Decode with this order of outputs, and so many classes.

        Args:
            order: Positions of class scores and boxes; None to find them.
            nc: Number of classes; None to derive it from the number of columns.
        """
        super().__init__(order)
        self._nc = nc

    def for_network(self, network: NetworkInfo) -> Self:
        """Return a decoder that knows the network's outputs by name, and its classes, as far as it tells."""
        return type(self)(_order_of(network), declared_count(network))

    def _pick(self, values: FloatArray, conf: float) -> Picked:
        return _every_class(values[:, : self._nc or without_background(values.shape[1])], conf)


class DetrDecoder(_QueryDecoder):
    """Class scores by softmax, the last class the background, pixels normalised by ImageNet's: DETR (Carion et al., 2020).

    Outputs `logits` or `pred_logits`, N x queries x (classes + 1), and `pred_boxes`. 92 columns are COCO's, numbered as in its
    annotations, and the background. The best class of a query counts.

    Where the graph leaves its input size open, pictures are stretched to 1066 x 800, which DETR makes of COCO's 640 x 480.
    """

    name = "detr"
    input_format = dataclasses.replace(IMAGENET, size=(1066, 800))

    def _pick(self, values: FloatArray, conf: float) -> Picked:
        with np.errstate(invalid="ignore"):
            weights = np.exp(values - values.max(axis=1, keepdims=True))
        best = weights[:, :-1].max(axis=1) / weights.sum(axis=1)
        # "Not at most" lets NaN through, here and below, to be dropped with a word.
        queries = np.flatnonzero(~(best <= conf))
        return queries, best[queries], weights[queries, :-1].argmax(axis=1)


class DetrDeployDecoder:
    """Finished detections: `labels` N x max, `boxes` N x max x 4 (left, top, right, bottom) in input pixels, `scores` N x max.

    As written by the export scripts of RT-DETR, D-FINE and DEIM. Such graphs take the size their boxes are scaled to as a
    second input, `orig_target_sizes`, and are given that of the input. The tensors are told apart by name once `for_network`
    has seen the network, else by shape and type.
    """

    name: ClassVar[str] = "detr_deploy"
    needs_nms: ClassVar[bool] = False
    input_format: ClassVar[InputFormat] = InputFormat(fit=Fit.STRETCH)

    def __init__(self, order: tuple[int, int, int] | None = None) -> None:
        """Decode with this order of outputs: positions of labels, boxes and scores; None to find them."""
        self._order = order
        self._finite = FiniteFilter(self.name)

    def for_network(self, network: NetworkInfo) -> Self:
        """Return a decoder that knows the network's outputs by name, or finds them if they have other names."""
        names = [output.name for output in network.outputs]
        if not set(_DEPLOYED) <= set(names):
            return type(self)()
        labels, boxes, scores = (names.index(name) for name in _DEPLOYED)
        return type(self)((labels, boxes, scores))

    def decode(self, outputs: Sequence[npt.NDArray[Any]], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        """Decode one network call; see `Decoder.decode`.

        Raises:
            UnknownLayoutError: the outputs are not those of this layout.
        """
        order = self._order or _order_by_type(outputs)
        if order is None:
            raise wrong_shape(outputs, layout=self.name, axes="labels N x max, boxes N x max x 4, scores N x max")
        found = []
        for labels, boxes, scores in zip(*(outputs[position] for position in order), strict=True):
            rows = np.flatnonzero(~(scores <= conf))
            found.append(
                self._finite(
                    Candidates(boxes[rows].astype(np.float32), scores[rows].astype(np.float32), labels[rows].astype(np.int64))
                )
            )
        return found


def layout_of_detr(network: NetworkInfo) -> str | None:
    """Which layout of the family a network has, as far as the names and shapes of its inputs and outputs tell.

    - `labels`, `boxes` and `scores`, and an input `orig_target_sizes`: detr_deploy.
    - `dets` and `labels` of three axes: rfdetr.
    - `logits` or `pred_logits`, and `pred_boxes`: what the number of columns gives away. One more than the metadata names
      classes: detr. Else 80, COCO's classes: rtdetr. 91, COCO's with gaps: rfdetr. 92, those and the background: detr. Any
      other may be each of the three.

    Returns:
        The name of the decoder; None for a network of another family, and where the columns do not tell.
    """
    shapes = {output.name: output.shape for output in network.outputs}
    if set(_DEPLOYED) <= shapes.keys() and any(tensor.name == ORIGINAL_SIZES for tensor in network.inputs):
        return "detr_deploy"
    columns = query_columns(network)
    if columns is None or any(len(shape) > 3 for shape in shapes.values()):
        return None
    if {"dets", "labels"} <= shapes.keys():
        return "rfdetr"
    if "pred_boxes" not in shapes:
        return None
    nc = declared_count(network)
    if nc is not None and columns == nc + 1:
        return "detr"
    known = {len(COCO_NAMES): "rtdetr", COCO_IDS: "rfdetr", COCO_IDS + 1: "detr"}
    return known.get(columns) if nc in (None, columns) else None


def query_columns(network: NetworkInfo) -> int | None:
    """Columns of the class scores of a network that gives class scores and boxes of queries.

    Returns:
        Their number; None for other networks, and where the graph leaves it open.
    """
    order = _order_of(network)
    if order is None:
        return None
    classes, boxes = (network.outputs[position].shape for position in order)
    return classes[2] if len(classes) == 3 and len(boxes) == 3 and boxes[2] in (4, None) else None


def without_background(columns: int) -> int:
    """How many of the columns of layout "rfdetr" are classes."""
    return columns if columns == COCO_IDS else columns - 1


def _every_class(values: FloatArray, conf: float) -> Picked:
    """Every class of every query that scores above `conf`: scores 0..1, or logits, of which some are negative."""
    logits = bool((values < 0).any())
    queries, classes = np.nonzero(~(values <= (logit(conf) if logits else conf)))
    scores = values[queries, classes]
    return queries, sigmoid(scores) if logits else scores, classes


def _order_of(network: NetworkInfo) -> tuple[int, int] | None:
    """Positions of class scores and boxes among a network's outputs: by the names of a known pair, else by shape."""
    names = [output.name for output in network.outputs]
    for classes, boxes in _PAIRS:
        if classes in names and boxes in names:
            return names.index(classes), names.index(boxes)
    return _order_by_columns([output.shape for output in network.outputs])


def _order_by_columns(shapes: Sequence[tuple[int | None, ...]]) -> tuple[int, int] | None:
    """Positions of class scores and boxes among two shapes of three axes: boxes alone have four columns."""
    if [len(shape) for shape in shapes] != [3, 3]:
        return None
    columns = [shape[2] for shape in shapes]
    if None in columns or columns.count(4) != 1:
        return None
    boxes = columns.index(4)
    return 1 - boxes, boxes


def _order_by_value(outputs: Sequence[npt.NDArray[Any]]) -> tuple[int, int] | None:
    """Positions of class scores and boxes: where both have four columns, boxes alone have no negative number."""
    if [output.shape[2:] for output in outputs] == [(4,), (4,)]:
        boxes = [position for position, output in enumerate(outputs) if not (output < 0).any()]
        return (1 - boxes[0], boxes[0]) if len(boxes) == 1 else None
    return _order_by_columns([output.shape for output in outputs])


def _order_by_type(outputs: Sequence[npt.NDArray[Any]]) -> tuple[int, int, int] | None:
    """Positions of labels, boxes and scores: labels are whole numbers, boxes have a third axis."""
    kinds = [f"{output.ndim}{output.dtype.kind}" for output in outputs]
    if sorted(kinds) != ["2f", "2i", "3f"]:
        return None
    return kinds.index("2i"), kinds.index("3f"), kinds.index("2f")
