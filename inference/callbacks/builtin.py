"""The callbacks that a run's options ask for."""

from __future__ import annotations

from framehook.inference.callbacks.base import Callback
from framehook.inference.frame import SourceInfo
from framehook.inference.options import PredictOptions


def builtin_callbacks(options: PredictOptions, source: SourceInfo) -> list[Callback]:
    """Make the callbacks that the options of a run over `source` ask for."""
    return []
