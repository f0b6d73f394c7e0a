"""The undecoded YOLOX layout: arrays built to the paper's equations, and a real network."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from framehook.inference.backends import OnnxBackend
from framehook.inference.decoders import YoloxDecoder, suppress
from framehook.inference.errors import UnknownLayoutError
from framehook.inference.preprocess import Preprocessor

SIZE = (96, 64)  # grids of 12 x 8, 6 x 4 and 3 x 2 cells
CELLS = 96 + 24 + 6


def output(*objects: tuple[int, tuple[float, ...]]) -> np.ndarray:
    rows = np.zeros((1, CELLS, 7), np.float32)
    for cell, values in objects:
        rows[0, cell] = values
    return rows


@pytest.mark.parametrize(
    ("cell", "column", "row", "stride"), [(0, 0, 0, 8), (13, 1, 1, 8), (96 + 8, 2, 1, 16), (96 + 24 + 5, 2, 1, 32)]
)
def test_offsets_and_log_sizes_are_placed_on_their_grid(cell: int, column: int, row: int, stride: int) -> None:
    raw = output((cell, (0.5, 0.25, np.log(2), np.log(0.5), 0.8, 0.1, 0.9)))
    (found,) = YoloxDecoder().decode([raw], input_size=SIZE, conf=0.25)
    x, y, width, height = (column + 0.5) * stride, (row + 0.25) * stride, 2 * stride, 0.5 * stride
    np.testing.assert_allclose(found.xyxy, [[x - width / 2, y - height / 2, x + width / 2, y + height / 2]], rtol=1e-5)
    np.testing.assert_allclose(found.conf, [0.72], rtol=1e-5)
    assert found.cls.tolist() == [1]


def test_the_score_is_the_product_and_both_factors_count() -> None:
    raw = output((3, (0, 0, 0, 0, 0.9, 0.2, 0.1)), (4, (0, 0, 0, 0, 0.2, 0.9, 0.9)), (5, (0, 0, 0, 0, 0.6, 0.6, 0.0)))
    (found,) = YoloxDecoder().decode([raw], input_size=SIZE, conf=0.25)
    np.testing.assert_allclose(found.conf, [0.36], rtol=1e-5)


def test_broken_numbers_are_dropped_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    good = (0.5, 0.5, 0.0, 0.0, 0.9, 0.9, 0.0)
    raw = output(
        (1, good),
        (2, (np.nan, *good[1:])),
        (3, (0, 0, 1000.0, 0, 0.9, 0.9, 0)),  # exp overflows
        (4, (*good[:4], np.nan, 0.9, 0)),
        (5, (*good[:4], 0.9, np.nan, 0)),
        (6, (*good[:4], np.inf, 0.0, 0)),
    )
    decoder = YoloxDecoder()
    with caplog.at_level(logging.WARNING, "framehook"):
        for _ in range(2):
            (found,) = decoder.decode([raw], input_size=SIZE, conf=0.25)
    assert len(found) == 1
    assert np.isfinite(found.xyxy).all()
    assert len(caplog.records) == 1


def test_raw_outputs_are_not_written_to() -> None:
    raw = output((3, (0.5, 0.5, 0.1, 0.1, 0.9, 0.9, 0.1)))
    before = raw.copy()
    YoloxDecoder().decode([raw], input_size=SIZE, conf=0.25)
    np.testing.assert_array_equal(raw, before)


def test_a_wrong_number_of_cells_is_refused_with_the_right_one() -> None:
    with pytest.raises(UnknownLayoutError, match=f"N x {CELLS} x"):
        YoloxDecoder().decode([np.zeros((1, 100, 85), np.float32)], input_size=SIZE, conf=0.25)


def test_yolox_nano_finds_the_first_people_of_the_clip(data_dir: Path) -> None:
    truth = np.loadtxt(data_dir / "clips" / "vtest_gt.txt", delimiter=",")
    boxes = truth[truth[:, 0] == 1, 2:6]
    capture = cv2.VideoCapture(str(data_dir / "clips" / "vtest.avi"))
    frame = capture.read()[1]
    capture.release()
    decoder, preprocessor = YoloxDecoder(), Preprocessor(YoloxDecoder.input_format, input_size=(416, 416), batch=1)
    (placement,) = preprocessor.fill([frame])
    outputs = OnnxBackend(data_dir / "models" / "yolox_nano_416.onnx").infer(preprocessor.tensor)
    kept = suppress(decoder.decode(outputs, input_size=(416, 416), conf=0.25)[0], conf=0.25, iou=0.65, classes={0})
    found = placement.to_frame(kept.xyxy)
    centres = (found[:, :2] + found[:, 2:]) / 2
    wanted = boxes[:, :2] + boxes[:, 2:] / 2
    distances = np.linalg.norm(centres[:, None] - wanted[None], axis=2).min(axis=0)
    assert (distances < 12).mean() > 0.8
