"""Whole networks with the stages around them: they run in a plain runtime, and answer as the source does in Framehook."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from framehook.export.stages import Staged, Suppression, add_stages
from framehook.inference.boxes import Boxes
from framehook.inference.decoders import get_decoder
from framehook.inference.detector import Detector
from framehook.inference.errors import ExportError, OptionError
from framehook.inference.geometry import Fit, Letterbox
from framehook.inference.load import bundled_model, load_detector
from framehook.inference.options import PredictOptions
from framehook.inference.preprocess import InputFormat
from framehook.inference.sources import open_source

from .staging import answers, passes_on, run

LOW = PredictOptions(conf=0.011)


def staged(path: Path, *, preprocess: bool = False, nms: Suppression | None = None) -> Staged:
    """A file's network with stages, as the exporter asks for them."""
    source = load_detector(path)
    return add_stages(
        onnx.load(path),
        layout=source.decoder.name,
        form=source.form,
        input_size=source.form.size,
        preprocess=preprocess,
        nms=nms,
    )


def saved(staged: Staged, path: Path, names: dict[int, str] | None = None) -> Detector:
    """The detector that Framehook makes of what was written, with no word about it."""
    onnx.checker.check_model(staged.model, full_check=True)
    entries = {each.key: each.value for each in staged.model.metadata_props} | staged.metadata
    helper.set_model_props(staged.model, entries | ({} if names is None else {"names": repr(names)}))
    onnx.save(staged.model, path)
    return load_detector(path)


def scenes(size: tuple[int, int], count: int = 3) -> list[np.ndarray]:
    with open_source(f"testsrc:{size[0]}x{size[1]}@30:{count}") as source:
        return [np.array(frame.image) for frame in source]


def assert_alike(expected: Boxes, found: Boxes, *, atol: float = 1e-5) -> None:
    """The same boxes in the same order: scores to `atol`, edges to a hundred times that, in pixels."""
    np.testing.assert_array_equal(found.cls, expected.cls)
    np.testing.assert_allclose(found.conf, expected.conf, rtol=0, atol=atol)
    np.testing.assert_allclose(found.xyxy, expected.xyxy, rtol=0, atol=100 * atol)


@functools.cache
def pictures(clips: Path) -> list[np.ndarray]:
    """Two frames each of people in a street and of cars on a road."""
    images = []
    for clip in ("vtest.avi", "highway.mp4"):
        with open_source(clips / clip) as source:
            images += [frame.image for frame, _ in zip(source, range(121), strict=False) if frame.index in (80, 120)]
    return images


@functools.cache
def found_in(path: Path, clips: Path) -> tuple[dict[int, str], list[Boxes]]:
    """What a network's classes are called, and what it finds in the pictures by itself."""
    source = load_detector(path)
    return dict(source.names), [source.find([image], PredictOptions()).boxes[0] for image in pictures(clips)]


STAGES = [(True, Suppression()), (True, None), (False, Suppression())]


@pytest.mark.parametrize(("preprocess", "nms"), STAGES)
def test_the_bundled_detector_finds_the_same_with_its_stages_inside(
    tmp_path: Path, preprocess: bool, nms: Suppression | None
) -> None:
    source = load_detector()
    made = saved(staged(bundled_model(), preprocess=preprocess, nms=nms), tmp_path / "staged.onnx")
    assert made.decoder.name == ("yolo" if nms is None else "end2end")
    assert made.names == source.names
    some = 0
    for size in ((640, 480), (320, 320), (333, 777), (100, 60)):
        for image in scenes(size, 1):
            (expected,), (found,) = source.find([image], LOW).boxes, made.find([image], LOW).boxes
            assert_alike(expected, found)
            some += len(expected)
    assert some > 100


@pytest.mark.parametrize(
    ("file", "preprocess", "nms"),
    [
        *((file, *stages) for file in ("yolox_nano_416", "nanodet_plus_m_416", "person320") for stages in STAGES),
        ("pedestrian_ssdlite", True, None),  # suppresses by itself
    ],
)
def test_real_networks_find_the_same_in_real_clips(
    tmp_path: Path, data_dir: Path, file: str, preprocess: bool, nms: Suppression | None
) -> None:
    path = data_dir / "models" / f"{file}.onnx"
    images = pictures(data_dir / "clips")
    names, wanted = found_in(path, data_dir / "clips")
    made = saved(staged(path, preprocess=preprocess, nms=nms), tmp_path / "staged.onnx", names)
    for image, expected in zip(images, wanted, strict=True):
        (found,) = made.find([image], PredictOptions()).boxes
        assert_alike(expected, found, atol=1e-3)
    assert sum(map(len, wanted)) >= 10


def test_a_file_needs_a_runtime_and_nothing_else(tmp_path: Path) -> None:
    import onnxruntime

    path = tmp_path / "person.onnx"
    source = saved(staged(bundled_model(), preprocess=True, nms=Suppression()), path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for image in scenes((640, 360)):
        (rows,) = session.run(["detections"], {"frame": image})
        assert rows.shape == (1, 300, 6)
        found = rows[0][rows[0][:, 4] > 0.05]
        (expected,) = source.find([image], PredictOptions(conf=0.05)).boxes
        np.testing.assert_array_equal(found[:, :4], expected.xyxy)
        assert (found[:, [0, 1]] >= 0).all()
        assert (found[:, [2, 3]] <= (640, 360)).all()


def test_the_weights_are_in_the_file_once_and_the_source_is_not_changed() -> None:
    source = onnx.load(bundled_model())
    before = source.SerializeToString()
    detector = load_detector()
    made = add_stages(source, layout="yolo", form=detector.form, input_size=(320, 320), preprocess=True, nms=Suppression())
    assert source.SerializeToString() == before
    assert len(made.model.SerializeToString()) < len(before) + 40_000
    theirs = [each.name for each in source.graph.initializer]
    assert [each.name for each in made.model.graph.initializer][: len(theirs)] == theirs


def test_the_network_inside_is_found_under_its_own_names() -> None:
    made = staged(bundled_model(), preprocess=True, nms=Suppression())
    assert (made.network_input, made.network_outputs) == ("images", ("output0",))
    image = scenes((640, 480), 1)[0]
    for name, shape in ((made.network_input, (1, 3, 320, 320)), (made.network_outputs[0], (1, 5, 2100))):
        made.model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    _, tensor, raw = run(made.model, {"frame": image})
    (direct,) = run(onnx.load(bundled_model()), {"images": tensor})
    np.testing.assert_allclose(raw, direct, rtol=0, atol=1e-3)


# Names --------------------------------------------------------------------------------------------------------------------


def with_taken_names() -> ModelProto:
    """A network of layout yolo that calls its tensors as we call ours, one of them inside of an `If`."""
    boxes = np.array([[[30, 20, 20, 10, 0.9], [32, 20, 20, 10, 0.8], [60, 40, 10, 10, 0.7]]], np.float32).transpose(0, 2, 1)

    def branch(name: str) -> onnx.GraphProto:
        inside = helper.make_node("Add", ["detections", "zero"], [name])
        return helper.make_graph([inside], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    nodes = [
        helper.make_node("ReduceMax", ["frame"], ["framehook/constant"], keepdims=0),
        helper.make_node(
            "Mul", ["framehook/constant", "zero"], ["framehook/detections/Slice"], name="framehook/preprocess/Shape"
        ),
        helper.make_node("Add", ["boxes", "framehook/detections/Slice"], ["detections"]),
        helper.make_node("Greater", ["framehook/constant", "zero"], ["bright"]),
        helper.make_node("If", ["bright"], ["output"], then_branch=branch("one"), else_branch=branch("other")),
    ]
    graph = helper.make_graph(
        nodes,
        "taken",
        [helper.make_tensor_value_info("frame", TensorProto.FLOAT, ["batch", 3, "H", "W"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 5, 3])],
        [numpy_helper.from_array(boxes, "boxes"), numpy_helper.from_array(np.float32(0), "zero")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_names_that_the_network_uses_itself_are_kept_apart(tmp_path: Path) -> None:
    made = add_stages(
        with_taken_names(),
        layout="yolo",
        form=InputFormat(),
        input_size=(96, 64),
        preprocess=True,
        nms=Suppression(iou=0.5),
    )
    assert made.network_input == "network/frame"
    detector = saved(made, tmp_path / "taken.onnx")
    for value in (0, 200):
        (found,) = detector.find([np.full((128, 192, 3), value, np.uint8)], PredictOptions()).boxes
        assert found.conf.tolist() == pytest.approx([0.9, 0.7])
        assert found.xyxy.tolist() == [[40, 30, 80, 50], [110, 70, 130, 90]]


def test_old_files_that_list_their_weights_among_the_inputs_are_taken() -> None:
    model = answers(np.array([[[30, 20, 20, 10, 0.9]]]).transpose(0, 2, 1), (96, 64), opset=9)
    for weights in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(weights.name, weights.data_type, list(weights.dims)))
    model.ir_version = 3
    made = add_stages(
        model, layout="yolo", form=InputFormat(), input_size=(96, 64), preprocess=True, nms=Suppression(max_det=2)
    )
    (rows,) = run(made.model, {"frame": np.zeros((64, 96, 3), np.uint8)})
    np.testing.assert_allclose(rows, [[[20, 15, 40, 25, 0.9, 0], [0] * 6]])


# Finished detections, and other layouts -------------------------------------------------------------------------------------


def test_finished_detections_are_put_into_frame_pixels(tmp_path: Path) -> None:
    rows = np.zeros((1, 4, 6), np.float32)
    rows[0, :2] = [[10, 20, 50, 44, 0.9, 2], [-30, -5, 200, 90, 0.8, 1]]
    model = answers(rows, (96, 64), names=3)
    for nms in (None, Suppression()):
        made = add_stages(model, layout="end2end", form=InputFormat(), input_size=(96, 64), preprocess=True, nms=nms)
        assert "framehook.nms" not in made.metadata
        detector = saved(made, tmp_path / "finished.onnx")
        image = np.zeros((200, 200, 3), np.uint8)  # scaled by .32, with 16 pixels of padding on both sides
        (found,) = detector.find([image], PredictOptions()).boxes
        np.testing.assert_allclose(found.xyxy, [[0, 62.5, 106.25, 137.5], [0, 0, 200, 200]])
        assert found.conf.tolist() == pytest.approx([0.9, 0.8])
        assert found.cls.tolist() == [2, 1]


def test_suppression_leaves_finished_detections_as_they_are() -> None:
    model = answers(np.zeros((1, 4, 6)), (96, 64))
    made = add_stages(model, layout="end2end", form=InputFormat(), input_size=(96, 64), preprocess=False, nms=Suppression())
    assert made.model == model
    assert made.metadata["framehook.layout"] == "end2end"


@pytest.mark.parametrize("layout", ["rtdetr", "detr_deploy", "tf_detection", "of my own"])
def test_layouts_without_overlaps_are_not_suppressed(layout: str) -> None:
    with pytest.raises(
        OptionError, match=f"nms cannot be built into a graph of layout '{layout}', only of yolo, yolov5, yolox"
    ):
        add_stages(
            passes_on([1, 3, 8, 8]),
            layout=layout,
            form=InputFormat(),
            input_size=(8, 8),
            preprocess=False,
            nms=Suppression(),
        )


def test_what_a_network_takes_beside_the_picture_is_filled_in(tmp_path: Path) -> None:
    """As the export scripts of RT-DETR write it: boxes are scaled to a size that is the second input."""
    nodes = [
        helper.make_node("Cast", ["orig_target_sizes"], ["sizes"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["sizes", "sizes"], ["four"], axis=1),
        helper.make_node("Mul", ["four", "share"], ["box"]),
        helper.make_node("Reshape", ["box", "shape"], ["boxes"]),
        helper.make_node("ReduceMax", ["images"], ["brightest"], keepdims=0),
        helper.make_node("Reshape", ["brightest", "one"], ["scores"]),
        helper.make_node("Identity", ["class"], ["labels"]),
    ]
    constants = {
        "share": np.array([0.25, 0.25, 0.5, 0.75], np.float32),
        "shape": np.array([1, 1, 4]),
        "one": np.array([1, 1]),
        "class": np.array([[5]]),
    }
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "deployed",
        [value("images", TensorProto.FLOAT, ["N", 3, 64, 96]), value("orig_target_sizes", TensorProto.INT64, ["N", 2])],
        [
            value("labels", TensorProto.INT64, ["N", 1]),
            value("boxes", TensorProto.FLOAT, ["N", 1, 4]),
            value("scores", TensorProto.FLOAT, ["N", 1]),
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    form = get_decoder("detr_deploy").input_format
    made = add_stages(model, layout="detr_deploy", form=form, input_size=(96, 64), preprocess=True, nms=None)
    detector = saved(made, tmp_path / "deployed.onnx")
    (found,) = detector.find([np.full((100, 200, 3), 204, np.uint8)], PredictOptions()).boxes
    assert found.xyxy.tolist() == [[50, 25, 100, 75]]
    assert found.conf.tolist() == pytest.approx([0.8])


def test_an_input_that_nothing_is_known_about_is_refused() -> None:
    model = passes_on([1, 3, 8, 8])
    model.graph.input.append(helper.make_tensor_value_info("prompt", TensorProto.INT64, ["N", 77]))
    with pytest.raises(OptionError, match="preprocess: the network takes more than a picture: prompt; export the model"):
        add_stages(model, layout="rtdetr", form=InputFormat(), input_size=(8, 8), preprocess=True, nms=None)


def test_other_outputs_stay_unless_detections_take_their_place() -> None:
    raw = np.random.default_rng(0).random((1, 5, 189), np.float32) * 30
    model = answers(raw, (96, 64))
    model.graph.node.append(helper.make_node("Identity", ["images"], ["features"]))
    model.graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3, 64, 96]))
    both: dict[str, Any] = {"layout": "yolo", "form": InputFormat(), "input_size": (96, 64), "preprocess": True}
    kept = add_stages(model, **both, nms=None)
    assert [each.name for each in kept.model.graph.output] == ["output", "features"]
    replaced = add_stages(model, **both, nms=Suppression())
    assert [each.name for each in replaced.model.graph.output] == ["detections"]
    assert replaced.network_outputs == ("output", "features")


# What cannot be done ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([4, 3, 64, 96], "preprocess takes one frame at a time, and the network a batch of 4; export it with batch=1"),
        (
            ["N", 3, 64, 64],
            "preprocess makes pictures of 3 x 64 x 96, and input images of the network is N x 3 x 64 x 64; leave imgsz out",
        ),
        (
            [1, 1, "H", "W"],
            "preprocess makes pictures of 3 x 64 x 96, and input images of the network is 1 x 1 x N x N; leave imgsz out",
        ),
    ],
)
def test_networks_that_cannot_be_given_one_frame_are_refused_in_one_line(shape: list[int | str | None], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        add_stages(passes_on(shape), layout="yolo", form=InputFormat(), input_size=(96, 64), preprocess=True, nms=None)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("layout", "shape", "axes"),
    [
        ("yolo", (1, 4, 189), r"1 x 4 x 189 does not fit layout 'yolo' \(N x \(4 \+ classes\) x anchors\)"),
        ("yolov5", (1, 189, 5), r"1 x 189 x 5 does not fit layout 'yolov5' \(N x anchors x \(5 \+ classes\)\)"),
        ("yolox", (1, 100, 9), r"does not fit layout 'yolox' \(N x 126 x \(5 \+ classes\) for an input of 96 x 64\)"),
        ("nanodet", (1, 100, 35), r"does not fit layout 'nanodet' \(N x 128 or 126 x \(classes \+ 4 x bins\) for an input"),
        ("yolo", (1, 85), r"layout 'yolo' has an output of three axes, and the network has output \(1, 85\)"),
    ],
)
def test_outputs_of_another_layout_are_refused(layout: str, shape: tuple[int, ...], axes: str) -> None:
    with pytest.raises(ExportError, match=axes):
        add_stages(
            answers(np.zeros(shape), (96, 64)),
            layout=layout,
            form=InputFormat(),
            input_size=(96, 64),
            preprocess=False,
            nms=Suppression(),
        )


def test_a_graph_that_takes_frames_is_not_given_another_preprocessing_but_may_still_suppress(tmp_path: Path) -> None:
    path = tmp_path / "frames.onnx"
    frames = saved(staged(bundled_model(), preprocess=True), path)
    with pytest.raises(OptionError, match="preprocess: the model takes whole frames already; leave preprocess out"):
        staged(path, preprocess=True)
    both = saved(staged(path, nms=Suppression()), tmp_path / "both.onnx")
    assert (both.baked.frames, both.baked.boxes_in_frame) == (True, False)
    for image in scenes((400, 300)):
        assert_alike(frames.find([image], LOW).boxes[0], both.find([image], LOW).boxes[0])


# Sizes and batches that are open --------------------------------------------------------------------------------------------


def open_yolo() -> ModelProto:
    """A network of layout yolo that takes any batch and size: the whole picture is found, and scored by its brightness."""
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Gather", ["shape", "sides"], ["size"], axis=0),
        helper.make_node("Cast", ["size"], ["length"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["length", "half"], ["middle"]),
        helper.make_node("Concat", ["middle", "length"], ["box"], axis=0),
        helper.make_node("Gather", ["shape", "first"], ["count"], axis=0),
        helper.make_node("Concat", ["count", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["box", "upright"], ["column"]),
        helper.make_node("Expand", ["column", "wanted"], ["boxes"]),
        helper.make_node("ReduceMax", ["images"], ["bright"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["bright", "score_shape"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output"], axis=1),
    ]
    constants = {
        "sides": np.array([3, 2]),
        "half": np.float32(0.5),
        "first": np.array([0]),
        "rest": np.array([4, 1]),
        "upright": np.array([1, 4, 1]),
        "score_shape": np.array([-1, 1, 1]),
    }
    graph = helper.make_graph(
        nodes,
        "open",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 5, "anchors"])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_open_sizes_and_batches_stay_open_without_preprocessing(tmp_path: Path) -> None:
    made = add_stages(open_yolo(), layout="yolo", form=InputFormat(), input_size=(96, 64), preprocess=False, nms=Suppression())
    detector = saved(made, tmp_path / "open.onnx")
    for side in (64, 128):
        images = [np.full((48, 48, 3), value, np.uint8) for value in (51, 102, 204)]
        found = detector.find(images, PredictOptions(conf=0.1, imgsz=side)).boxes
        assert [each.conf.tolist() for each in found] == [pytest.approx([value / 255]) for value in (51, 102, 204)]
        assert [each.xyxy.tolist() for each in found] == [[[0, 0, 48, 48]]] * 3


def test_open_sizes_are_fixed_by_preprocessing(tmp_path: Path) -> None:
    made = add_stages(open_yolo(), layout="yolo", form=InputFormat(), input_size=(96, 64), preprocess=True, nms=None)
    detector = saved(made, tmp_path / "fixed.onnx")
    (output,) = made.model.graph.output
    assert output.type.tensor_type.shape.dim[0].dim_value == 1
    image = np.full((48, 100, 3), 255, np.uint8)
    (found,) = detector.find([image], PredictOptions()).boxes
    assert found.xyxy.tolist() == [[0, 0, 100, 48]]
    with pytest.raises(OptionError, match="imgsz=64 does not fit: the model takes 64x96 only; leave imgsz out"):
        detector.input_size(PredictOptions(imgsz=64))


@pytest.mark.parametrize("fit", list(Fit))
def test_boxes_come_back_to_the_frame_as_the_placement_says(tmp_path: Path, fit: Fit) -> None:
    corners = np.array([[5, 6, 50, 40], [30, 10, 90, 60]], np.float32)
    centers = np.concatenate(((corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2], [[0.9], [0.8]]), axis=1)
    model = answers(centers.T[None], (96, 64))
    made = add_stages(
        model, layout="yolo", form=InputFormat(fit=fit), input_size=(96, 64), preprocess=True, nms=Suppression(max_det=5)
    )
    detector = saved(made, tmp_path / "placed.onnx")
    for size in ((333, 777), (96, 64), (1, 1), (640, 480), (31, 17)):
        (found,) = detector.find([np.zeros((size[1], size[0], 3), np.uint8)], PredictOptions()).boxes
        expected = Letterbox.fit(size, (96, 64), fit).to_frame(corners)
        inside = (expected[:, 2:] > expected[:, :2]).all(axis=1)
        np.testing.assert_allclose(found.xyxy, expected[inside], rtol=1e-6)


def test_a_graph_too_old_to_be_converted_is_refused_in_one_line() -> None:
    model = passes_on([1, 3, 64, 96], opset=8)
    model.graph.node[0].op_type = "OfAnotherLibrary"
    with pytest.raises(ExportError, match="the graph is of opset 8 and cannot be converted to 13") as caught:
        add_stages(model, layout="yolo", form=InputFormat(), input_size=(96, 64), preprocess=True, nms=None)
    assert "\n" not in str(caught.value)
