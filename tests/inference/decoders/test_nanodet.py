"""The NanoDet layout: arrays built to the paper's equations, and a real network."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from framehook.inference.backends import OnnxBackend
from framehook.inference.decoders import NanoDetDecoder, resolve_decoder, suppress
from framehook.inference.errors import UnknownLayoutError
from framehook.inference.network import NetworkInfo, TensorInfo
from framehook.inference.preprocess import Preprocessor

SIZE = (96, 64)  # grids of 12 x 8, 6 x 4, 3 x 2 cells and, as half cells count, 2 x 1
FIRST, PLUS = 96 + 24 + 6, 96 + 24 + 6 + 2


def distribution(distance: float, bins: int = 8) -> np.ndarray:
    """Logits of a distribution over two neighbouring distances whose mean is this one."""
    below = min(int(distance), bins - 2)
    logits = np.full(bins, -50.0)
    logits[below : below + 2] = np.log(np.maximum((below + 1 - distance, distance - below), 1e-9))
    return logits


def output(*objects: tuple[int, int, float], cells: int = PLUS, classes: int = 3, bins: int = 8) -> np.ndarray:
    """1 x cells x columns with a score at each (cell, class), and distances 1, 2, 2.5 and 0.25 cells everywhere."""
    raw = np.zeros((1, cells, classes + 4 * bins), np.float32)
    raw[..., classes:] = np.concatenate([distribution(each, bins) for each in (1, 2, 2.5, 0.25)])
    for cell, number, score in objects:
        raw[0, cell, number] = score
    return raw


def as_logits(raw: np.ndarray, classes: int = 3) -> np.ndarray:
    scores = np.clip(raw[..., :classes].astype(np.float64), 1e-6, 1 - 1e-6)
    return np.concatenate((np.log(scores / (1 - scores)), raw[..., classes:]), axis=2).astype(np.float32)


def box(x: float, y: float, stride: int) -> list[float]:
    return [x - stride, y - 2 * stride, x + 2.5 * stride, y + 0.25 * stride]


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize(
    ("cell", "column", "row", "stride"),
    [(0, 0, 0, 8), (13, 1, 1, 8), (96 + 8, 2, 1, 16), (96 + 24 + 5, 2, 1, 32), (96 + 24 + 6 + 1, 1, 0, 64)],
)
def test_distances_are_measured_from_the_corner_of_a_cell_in_nanodet_plus(
    cell: int, column: int, row: int, stride: int, logits: bool
) -> None:
    raw = output((cell, 1, 0.9))
    (found,) = NanoDetDecoder().decode([as_logits(raw) if logits else raw], input_size=SIZE, conf=0.25)
    np.testing.assert_allclose(found.xyxy, [box(column * stride, row * stride, stride)], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.conf, [0.9], rtol=1e-5)
    assert found.cls.tolist() == [1]
    assert (found.xyxy.dtype, found.conf.dtype, found.cls.dtype) == (np.float32, np.float32, np.int64)


def test_distances_are_measured_from_the_middle_of_a_cell_in_the_first_version() -> None:
    (found,) = NanoDetDecoder().decode([output((96 + 8, 1, 0.9), cells=FIRST)], input_size=SIZE, conf=0.25)
    np.testing.assert_allclose(found.xyxy, [box(2.5 * 16, 1.5 * 16, 16)], rtol=1e-4, atol=1e-3)


def test_the_distance_is_the_mean_of_the_whole_distribution() -> None:
    raw = output((0, 0, 0.9))
    raw[0, 0, 3:] = np.tile(np.log(np.maximum([0.4, 0, 0, 0.2, 0, 0, 0, 0.4], 1e-12)), 4)
    (found,) = NanoDetDecoder().decode([raw], input_size=SIZE, conf=0.25)
    mean = 3 * 0.2 + 7 * 0.4
    np.testing.assert_allclose(found.xyxy, [[-8 * mean, -8 * mean, 8 * mean, 8 * mean]], rtol=1e-5)


@pytest.mark.parametrize(("classes", "bins"), [(3, 8), (1, 8), (3, 17), (80, 11), (80, 2)])
def test_any_number_of_bins_is_read_once_the_classes_are_known(classes: int, bins: int) -> None:
    raw = output((13, classes - 1, 0.9), classes=classes, bins=max(bins, 4))
    if bins == 2:  # distances of at most one cell
        raw = np.concatenate((raw[..., :classes], np.tile(distribution(0.5, 2), 4 * PLUS).reshape(1, PLUS, 8)), axis=2)
    (found,) = NanoDetDecoder(classes).decode([raw.astype(np.float32)], input_size=SIZE, conf=0.25)
    np.testing.assert_allclose(found.xyxy, [box(8, 8, 8) if bins > 2 else [4, 4, 12, 12]], rtol=1e-4, atol=1e-3)
    assert found.cls.tolist() == [classes - 1]


def test_without_names_there_are_eight_bins_or_the_eleven_that_leave_the_classes_of_coco() -> None:
    for classes, bins in ((80, 8), (80, 11), (5, 8)):
        raw = output((13, classes - 1, 0.9), classes=classes, bins=bins)
        (found,) = NanoDetDecoder().decode([raw], input_size=SIZE, conf=0.25)
        np.testing.assert_allclose(found.xyxy, [box(8, 8, 8)], rtol=1e-4, atol=1e-3)


def test_names_in_the_metadata_tell_the_bins() -> None:
    raw = output((13, 2, 0.9), bins=17)
    kind = np.dtype(np.float32)
    network = NetworkInfo(
        (TensorInfo("data", (1, 3, SIZE[1], SIZE[0]), kind),),
        (TensorInfo("output", raw.shape, kind),),
        {"names": "['a', 'b', 'c']"},
    )
    (found,) = resolve_decoder(None, network).decode([raw], input_size=SIZE, conf=0.25)
    np.testing.assert_allclose(found.xyxy, [box(8, 8, 8)], rtol=1e-4, atol=1e-3)


def test_each_cell_gives_its_best_class_and_each_image_its_own() -> None:
    raw = np.concatenate((output((5, 0, 0.3), (5, 2, 0.6), (6, 1, 0.2)), output((7, 1, 0.5))))
    first, second = NanoDetDecoder().decode([raw], input_size=SIZE, conf=0.25)
    assert (first.cls.tolist(), second.cls.tolist()) == ([2], [1])
    np.testing.assert_allclose((first.conf, second.conf), [[0.6], [0.5]])


@pytest.mark.parametrize("logits", [False, True])
def test_the_ends_of_the_scale_are_scores_too(logits: bool) -> None:
    raw = as_logits(output()) - 200 * np.eye(1, 35, dtype=np.float32) if logits else output((5, 0, 1.0))
    assert len(NanoDetDecoder().decode([raw], input_size=SIZE, conf=1.0)[0]) == 0
    assert len(NanoDetDecoder().decode([raw], input_size=SIZE, conf=0.0)[0]) == (PLUS if logits else 1)


def test_broken_numbers_are_dropped_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    raw = as_logits(output((1, 0, 0.9), (2, 0, 0.9), (3, 0, 0.9), (4, 0, 0.9)))
    raw[0, 2, 1], raw[0, 3, 10], raw[0, 4, 10] = np.nan, np.nan, np.inf
    decoder = NanoDetDecoder()
    with caplog.at_level(logging.WARNING, "framehook"):
        for _ in range(2):
            (found,) = decoder.decode([raw], input_size=SIZE, conf=0.25)
    assert len(found) == 1
    assert np.isfinite(found.xyxy).all()
    assert len(caplog.records) == 1


def test_raw_outputs_are_not_written_to() -> None:
    raw = as_logits(output((3, 1, 0.9)))
    before = raw.copy()
    NanoDetDecoder().decode([raw], input_size=SIZE, conf=0.25)
    np.testing.assert_array_equal(raw, before)


@pytest.mark.parametrize(("nc", "shape"), [(None, (1, 100, 112)), (None, (1, PLUS, 32)), (3, (1, PLUS, 36)), (3, (1, PLUS, 7))])
def test_what_cannot_be_split_is_refused(nc: int | None, shape: tuple[int, ...]) -> None:
    with pytest.raises(
        UnknownLayoutError, match=r"layout 'nanodet' \(N x cells x \(classes \+ 4 x bins\) for an input of 96 x 64"
    ):
        NanoDetDecoder(nc).decode([np.zeros(shape, np.float32)], input_size=SIZE, conf=0.25)


def test_nanodet_plus_finds_the_first_people_of_the_clip(data_dir: Path) -> None:
    truth = np.loadtxt(data_dir / "clips" / "vtest_gt.txt", delimiter=",")
    boxes = truth[truth[:, 0] == 1, 2:6]
    capture = cv2.VideoCapture(str(data_dir / "clips" / "vtest.avi"))
    frame = capture.read()[1]
    capture.release()
    decoder, preprocessor = NanoDetDecoder(), Preprocessor(NanoDetDecoder.input_format, input_size=(416, 416), batch=1)
    (placement,) = preprocessor.fill([frame])
    outputs = OnnxBackend(data_dir / "models" / "nanodet_plus_m_416.onnx").infer(preprocessor.tensor)
    kept = suppress(decoder.decode(outputs, input_size=(416, 416), conf=0.25)[0], conf=0.25, iou=0.65, classes={0})
    found = placement.to_frame(kept.xyxy)
    centres = (found[:, :2] + found[:, 2:]) / 2
    wanted = boxes[:, :2] + boxes[:, 2:] / 2
    distances = np.linalg.norm(centres[:, None] - wanted[None], axis=2).min(axis=0)
    assert (distances < 12).mean() > 0.8
