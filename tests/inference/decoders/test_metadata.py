"""What model files say of their input."""

from __future__ import annotations

import numpy as np
import pytest

from framehook.inference.decoders import describe, get_decoder, input_format_of, recognise
from framehook.inference.decoders.metadata import BakedIn, baked_into, fixed_input_size
from framehook.inference.errors import ModelFormatError
from framehook.inference.geometry import Fit
from framehook.inference.network import NetworkInfo, TensorInfo, image_input, takes_frames
from framehook.inference.preprocess import InputFormat

Shape = tuple[int | None, ...]
OPEN: Shape = (None, 3, None, None)


def network(shape: Shape = OPEN, metadata: dict[str, str] | None = None, dtype: type = np.float32) -> NetworkInfo:
    output = TensorInfo("output", (1, 84, 8400), np.dtype(np.float32))
    return NetworkInfo((TensorInfo("input", shape, np.dtype(dtype)),), (output,), metadata or {}, source="some.onnx")


@pytest.mark.parametrize(
    "form",
    [
        InputFormat(),
        InputFormat(fit=Fit.TOP_LEFT, rgb=False, scale=1, size=(416, 320)),
        InputFormat(fit=Fit.STRETCH, mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395), scale=1, pad=0),
    ],
)
def test_what_is_described_is_read_back(form: InputFormat) -> None:
    decoder = get_decoder("yolox")
    info = network(metadata=describe(decoder, form))
    assert input_format_of(info, decoder) == form
    assert recognise(info).name == "yolox"


def test_without_metadata_the_habit_of_the_layout_holds() -> None:
    for name in ("yolo", "yolov5", "yolox", "nanodet", "end2end", "rtdetr", "rfdetr", "detr", "detr_deploy"):
        assert input_format_of(network(), get_decoder(name)) == get_decoder(name).input_format


def test_the_size_comes_from_the_graph_then_from_metadata_then_from_the_layout() -> None:
    sizes = {"framehook.size": "[64, 32]", "imgsz": "[96, 128]"}
    yolo = get_decoder("yolo")
    assert input_format_of(network((1, 3, 320, 416), sizes), yolo).size == (416, 320)
    assert input_format_of(network(OPEN, sizes), yolo).size == (64, 32)
    assert input_format_of(network(OPEN, {"imgsz": "[96, 128]"}), yolo).size == (128, 96)
    assert input_format_of(network(OPEN, {"imgsz": "256"}), yolo).size == (256, 256)
    assert input_format_of(network(OPEN, {"imgsz": "many"}), yolo).size == (640, 640)
    assert input_format_of(network((1, 3, 320, None)), yolo).size == (640, 320)


def test_bytes_are_taken_as_they_are_unless_the_file_says_otherwise() -> None:
    assert input_format_of(network(dtype=np.uint8), get_decoder("yolo")).scale == 1
    scaled = {"framehook.scale": "0.5"}
    assert input_format_of(network(metadata=scaled, dtype=np.uint8), get_decoder("yolo")).scale == 0.5


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 320, 320, 3), True), ((1, 3, 320, 320), False), ((None, None, None, 3), True), ((1, 3, 3, 3), False)],
)
def test_the_order_of_axes_comes_from_the_graph(shape: Shape, expected: bool) -> None:
    assert input_format_of(network(shape), get_decoder("yolo")).channels_last is expected


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("fit", "middle"),
        ("color", "hsv"),
        ("scale", "1/255"),
        ("scale", "nan"),
        ("mean", "[1, 2]"),
        ("mean", "1, 2, 3"),
        ("std", "[1, 0, 1]"),
        ("pad", "300"),
        ("size", "[0, 10]"),
        ("size", "640"),
    ],
)
def test_an_unreadable_entry_is_named_with_what_is_expected(key: str, text: str) -> None:
    with pytest.raises(ModelFormatError, match=rf"some.onnx: metadata framehook.{key}=.*expected"):
        input_format_of(network(metadata={f"framehook.{key}": text}), get_decoder("yolo"))


def test_a_network_that_takes_no_picture_is_refused() -> None:
    with pytest.raises(ModelFormatError, match="takes no picture"):
        input_format_of(network((1, 100)), get_decoder("yolo"))


def test_a_second_input_does_not_matter() -> None:
    sizes = TensorInfo("sizes", (1, 2), np.dtype(np.int64))
    info = network((1, 3, 64, 96))
    assert input_format_of(NetworkInfo((sizes, *info.inputs), info.outputs), get_decoder("yolo")).size == (96, 64)


FRAME: Shape = (None, None, 3)


@pytest.mark.parametrize(
    "baked",
    [
        BakedIn(),
        BakedIn(frames=True),
        BakedIn(frames=True, boxes_in_frame=True, nms={"conf": 0.01, "iou": 0.7, "max_det": 300}),
        BakedIn(nms={"conf": 0.25, "iou": 0.45, "max_det": 20}),
    ],
)
def test_what_a_graph_does_itself_is_described_and_read_back(baked: BakedIn) -> None:
    form = InputFormat(fit=Fit.TOP_LEFT, rgb=False, scale=1, size=(416, 320))
    shape = FRAME if baked.frames else (1, 3, 320, 416)
    told = describe("end2end", form, baked=baked)
    info = network(shape, told, np.uint8 if baked.frames else np.float32)
    assert baked_into(info) == baked
    assert takes_frames(info) == baked.frames
    assert image_input(info).shape == shape
    assert recognise(info).name == "end2end"
    assert input_format_of(info, recognise(info)) == form
    assert fixed_input_size(info) == (416, 320)
    own = {"framehook.input": baked.frames, "framehook.boxes": baked.boxes_in_frame, "framehook.nms": baked.nms is not None}
    assert [key for key in own if key in told] == [key for key, there in own.items() if there]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"framehook.input": "video"}, "metadata framehook.input='video' cannot be read; expected frame"),
        ({"framehook.boxes": "metres"}, "metadata framehook.boxes='metres' cannot be read; expected frame or input"),
        ({"framehook.nms": "yes"}, "metadata framehook.nms='yes' cannot be read; expected a JSON object of numbers"),
        ({"framehook.nms": '{"conf": "low"}'}, "metadata framehook.nms="),
    ],
)
def test_entries_of_what_a_graph_does_that_cannot_be_read_are_refused(metadata: dict[str, str], message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        baked_into(network(metadata=metadata))


def test_a_graph_of_whole_frames_must_have_an_input_for_them() -> None:
    with pytest.raises(ModelFormatError, match="expected one of three axes, H x W x 3, as metadata"):
        image_input(network((1, 3, 64, 64), {"framehook.input": "frame"}))


def test_a_frame_without_metadata_is_no_picture() -> None:
    with pytest.raises(ModelFormatError, match=r"takes no picture: .*; expected one of four axes"):
        image_input(network(FRAME))
