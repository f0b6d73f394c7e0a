"""Overlaps by hand."""

import math

import pytest
import torch

from framehook.training.losses import ciou, iou


def box(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    ("a", "b", "overlap", "complete"),
    [
        (box(0, 0, 2, 2), box(0, 0, 2, 2), 1.0, 1.0),
        (box(0, 0, 2, 2), box(1, 1, 3, 3), 1 / 7, 1 / 7 - 2 / 18),
        (box(0, 0, 1, 1), box(3, 0, 4, 1), 0.0, -9 / 17),
        (box(0, 0, 2, 2), box(2, 0, 4, 2), 0.0, -4 / 20),
    ],
    ids=["the same", "in part", "apart", "side by side"],
)
def test_overlaps_are_those_by_hand(a, b, overlap, complete):
    for first, second in [(a, b), (b, a), (a * 100, b * 100), (a - 7, b - 7)]:
        assert abs(iou(first, second).item() - overlap) < 1e-9
        assert abs(ciou(first, second).item() - complete) < 1e-9


def test_another_shape_in_the_same_place_costs():
    wide, high = box(-2, -1, 2, 1), box(-1, -2, 1, 2)
    shape = 4 / math.pi**2 * (math.atan(2) - math.atan(0.5)) ** 2
    expected = 1 / 3 - shape / (1 - 1 / 3 + shape) * shape
    assert abs(ciou(wide, high).item() - expected) < 1e-9


def test_a_box_without_area_or_inside_out_overlaps_nothing_and_has_a_finite_slope():
    boxes = torch.tensor([[1.0, 1.0, 1.0, 1.0], [3.0, 3.0, 1.0, 1.0], [3.0, 0.0, 1.0, 2.0]], requires_grad=True)
    truth = torch.tensor([0.0, 0.0, 2.0, 2.0])
    assert iou(boxes, truth).tolist() == [0, 0, 0]
    (slope,) = torch.autograd.grad((1 - ciou(boxes, truth)).sum(), boxes)
    assert slope.isfinite().all()
    same = torch.zeros(1, 4, requires_grad=True)
    (slope,) = torch.autograd.grad(ciou(same, torch.zeros(1, 4)).sum(), same)
    assert slope.isfinite().all()
