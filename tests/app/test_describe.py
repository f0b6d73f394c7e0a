"""What `framehook models` says of the layouts: how pictures go in, and what becomes of the boxes."""

import io

import pytest
from rich.console import Console

from framehook.app.describe import print_model
from framehook.inference.backends import FunctionBackend
from framehook.inference.decoders import describe
from framehook.inference.decoders.metadata import BakedIn
from framehook.inference.load import load_detector
from framehook.inference.preprocess import InputFormat


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ("yolo", ("yolo, overlaps are suppressed here", "RGB, center fit, 96x64", "pixels   0..1\n")),
        ("yolox", ("BGR, top left fit", "pixels   0..255\n")),
        ("nanodet", ("BGR, stretch fit", "0..255, less 103.53 116.28 123.675, by 57.375 57.12 58.395\n")),
        ("rtdetr", ("rtdetr, boxes come out without overlaps", "RGB, stretch fit", "pixels   0..1\n")),
        ("rfdetr", ("RGB, stretch fit", "0..1, less 0.485 0.456 0.406, by 0.229 0.224 0.225\n")),
    ],
)
def test_how_pictures_go_in_and_boxes_come_out_is_told(tmp_path, layout, said):
    backend = FunctionBackend(lambda tensor: [], input_shape=(1, 3, 64, 96))
    path = tmp_path / "some.onnx"
    path.touch()
    text = io.StringIO()
    print_model(Console(file=text, width=200), load_detector(backend, decoder=layout), path)
    for words in said:
        assert words in text.getvalue()


def told(tmp_path, shape, metadata):
    backend = FunctionBackend(lambda tensor: [], input_shape=shape, output_shapes=[(1, 300, 6)], metadata=metadata)
    path = tmp_path / "some.onnx"
    path.touch()
    text = io.StringIO()
    print_model(Console(file=text, width=200), load_detector(backend), path)
    return text.getvalue()


def test_what_a_file_does_itself_is_told(tmp_path):
    baked = BakedIn(frames=True, boxes_in_frame=True, nms={"conf": 0.01, "iou": 0.7, "max_det": 300})
    text = told(tmp_path, (None, None, 3), describe("end2end", InputFormat(size=(416, 320)), baked=baked))
    assert "end2end, boxes come out without overlaps" in text
    assert "suppressed inside with conf=0.01 iou=0.7 max_det=300: a run can raise conf, the rest is fixed" in text
    assert "picture   whole frames of any size, made RGB, center fit, 416x320 inside" in text
    assert "another size" not in text


def test_what_a_file_leaves_to_us_is_told(tmp_path):
    text = told(tmp_path, (1, 3, None, None), describe("end2end", InputFormat()))
    assert "inside" not in text
    assert "picture   RGB, center fit, 640x640 or another size" in text
