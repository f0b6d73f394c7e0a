"""What callbacks in the background see of a validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes
from framehook.training.batches import ValBatch
from framehook.training.confusion import ConfusionMatrix
from framehook.training.metrics import DetectionMetrics
from framehook.training.options import ValOptions

if TYPE_CHECKING:
    from framehook.inference.detector import Detector, HasDetector


@dataclass(frozen=True, slots=True, eq=False)
class ValSnapshot:
    """What a background callback sees in place of the validator; setting an attribute raises.

    Attributes are those of `Validator`, of the moment; there is no `dataloader`.
    """

    args: ValOptions
    model: HasDetector | Detector
    names: Mapping[int, str]
    device: str
    training: bool
    batch_i: int
    batch: ValBatch | None
    preds: list[Boxes]
    seen: int
    metrics: DetectionMetrics | None
    confusion_matrix: ConfusionMatrix
    loss: npt.NDArray[np.float64] | None
    speed: Mapping[str, float]
    save_dir: Path | None
    error: BaseException | None
