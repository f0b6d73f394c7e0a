"""Which decoder fits which network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from framehook.inference.backends import OnnxBackend
from framehook.inference.decoders import (
    COCO_NAMES,
    TfDetectionDecoder,
    class_count,
    class_names_of,
    get_decoder,
    input_format_of,
    recognise,
    resolve_decoder,
)
from framehook.inference.errors import UnknownLayoutError
from framehook.inference.network import NetworkInfo, TensorInfo

Shape = tuple[int | None, ...]

V8 = {"task": "detect", "stride": "32", "imgsz": "[640, 640]"}
V5 = {"stride": "32"}


def names(count: int) -> str:
    return repr({number: f"thing{number}" for number in range(count)})


def network(*outputs: Shape, metadata: dict[str, str] | None = None, picture: Shape = (1, 3, 640, 640)) -> NetworkInfo:
    kind = np.dtype(np.float32)
    tensors = tuple(TensorInfo(f"output{number}", shape, kind) for number, shape in enumerate(outputs))
    return NetworkInfo((TensorInfo("images", picture, kind),), tensors, metadata or {}, source="some.onnx")


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 84, 8400), "yolo"),
        ((1, 5, 8400), "yolo"),
        ((1, 6, 8400), "yolo"),  # two classes, not six columns
        ((None, 84, 8400), "yolo"),
        ((1, 84, None), "yolo"),
        ((1, 84, 8500), "yolo"),  # a P6 head, with a grid of stride 64
        ((1, 84, 34000), "yolo"),  # a P2 head, with a grid of stride 4
        ((1, 8400, 85), "yolox"),
        ((1, 8400, 6), "yolox"),  # one class
        ((1, 25200, 85), "yolov5"),
        ((1, 25200, 6), "yolov5"),
        ((1, 25500, 85), "yolov5"),  # v5 with a P6 head
        ((1, 300, 6), "end2end"),
        ((None, 100, 6), "end2end"),
        ((1, 8500, 112), "nanodet"),
        ((1, 8500, 33), "nanodet"),  # one class
    ],
)
def test_layouts_are_told_apart_by_shape_alone(shape: Shape, layout: str) -> None:
    assert recognise(network(shape)).name == layout


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 84, 1680), "yolo"),
        ((1, 1680, 85), "yolox"),
        ((1, 5040, 85), "yolov5"),
        ((1, 300, 6), "end2end"),
        ((1, 1700, 112), "nanodet"),
    ],
)
def test_inputs_need_not_be_square(shape: Shape, layout: str) -> None:
    assert recognise(network(shape, picture=(1, 3, 256, 320))).name == layout
    assert recognise(network(shape, picture=(1, 256, 320, 3))).name == layout


@pytest.mark.parametrize(
    ("shape", "metadata", "layout"),
    [
        ((None, 84, None), V8 | {"names": names(80)}, "yolo"),
        ((None, None, None), V8 | {"names": names(80)}, "yolo"),
        ((None, 300, 6), V8 | {"names": names(80), "end2end": "True"}, "end2end"),
        ((None, None, 6), V8 | {"names": names(80), "end2end": "True"}, "end2end"),
        ((None, None, 6), V8 | {"names": names(1), "end2end": "False"}, "end2end"),
        ((None, None, 85), V5 | {"names": names(80)}, "yolov5"),
        ((None, None, 6), V5 | {"names": names(1)}, "yolov5"),
        ((1, 300, 84), V8 | {"names": names(80)}, "rtdetr"),
        ((None, None, 84), V8 | {"names": names(80)}, "rtdetr"),
        ((1, 300, 6), V8 | {"names": names(2), "head": "RTDETRDecoder"}, "rtdetr"),
        ((1, 300, 6), V8 | {"names": names(2), "description": "Ultralytics rtdetr-l model"}, "rtdetr"),
        ((1, 300, 6), V8 | {"names": names(2)}, "end2end"),
    ],
)
def test_open_axes_are_decided_by_what_else_is_known(shape: Shape, metadata: dict[str, str], layout: str) -> None:
    assert recognise(network(shape, metadata=metadata, picture=(None, 3, None, None))).name == layout


@pytest.mark.parametrize(
    ("shape", "classes", "layout"),
    [
        ((1, 8500, 71), 3, "nanodet"),
        ((1, 8400, 112), 80, "nanodet"),
        ((1, 8400, 124), 80, "nanodet"),
        ((1, 8400, 85), 80, "yolox"),
    ],
)
def test_names_tell_nanodet_and_its_bins_from_yolox(shape: Shape, classes: int, layout: str) -> None:
    assert recognise(network(shape, metadata={"names": names(classes)})).name == layout


SCORES_AND_BOXES = ("logits", "pred_boxes")


@pytest.mark.parametrize(
    ("called", "columns", "metadata", "layout"),
    [
        (SCORES_AND_BOXES, 80, {}, "rtdetr"),
        (SCORES_AND_BOXES, 91, {}, "rfdetr"),
        (SCORES_AND_BOXES, 92, {}, "detr"),
        (("pred_logits", "pred_boxes"), 80, {}, "rtdetr"),
        (("pred_logits", "pred_boxes"), 92, {}, "detr"),
        (SCORES_AND_BOXES, 6, {"names": names(5)}, "detr"),
        (SCORES_AND_BOXES, 80, {"names": names(80)}, "rtdetr"),
        (SCORES_AND_BOXES, 80, {"names": names(79)}, "detr"),
        (("labels", "dets"), 91, {}, "rfdetr"),
        (("labels", "dets"), 4, {}, "rfdetr"),  # three classes and the background
        (("labels", "dets"), 80, {}, "rfdetr"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_detr_family_is_told_apart_by_names_and_columns(
    called: tuple[str, str], columns: int, metadata: dict[str, str], layout: str, turned: bool
) -> None:
    assert recognise(queries(called, columns, metadata, turned)).name == layout


def queries(called: tuple[str, str], columns: int, metadata: dict[str, str], turned: bool = False) -> NetworkInfo:
    kind = np.dtype(np.float32)
    tensors = [TensorInfo(called[0], (None, 300, columns), kind), TensorInfo(called[1], (None, 300, 4), kind)]
    picture = TensorInfo("pixel_values", (None, 3, 640, 640), kind)
    return NetworkInfo((picture,), tuple(tensors[::-1] if turned else tensors), metadata, source="some.onnx")


@pytest.mark.parametrize(
    ("called", "columns", "metadata"),
    [
        (SCORES_AND_BOXES, 5, {}),
        (SCORES_AND_BOXES, 5, {"names": names(5)}),
        (SCORES_AND_BOXES, 80, {"names": names(7)}),
        (("logits", "boxes"), 80, {}),  # normalised inside by some, not by others
        (("scores", "places"), 91, {}),
    ],
)
def test_queries_that_may_be_several_layouts_are_refused_with_all_of_them(
    called: tuple[str, str], columns: int, metadata: dict[str, str]
) -> None:
    with pytest.raises(UnknownLayoutError, match=r"DETR family.*rtdetr \(RT-DETR, D-FINE\), rfdetr .* detr \(DETR.*decoder="):
        recognise(queries(called, columns, metadata))


def test_finished_detections_need_the_input_of_sizes_to_be_known() -> None:
    kind = np.dtype(np.float32)
    outputs = tuple(
        TensorInfo(name, shape, kind) for name, shape in (("boxes", (1, 300, 4)), ("labels", (1, 300)), ("scores", (1, 300)))
    )
    picture = TensorInfo("images", (1, 3, 640, 640), kind)
    sizes = TensorInfo("orig_target_sizes", (1, 2), np.dtype(np.int64))
    assert recognise(NetworkInfo((picture, sizes), outputs)).name == "detr_deploy"
    with pytest.raises(UnknownLayoutError, match="detr_deploy"):
        recognise(NetworkInfo((picture,), outputs))


def test_segmentation_in_the_detr_family_is_refused() -> None:
    info = queries(("labels", "dets"), 91, {})
    masks = TensorInfo("masks", (1, 300, 108, 108), np.dtype(np.float32))
    with pytest.raises(UnknownLayoutError, match="masks"):
        recognise(NetworkInfo(info.inputs, (*info.outputs, masks)))


def test_feature_maps_beside_the_proposals_do_not_matter() -> None:
    maps = [(1, 3, side, side, 85) for side in (80, 40, 20)]
    assert recognise(network((1, 25200, 85), *maps)).name == "yolov5"


def test_our_own_metadata_comes_first() -> None:
    assert recognise(network((1, 84, 8400), metadata={"framehook.layout": "end2end", "task": "pose"})).name == "end2end"
    with pytest.raises(UnknownLayoutError, match="Did you mean 'yolo'"):
        recognise(network((1, 84, 8400), metadata={"framehook.layout": "yollo"}))


@pytest.mark.parametrize("task", ["segment", "pose", "classify", "obb"])
def test_other_tasks_are_refused_by_name(task: str) -> None:
    with pytest.raises(UnknownLayoutError, match=rf"some.onnx.*'{task}'.*only detection"):
        recognise(network((1, 84, 8400), metadata=V8 | {"task": task}))


@pytest.mark.parametrize(
    ("shapes", "metadata"),
    [
        ([(1, 3598, 112)], {}),  # NanoDet for another input
        ([(1, 8400, 112)], {}),  # NanoDet's first version, or YOLOX with 107 classes
        ([(1, 300, 84)], {}),  # RT-DETR in one tensor
        ([(1, 300, 7)], V8 | {"names": names(2), "head": "RTDETRDecoder"}),
        ([(1, 300, 4), (1, 300, 91)], {}),  # DETR in two
        ([(1, 116, 8400), (1, 32, 160, 160)], {}),  # segmentation without metadata
        ([(1, 1000)], {}),  # classification
        ([(None, None, 85)], {}),  # v5 or YOLOX
        ([(None, None, 6)], {}),  # v5, YOLOX or finished
        ([(None, None, None)], {}),
        ([(1, 84, 8400)], V8 | {"names": names(7)}),  # metadata of another network
        ([], {}),
    ],
)
def test_what_is_unknown_or_ambiguous_is_refused_with_a_way_out(shapes: list[Shape], metadata: dict[str, str]) -> None:
    with pytest.raises(UnknownLayoutError) as caught:
        recognise(network(*shapes, metadata=metadata))
    message = str(caught.value)
    assert "some.onnx" in message
    assert "decoder=" in message
    assert "tf_detection" in message
    for number, shape in enumerate(shapes):
        assert f"output{number} [{' x '.join('?' if axis is None else str(axis) for axis in shape)}]" in message


def test_tf_outputs_are_known_by_their_shapes_too() -> None:
    tensors = [
        TensorInfo(f"out{axes}", shape, np.dtype(np.float32)) for axes, shape in enumerate([(1, 9), (1,), (1, 9, 4), (1, 9)])
    ]
    pixels = TensorInfo("pixels", (1, None, None, 3), np.dtype(np.uint8))
    assert recognise(NetworkInfo((pixels,), tuple(tensors))).name == "tf_detection"


def test_a_named_tf_decoder_knows_the_order_of_outputs() -> None:
    order = ("detection_scores", "detection_boxes", "num_detections", "detection_classes")
    tensors = tuple(TensorInfo(f"{name}:0", (None,), np.dtype(np.float32)) for name in order)
    decoder = resolve_decoder("tf_detection", NetworkInfo((), tensors))
    assert isinstance(decoder, TfDetectionDecoder)
    assert decoder._order == (2, 1, 0, 3)


# Class names ----------------------------------------------------------------------------------------------------------------


def test_eighty_classes_without_names_are_those_of_coco() -> None:
    found = class_names_of(network((1, 8400, 85)), get_decoder("yolox"))
    assert list(found.values()) == list(COCO_NAMES)
    assert (len(set(COCO_NAMES)), COCO_NAMES[0], COCO_NAMES[2], COCO_NAMES[79]) == (80, "person", "car", "toothbrush")


@pytest.mark.parametrize("text", ["{0: 'cat', 1: 'dog'}", "['cat', 'dog']", '{"0": "cat", "1": "dog"}', '["cat", "dog"]'])
def test_names_are_read_as_python_or_json(text: str) -> None:
    found = class_names_of(network((1, 6, 8400), metadata={"names": text}), get_decoder("yolo"))
    assert found == {0: "cat", 1: "dog"}


@pytest.mark.parametrize(
    "text", ["{0: 'cat'", "cat", "7", "{}", "[[1], {2: 3}, __import__('os')]", "{'a': 'b'}", "{-1: 'x'}", "(" * 5000]
)
def test_unreadable_names_are_ignored_with_a_warning(text: str, caplog: pytest.LogCaptureFixture) -> None:
    found = class_names_of(network((1, 6, 8400), metadata={"names": text}), get_decoder("yolo"))
    assert found == {0: "class0", 1: "class1"}
    assert "some.onnx: class names" in caplog.text


def test_every_class_number_has_a_name() -> None:
    found = class_names_of(network((1, 7, 8400), metadata={"names": "{1: 'dog'}"}), get_decoder("yolo"))
    assert dict(found) == {0: "class0", 1: "dog", 2: "class2"}
    assert found[99] == "class99"
    assert 99 not in found
    assert dict(class_names_of(network((1, 300, 6)), get_decoder("end2end"))) == {0: "class0"}


def test_the_number_of_classes_can_be_given() -> None:
    assert class_names_of(network((1, 300, 6)), get_decoder("end2end"), nc=80)[79] == "toothbrush"
    assert list(class_names_of(network((1, 300, 6)), get_decoder("end2end"), nc=2)) == [0, 1]


def test_the_number_of_classes_follows_from_the_shape_where_it_can() -> None:
    assert class_count(network((1, 84, 8400)), get_decoder("yolo")) == 80
    assert class_count(network((1, None, 8)), get_decoder("yolov5")) == 3
    assert class_count(network((1, None, None)), get_decoder("yolo")) is None
    assert class_count(network((1, 300, 6)), get_decoder("end2end")) is None
    assert class_count(network((1, 3598, 112)), get_decoder("nanodet")) == 80
    assert class_count(network((1, 3598, 71), metadata={"names": names(3)}), get_decoder("nanodet")) == 3
    assert class_count(network((1, 3598, None)), get_decoder("nanodet")) is None
    assert class_count(network((1, 300, 84)), get_decoder("rtdetr")) == 80
    assert class_count(network((1, 300, 84)), get_decoder("detr")) is None
    for name, columns, count in (("rtdetr", 7, 7), ("rfdetr", 7, 6), ("rfdetr", 91, 91), ("detr", 7, 6)):
        assert class_count(network((1, 300, columns), (1, 300, 4)), get_decoder(name)) == count


@pytest.mark.parametrize(("layout", "columns"), [("rfdetr", 91), ("rtdetr", 91), ("detr", 92)])
def test_coco_s_own_numbers_are_named_and_its_gaps_are_not(layout: str, columns: int) -> None:
    found = class_names_of(network((1, 300, columns), (1, 300, 4)), get_decoder(layout))
    assert [found[number] for number in (1, 13, 90)] == ["person", "stop sign", "toothbrush"]
    assert sorted(set(range(91)) - set(found)) == [0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert list(found.values()) == list(COCO_NAMES)
    assert found[12] == "class12"


# Real files -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "layout", "size", "first"),
    [
        ("person320", "yolo", (320, 320), "person"),
        ("yolox_nano_416", "yolox", (416, 416), "person"),
        ("nanodet_plus_m_416", "nanodet", (416, 416), "person"),
        ("pedestrian_ssdlite", "tf_detection", (300, 300), "class0"),
    ],
)
def test_real_networks_are_recognised(data_dir: Path, file: str, layout: str, size: tuple[int, int], first: str) -> None:
    info = OnnxBackend(data_dir / "models" / f"{file}.onnx").network
    decoder = recognise(info)
    form = input_format_of(info, decoder)
    assert decoder.name == layout
    assert form.size == size
    assert form.channels_last == (layout == "tf_detection")
    assert class_names_of(info, decoder)[0] == first
