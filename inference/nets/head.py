"""The detection head: from three feature maps to boxes and scores.

Boxes are distances from the middle of a cell to the left, top, right and bottom edge, in cells; with `reg_max` above 1 each is
the mean of a distribution over whole cells. Source: Li et al., "Generalized Focal Loss" (2020). The second, one-to-one head,
whose boxes need no suppression, is from Wang et al., "YOLOv10" (2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from framehook.inference.nets.blocks import Conv, DWConv

HeadName: TypeAlias = Literal["one2many", "one2one"]
MAX_DET: Final = 300
"""Boxes of the one-to-one head."""
_BRANCHES: Final[dict[HeadName, tuple[str, str]]] = {"one2many": ("cv2", "cv3"), "one2one": ("one2one_cv2", "one2one_cv3")}
"""Names of each head's box and class branches."""


class Raw(NamedTuple):
    """What a head gives before anything is decoded; what losses are made of.

    Attributes:
        boxes: N x (4 * reg_max) x anchors: logits of the distances' bins, or the distances in cells where reg_max is 1.
        scores: N x classes x anchors, logits.
        anchors: anchors x 2, float32: x and y of each cell's middle, in cells.
        strides: anchors x 1, float32: input pixels a cell.
    """

    boxes: Tensor
    scores: Tensor
    anchors: Tensor
    strides: Tensor


class DFL(nn.Module):
    """Mean of a distribution over `bins` whole numbers, for each of four sides."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(bins, 1, 1, bias=False).requires_grad_(False)
        # On the CPU, as without memory (on `meta`) PyTorch imports its compiler to count, which takes a second.
        self.conv.weight.copy_(torch.arange(bins, dtype=torch.float32, device="cpu")[None, :, None, None])
        self._bins = bins

    def forward(self, x: Tensor) -> Tensor:
        """N x (4 * bins) x anchors logits, wide, to N x 4 x anchors."""
        n, _, anchors = x.shape
        shares = x.view(n, 4, self._bins, anchors).transpose(2, 1).softmax(1)
        return nn.functional.conv2d(shares, _wide(self.conv.weight)).view(n, 4, anchors)


class Detect(nn.Module):
    """Boxes and class scores from feature maps of growing stride.

    Attributes:
        nc: Number of classes.
        reg_max: Bins of each side's distribution.
        strides: Input pixels a cell, of each map.
        one_to_one: Whether there is the second head.
    """

    def __init__(
        self, nc: int, widths: Sequence[int], strides: Sequence[int], *, reg_max: int, one_to_one: bool, depthwise: bool
    ) -> None:
        """Make a head.

        Args:
            nc: Number of classes.
            widths: Channels of each feature map.
            strides: Input pixels a cell, of each map.
            reg_max: Bins of each side's distribution.
            one_to_one: Add the second head.
            depthwise: Light class branches, as from YOLO11 on.
        """
        super().__init__()
        self.nc, self.reg_max, self.strides, self.one_to_one = nc, reg_max, tuple(strides), one_to_one
        self._branches = widths, depthwise
        self.cv2, self.cv3 = self._box_branches(), self._class_branches()
        if reg_max > 1:
            self.dfl = DFL(reg_max)
        if one_to_one:
            self.one2one_cv2, self.one2one_cv3 = self._box_branches(), self._class_branches()
        self.start_biases()

    def _box_branches(self) -> nn.ModuleList:
        widths, _ = self._branches
        inner = max(16, widths[0] // 4, 4 * self.reg_max)
        return nn.ModuleList(
            nn.Sequential(Conv(width, inner, 3), Conv(inner, inner, 3), nn.Conv2d(inner, 4 * self.reg_max, 1))
            for width in widths
        )

    def _class_branches(self) -> nn.ModuleList:
        widths, depthwise = self._branches
        inner = max(widths[0], min(self.nc, 100))

        def step(c1: int) -> nn.Module:
            return nn.Sequential(DWConv(c1, c1, 3), Conv(c1, inner)) if depthwise else Conv(c1, inner, 3)

        return nn.ModuleList(nn.Sequential(step(width), step(inner), nn.Conv2d(inner, self.nc, 1)) for width in widths)

    def start_biases(self) -> None:
        """Set the last biases to what a picture with few objects asks for, so that training starts calmly.

        Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), with five objects in a picture of 640 pixels.
        """
        pairs = [(self.cv2, self.cv3)]
        if self.one_to_one:
            pairs.append((self.one2one_cv2, self.one2one_cv3))
        with torch.no_grad():
            for boxes, classes in pairs:
                for box, kind, stride in zip(boxes, classes, self.strides, strict=True):
                    box[-1].bias.fill_(1.0)  # type: ignore[index]
                    kind[-1].bias.fill_(math.log(5 / self.nc / (640 / stride) ** 2))  # type: ignore[index]

    def raw(self, features: Sequence[Tensor], head: HeadName) -> Raw:
        """One head's outputs, undecoded; `features` are N x channels x height x width, of growing stride."""
        boxes, classes = (getattr(self, name) for name in _BRANCHES[head])
        anchors, strides = cells(features, self.strides)
        return Raw(
            torch.cat([branch(each).flatten(2) for branch, each in zip(boxes, features, strict=True)], 2),
            torch.cat([branch(each).flatten(2) for branch, each in zip(classes, features, strict=True)], 2),
            anchors,
            strides,
        )

    def has(self, head: HeadName) -> bool:
        """Whether it has this head; of a fused network the one that is read is left alone."""
        return hasattr(self, _BRANCHES[head][0])

    def drop(self, head: HeadName) -> None:
        """Leave a head out."""
        for name in _BRANCHES[head]:
            delattr(self, name)

    def distances(self, raw: Raw) -> Tensor:
        """N x 4 x anchors: left, top, right, bottom, in cells."""
        boxes = _wide(raw.boxes)
        return self.dfl(boxes) if self.reg_max > 1 else boxes

    def decode(self, raw: Raw) -> Tensor:
        """N x (4 + classes) x anchors: centre x, centre y, width, height in input pixels, then scores 0..1."""
        left_top, right_bottom = self.distances(raw).chunk(2, 1)
        center = raw.anchors.T + (right_bottom - left_top) / 2
        boxes = torch.cat((center, left_top + right_bottom), 1) * raw.strides.T
        return torch.cat((boxes, _wide(raw.scores).sigmoid()), 1)

    def pick(self, raw: Raw) -> Tensor:
        """N x 300 x 6: the best boxes of the one-to-one head: x1, y1, x2, y2 in input pixels, score, class; best first.

        The best anchors by their best class, then of all their classes the best: an anchor may stand for two classes.
        """
        left_top, right_bottom = self.distances(raw).chunk(2, 1)
        middle = raw.anchors.T
        boxes = torch.cat((middle - left_top, middle + right_bottom), 1) * raw.strides.T
        scores = _wide(raw.scores).sigmoid()
        count = min(MAX_DET, scores.shape[2])
        anchors = scores.amax(1).topk(count, dim=1).indices
        scores = scores.transpose(1, 2).gather(1, anchors[:, :, None].expand(-1, -1, self.nc))
        best, order = scores.flatten(1).topk(count, dim=1)
        rows = anchors.gather(1, order // self.nc)
        corners = boxes.transpose(1, 2).gather(1, rows[:, :, None].expand(-1, -1, 4))
        return torch.cat((corners, best[:, :, None], (order - order // self.nc * self.nc)[:, :, None].to(best.dtype)), 2)


def cells(features: Sequence[Tensor], strides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The middles (anchors x 2, in cells) and strides (anchors x 1) of all cells, map by map, row by row."""
    middles, steps = [], []
    for feature, stride in zip(features, strides, strict=True):
        height, width = feature.shape[2:]
        x = torch.arange(width, device=feature.device, dtype=torch.float32) + 0.5
        y = torch.arange(height, device=feature.device, dtype=torch.float32) + 0.5
        middle = torch.stack((x.expand(height, width), y[:, None].expand(height, width)), -1).view(-1, 2)
        middles.append(middle)
        steps.append(torch.full_like(middle[:, :1], stride))
    return torch.cat(middles), torch.cat(steps)


def _wide(x: Tensor) -> Tensor:
    """In float32 at least: the narrow types tell far cells, and the edges of large boxes, apart by whole pixels only."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
