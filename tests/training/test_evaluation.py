import contextlib
import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest

from framehook.inference.boxes import Boxes
from framehook.inference.errors import MissingDependencyError
from framehook.training import evaluation
from framehook.training.data.sample import Sample
from framehook.training.evaluation import evaluate

NAMES = {0: "cat", 1: "dog", 2: "emu"}


def sample(rows, crowd=(), size=(640, 480)):
    """Labels of a picture: class, left, top, right, bottom."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    crowds = np.isin(np.arange(len(table)), crowd)
    sides = table[:, 3:] - table[:, 1:3]
    return Sample(Path("p.jpg"), size, table[:, 0].astype(np.int64), table[:, 1:], crowds, sides.prod(axis=1))


def boxes(rows, size=(640, 480)):
    """Boxes of a picture: class, score, left, top, right, bottom."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Boxes(table[:, 2:], table[:, 1], table[:, 0].astype(np.int64), orig_shape=(size[1], size[0]))


def test_a_detector_that_finds_everything_is_perfect():
    labels = [sample([(0, 10, 10, 60, 60), (1, 100, 100, 300, 300)]), sample([(0, 5, 5, 25, 25)])]
    found = [boxes([(0, 0.9, 10, 10, 60, 60), (1, 0.8, 100, 100, 300, 300)]), boxes([(0, 0.7, 5, 5, 25, 25)])]
    metrics = evaluate(labels, found, NAMES)
    assert (metrics.precision, metrics.recall) == (1, 1)
    assert [metrics.map50, metrics.map75, metrics.map] == pytest.approx([1, 1, 1])
    assert metrics.by_size == pytest.approx({"small": 1, "medium": 1, "large": 1})
    assert [(each.name, each.pictures, each.objects) for each in metrics.per_class] == [("cat", 2, 2), ("dog", 1, 1)]
    assert 0 <= metrics.confidence <= 0.7
    assert (metrics.pictures, metrics.objects) == (2, 3)


def test_a_class_of_the_data_that_is_never_found_counts_as_recall_0():
    labels = [sample([(0, 10, 10, 60, 60), (2, 100, 100, 300, 300)])]
    metrics = evaluate(labels, [boxes([(0, 0.9, 10, 10, 60, 60)])], NAMES)
    assert metrics.recall == pytest.approx(0.5)
    assert metrics.map50 == pytest.approx(0.5)
    emu = metrics.per_class[1]
    assert (emu.name, emu.recall, emu.precision, emu.map) == ("emu", 0, 0, 0)


def test_precision_and_recall_are_those_where_f1_is_best():
    # Of three objects two are found with sure scores; the third, and three boxes of nothing, have low ones.
    labels = [sample([(0, 0, 0, 50, 50), (0, 100, 0, 150, 50), (0, 200, 0, 250, 50)])]
    wrong = [(0, 0.2, 300, y, 350, y + 40) for y in (0, 100, 200)]
    right = [(0, 0.9, 0, 0, 50, 50), (0, 0.8, 100, 0, 150, 50), (0, 0.1, 200, 0, 250, 50)]
    metrics = evaluate(labels, [boxes(right + wrong)], NAMES)
    assert metrics.precision == 1
    assert metrics.recall == pytest.approx(2 / 3)
    assert 0.2 < metrics.confidence <= 0.8
    at_0 = metrics.curves.precision[0, 0], metrics.curves.recall[0, 0]
    assert at_0 == pytest.approx((3 / 6, 1))
    assert np.isnan(metrics.curves.precision[0, -1])
    assert metrics.curves.recall[0, -1] == 0


def test_boxes_in_a_crowd_count_neither_for_nor_against():
    labels = [sample([(0, 0, 0, 50, 50), (0, 100, 100, 400, 400)], crowd=[1])]
    in_crowd = [(0, 0.95, 120 + step, 120, 200 + step, 200) for step in (0, 50, 100)]
    metrics = evaluate(labels, [boxes([(0, 0.9, 0, 0, 50, 50), *in_crowd])], NAMES)
    assert (metrics.precision, metrics.recall, metrics.map50) == (1, 1, pytest.approx(1))
    assert metrics.objects == 1


def test_many_boxes_are_judged_in_portions_of_classes_to_the_same_figures(monkeypatch):
    labels, found = random_pictures(10)
    at_once = evaluate(labels, found, NAMES)
    for most in (1, 60):
        monkeypatch.setattr(evaluation, "_AT_ONCE", most)
        in_portions = evaluate(labels, found, NAMES)
        assert in_portions.details() == at_once.details()
        np.testing.assert_array_equal(in_portions.curves.precision_at, at_once.curves.precision_at)


def test_pictures_without_objects_and_boxes_are_measured_without_a_word(caplog, capsys):
    caplog.set_level(0)
    metrics = evaluate([sample([]), sample([])], [boxes([]), boxes([])], NAMES)
    assert metrics.as_dict() == {
        "metrics/precision(B)": 0,
        "metrics/recall(B)": 0,
        "metrics/mAP50(B)": 0,
        "metrics/mAP50-95(B)": 0,
        "fitness": 0,
    }
    assert metrics.by_size == {"small": None, "medium": None, "large": None}
    assert metrics.per_class == ()
    assert evaluate([sample([(0, 0, 0, 50, 50)])], [boxes([])], NAMES).map50 == 0
    assert evaluate([sample([])], [boxes([(0, 0.9, 0, 0, 9, 9)])], NAMES).map50 == 0
    assert not [each for each in caplog.records if each.levelname != "DEBUG"]
    assert capsys.readouterr() == ("", "")


def test_the_counted_curve_gives_the_average_precision_of_the_library():
    # Two ways to the same figure: COCO's interpolation of what was counted here, and what the library says.
    labels, found = random_pictures(20)
    metrics = evaluate(labels, found, NAMES)
    for number, each in enumerate(metrics.per_class):
        scores, right, objects = counted(labels, found, cls=number)
        hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
        precision = np.append(np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1], 0)
        levels = np.searchsorted(hits / objects, np.linspace(0, 1, 101))
        assert each.map50 == pytest.approx(precision[levels].mean(), abs=1e-9)
        assert metrics.curves.recall[number, 0] == pytest.approx(hits[-1] / objects)


def counted(labels, found, cls):
    there, here = evaluation._labelled(labels), evaluation._found(found)
    right, uncounted = evaluation._judged(there, here := evaluation._best(here, 100))
    rows = (here.cls == cls) & ~uncounted
    return here.score[rows], right[rows], np.count_nonzero((there.cls == cls) & ~there.crowd)


@pytest.mark.parametrize("most", [3, 100, 300])
def test_average_precision_is_that_of_pycocotools(most):
    labels, found = random_pictures(30)
    metrics = evaluate(labels, found, NAMES, max_det=most)
    theirs = by_pycocotools(labels, found, most)
    assert metrics.map == pytest.approx(theirs[..., 0][theirs[..., 0] > -1].mean(), abs=1e-9)
    assert metrics.map50 == pytest.approx(theirs[0, ..., 0][theirs[0, ..., 0] > -1].mean(), abs=1e-9)
    assert metrics.map75 == pytest.approx(theirs[5, ..., 0][theirs[5, ..., 0] > -1].mean(), abs=1e-9)
    for place, size in enumerate(("small", "medium", "large"), start=1):
        of_size = theirs[..., place]
        assert metrics.by_size[size] == pytest.approx(of_size[of_size > -1].mean(), abs=1e-9)
    for number, each in enumerate(metrics.per_class):
        assert each.map == pytest.approx(theirs[:, :, number, 0].mean(), abs=1e-9)
    assert 0.1 < metrics.map < 0.9


def test_what_is_needed_is_named_where_the_extra_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)  # as Python knows what cannot be imported
    with pytest.raises(MissingDependencyError, match=r"faster-coco-eval.*pip install 'framehook\[val\]'"):
        evaluate([], [], NAMES)


def random_pictures(count):
    """Pictures of up to nine objects each, crowds among them, and boxes about them that are more or less right."""
    rng = np.random.default_rng(5)
    labels, found = [], []
    for _ in range(count):
        objects = int(rng.integers(0, 10))
        low = rng.uniform(0, 300, (objects, 2))
        xyxy = np.concatenate((low, low + rng.uniform(5, 150, (objects, 2))), axis=1)
        cls = rng.integers(0, len(NAMES), objects)
        labels.append(sample(np.column_stack((cls, xyxy)), crowd=np.flatnonzero(rng.random(objects) < 0.1)))
        near = np.repeat(xyxy, 2, axis=0) + rng.normal(0, 4, (2 * objects, 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        said = np.where(rng.random(2 * objects) < 0.8, np.repeat(cls, 2), rng.integers(0, len(NAMES), 2 * objects))
        scores = np.round(rng.random(2 * objects), 2)  # some are equal
        found.append(boxes(np.column_stack((said, scores, near))))
    return labels, found


def by_pycocotools(labels, found, most):
    """Its precisions: overlaps x recalls x classes x sizes."""
    if importlib.util.find_spec("pycocotools") is None:
        pytest.skip("pycocotools is not installed")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = {
        "images": [{"id": index, "width": each.size[0], "height": each.size[1]} for index, each in enumerate(labels)],
        "categories": [{"id": number, "name": name} for number, name in NAMES.items()],
        "annotations": evaluation._labelled(labels).entries(),
    }
    rows = [
        {
            "image_id": index,
            "category_id": int(each.cls[row]),
            "score": float(each.conf[row]),
            "bbox": [
                *map(float, each.xyxy[row, :2]),
                *map(float, np.diff(each.xyxy[row].astype(float).reshape(2, 2), axis=0)[0]),
            ],
        }
        for index, each in enumerate(found)
        for row in range(len(each))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(rows), "bbox")
        judge.params.maxDets = [1, 2, most]
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][..., -1]
