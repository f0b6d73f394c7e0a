"""Which cells are to learn which object, and how sure of it they are to be.

Source: Feng et al., "TOOD: Task-aligned One-stage Object Detection" (2021): an object takes the cells that by now do best at
both its class and its box; for a head without suppression it takes one alone, as in Wang et al., "YOLOv10" (2024).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from framehook.training.batch import Targets
from framehook.training.losses.iou import iou

ALPHA: Final = 0.5
"""Power of the class score in how well a cell does."""
BETA: Final = 6.0
"""Power of the overlap in it."""
PAIRS: Final = 1 << 22
"""Pairs of object and cell that are looked at together: what memory is bounded by, with hundreds of objects a picture."""


class Assignment(NamedTuple):
    """The cells that are to learn an object; a cell learns one at most.

    Attributes:
        box: P, int64: number of the object, in the order of the targets; ascending.
        anchor: P, int64: number of the cell, within the picture of the object.
        score: P: what the cell is to score for the object's class, 0..1, and how much its box counts.
    """

    box: Tensor
    anchor: Tensor
    score: Tensor


@torch.no_grad()
def assignment(
    scores: Tensor,
    boxes: Tensor,
    middles: Tensor,
    targets: Targets,
    *,
    topk: int,
    cell: float,
    alpha: float = ALPHA,
    beta: float = BETA,
) -> Assignment:
    """Choose cells for objects.

    Candidates of an object are the cells whose middle lies in its box. A box narrower or lower than a finest cell, which may
    hold no middle, counts as of that width or height for this, around its own middle: so it has the nearest cell for a
    candidate. Candidates are ranked by score ** alpha * overlap ** beta; the best `topk` are taken. A cell that several objects
    take goes to the one that its box overlaps most, of equal ones to the first. The score wanted of a cell is its value in that
    ranking, scaled such that an object's best cell is to score the best overlap among its cells.

    Args:
        scores: N x classes x anchors, logits.
        boxes: N x anchors x 4: predicted left, top, right, bottom in input pixels.
        middles: anchors x 2: x and y of each cell's middle in input pixels.
        targets: The objects.
        topk: Cells an object takes at most.
        cell: Side of the finest cells in input pixels.
        alpha: Power of the class score.
        beta: Power of the overlap.
    """
    wanted = targets.xyxy.to(boxes.dtype)
    rows = max(1, PAIRS // len(middles))
    chunks = zip(*(torch.split(each, rows) for each in (targets.picture, targets.cls, wanted)), strict=True)
    ranked = [_best(scores, boxes, middles, Targets(*chunk), topk, cell, alpha, beta) for chunk in chunks]
    values, anchors = (torch.cat(each) for each in zip(*ranked, strict=True))
    box, column = (values >= 0).nonzero(as_tuple=True)
    value, anchor, picture = values[box, column], anchors[box, column], targets.picture[box]

    overlap = iou(boxes[picture, anchor], wanted[box]).nan_to_num(0)
    place = picture * len(middles) + anchor
    places = len(boxes) * len(middles)
    most = overlap.new_zeros(places).scatter_reduce(0, place, overlap, "amax")
    rival = torch.where(overlap == most[place], box, len(wanted))
    kept = box == box.new_full((places,), len(wanted)).scatter_reduce(0, place, rival, "amin")[place]
    box, anchor, value, overlap = box[kept], anchor[kept], value[kept], overlap[kept]

    best = value.new_zeros(len(wanted)).scatter_reduce(0, box, value, "amax")
    tightest = value.new_zeros(len(wanted)).scatter_reduce(0, box, overlap, "amax")
    return Assignment(box, anchor, value / best.clamp_min(torch.finfo(value.dtype).tiny)[box] * tightest[box])


def _best(
    scores: Tensor, boxes: Tensor, middles: Tensor, targets: Targets, topk: int, cell: float, alpha: float, beta: float
) -> tuple[Tensor, Tensor]:
    """The values and numbers of each object's best candidates, objects x topk; the value is -1 where there is no candidate."""
    half = (targets.xyxy[:, 2:] - targets.xyxy[:, :2]).clamp_min(cell) / 2
    center = (targets.xyxy[:, 2:] + targets.xyxy[:, :2]) / 2
    inside = _between(middles[:, 0], center[:, :1], half[:, :1]) & _between(middles[:, 1], center[:, 1:], half[:, 1:])
    row, anchor = inside.nonzero(as_tuple=True)
    picture = targets.picture[row]
    overlap = iou(boxes[picture, anchor], targets.xyxy[row])
    score = scores[picture, targets.cls[row], anchor].to(boxes.dtype).sigmoid()
    values = boxes.new_full(inside.shape, -1.0)
    # What is not a number stays a candidate, so that the loss is none either, and training can see it.
    values[row, anchor] = (score**alpha * overlap**beta).nan_to_num(0)
    best = values.topk(min(topk, len(middles)), dim=1)
    return best.values, best.indices


def _between(x: Tensor, center: Tensor, half: Tensor) -> Tensor:
    return (x >= center - half) & (x <= center + half)
