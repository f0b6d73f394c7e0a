"""Outputs of networks that end in finished detections: suppression, if any, happened inside the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import FloatArray
from framehook.inference.decoders.base import Candidates
from framehook.inference.decoders.outputs import FiniteFilter, proposals, wrong_shape
from framehook.inference.preprocess import InputFormat


class End2EndDecoder:
    """N x max x 6: left, top, right, bottom in input pixels, score, class number.

    Rows that hold no detection score zero. As exported for YOLOv10, for the one-to-one head of YOLO26, and for any YOLO with
    suppression in its graph.
    """

    name: ClassVar[str] = "end2end"
    needs_nms: ClassVar[bool] = False
    input_format: ClassVar[InputFormat] = InputFormat()

    def __init__(self) -> None:
        self._finite = FiniteFilter(self.name)

    def decode(self, outputs: Sequence[npt.NDArray[Any]], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        """Decode one network call; see `Decoder.decode`.

        Raises:
            UnknownLayoutError: no output has the shape of this layout.
        """
        axes = "N x max x 6"
        raw = proposals(outputs, layout=self.name, axes=axes)
        if raw.shape[2] != 6:
            raise wrong_shape(outputs, layout=self.name, axes=axes)
        return [self._image(rows, conf) for rows in raw]

    def _image(self, rows: FloatArray, conf: float) -> Candidates:
        # "Not at most" lets NaN through, so that the broken rows are seen, warned about and dropped together.
        picked = rows[~(rows[:, 4] <= conf)]
        good = np.isfinite(picked).all(axis=1)
        if not good.all():
            self._finite.warn()
            picked = picked[good]
        return Candidates(np.ascontiguousarray(picked[:, :4]), picked[:, 4].copy(), picked[:, 5].astype(np.int64))
