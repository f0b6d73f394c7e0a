"""The raw YOLO layouts, on arrays with known answers and on the bundled detector's own outputs."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from framehook.inference.backends import OnnxBackend
from framehook.inference.decoders import YoloDecoder, YoloV5Decoder
from framehook.inference.errors import UnknownLayoutError
from framehook.inference.preprocess import Preprocessor

SIZE = (640, 480)


def v8(anchors: int = 50, classes: int = 3) -> np.ndarray:
    """1 x (4 + classes) x anchors with two objects, at anchors 7 and 30."""
    output = np.zeros((1, 4 + classes, anchors), np.float32)
    output[0, :4, 7], output[0, 4 + 2, 7], output[0, 4, 7] = (100, 50, 20, 10), 0.9, 0.3
    output[0, :4, 30], output[0, 4, 30] = (300, 200, 40, 60), 0.6
    return output


def v5(classes: int = 3) -> np.ndarray:
    """The same objects with objectness, 1 x anchors x (5 + classes)."""
    output = np.zeros((1, 50, 5 + classes), np.float32)
    output[0, 7] = (100, 50, 20, 10, 0.9, 0.1, 0.2, 1.0)
    output[0, 30] = (300, 200, 40, 60, 0.75, 0.8, 0.0, 0.0)
    output[0, 40] = (300, 200, 40, 60, 0.75, 0.1, 0.0, 0.0)
    return output


def test_v8_gives_corners_best_class_and_its_score() -> None:
    (found,) = YoloDecoder().decode([v8()], input_size=SIZE, conf=0.25)
    np.testing.assert_array_equal(found.xyxy, [[90, 45, 110, 55], [280, 170, 320, 230]])
    np.testing.assert_allclose(found.conf, [0.9, 0.6])
    assert found.cls.tolist() == [2, 0]
    assert (found.xyxy.dtype, found.conf.dtype, found.cls.dtype) == (np.float32, np.float32, np.int64)


def test_v5_multiplies_objectness_and_class_score() -> None:
    (found,) = YoloV5Decoder().decode([v5()], input_size=SIZE, conf=0.25)
    np.testing.assert_array_equal(found.xyxy, [[90, 45, 110, 55], [280, 170, 320, 230]])
    np.testing.assert_allclose(found.conf, [0.9, 0.6])
    assert found.cls.tolist() == [2, 0]
    assert (found.xyxy.dtype, found.conf.dtype, found.cls.dtype) == (np.float32, np.float32, np.int64)


def test_one_class_needs_no_choice_of_class() -> None:
    (found,) = YoloDecoder().decode([v8(classes=3)[:, :5]], input_size=SIZE, conf=0.25)
    assert found.cls.tolist() == [0, 0]
    np.testing.assert_allclose(found.conf, [0.3, 0.6])


@pytest.mark.parametrize(("decoder", "output"), [(YoloDecoder(), v8()), (YoloV5Decoder(), v5())])
def test_each_image_of_a_batch_gets_its_own_candidates(decoder: YoloDecoder, output: np.ndarray) -> None:
    batch = np.concatenate((output, np.zeros_like(output), output))
    found = decoder.decode([batch], input_size=SIZE, conf=0.25)
    assert [len(image) for image in found] == [2, 0, 2]
    np.testing.assert_array_equal(found[0].xyxy, found[2].xyxy)


@pytest.mark.parametrize(("decoder", "output"), [(YoloDecoder(), v8()), (YoloV5Decoder(), v5())])
def test_outputs_are_not_written_to_and_candidates_are_no_views(decoder: YoloDecoder, output: np.ndarray) -> None:
    before = output.copy()
    (found,) = decoder.decode([output], input_size=SIZE, conf=0.25)
    found.xyxy[:], found.conf[:] = 0, 0
    np.testing.assert_array_equal(output, before)


@pytest.mark.parametrize(("decoder", "output"), [(YoloDecoder(), v8()), (YoloV5Decoder(), v5())])
def test_half_precision_and_further_feature_maps_are_fine(decoder: YoloDecoder, output: np.ndarray) -> None:
    maps = np.zeros((1, 3, 8, 8, 8), np.float16)
    (found,) = decoder.decode([maps, output.astype(np.float16)], input_size=SIZE, conf=0.25)
    assert found.cls.tolist() == [2, 0]
    assert found.xyxy.dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["box", "size", "score"])
def test_broken_numbers_are_dropped_with_one_warning(bad: float, place: str, caplog: pytest.LogCaptureFixture) -> None:
    eight, five = v8(), v5()
    row = {"box": 0, "size": 2, "score": 6}[place]
    eight[0, row, 7] = bad
    five[0, 7, {"box": 0, "size": 2, "score": 4}[place]] = bad
    for decoder, output in ((YoloDecoder(), eight), (YoloV5Decoder(), five)):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "framehook"):
            for _ in range(3):
                (found,) = decoder.decode([output], input_size=SIZE, conf=0.25)
        assert np.isfinite(found.xyxy).all()
        if (place, bad) == ("score", -np.inf):  # a score that passes no threshold, with any finite one beside it, is no harm
            continue
        assert found.xyxy.tolist() == [[280, 170, 320, 230]]
        assert len(caplog.records) == 1
        assert decoder.name in caplog.text


def test_nothing_at_all_gives_no_candidates() -> None:
    assert len(YoloDecoder().decode([np.zeros((1, 84, 0), np.float32)], input_size=SIZE, conf=0.0)[0]) == 0
    assert len(YoloV5Decoder().decode([np.zeros((1, 0, 85), np.float32)], input_size=SIZE, conf=0.0)[0]) == 0


@pytest.mark.parametrize("shape", [(1, 4, 100), (100, 6), (1, 100, 5)])
def test_outputs_of_another_shape_are_refused_with_the_shape(shape: tuple[int, ...]) -> None:
    decoder = YoloV5Decoder() if shape[-1] == 5 else YoloDecoder()
    with pytest.raises(UnknownLayoutError, match=" x ".join(map(str, shape))):
        decoder.decode([np.zeros(shape, np.float32)], input_size=SIZE, conf=0.1)


def test_person320_sees_the_people_of_a_frame(data_dir: Path) -> None:
    capture = cv2.VideoCapture(str(data_dir / "clips" / "vtest.avi"))
    frame = capture.read()[1]
    capture.release()
    decoder, preprocessor = YoloDecoder(), Preprocessor(YoloDecoder.input_format, input_size=(320, 320), batch=1)
    preprocessor.fill([frame])
    outputs = OnnxBackend(data_dir / "models" / "person320.onnx").infer(preprocessor.tensor)
    (found,) = decoder.decode(outputs, input_size=(320, 320), conf=0.3)
    raw = outputs[0][0]
    rows = np.flatnonzero(raw[4] > 0.3)
    assert len(found) == len(rows) > 3
    np.testing.assert_array_equal(found.conf, raw[4, rows])
    np.testing.assert_allclose((found.xyxy[:, 0] + found.xyxy[:, 2]) / 2, raw[0, rows], rtol=1e-4)
    np.testing.assert_allclose(found.xyxy[:, 3] - found.xyxy[:, 1], raw[3, rows], rtol=1e-3)
