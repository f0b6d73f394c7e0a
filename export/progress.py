"""What an export goes through, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final


class Stage(StrEnum):
    """What an export goes through, in this order; what was not asked for is left out."""

    FRAMES = "frames"
    """Frames are read, for int8 and for the comparison."""
    NETWORK = "network"
    """The graph of the network is read, or made."""
    SIMPLIFY = "simplify"
    """Constants are folded, operators fused."""
    HALF = "half"
    """The network goes over to float16."""
    INT8 = "int8"
    """The network runs on the frames, and the ranges of its tensors are measured."""
    MERGE = "merge"
    """Preprocessing and suppression are merged onto the network."""
    WRITE = "write"
    """The graph is checked and written, under a hidden name."""
    VERIFY = "verify"
    """Source and file are compared on the frames."""


EFFORT: Final = {
    Stage.FRAMES: 1.0,
    Stage.NETWORK: 1.0,
    Stage.SIMPLIFY: 1.0,
    Stage.HALF: 1.0,
    Stage.INT8: 25.0,
    Stage.MERGE: 1.0,
    Stage.WRITE: 0.5,
    Stage.VERIFY: 8.0,
}
"""How long the stages take, roughly and to each other, where the source is an ONNX file."""
TRACING: Final = 8.0
"""The effort of making a graph of a PyTorch network."""

FINEST: Final = 0.01
"""Of how much of an export is told inside a stage, at least."""


class Way:
    """The stages of one export, and how far it is on its way.

    Attributes:
        stage: The one under way; an empty string before the first.
        fraction: Of all of the export, 0..1.
    """

    def __init__(self, stages: Sequence[Stage], *, traces: bool) -> None:
        """Plan the way; `traces` tells that the graph is made of a PyTorch network."""
        self.stage = ""
        self.fraction = 0.0
        efforts = [TRACING if traces and stage is Stage.NETWORK else EFFORT[stage] for stage in stages]
        self._lengths = {stage: effort / sum(efforts) for stage, effort in zip(stages, efforts, strict=True)}

    def enter(self, stage: Stage) -> None:
        """Begin a stage."""
        self.stage = str(stage)
        self.fraction = self._begin

    def advance(self, part: float) -> bool:
        """Be at a part (0..1) of the stage; returns whether it is worth telling."""
        fraction = self._begin + self._lengths[Stage(self.stage)] * min(max(part, 0.0), 1.0)
        worth = fraction >= self.fraction + FINEST
        if worth:
            self.fraction = fraction
        return worth

    @property
    def _begin(self) -> float:
        stages = list(self._lengths)
        return sum((self._lengths[each] for each in stages[: stages.index(Stage(self.stage))]), start=0.0)
