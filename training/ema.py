"""The running average of a network's weights, which is what is validated and kept."""

from __future__ import annotations

import copy
import math
from typing import Final

import torch

from framehook.inference.nets.net import DetectionNet

DECAY: Final = 0.9999
RAMP: Final = 2000.0
"""Steps over which the average grows slow: at first it must follow weights that still change a lot."""


class ModelEMA:
    """An exponential moving average of weights and batch statistics.

    Source: Polyak averaging, with the ramp that is usual for detectors: decay = 0.9999 (1 - exp(-updates / 2000)).

    Attributes:
        net: The averaged network, in evaluation mode.
        updates: How often it was updated.
    """

    def __init__(self, net: DetectionNet) -> None:
        """Begin with a copy of a network."""
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.updates = 0

    @torch.no_grad()
    def update(self, net: DetectionNet) -> None:
        """Take in the weights of a network after a step."""
        self.updates += 1
        share = 1 - DECAY * (1 - math.exp(-self.updates / RAMP))
        averaged, current = self.net.state_dict(), net.state_dict()
        wide = [key for key, value in averaged.items() if value.is_floating_point()]
        torch._foreach_lerp_([averaged[key] for key in wide], [current[key].detach() for key in wide], share)
        for key in averaged.keys() - set(wide):
            averaged[key].copy_(current[key])

    def broken(self) -> bool:
        """Whether a weight is no number."""
        return not all(bool(value.isfinite().all()) for value in self.net.state_dict().values())
