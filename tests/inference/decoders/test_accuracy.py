"""The accuracy benchmark: its arithmetic, and what real networks reach with our preprocessing, decoding and suppression."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from framehook.inference.backends import OnnxBackend
from framehook.inference.decoders import class_names_of, input_format_of, recognise, select, suppress
from framehook.inference.preprocess import Preprocessor


@pytest.fixture(scope="module")
def accuracy() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "benchmarks" / "accuracy.py"
    spec = importlib.util.spec_from_file_location("accuracy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def boxes(*left: float) -> np.ndarray:
    """Squares of 10 x 10 at these positions."""
    return np.array([[x, 0, x + 10, 10] for x in left], float).reshape(-1, 4)


def found(*rows: tuple[float, float]) -> np.ndarray:
    """Squares with scores."""
    return np.array([[x, 0, x + 10, 10, score] for x, score in rows], float).reshape(-1, 5)


def test_perfect_detections_score_one_and_none_score_zero(accuracy: ModuleType) -> None:
    assert accuracy.average_precision([(found((0, 0.9), (50, 0.8)), boxes(0, 50))]) == 1
    assert accuracy.average_precision([(found(), boxes(0, 50))]) == 0
    assert accuracy.average_precision([(found((200, 0.9)), boxes(0, 50))]) == 0
    assert np.isnan(accuracy.average_precision([(found((0, 0.9)), boxes())]))


def test_precision_is_interpolated_over_101_recalls(accuracy: ModuleType) -> None:
    # In order of score: right, wrong, right. Recall .5 at precision 1, recall 1 at precision 2/3.
    score = accuracy.average_precision([(found((0, 0.9), (200, 0.8), (50, 0.7)), boxes(0, 50))])
    assert score == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_half_of_the_truth_found_without_mistakes(accuracy: ModuleType) -> None:
    assert accuracy.average_precision([(found((0, 0.9)), boxes(0)), (found(), boxes(0))]) == pytest.approx(51 / 101)


def test_a_second_detection_of_a_person_is_a_mistake_and_the_better_one_counts(accuracy: ModuleType) -> None:
    assert accuracy.match(boxes(0, 1), boxes(0), 0.5).tolist() == [True, False]
    assert accuracy.match(boxes(2, 1), boxes(0, 3), 0.5).tolist() == [True, True]


def test_the_least_overlap_counts(accuracy: ModuleType) -> None:
    half = np.array([[0, 0, 10, 5]], float)
    assert accuracy.match(half, boxes(0), 0.5).tolist() == [True]
    assert accuracy.match(half, boxes(0), 0.51).tolist() == [False]


def test_scores_are_ordered_across_frames(accuracy: ModuleType) -> None:
    wrong_first = [(found((200, 0.9)), boxes(0)), (found((0, 0.5)), boxes(0))]
    assert accuracy.average_precision(wrong_first) == pytest.approx(51 * 0.5 / 101)


def test_mot_files_count_frames_from_one(accuracy: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,7,10,20,30,40,1,-1,-1,-1\n3,7,1.5,2,3,4,1,-1,-1,-1\n3,8,0,0,1,1,1,-1,-1,-1\n")
    truth = accuracy.read_mot(tmp_path / "gt.txt")
    assert {frame: rows.tolist() for frame, rows in truth.items()} == {
        0: [[10, 20, 40, 60]],
        2: [[1.5, 2, 4.5, 6], [0, 0, 1, 1]],
    }


@pytest.fixture(scope="module")
def street(accuracy: ModuleType, data_dir: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Every twentieth frame of a street, and the people in it."""
    truth = accuracy.read_mot(data_dir / "clips" / "vtest_gt.txt")
    capture = cv2.VideoCapture(str(data_dir / "clips" / "vtest.avi"))
    frames = []
    index = 0
    while capture.grab():
        if index % 20 == 0:
            frames.append((capture.retrieve()[1], truth.get(index, np.empty((0, 4)))))
        index += 1
    capture.release()
    return frames


@pytest.mark.parametrize(
    ("file", "least"),
    [("yolox_nano_416", 0.925), ("nanodet_plus_m_416", 0.929), ("pedestrian_ssdlite", 0.662), ("person320", 0.65)],
)
def test_real_networks_keep_their_accuracy(
    accuracy: ModuleType, data_dir: Path, street: list[tuple[np.ndarray, np.ndarray]], file: str, least: float
) -> None:
    backend = OnnxBackend(data_dir / "models" / f"{file}.onnx")
    decoder = recognise(backend.network)
    form = input_format_of(backend.network, decoder)
    assert class_names_of(backend.network, decoder)[0] in ("person", "class0")
    preprocessor = Preprocessor(form, input_size=form.size, batch=1, dtype=backend.network.inputs[0].dtype)
    pairs = []
    for frame, truth in street:
        (placement,) = preprocessor.fill([frame])
        (proposed,) = decoder.decode(backend.infer(preprocessor.tensor), input_size=form.size, conf=0.01)
        if decoder.needs_nms:
            kept = suppress(proposed, conf=0.01, iou=0.65, classes={0})
        else:
            kept = select(proposed, conf=0.01, classes={0})
        pairs.append((np.column_stack((placement.to_frame(kept.xyxy), kept.conf)), truth))
    assert accuracy.average_precision(pairs) >= least
