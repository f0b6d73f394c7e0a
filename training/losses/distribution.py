"""Distances as distributions over whole cells: their mean, and the loss that shapes them.

Source: Li et al., "Generalized Focal Loss" (2020).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def expectation(logits: Tensor) -> Tensor:
    """Mean of each distribution.

    Args:
        logits: ... x bins, of the distances 0, 1, 2 ...

    Returns:
        ...: 0..bins - 1.
    """
    bins = torch.arange(logits.shape[-1], dtype=logits.dtype, device=logits.device)
    return logits.softmax(-1) @ bins


def distribution_loss(logits: Tensor, distances: Tensor) -> Tensor:
    """Cross-entropy with the two bins that a distance lies between, each by its nearness.

    Args:
        logits: ... x bins, two bins at least.
        distances: ...: what the mean should be; distances beyond the bins count as the outermost ones.

    Returns:
        ...: 0 or more.
    """
    last = logits.shape[-1] - 1
    wanted = distances.clamp(0, last)
    lower = wanted.floor().clamp_max(last - 1)
    share = wanted - lower
    number = lower.long()[..., None]
    shares = functional.log_softmax(logits, -1)
    near, far = shares.gather(-1, number)[..., 0], shares.gather(-1, number + 1)[..., 0]
    return -(near * (1 - share) + far * share)
