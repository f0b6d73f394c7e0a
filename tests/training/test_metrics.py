import dataclasses
import json

import numpy as np
import pytest

from framehook.training.metrics import ClassMetrics, Curves, DetectionMetrics

CURVES = Curves(*[np.zeros((2, 3))] * 6)
CAT = ClassMetrics("cat", pictures=3, objects=7, precision=0.9, recall=0.8, map50=0.7, map=0.5)
DOG = ClassMetrics("dog", pictures=2, objects=2, precision=0.7, recall=0.4, map50=0.5, map=0.3)
METRICS = DetectionMetrics(
    precision=0.8,
    recall=0.6,
    confidence=0.312,
    map50=0.6,
    map75=0.45,
    map=0.4,
    by_size={"small": None, "medium": 0.25, "large": 0.5},
    per_class=(CAT, DOG),
    curves=CURVES,
    pictures=4,
    objects=9,
)


def test_the_main_figures_have_the_names_of_the_field():
    assert METRICS.as_dict() == {
        "metrics/precision(B)": 0.8,
        "metrics/recall(B)": 0.6,
        "metrics/mAP50(B)": 0.6,
        "metrics/mAP50-95(B)": 0.4,
        "fitness": pytest.approx(0.1 * 0.6 + 0.9 * 0.4),
    }


def test_all_figures_can_be_written_as_json():
    told = json.loads(json.dumps(METRICS.details(), allow_nan=False))
    assert told["classes"]["dog"]["recall"] == 0.4
    assert told["mAP50-95 by size"] == {"small": None, "medium": 0.25, "large": 0.5}


def test_people_get_a_table_of_even_columns():
    heads, everything, cat, dog, last = METRICS.lines()
    assert heads.split() == ["class", "pictures", "objects", "precision", "recall", "mAP50", "mAP50-95"]
    assert everything.split() == ["all", "4", "9", "0.800", "0.600", "0.600", "0.400"]
    assert cat.split() == ["cat", "3", "7", "0.900", "0.800", "0.700", "0.500"]
    assert len({len(heads), len(everything), len(cat), len(dog)}) == 1
    assert last == "mAP50-95 by size: medium 0.250, large 0.500; precision and recall are best balanced at conf=0.312"


def test_a_single_class_needs_no_row_of_its_own():
    alone = dataclasses.replace(METRICS, per_class=(CAT,), by_size={})
    assert [line.split()[0] for line in alone.lines()] == ["class", "all", "precision"]


def test_figures_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        METRICS.map = 1.0
