"""What `framehook models` says of the layouts: how pictures go in, and what becomes of the boxes."""

import io

import pytest
from rich.console import Console

from framehook.app.describe import print_model
from framehook.inference.backends import FunctionBackend
from framehook.inference.load import load_detector


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
