"""NanoDet outputs: class scores, and a distribution over distances for each side of the box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import FloatArray
from framehook.inference.decoders.base import Candidates
from framehook.inference.decoders.coco import COCO_NAMES
from framehook.inference.decoders.metadata import declared_count
from framehook.inference.decoders.outputs import FiniteFilter, logit, proposals, sigmoid, wrong_shape
from framehook.inference.geometry import Fit
from framehook.inference.network import NetworkInfo
from framehook.inference.preprocess import InputFormat

PLUS_STRIDES: Final = (8, 16, 32, 64)
"""Input pixels a cell, of the four grids of NanoDet-Plus in their order in the output."""
STRIDES: Final = (8, 16, 32)
"""The same of NanoDet's first version."""
BINS: Final = 8
"""Distances 0 to 7 cells (`reg_max` 7): every NanoDet-Plus, and most of the first version."""
MORE_BINS: Final = 11
"""Distances 0 to 10 cells (`reg_max` 10): the larger ones of the first version."""


class NanoDetDecoder:
    """Anchors first, a distribution for each side: N x cells x (classes + 4 x bins).

    Columns are class scores, then for left, top, right and bottom the logits of a distribution over the distances 0, 1, 2 ...
    cells from the anchor's point to that side; the distance is the mean of the distribution. Sources: Li et al., "Generalized
    Focal Loss: Learning Qualified and Distributed Bounding Boxes for Dense Object Detection", 2020, and the NanoDet project.

    - Four grids of stride 8, 16, 32 and 64 are a NanoDet-Plus, whose points lie in the top left corners of the cells; three of
      stride 8, 16 and 32 are a NanoDet of the first version, whose points lie in the middle. Cells that stick out of the input
      count, and they run row by row.
    - Graphs written by the project give scores 0..1, those converted from its ncnn weights give logits. Scores are
      never negative; logits show themselves, as in every picture some cell does not hold the first class.
    - The number of bins follows from the number of classes, as `for_network` reads it from the metadata; without such there are
      eight, or eleven where that makes it the 80 classes of COCO.

    The picture is stretched to the input, as NanoDet-Plus is trained: NanoDet-Plus-m has an AP50 of .490 on pictures of COCO
    this way and of .456 with their shape kept (.9216 and .9223 for persons in a clip of 4:3).
    """

    name: ClassVar[str] = "nanodet"
    needs_nms: ClassVar[bool] = True
    input_format: ClassVar[InputFormat] = InputFormat(
        fit=Fit.STRETCH,
        rgb=False,
        scale=1,
        mean=(103.53, 116.28, 123.675),
        std=(57.375, 57.12, 58.395),
        size=(416, 416),
    )

    def __init__(self, nc: int | None = None) -> None:
        """Decode outputs of so many classes; None to derive it from the number of columns."""
        self._nc = nc
        self._finite = FiniteFilter(self.name)

    def for_network(self, network: NetworkInfo) -> Self:
        """Return a decoder that knows the number of classes, where the network's metadata tells it."""
        return type(self)(declared_count(network))

    def decode(self, outputs: Sequence[npt.NDArray[Any]], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        """Decode one network call; see `Decoder.decode`.

        Raises:
            UnknownLayoutError: no output has the shape of this layout at this input size.
        """
        axes = f"N x cells x (classes + 4 x bins) for an input of {input_size[0]} x {input_size[1]}"
        raw = proposals(outputs, layout=self.name, axes=axes)
        nc = class_columns(raw.shape[2], self._nc)
        grid = grids_of(input_size).get(raw.shape[1])
        if nc is None or grid is None:
            raise wrong_shape(outputs, layout=self.name, axes=axes)
        return [self._image(rows, grid, nc, conf) for rows in raw]

    def _image(self, rows: FloatArray, grid: FloatArray, nc: int, conf: float) -> Candidates:
        logits = bool((rows[:, 0] < 0).any())
        threshold = logit(conf) if logits else conf
        # The many distributions are read only for the cells that pass. "Not at most" lets NaN through, to be dropped below.
        cells = np.flatnonzero(~(rows[:, :nc] <= threshold).all(axis=1))
        picked, points = rows[cells], grid[cells]
        best, classes = picked[:, :nc].max(axis=1), picked[:, :nc].argmax(axis=1)
        with np.errstate(invalid="ignore"):
            sides = _mean_distances(picked[:, nc:]) * points[:, 2:]
            xyxy = np.concatenate((points[:, :2] - sides[:, :2], points[:, :2] + sides[:, 2:]), axis=1)
        return self._finite(Candidates(xyxy, sigmoid(best) if logits else best, classes))


def class_columns(columns: int, nc: int | None) -> int | None:
    """How many of so many columns are classes: `nc` if it leaves four distributions; without it what the known ones leave.

    Returns:
        The number of classes; None where the columns cannot be split.
    """
    if nc is not None:
        bins, rest = divmod(columns - nc, 4)
        return nc if rest == 0 and bins >= 2 else None
    if columns == len(COCO_NAMES) + 4 * MORE_BINS:
        return len(COCO_NAMES)
    return columns - 4 * BINS if columns > 4 * BINS else None


def cell_count(input_size: tuple[int, int], strides: Sequence[int]) -> int:
    """Cells of all grids of an input of (width, height), those that stick out of it included."""
    width, height = input_size
    return sum(math.ceil(width / stride) * math.ceil(height / stride) for stride in strides)


def _mean_distances(distributions: FloatArray) -> FloatArray:
    """N x (4 x bins) logits to N x 4 means of the distributions, in cells."""
    values = distributions.reshape(len(distributions), 4, distributions.shape[1] // 4)
    weights = np.exp(values - values.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    means: FloatArray = weights @ np.arange(weights.shape[2], dtype=np.float32)
    return means


@lru_cache(maxsize=16)
def grids_of(input_size: tuple[int, int]) -> dict[int, FloatArray]:
    """The anchors of NanoDet-Plus and of the first version by their number: cells x 3, read-only.

    Columns are x and y of the point in input pixels, and the stride.
    """
    width, height = input_size
    grids = {}
    for strides, offset in ((PLUS_STRIDES, 0.0), (STRIDES, 0.5)):
        levels = []
        for stride in strides:
            rows, columns = np.indices((math.ceil(height / stride), math.ceil(width / stride)), np.float32)
            points = (columns + offset) * stride, (rows + offset) * stride
            levels.append(np.stack((*points, np.full_like(rows, stride)), axis=-1).reshape(-1, 3))
        grid: FloatArray = np.concatenate(levels)
        grid.flags.writeable = False
        grids[len(grid)] = grid
    return grids
