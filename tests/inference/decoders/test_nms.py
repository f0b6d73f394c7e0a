"""Suppression against slow, plain reference code."""

from __future__ import annotations

import numpy as np
import pytest

from framehook.inference.decoders import Candidates, select, suppress
from framehook.inference.decoders import nms as module


def candidates(seed: int, count: int, *, classes: int, whole: bool) -> Candidates:
    """Random boxes, also left of and above zero, with many equal scores; on `whole` tens many overlaps are round fractions."""
    random = np.random.default_rng(seed)
    low, size = random.uniform(-300, 300, (count, 2)), random.uniform(0, 200, (count, 2))
    if whole:
        low, size = np.round(low / 40) * 10, np.round(size / 40) * 10
    scores = random.integers(0, 50, count) / 50
    return Candidates(
        np.hstack((low, low + size)).astype(np.float32), scores.astype(np.float32), random.integers(0, classes, count)
    )


def overlap(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union else 0.0


def reference(found: Candidates, *, conf: float, iou: float, agnostic: bool, classes: set[int] | None = None) -> list[int]:
    """The textbook: best first, keep what no kept box of its class overlaps too much."""
    boxes, kept = found.xyxy.astype(float).tolist(), []
    rows = [row for row in range(len(found)) if found.conf[row] > conf and (classes is None or found.cls[row] in classes)]
    for row in sorted(rows, key=lambda row: (-found.conf[row], row)):
        rivals = [other for other in kept if agnostic or found.cls[other] == found.cls[row]]
        if all(overlap(boxes[row], boxes[other]) <= iou for other in rivals):
            kept.append(row)
    return kept


def assert_same(left: Candidates, right: Candidates) -> None:
    np.testing.assert_array_equal(left.xyxy, right.xyxy)
    np.testing.assert_array_equal(left.conf, right.conf)
    np.testing.assert_array_equal(left.cls, right.cls)


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("classes", [1, 3, 1000])
def test_keeps_what_the_textbook_keeps(classes: int, whole: bool, agnostic: bool) -> None:
    for seed, iou in enumerate((0.0, 0.25, 0.3, 0.5, 0.65, 0.7, 1.0)):
        found = candidates(seed, 150, classes=classes, whole=whole)
        expected = reference(found, conf=0.2, iou=iou, agnostic=agnostic)
        assert_same(suppress(found, conf=0.2, iou=iou, agnostic=agnostic), found[np.array(expected, np.intp)])


def test_blocks_agree_with_the_textbook_across_their_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    found = candidates(7, 600, classes=2, whole=False)
    expected = reference(found, conf=0.0, iou=0.4, agnostic=False)
    for block in (1, 7, 128, 1000):
        monkeypatch.setattr(module, "_BLOCK", block)
        assert_same(suppress(found, conf=0.0, iou=0.4, max_det=1000), found[np.array(expected, np.intp)])


def test_an_overlap_of_exactly_the_threshold_is_kept() -> None:
    # Seven of ten columns are shared, and .7 is not representable: rounding must not decide.
    found = Candidates(
        np.array([[0, 0, 10, 1], [0, 0, 7, 1]], np.float32), np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64)
    )
    assert len(suppress(found, conf=0.1, iou=0.7)) == 2
    assert len(suppress(found, conf=0.1, iou=0.6999)) == 1


def test_equal_scores_keep_their_order() -> None:
    boxes = np.array([[100 * row, 0, 100 * row + 50, 50] for row in range(20)], np.float32)
    found = Candidates(boxes, np.full(20, 0.5, np.float32), np.arange(20))
    assert suppress(found, conf=0.1, iou=0.5).cls.tolist() == list(range(20))
    assert suppress(found, conf=0.1, iou=0.5, max_det=3).cls.tolist() == [0, 1, 2]


def test_filters_by_score_class_and_number() -> None:
    found = candidates(3, 200, classes=5, whole=False)
    kept = suppress(found, conf=0.5, iou=0.6, classes={1, 4}, max_det=4)
    assert len(kept) == 4
    assert_same(kept, found[np.array(reference(found, conf=0.5, iou=0.6, agnostic=False, classes={1, 4})[:4], np.intp)])
    assert len(suppress(found, conf=0.5, iou=0.6, classes=())) == 0


def test_a_score_of_exactly_conf_does_not_pass() -> None:
    found = Candidates(np.array([[0, 0, 1, 1]], np.float32), np.array([0.25], np.float32), np.zeros(1, np.int64))
    assert len(suppress(found, conf=0.25, iou=0.5)) == len(select(found, conf=0.25)) == 0
    assert len(suppress(found, conf=0.24, iou=0.5)) == len(select(found, conf=0.24)) == 1


def test_no_candidates_and_boxes_without_area() -> None:
    assert len(suppress(Candidates.empty(), conf=0.1, iou=0.5)) == 0
    assert len(select(Candidates.empty(), conf=0.1)) == 0
    flat = Candidates(np.zeros((3, 4), np.float32), np.full(3, 0.5, np.float32), np.zeros(3, np.int64))
    assert len(suppress(flat, conf=0.1, iou=0.5)) == 3


def test_selection_leaves_overlapping_boxes_alone() -> None:
    found = candidates(5, 50, classes=1, whole=True)
    rows = np.argsort(-found.conf, kind="stable")
    assert_same(select(found, conf=-1.0, max_det=10), found[rows[:10]])


def test_only_the_best_of_very_many_candidates_are_considered(monkeypatch: pytest.MonkeyPatch) -> None:
    found = candidates(11, 500, classes=1, whole=False)
    monkeypatch.setattr(module, "MAX_CANDIDATES", 100)
    best = found[np.argsort(-found.conf, kind="stable")[:100]]
    assert_same(suppress(found, conf=0.0, iou=0.5), suppress(best, conf=0.0, iou=0.5))
