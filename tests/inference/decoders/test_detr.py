"""The layouts of the DETR family: on arrays, and on ONNX graphs with the inputs and outputs of the published exports."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from framehook.inference.boxes import Boxes
from framehook.inference.decoders import DetrDecoder, DetrDeployDecoder, RfDetrDecoder, RtDetrDecoder
from framehook.inference.decoders.metadata import describe
from framehook.inference.detector import Detector
from framehook.inference.errors import ModelFormatError, UnknownLayoutError
from framehook.inference.geometry import Fit
from framehook.inference.load import load_detector
from framehook.inference.network import NetworkInfo, TensorInfo
from framehook.inference.options import PredictOptions
from framehook.inference.preprocess import InputFormat

from .graphs import QUERIES, SIDE, rectangle, save_deployed, save_raw

SIZE = (200, 100)
MIDDLE = (0.5, 0.5, 0.2, 0.4)
"""80, 30, 120, 70 in an input of SIZE."""
IMAGENET_LIMIT = 0.3
"""Between black, the padding and full colour once they are normalised."""


def logit_of(score: float) -> float:
    return float(np.log(score / (1 - score)))


def queries(columns: int, *found: tuple[int, int, float], count: int = 10) -> list[np.ndarray]:
    """1 x queries x columns logits, low but for (query, class, score), and boxes in the middle."""
    logits = np.full((1, count, columns), -8, np.float32)
    for query, number, score in found:
        logits[0, query, number] = logit_of(score)
    return [logits, np.tile(np.array(MIDDLE, np.float32), (1, count, 1))]


def network(*outputs: tuple[str, tuple[int | None, ...]], metadata: dict[str, str] | None = None) -> NetworkInfo:
    kind = np.dtype(np.float32)
    tensors = tuple(TensorInfo(name, shape, kind) for name, shape in outputs)
    return NetworkInfo((TensorInfo("images", (1, 3, 640, 640), kind),), tensors, metadata or {})


# On arrays ------------------------------------------------------------------------------------------------------------------


def test_each_class_of_a_query_that_passes_gives_a_box() -> None:
    outputs = queries(80, (2, 0, 0.9), (2, 16, 0.6), (7, 3, 0.3), (8, 3, 0.2))
    (found,) = RtDetrDecoder().decode(outputs, input_size=SIZE, conf=0.25)
    np.testing.assert_allclose(found.xyxy, [[80, 30, 120, 70]] * 3, rtol=1e-5)
    np.testing.assert_allclose(found.conf, [0.9, 0.6, 0.3], rtol=1e-5)
    assert found.cls.tolist() == [0, 16, 3]
    assert (found.xyxy.dtype, found.conf.dtype, found.cls.dtype) == (np.float32, np.float32, np.int64)


def test_scores_are_taken_as_they_are_where_none_is_negative() -> None:
    logits, boxes = queries(80, (2, 0, 0.9))
    (found,) = RtDetrDecoder().decode([1 / (1 + np.exp(-logits)), boxes], input_size=SIZE, conf=0.25)
    np.testing.assert_allclose(found.conf, [0.9], rtol=1e-5)


def test_rt_detr_in_one_tensor_has_its_boxes_first() -> None:
    logits, boxes = queries(2, (2, 1, 0.9))
    both = np.concatenate((boxes, 1 / (1 + np.exp(-logits))), axis=2)
    (found,) = RtDetrDecoder().decode([both], input_size=SIZE, conf=0.25)
    np.testing.assert_allclose(found.xyxy, [[80, 30, 120, 70]], rtol=1e-5)
    np.testing.assert_allclose(found.conf, [0.9], rtol=1e-5)
    assert found.cls.tolist() == [1]


def test_the_background_of_softmax_is_the_last_class_and_never_found() -> None:
    logits, boxes = queries(4)
    logits[0, 0] = (2, 0, 1, 0)
    logits[0, 1] = (2, 0, 1, 5)
    (found,) = DetrDecoder().decode([logits, boxes], input_size=SIZE, conf=0.25)
    weights = np.exp([2, 0, 1, 0])
    np.testing.assert_allclose(found.conf, [weights[0] / weights.sum()], rtol=1e-5)
    assert found.cls.tolist() == [0]


def test_of_coco_s_91_columns_all_count_and_of_others_all_but_the_last() -> None:
    (found,) = RfDetrDecoder().decode(queries(91, (0, 90, 0.9)), input_size=SIZE, conf=0.25)
    assert found.cls.tolist() == [90]
    (found,) = RfDetrDecoder().decode(queries(3, (0, 2, 0.9), (1, 1, 0.8)), input_size=SIZE, conf=0.25)
    assert found.cls.tolist() == [1]
    info = network(("labels", (1, 10, 3)), ("dets", (1, 10, 4)), metadata={"names": "['a', 'b', 'c']"})
    (found,) = RfDetrDecoder().for_network(info).decode(queries(3, (0, 2, 0.9)), input_size=SIZE, conf=0.25)
    assert found.cls.tolist() == [2]


@pytest.mark.parametrize("columns", [3, 4, 80])
@pytest.mark.parametrize("turned", [False, True])
def test_scores_and_boxes_are_told_apart_in_any_order(columns: int, turned: bool) -> None:
    outputs = queries(columns, (2, 1, 0.9))[:: -1 if turned else 1]
    (found,) = RtDetrDecoder().decode(outputs, input_size=SIZE, conf=0.25)
    np.testing.assert_allclose(found.xyxy, [[80, 30, 120, 70]], rtol=1e-5)
    assert found.cls.tolist() == [1]


def test_names_tell_scores_and_boxes_apart_among_other_outputs() -> None:
    logits, boxes = queries(4, (2, 1, 0.9))
    shapes = ("last_hidden_state", (1, 10, 256)), ("pred_boxes", (1, 10, 4)), ("logits", (1, 10, 4))
    decoder = RtDetrDecoder().for_network(network(*shapes))
    (found,) = decoder.decode([np.ones((1, 10, 256), np.float32), boxes, logits], input_size=SIZE, conf=0.25)
    assert found.cls.tolist() == [1]


def test_each_image_of_a_batch_gets_its_own() -> None:
    outputs = [np.concatenate(pair) for pair in zip(queries(80, (2, 0, 0.9)), queries(80), strict=True)]
    assert [len(found) for found in RtDetrDecoder().decode(outputs, input_size=SIZE, conf=0.25)] == [1, 0]


@pytest.mark.parametrize("conf", [0.0, 1.0])
def test_the_ends_of_the_scale_are_scores_too(conf: float) -> None:
    (found,) = RtDetrDecoder().decode(queries(80, (2, 0, 0.9)), input_size=SIZE, conf=conf)
    assert len(found) == (800 if conf == 0 else 0)


@pytest.mark.parametrize("decoder", [RtDetrDecoder(), RfDetrDecoder(), DetrDecoder()])
def test_broken_numbers_are_dropped_with_one_warning(decoder: RtDetrDecoder, caplog: pytest.LogCaptureFixture) -> None:
    logits, boxes = queries(92, (0, 1, 0.9999), (1, 1, 0.9999), (2, 1, 0.9999))
    logits[0, 1, 1], boxes[0, 2, 2] = np.nan, np.inf
    with caplog.at_level(logging.WARNING, "framehook"):
        for _ in range(2):
            (found,) = decoder.decode([logits, boxes], input_size=SIZE, conf=0.25)
    assert len(found) == 1
    assert np.isfinite(found.xyxy).all()
    assert len(caplog.records) == 1


def test_raw_outputs_are_not_written_to() -> None:
    outputs = queries(92, (0, 1, 0.9))
    before = [output.copy() for output in outputs]
    for decoder in (RtDetrDecoder(), RfDetrDecoder(), DetrDecoder()):
        decoder.decode(outputs, input_size=SIZE, conf=0.01)
    for output, kept in zip(outputs, before, strict=True):
        np.testing.assert_array_equal(output, kept)


def test_finished_detections_are_told_apart_by_shape_and_type() -> None:
    labels = np.array([[3, 0, 7]])
    boxes = np.array([[[1, 2, 30, 40], [5, 6, 70, 80], [0, 0, 1, 1]]], np.float32)
    scores = np.array([[0.9, 0.5, 0.1]], np.float32)
    for outputs in ([labels, boxes, scores], [scores, boxes, labels], [boxes, scores, labels]):
        (found,) = DetrDeployDecoder().decode(outputs, input_size=SIZE, conf=0.25)
        np.testing.assert_array_equal(found.xyxy, boxes[0, :2])
        np.testing.assert_allclose(found.conf, [0.9, 0.5])
        assert found.cls.tolist() == [3, 0]


@pytest.mark.parametrize("decoder", [RtDetrDecoder(), RfDetrDecoder(), DetrDecoder(), DetrDeployDecoder()])
def test_other_outputs_are_refused(decoder: RtDetrDecoder) -> None:
    with pytest.raises(UnknownLayoutError, match=f"1 x 3 x 8400 do not fit layout '{decoder.name}'"):
        decoder.decode([np.zeros((1, 3, 8400), np.float32)] * 2, input_size=SIZE, conf=0.25)


# On graphs ------------------------------------------------------------------------------------------------------------------


def only_box(detector: Detector, picture: np.ndarray, **options: float) -> Boxes:
    (found,) = detector.find([picture], PredictOptions(**{"conf": 0.45, **options})).boxes
    assert len(found) == 1
    return found


def assert_box(found: Boxes, box: tuple[int, int, int, int], *, conf: float, cls: int) -> None:
    """The box to within a cell of the input, which here is 7 pixels of the frame wide and high."""
    np.testing.assert_allclose(found.xyxy[0], box, atol=8)
    np.testing.assert_allclose(found.conf[0], conf, atol=0.005)
    assert found.cls.tolist() == [cls]


BLUE, RED = (255, 0, 0), (0, 0, 255)
BOX = (100, 60, 300, 260)
RED_NORMALISED, BLUE_NORMALISED = (1 - 0.485) / 0.229, (1 - 0.406) / 0.225


def score_of(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def test_rt_detr_and_d_fine_as_transformers_export_them(tmp_path: Path) -> None:
    detector = load_detector(save_raw(tmp_path / "rtdetr.onnx", columns=80))
    assert (detector.decoder.name, detector.form.size, len(detector.names)) == ("rtdetr", (SIDE[1], SIDE[0]), 80)
    found = only_box(detector, rectangle(RED, BOX), conf=0.6)
    assert_box(found, BOX, conf=score_of(1), cls=0)
    assert detector.names[found.cls[0]] == "person"
    assert_box(only_box(detector, rectangle(BLUE, BOX), conf=0.6), BOX, conf=score_of(1), cls=2)


def test_rf_detr_as_its_own_exporter_writes_it(tmp_path: Path) -> None:
    path = save_raw(
        tmp_path / "rfdetr.onnx", columns=91, names=("labels", "dets"), first=1, threshold=IMAGENET_LIMIT, picture="input"
    )
    detector = load_detector(path)
    assert detector.decoder.name == "rfdetr"
    found = only_box(detector, rectangle(RED, BOX))
    assert_box(found, BOX, conf=score_of(RED_NORMALISED), cls=1)
    assert (detector.names[1], detector.names[90], len(detector.names)) == ("person", "toothbrush", 80)
    assert_box(only_box(detector, rectangle(BLUE, BOX)), BOX, conf=score_of(BLUE_NORMALISED), cls=3)


def test_rf_detr_s_own_notes_name_the_classes(tmp_path: Path) -> None:
    notes = {"task": "detect", "class_id_to_name": {"0": "cat", "1": "dog", "2": "hen"}}
    save = {"columns": 4, "names": ("labels", "dets"), "threshold": IMAGENET_LIMIT, "picture": "input"}
    detector = load_detector(save_raw(tmp_path / "fine.onnx", **save, metadata={"rfdetr_inference": json.dumps(notes)}))
    assert detector.names == {0: "cat", 1: "dog", 2: "hen"}
    assert_box(only_box(detector, rectangle(BLUE, BOX)), BOX, conf=score_of(BLUE_NORMALISED), cls=2)
    with pytest.raises(UnknownLayoutError, match="task 'keypoints'"):
        load_detector(save_raw(tmp_path / "keys.onnx", **save, metadata={"rfdetr_inference": '{"task": "keypoints"}'}))


@pytest.mark.parametrize("mask", ["", "int64[N,64,64] pixel_mask", "int64[N,H,W] pixel_mask", "float[N,H,W] pixel_mask"])
def test_detr_with_and_without_a_mask(tmp_path: Path, mask: str) -> None:
    detector = load_detector(save_raw(tmp_path / "detr.onnx", columns=92, threshold=IMAGENET_LIMIT, first=1, mask=mask))
    assert detector.decoder.name == "detr"
    logits = np.full(92, -6.0)
    logits[1:4] = RED_NORMALISED, -0.456 / 0.224, -0.406 / 0.225
    assert_box(only_box(detector, rectangle(RED, BOX)), BOX, conf=np.exp(RED_NORMALISED) / np.exp(logits).sum(), cls=1)
    assert detector.names[1] == "person"


@pytest.mark.parametrize("kind", ["int64", "int32"])
@pytest.mark.parametrize("count", [1, 2])
def test_graphs_with_postprocessing_inside_are_given_the_size_of_the_input(tmp_path: Path, kind: str, count: int) -> None:
    detector = load_detector(save_deployed(tmp_path / "deploy.onnx", kind=kind))
    assert detector.decoder.name == "detr_deploy"
    pictures = [rectangle(RED, BOX), rectangle(BLUE, (20, 40, 600, 80))][:count]
    found = detector.find(pictures, PredictOptions(conf=0.6)).boxes
    assert [len(boxes) for boxes in found] == [1] * count
    assert_box(found[0], BOX, conf=score_of(1), cls=0)
    if count == 2:
        assert_box(found[1], (20, 40, 600, 80), conf=score_of(1), cls=2)


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize("size", [(640, 360), (360, 640)])
def test_boxes_arrive_in_frame_pixels_however_the_frame_lies_in_the_input(
    tmp_path: Path, fit: Fit, size: tuple[int, int]
) -> None:
    box = (60, 100, 240, 300)
    metadata = describe(RtDetrDecoder(), InputFormat(fit=fit))
    detector = load_detector(save_raw(tmp_path / "placed.onnx", columns=80, metadata=metadata))
    found = only_box(detector, rectangle(RED, box, size), conf=0.7)  # the grey of the padding scores .61
    np.testing.assert_allclose(found.xyxy[0], box, atol=11)


def test_what_the_options_say_holds(tmp_path: Path) -> None:
    detector = load_detector(save_raw(tmp_path / "rtdetr.onnx", columns=80))
    picture = rectangle(RED, BOX)

    def found(**options: object) -> Boxes:
        return detector.find([picture], PredictOptions(**options)).boxes[0]

    # The rectangle has red at 1 and the others at 0, the rest of the 5 queries x 80 classes at the same low score.
    assert found(conf=0.4).cls.tolist() == [0, 1, 2]
    assert found(conf=0.4, classes=["bicycle"]).cls.tolist() == [1]
    assert found(conf=0.4, max_det=1).cls.tolist() == [0]
    assert len(found(conf=0.001, max_det=1000)) == 80 * QUERIES
    assert len(found(conf=0.9)) == 0


def test_an_unknown_number_of_classes_is_refused_with_the_three_it_may_be_and_each_can_be_named(tmp_path: Path) -> None:
    path = save_raw(tmp_path / "mine.onnx", columns=7)
    with pytest.raises(UnknownLayoutError, match=r"logits \[\? x 5 x 7\].*rtdetr \(.*rfdetr \(.*detr \(.*background.*decoder="):
        load_detector(path)
    for name, count in (("rtdetr", 7), ("rfdetr", 6), ("detr", 6)):
        detector = load_detector(path, decoder=name)
        assert (detector.decoder.name, len(detector.names)) == (name, count)


def test_other_inputs_beside_the_picture_are_refused_when_the_model_is_loaded(tmp_path: Path) -> None:
    path = save_raw(tmp_path / "text.onnx", columns=80, mask="float[N,H,W] prompt")
    with pytest.raises(ModelFormatError, match=r"text\.onnx takes more than a picture: prompt \(float32, 3 axes\); only orig_"):
        load_detector(path)
