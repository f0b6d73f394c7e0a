"""Raw YOLO outputs, boxes in input pixels and nothing suppressed: the layouts of YOLOv8/11 and of YOLOv5/v7."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import FloatArray
from framehook.inference.decoders.base import Candidates
from framehook.inference.decoders.outputs import FiniteFilter, proposals, wrong_shape
from framehook.inference.preprocess import InputFormat


class YoloDecoder:
    """Channels first, no objectness: N x (4 + classes) x anchors.

    Rows 0..3 are centre x, centre y, width and height in input pixels, the rest class scores 0..1. As exported for YOLOv8,
    YOLO11 and the one-to-many head of YOLO26 (anchor-free, one anchor a cell), and for our own person320.
    """

    name: ClassVar[str] = "yolo"
    needs_nms: ClassVar[bool] = True
    input_format: ClassVar[InputFormat] = InputFormat()

    def __init__(self) -> None:
        self._finite = FiniteFilter(self.name)

    def decode(self, outputs: Sequence[npt.NDArray[Any]], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        """Decode one network call; see `Decoder.decode`.

        Raises:
            UnknownLayoutError: no output has the shape of this layout.
        """
        axes = "N x (4 + classes) x anchors"
        raw = proposals(outputs, layout=self.name, axes=axes)
        if raw.shape[1] < 5:
            raise wrong_shape(outputs, layout=self.name, axes=axes)
        return [self._image(columns, conf) for columns in raw]

    def _image(self, columns: FloatArray, conf: float) -> Candidates:
        scores = columns[4:]
        best = scores[0] if len(scores) == 1 else scores.max(axis=0)
        # A maximum over NaN is NaN: one number tells whether any score is broken, and a comparison with it is never true.
        top = best.max(initial=0)
        if top <= conf:
            return Candidates.empty()
        if np.isnan(top):
            self._finite.warn()
        # Only what passes is gathered and transposed; of 8400 anchors that is a handful.
        rows = np.flatnonzero(best > conf)
        return self._finite(
            Candidates(
                center_to_corners(columns[:4, rows].T),
                best[rows],
                scores[:, rows].argmax(axis=0) if len(scores) > 1 else np.zeros(len(rows), np.int64),
            )
        )


class YoloV5Decoder:
    """Anchors first, with objectness: N x anchors x (5 + classes).

    Columns are centre x, centre y, width and height in input pixels, objectness, class scores; the score is objectness times
    class score. As exported for YOLOv5 and YOLOv7 (three anchors a cell). Graphs of other families that apply their grid
    inside, such as a decoded YOLOX, are of this layout too.
    """

    name: ClassVar[str] = "yolov5"
    needs_nms: ClassVar[bool] = True
    input_format: ClassVar[InputFormat] = InputFormat()

    def __init__(self) -> None:
        self._finite = FiniteFilter(self.name)

    def decode(self, outputs: Sequence[npt.NDArray[Any]], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        """Decode one network call; see `Decoder.decode`.

        Raises:
            UnknownLayoutError: no output has the shape of this layout.
        """
        axes = "N x anchors x (5 + classes)"
        raw = proposals(outputs, layout=self.name, axes=axes)
        if raw.shape[2] < 6:
            raise wrong_shape(outputs, layout=self.name, axes=axes)
        return [self._image(rows, conf) for rows in raw]

    def _image(self, rows: FloatArray, conf: float) -> Candidates:
        _, picked, scores, classes = pick_by_objectness(rows, conf, self._finite)
        return self._finite(Candidates(center_to_corners(picked[:, :4]), scores, classes))


def center_to_corners(xywh: FloatArray) -> FloatArray:
    """N x 4 centre x, centre y, width, height to N x 4 left, top, right, bottom. Returns a new array."""
    corners = np.empty((len(xywh), 4), np.float32)
    half = xywh[:, 2:] * np.float32(0.5)
    # Infinite boxes make NaN corners here; they are dropped, and warned about, right after.
    with np.errstate(invalid="ignore"):
        np.subtract(xywh[:, :2], half, out=corners[:, :2])
        np.add(xywh[:, :2], half, out=corners[:, 2:])
    return corners


def pick_by_objectness(
    rows: FloatArray, conf: float, finite: FiniteFilter
) -> tuple[npt.NDArray[np.intp], FloatArray, FloatArray, npt.NDArray[np.intp]]:
    """Find the anchors that score above `conf`, where a row is box, objectness, class scores.

    Class scores are 1 at most, so an anchor whose objectness does not exceed `conf` cannot: the many class scores are read only
    for the few that do.

    Returns:
        Numbers of the anchors; their rows; their scores (objectness times best class score); their classes.
    """
    objectness = np.ascontiguousarray(rows[:, 4])  # it lies scattered over a megabyte that is read once, not twice
    if np.isnan(objectness.max(initial=0)):
        finite.warn()
    anchors = np.flatnonzero(objectness > conf)
    picked = rows[anchors]
    classes = picked[:, 5:].argmax(axis=1)
    scores = picked[np.arange(len(picked)), classes + 5]
    with np.errstate(invalid="ignore"):
        scores *= picked[:, 4]
    if np.isnan(scores.max(initial=0)):
        finite.warn()
    passed = scores > conf
    return anchors[passed], picked[passed], scores[passed], classes[passed]
