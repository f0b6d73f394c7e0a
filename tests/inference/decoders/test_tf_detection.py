"""TensorFlow object detection outputs, in any order."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from framehook.inference.backends import OnnxBackend
from framehook.inference.decoders import TfDetectionDecoder, input_format_of, resolve_decoder
from framehook.inference.errors import UnknownLayoutError
from framehook.inference.network import NetworkInfo, TensorInfo
from framehook.inference.preprocess import Preprocessor

SIZE = (200, 100)


def named() -> dict[str, np.ndarray]:
    """Two images: two detections and a padding row; none at all."""
    return {
        "num_detections": np.array([2, 0], np.float32),
        "detection_boxes": np.array([[[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1], [0, 0, 0, 0]], [[0, 0, 1, 1]] * 3], np.float32),
        "detection_scores": np.array([[0.9, 0.4, 0.0], [0.99, 0.0, 0.0]], np.float32),
        "detection_classes": np.array([[3, 1, 1], [1, 1, 1]], np.float32),
    }


def network(names: tuple[str, ...]) -> NetworkInfo:
    tensor = TensorInfo("image_tensor:0", (None, None, None, 3), np.dtype(np.uint8))
    return NetworkInfo((tensor,), tuple(TensorInfo(name, (None,), np.dtype(np.float32)) for name in names))


@pytest.mark.parametrize("order", list(itertools.permutations(named())))
def test_outputs_are_told_apart_by_name_and_by_value_in_any_order(order: tuple[str, ...]) -> None:
    outputs = [named()[name] for name in order]
    by_name = TfDetectionDecoder().for_network(network(tuple(f"{name}:0" for name in order)))
    for decoder in (by_name, TfDetectionDecoder()):
        found = decoder.decode(outputs, input_size=SIZE, conf=0.25)
        assert [len(image) for image in found] == [2, 0]
        np.testing.assert_allclose(found[0].xyxy, [[40, 10, 120, 50], [0, 0, 200, 100]])
        np.testing.assert_allclose(found[0].conf, [0.9, 0.4])
        assert found[0].cls.tolist() == [2, 0]
        assert found[0].cls.dtype == np.int64


def test_names_pick_four_of_more_outputs() -> None:
    names = ("detection_anchor_indices", *named(), "raw_detection_boxes")
    outputs = [np.zeros((2, 3), np.float32), *named().values(), np.ones((2, 3, 4), np.float32)]
    found = TfDetectionDecoder().for_network(network(names)).decode(outputs, input_size=SIZE, conf=0.5)
    assert [image.cls.tolist() for image in found] == [[2], []]


@pytest.mark.parametrize(
    ("name", "bad"), [("detection_boxes", np.nan), ("detection_scores", np.nan), ("detection_scores", np.inf)]
)
def test_broken_detections_are_dropped_with_one_warning(name: str, bad: float, caplog: pytest.LogCaptureFixture) -> None:
    outputs = named()
    outputs[name][0, 0] = bad
    decoder = TfDetectionDecoder((0, 1, 2, 3))
    with caplog.at_level(logging.WARNING, "framehook"):
        for _ in range(2):
            found = decoder.decode(list(outputs.values()), input_size=SIZE, conf=0.25)
    assert found[0].cls.tolist() == [0]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("count", [np.nan, np.inf, 99.0, -1.0])
def test_a_senseless_count_is_no_error(count: float) -> None:
    outputs = named()
    outputs["num_detections"][0] = count
    found = TfDetectionDecoder((0, 1, 2, 3)).decode(list(outputs.values()), input_size=SIZE, conf=0.25)
    assert len(found[0]) == (0 if count < 0 else 2)


def test_other_outputs_are_refused() -> None:
    with pytest.raises(UnknownLayoutError, match="tf_detection"):
        TfDetectionDecoder().decode([np.zeros((1, 84, 8400), np.float32)], input_size=SIZE, conf=0.25)


def test_ssdlite_finds_people(data_dir: Path) -> None:
    backend = OnnxBackend(data_dir / "models" / "pedestrian_ssdlite.onnx")
    decoder = resolve_decoder(None, backend.network)
    assert decoder.name == "tf_detection"
    form = input_format_of(backend.network, decoder)
    preprocessor = Preprocessor(form, input_size=form.size, batch=1, dtype=backend.network.inputs[0].dtype)
    capture = cv2.VideoCapture(str(data_dir / "clips" / "vtest.avi"))
    (placement,) = preprocessor.fill([capture.read()[1]])
    capture.release()
    (found,) = decoder.decode(backend.infer(preprocessor.tensor), input_size=form.size, conf=0.3)
    boxes = placement.to_frame(found.xyxy)
    assert len(found) >= 2
    assert set(found.cls.tolist()) == {0}
    # Standing people are taller than wide.
    assert np.median((boxes[:, 3] - boxes[:, 1]) / (boxes[:, 2] - boxes[:, 0])) > 1.5
