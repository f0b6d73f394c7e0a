"""What callbacks in the background see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framehook.inference.batch import Batch
from framehook.inference.connection import SourceChange
from framehook.inference.frame import Frame, SourceInfo
from framehook.inference.options import PredictOptions
from framehook.inference.result import Result
from framehook.inference.stats import Stats


@dataclass(frozen=True, slots=True)
class PredictSnapshot:
    """What a background callback sees in place of the predictor; setting an attribute raises.

    Attributes are those of `Predictor`, `frame_results` and `results` being copies.
    """

    args: PredictOptions
    model: object
    device: str
    source: SourceInfo
    sources: tuple[SourceInfo, ...]
    change: SourceChange | None
    batch: Batch | None
    results: list[Any]
    frame_results: list[Result]
    frame: Frame | None
    speed: Mapping[str, float]
    stats: Stats
    save_dir: Path | None
    error: BaseException | None
