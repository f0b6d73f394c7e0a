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


def told(tmp_path, shape, metadata, **options):
    backend = FunctionBackend(lambda tensor: [], input_shape=shape, output_shapes=[(1, 300, 6)], metadata=metadata)
    path = tmp_path / "some.onnx"
    path.touch()
    text = io.StringIO()
    print_model(Console(file=text, width=200), load_detector(backend), path, **options)
    return text.getvalue()


def test_what_a_file_does_itself_is_told(tmp_path):
    baked = BakedIn(frames=True, boxes_in_frame=True, nms={"conf": 0.01, "iou": 0.7, "max_det": 300})
    text = told(tmp_path, (None, None, 3), describe("end2end", InputFormat(size=(416, 320)), baked=baked))
    assert "end2end, boxes come out without overlaps" in text
    assert "suppressed inside with conf=0.01 iou=0.7 max_det=300: a run can raise conf, the rest is fixed" in text
    assert "picture  whole frames of any size, made RGB, center fit, 416x320 inside" in text
    assert "another size" not in text


def test_open_axes_are_told_by_what_they_are(tmp_path):
    assert "float32 N x 3 x H x W\n" in told(tmp_path, (None, 3, None, None), describe("end2end", InputFormat()))
    assert "float32 N x H x W x 3\n" in told(tmp_path, (None, None, None, 3), describe("end2end", InputFormat()))
    baked = BakedIn(frames=True, boxes_in_frame=True)
    assert "float32 H x W x 3\n" in told(tmp_path, (None, None, 3), describe("end2end", InputFormat(), baked=baked))


def test_metadata_that_repeats_the_rest_is_shown_for_debugging_alone(tmp_path):
    metadata = {**describe("end2end", InputFormat()), "author": "some\x1b[2J\none"}
    text = told(tmp_path, (1, 3, None, None), metadata)
    assert "framehook." not in text
    assert "author = some?[2J one\n" in text
    assert "framehook.layout = end2end\n" in told(tmp_path, (1, 3, None, None), metadata, debug=True)


def test_the_next_command_is_told_as_it_is_typed(tmp_path):
    assert f"try      framehook track 0 --model {tmp_path}/some.onnx\n" in told(tmp_path, (1, 3, None, None), {})
    text = told(tmp_path, (1, 3, None, None), {}, typed="net --decoder end2end")
    assert "try      framehook track 0 --model net --decoder end2end\n" in text
    assert "export" not in text


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A checkpoint of a YOLO26 of our own, and its weights alone."""
    torch = pytest.importorskip("torch")
    from framehook.inference.nets.architecture import architecture_of
    from framehook.inference.nets.net import DetectionNet
    from framehook.inference.nets.save import save_checkpoint

    folder = tmp_path_factory.mktemp("nets")
    net = DetectionNet(architecture_of("yolo26n", nc=1))
    save_checkpoint(folder / "mine.pt", net)
    torch.save(net.state_dict(), folder / "bare.pt")
    return folder


@pytest.mark.parametrize(
    ("decoder", "shape", "other"),
    [("yolo", "N x 5 x ?", "--decoder end2end"), ("end2end", "N x 300 x 6", "--decoder yolo"), (None, "N x 300 x 6", "yolo")],
)
def test_the_head_that_is_asked_for_is_described_and_the_other_one_named(framehook, untrained, decoder, shape, other):
    path = untrained / "mine.pt"
    options = ["--decoder", decoder] if decoder else []
    told = framehook("models", path, *options)
    assert (told.code, told.err) == (0, "")
    assert "  network   yolo26n, PyTorch\n" in told.out
    assert f"  layout    {decoder or 'end2end'}, " in told.out
    assert f"float32 {shape}\n" in told.out
    assert f"{other}\n" in told.out
    assert f"            framehook export {' '.join([str(path), *options])}\n" in told.out


def test_weights_alone_are_described_run_and_measured_by_the_name_of_their_network(framehook, untrained):
    named = ["--architecture", "yolo26n"]
    told = framehook("models", untrained / "bare.pt", *named)
    assert (told.code, told.err) == (0, "")
    assert "  network   yolo26n, PyTorch\n" in told.out
    assert told.out.endswith("bare.pt --architecture yolo26n\n")
    told = framehook("predict", "testsrc:64x48:2", "--imgsz", "64", "--model", untrained / "bare.pt", *named)
    assert (told.code, told.err) == (0, "")
    told = framehook("benchmark", "testsrc:64x48:2", "--model", untrained / "bare.pt", *named)
    assert "fewer frames than the 10 that a benchmark takes" in told.err  # the model was loaded before that


def test_what_a_file_leaves_to_us_is_told(tmp_path):
    text = told(tmp_path, (1, 3, None, None), describe("end2end", InputFormat()))
    assert "inside" not in text
    assert "picture  RGB, center fit, 640x640 or another size" in text
