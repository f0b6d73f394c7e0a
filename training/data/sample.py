"""One labelled picture, and a split of a dataset: what everything that reads datasets makes, and everything else takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from framehook.training.data.report import DataReport


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A picture and its labels.

    Attributes:
        path: The picture's file.
        size: (width, height) in pixels, as OpenCV decodes it: turned upright where the file says how.
        cls: n, int64: class numbers.
        xyxy: n x 4, float64: left, top, right, bottom in pixels of the picture, within it.
        crowd: n, bool: the box stands for many objects (COCO's `iscrowd`); such are not trained on, and what is found in them
            counts neither for nor against.
        area: n, float64: pixels an object covers, by which small, medium and large are told apart; of its outline where that
            is known, else of its box.
    """

    path: Path
    size: tuple[int, int]
    cls: npt.NDArray[np.int64]
    xyxy: npt.NDArray[np.float64]
    crowd: npt.NDArray[np.bool_]
    area: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.cls)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The pictures of one part of a dataset.

    Attributes:
        name: `train`, `val` or `test`.
        names: Class number to class name.
        samples: In the order of their paths.
        report: What was found in reading them.
    """

    name: str
    names: Mapping[int, str]
    samples: tuple[Sample, ...]
    report: DataReport
