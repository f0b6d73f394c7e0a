"""How well boxes lie on each other, in two ways: to choose by, and to learn from."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

_SMALL: Final = 1e-7
"""Least side, and least area, that is divided by."""


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each box of `a` with its counterpart in `b`; 0 where one has no area.

    Args:
        a: ... x 4: left, top, right, bottom, in any one unit. A right edge left of the left one makes a box without area.
        b: As `a`, or of a shape that broadcasts with it.

    Returns:
        ...: 0..1.
    """
    shared = _intersection(a, b)
    return shared / (_area(a) + _area(b) - shared).clamp_min(_SMALL)


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU: the intersection over union, less the distance of the middles and the difference of the shapes.

    It has a slope wherever the boxes lie, however far apart. Source: Zheng et al., "Distance-IoU Loss" (2020), the weight of
    the shapes' difference being a constant to gradients as there.

    Args:
        a: ... x 4: predicted left, top, right, bottom, in any one unit.
        b: ... x 4: what they should be.

    Returns:
        ...: above -2, to 1.
    """
    overlap = iou(a, b)
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2).square().sum(-1)
    around = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    distance = apart / around.square().sum(-1).clamp_min(_SMALL)
    shape = 4 / math.pi**2 * (_slant(b) - _slant(a)).square()
    with torch.no_grad():
        weight = shape / (1 - overlap + shape).clamp_min(_SMALL)
    return overlap - distance - weight * shape


def _intersection(a: Tensor, b: Tensor) -> Tensor:
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    return sides.clamp_min(0).prod(-1)


def _area(box: Tensor) -> Tensor:
    return (box[..., 2:] - box[..., :2]).clamp_min(0).prod(-1)


def _slant(box: Tensor) -> Tensor:
    width, height = (box[..., 2:] - box[..., :2]).clamp_min(_SMALL).unbind(-1)
    return torch.atan(width / height)
