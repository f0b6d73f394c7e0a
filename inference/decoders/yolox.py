"""Raw YOLOX outputs, not yet placed on their grids."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import FloatArray
from framehook.inference.decoders.base import Candidates
from framehook.inference.decoders.outputs import FiniteFilter, proposals, wrong_shape
from framehook.inference.decoders.yolo import center_to_corners, pick_by_objectness
from framehook.inference.geometry import Fit
from framehook.inference.preprocess import InputFormat

STRIDES: Final = (8, 16, 32)
"""Input pixels a cell, of the three grids in their order in the output."""


class YoloxDecoder:
    """Anchors first, with objectness, undecoded: N x cells x (5 + classes).

    Columns are the centre's offset from its cell (x, y, in cells), the logarithm of the size (width, height, in cells),
    objectness and class scores, both 0..1. Cells run row by row over the grids of stride 8, 16 and 32. Source: Ge et al.,
    "YOLOX: Exceeding YOLO Series in 2021". A graph exported with the grids applied inside has the layout "yolov5".
    """

    name: ClassVar[str] = "yolox"
    needs_nms: ClassVar[bool] = True
    input_format: ClassVar[InputFormat] = InputFormat(fit=Fit.TOP_LEFT, rgb=False, scale=1)

    def __init__(self) -> None:
        self._finite = FiniteFilter(self.name)

    def decode(self, outputs: Sequence[npt.NDArray[Any]], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        """Decode one network call; see `Decoder.decode`.

        Raises:
            UnknownLayoutError: no output has the shape of this layout at this input size.
        """
        grid = grid_of(input_size)
        axes = f"N x {len(grid)} x (5 + classes) for an input of {input_size[0]} x {input_size[1]}"
        raw = proposals(outputs, layout=self.name, axes=axes)
        if raw.shape[1] != len(grid) or raw.shape[2] < 6:
            raise wrong_shape(outputs, layout=self.name, axes=axes)
        return [self._image(rows, grid, conf) for rows in raw]

    def _image(self, rows: FloatArray, grid: FloatArray, conf: float) -> Candidates:
        cells, boxes, scores, classes = pick_by_objectness(rows, conf, self._finite)
        corner_and_stride = grid[cells]
        with np.errstate(over="ignore", invalid="ignore"):
            boxes[:, :2] += corner_and_stride[:, :2]
            np.exp(boxes[:, 2:4], out=boxes[:, 2:4])
            boxes[:, :4] *= corner_and_stride[:, 2:]
        return self._finite(Candidates(center_to_corners(boxes[:, :4]), scores, classes))


@lru_cache(maxsize=16)
def grid_of(input_size: tuple[int, int]) -> FloatArray:
    """Cells x 3, read-only: column and row of each cell in its grid, and the grid's stride."""
    width, height = input_size
    grids = []
    for stride in STRIDES:
        rows, columns = np.indices((height // stride, width // stride), np.float32)
        grids.append(np.stack((columns, rows, np.full_like(rows, stride)), axis=-1).reshape(-1, 3))
    grid: FloatArray = np.concatenate(grids)
    grid.flags.writeable = False
    return grid
