"""The loss of a detection network: of its boxes, its classes, and the distances that boxes are made of."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from framehook.inference.nets.head import Raw
from framehook.inference.nets.net import DetectionNet, Heads
from framehook.training.batch import Targets
from framehook.training.losses.assign import assignment
from framehook.training.losses.distribution import distribution_loss, expectation
from framehook.training.losses.iou import ciou

TOPK: Final = 10
"""Cells that learn an object, of the head whose boxes overlap."""


class DetectionLoss:
    """What training makes small.

    Of each head: CIoU of the boxes, binary cross-entropy of the class scores, and of the distances either the distribution
    focal loss or, where the network gives plain distances, their absolute error in cells. Cells and their wanted scores are
    chosen by `assignment`; boxes and distances count by the wanted score of their cell, and each term is divided by the sum of
    the wanted scores in the batch, 1 at least. It is computed in float32 at least, also under autocast.

    Attributes:
        names: Of the items, in their order: `box_loss`, `cls_loss` and `dfl_loss`, or `l1_loss` for plain distances.
    """

    def __init__(self, net: DetectionNet, *, box: float, cls: float, dfl: float) -> None:
        """Make the loss of one network.

        Args:
            net: The network, not wrapped; its copies have the same loss.
            box: Weight of the boxes.
            cls: Weight of the classes.
            dfl: Weight of the distances.
        """
        self.names = ("box_loss", "cls_loss", "dfl_loss" if net.detect.reg_max > 1 else "l1_loss")
        self._detect = net.detect
        self._weights = box, cls, dfl

    def __call__(self, heads: Heads, targets: Targets) -> tuple[Tensor, Tensor]:
        """Measure a batch.

        Args:
            heads: What the network gave in training mode.
            targets: What is in the pictures, on the same device: classes below the network's number of them, boxes within the
                pictures. There may be none.

        Returns:
            A scalar to go backward from: the sum of the items times the number of pictures. And the items, 3, detached: those
            of both heads added up, with their weights.
        """
        with torch.autocast(heads.one2many.boxes.device.type, enabled=False):
            items = self._items(heads.one2many, targets, TOPK)
            if heads.one2one is not None:
                items = items + self._items(heads.one2one, targets, 1)
        return items.sum() * len(heads.one2many.boxes), items.detach()

    def _items(self, raw: Raw, targets: Targets, topk: int) -> Tensor:
        raw = Raw(_wide(raw.boxes), _wide(raw.scores), raw.anchors, raw.strides)
        with torch.no_grad():
            predicted = corners(self._detect.distances(raw).transpose(1, 2), raw.anchors) * raw.strides
        chosen = assignment(
            raw.scores, predicted, raw.anchors * raw.strides, targets, topk=topk, cell=min(self._detect.strides)
        )
        picture, cls, middle = targets.picture[chosen.box], targets.cls[chosen.box], raw.anchors[chosen.anchor]
        norm = chosen.score.sum().clamp_min(1)

        # Cross-entropy with a wanted score t is softplus(x) - t x, and t is 0 nearly everywhere.
        classes = functional.softplus(raw.scores).sum() - (raw.scores[picture, cls, chosen.anchor] * chosen.score).sum()

        wanted = targets.xyxy.to(chosen.score.dtype)[chosen.box] / raw.strides[chosen.anchor]
        edges = torch.cat((middle - wanted[:, :2], wanted[:, 2:] - middle), 1)
        outputs = raw.boxes[picture, :, chosen.anchor]
        if self._detect.reg_max > 1:
            logits = outputs.view(-1, 4, self._detect.reg_max)
            distances, errors = expectation(logits), distribution_loss(logits, edges)
        else:
            distances, errors = outputs, (outputs - edges).abs()
        boxes = ((1 - ciou(corners(distances, middle), wanted)) * chosen.score).sum()
        sides = (errors.mean(1) * chosen.score).sum()
        return torch.stack([weight * each / norm for weight, each in zip(self._weights, (boxes, classes, sides), strict=True)])


def corners(distances: Tensor, middles: Tensor) -> Tensor:
    """Boxes, ... x 4: left, top, right, bottom, from the distances of these to cells' middles (... x 2)."""
    left_top, right_bottom = distances.chunk(2, -1)
    return torch.cat((middles - left_top, middles + right_bottom), -1)


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
