"""The gate: an honest export passes, and whatever was done to it afterwards is seen."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
from onnx import helper

from framehook.export.accuracy import judge
from framehook.export.box_check import Proposed, match
from framehook.export.file_check import own_layout
from framehook.export.frames import take_frames
from framehook.export.parity import compare
from framehook.export.pixel_check import PixelComparison, charts
from framehook.export.stages import Suppression, add_stages
from framehook.export.tensor_check import TensorComparison
from framehook.export.tolerances import ENOUGH, tolerance_for
from framehook.inference.backends import FunctionBackend
from framehook.inference.boxes import Boxes
from framehook.inference.decoders import FunctionDecoder, get_decoder, known_decoders, register_decoder, registry
from framehook.inference.decoders.base import Candidates
from framehook.inference.detector import Detector
from framehook.inference.errors import ExportError, ParityError
from framehook.inference.load import load_detector
from framehook.inference.options import PredictOptions
from framehook.inference.preprocess import InputFormat, Preprocessor
from tests.export.spots import NAMES, SIDE, constant, entries_of, exported, save_spots, set_constant, spotted

EXACT = tolerance_for("float")


@pytest.fixture(scope="module")
def frames():
    return spotted()


@pytest.fixture(scope="module")
def spots(tmp_path_factory):
    """The path of the small network, and the detector that it is."""
    path = save_spots(tmp_path_factory.mktemp("spots") / "spots.onnx")
    return path, load_detector(path)


def gate(source, path, frames, **options):
    """The gate, in a hurry."""
    return compare(source, path, frames, seconds=0, **options)


def merged(path, to, *, preprocess=False, nms=None, change=None, told_nms=None, entries=None, **form):
    """Write a file with stages merged on; `change` and changes of the input's format are told nobody.

    `entries` is as that of `exported`.
    """
    detector = load_detector(path)
    true = detector.form
    size = detector.input_size(PredictOptions())
    options = {"layout": detector.decoder.name, "input_size": size, "preprocess": preprocess, "nms": nms}
    staged = add_stages(onnx.load(path), form=dataclasses.replace(true, **form), **options)
    told = add_stages(onnx.load(path), form=true, **{**options, "nms": told_nms or nms}).metadata
    if change is not None:
        change(staged.model.graph)
    told = {**entries_of(detector, told), **(entries or {})}
    helper.set_model_props(staged.model, {key: text for key, text in told.items() if text is not None})
    onnx.save(staged.model, to)
    names = {"network_input": staged.network_input, "network_outputs": staged.network_outputs}
    return {**names, "nms": told_nms or nms}


def one_weight(name="weight", place=(5, 0, 3, 3), by=0.05):
    """A change of a single number of a constant."""

    def change(graph):
        weights = constant(graph, name)
        weights[place] += by
        set_constant(graph, name, weights)

    return change


# What is right ------------------------------------------------------------------------------------------------------------


def test_an_honest_copy_passes_and_is_proven(spots, frames, tmp_path):
    path, source = spots
    told = []
    found = gate(source, exported(path, tmp_path / "copy.onnx"), frames, progress=told.append)
    assert found.proven
    assert found.frames == len(frames)
    assert found.boxes.matched.matched == found.boxes.matched.expected == found.detections > ENOUGH
    assert found.tensors.difference == 0
    assert found.pixels is found.own_pixels is None
    assert found.speed.rounds >= 3
    assert min(*found.speed.network_ms, *found.speed.total_ms) > 0
    assert told == sorted(told)
    assert told[-1] == 1
    assert json.loads(json.dumps(found.as_dict()))["boxes"]["matched"]["matched"] == found.detections


@pytest.mark.parametrize("preprocess", [False, True])
@pytest.mark.parametrize("nms", [None, Suppression(), Suppression(conf=0.4, iou=0.5, max_det=9)])
def test_stages_around_the_network_pass(spots, frames, tmp_path, preprocess, nms):
    path, source = spots
    names = merged(path, tmp_path / "merged.onnx", preprocess=preprocess, nms=nms)
    found = gate(source, tmp_path / "merged.onnx", frames, **names)
    assert found.proven
    assert found.boxes.matched.matched + found.boxes.matched.ties >= found.detections
    assert (found.pixels is not None) == (found.own_pixels is not None) == preprocess


@pytest.mark.parametrize("batch", [2, "n"])
def test_an_export_for_other_batches_is_compared_with_a_source_for_one(spots, frames, tmp_path, batch):
    _, source = spots
    many = save_spots(tmp_path / "many.onnx", batch=batch)
    found = gate(source, exported(many, tmp_path / "copy.onnx"), frames[:5])
    assert found.boxes.matched.matched == found.detections > ENOUGH


def test_a_source_for_several_pictures_is_compared_with_an_export_for_one(spots, frames, tmp_path):
    path, _ = spots
    source = load_detector(save_spots(tmp_path / "three.onnx", batch=3))
    found = gate(source, exported(path, tmp_path / "copy.onnx"), frames)
    assert found.boxes.matched.matched == found.detections > ENOUGH


def numpy_spots(path):
    """The small network in NumPy, for any batch and size."""
    graph = onnx.load(path).graph
    weight, bias = constant(graph, "weight"), constant(graph, "bias")

    def network(tensor):
        count, _, height, width = tensor.shape
        rows, columns = height // 8, width // 8
        cells = tensor.reshape(count, 3, rows, 8, columns, 8).transpose(0, 2, 4, 1, 3, 5).reshape(count, rows * columns, -1)
        features = (cells @ weight.reshape(8, -1).T + bias).transpose(0, 2, 1)
        y, x = np.mgrid[:rows, :columns].reshape(2, -1)
        middles = np.stack(((x + 0.5) * 8, (y + 0.5) * 8))
        sigmoid = 1 / (1 + np.exp(-features[:, 2:]))
        boxes = np.tanh(features[:, :2]) * 5 + middles, sigmoid[:, :2] * 90
        return [np.concatenate((*boxes, sigmoid[:, 2:]), axis=1).astype(np.float32)]

    shape = {"input_shape": (None, 3, None, None), "output_shapes": [(None, 8, None)]}
    return FunctionBackend(network, metadata={"names": str(NAMES)}, **shape)


def test_a_source_that_takes_any_size_is_compared_in_the_size_of_the_file(spots, frames, tmp_path):
    path, _ = spots
    source = Detector(numpy_spots(path), get_decoder("yolo"), names=NAMES, form=InputFormat())
    assert source.input_size(PredictOptions()) != (SIDE, SIDE)
    found = gate(source, exported(path, tmp_path / "copy.onnx"), frames, size=(SIDE, SIDE))
    assert found.boxes.matched.matched == found.detections > ENOUGH
    assert 0 < found.tensors.difference < 1e-3


def test_a_file_that_says_to_take_any_size_and_does_not_is_seen(spots, frames, tmp_path):
    def opened(graph):
        for tensor in (*graph.input, *graph.output):
            for axis in tensor.type.tensor_type.shape.dim[2:]:
                axis.dim_param = f"{tensor.name}{axis.dim_value}"

    path, fixed = spots
    copy = exported(path, tmp_path / "copy.onnx", opened, entries={"framehook.size": json.dumps([SIDE, SIDE])})
    anything = Detector(numpy_spots(path), get_decoder("yolo"), names=NAMES, form=fixed.form)
    for source in (fixed, anything):
        with pytest.raises(ParityError, match="cannot be run"):
            gate(source, copy, frames, size=(SIDE, SIDE))


def test_a_file_that_takes_any_size_is_compared_in_another_where_its_source_can(frames, tmp_path):
    def network(tensor):
        """Every pixel's red is the score of a box."""
        scores = tensor[:, 0].reshape(len(tensor), 1, -1)
        return [np.concatenate((np.full_like(scores, 20).repeat(4, axis=1), scores), axis=1)]

    shape = {"input_shape": (None, 3, None, None), "output_shapes": [(None, 5, None)]}
    metadata = {"framehook.layout": "yolo", "names": "{0: 'red'}", "framehook.size": "[64, 64]"}
    text = """<ir_version: 8, opset_import: ["" : 17]> red (float[N,3,H,W] images) => (float[N,5,C] output0) {
        first = Constant<value_ints=[0]>()
        red = Gather<axis=1>(images, first)
        shape = Constant<value_ints=[0,1,-1]>()
        scores = Reshape(red, shape)
        side = Constant<value_float=%s>()
        zero = Sub(scores, scores)
        twenty = Add(zero, side)
        output0 = Concat<axis=1>(twenty, twenty, twenty, twenty, scores)
    }"""
    source = load_detector(FunctionBackend(network, metadata=metadata, **shape))
    for side, seen in (("20.0", False), ("20.1", True)):
        model = onnx.parser.parse_model(text % side)
        helper.set_model_props(model, entries_of(source))
        onnx.save(model, tmp_path / "red.onnx")
        if seen:
            with pytest.raises(ParityError, match="output0, row 0"):
                gate(source, tmp_path / "red.onnx", frames)
        else:
            found = gate(source, tmp_path / "red.onnx", frames)
            assert found.notes == ()
            # Nine pictures in twos, one alone, two in another size.
            assert found.tensors.inputs == 7


def test_a_decoder_that_nobody_else_can_name_is_refused(spots, frames, tmp_path):
    def mine(outputs, *, input_size, conf):
        return get_decoder("yolo").decode(outputs, input_size=input_size, conf=conf)

    path, plain = spots
    source = Detector(plain.backend, FunctionDecoder(mine), names=NAMES, form=plain.form)
    with pytest.raises(ParityError, match="read as layout 'yolo', and it has layout 'mine'"):
        gate(source, exported(path, tmp_path / "copy.onnx"), frames)
    copy = exported(path, tmp_path / "copy.onnx", entries={"framehook.layout": "mine"})
    with pytest.raises(ParityError, match=r"cannot be run without flags: .*'mine'"):
        gate(source, copy, frames)


def test_a_decoder_that_is_registered_is_found_by_its_name(spots, frames, tmp_path, monkeypatch):
    def named(outputs, *, input_size, conf):
        return get_decoder("yolo").decode(outputs, input_size=input_size, conf=conf)

    monkeypatch.setattr(registry, "_added", {})
    path, plain = spots
    source = Detector(plain.backend, register_decoder(FunctionDecoder(named)), names=NAMES, form=plain.form)
    copy = exported(path, tmp_path / "copy.onnx", entries={"framehook.layout": "named"})
    assert gate(source, copy, frames).notes == ()
    assert own_layout("named") == "named"
    assert {own_layout(name) for name in known_decoders() if name != "named"} == {None}


def test_without_detections_the_numbers_decide_and_nothing_is_proven(frames, tmp_path):
    path = save_spots(tmp_path / "shy.onnx", bias=-30.0)
    source = load_detector(path)
    found = gate(source, exported(path, tmp_path / "copy.onnx"), frames)
    assert not found.proven
    assert found.detections == 0
    with pytest.raises(ParityError, match="does not compute what its source does"):
        gate(source, exported(path, tmp_path / "copy.onnx", one_weight(place=(0, 0, 3, 3))), frames)


def test_time_is_limited_with_a_network_that_takes_long(spots, frames, tmp_path, monkeypatch):
    path, source = spots
    monkeypatch.setattr("framehook.export.parity.PATIENCE", 0.0)
    found = gate(source, exported(path, tmp_path / "copy.onnx"), [*frames, *frames])
    assert found.frames == 8
    assert "first 8 of 12 frames" in found.notes[0]


def test_a_network_that_finds_nothing_is_given_up_earlier(frames, tmp_path, monkeypatch):
    path = save_spots(tmp_path / "shy.onnx", bias=-30.0)
    monkeypatch.setattr("framehook.export.parity.HOPE", 0.0)
    found = gate(load_detector(path), exported(path, tmp_path / "copy.onnx"), [*frames, *frames])
    assert found.frames == 8
    assert "first 8 of 12 frames, for 0 s, in which the source finds nothing" in found.notes[0]


# What is wrong ------------------------------------------------------------------------------------------------------------


def test_one_weight_that_was_changed_is_seen(spots, frames, tmp_path):
    path, source = spots
    with pytest.raises(
        ParityError, match=r"output0, row 5 is off by .* times what is allowed.*; export it with simplify=False"
    ):
        gate(source, exported(path, tmp_path / "copy.onnx", one_weight()), frames)


@pytest.mark.parametrize("preprocess", [False, True])
@pytest.mark.parametrize("nms", [None, Suppression()])
def test_one_weight_inside_a_file_with_stages_is_seen(spots, frames, tmp_path, preprocess, nms):
    path, source = spots
    names = merged(path, tmp_path / "merged.onnx", preprocess=preprocess, nms=nms, change=one_weight())
    with pytest.raises(ParityError, match="output0, row 5 is off"):
        gate(source, tmp_path / "merged.onnx", frames, **names)


def test_weights_of_a_class_that_is_never_seen_count_too(spots, frames, tmp_path):
    path, source = spots
    with pytest.raises(ParityError, match="output0, row 7 is off"):
        gate(source, exported(path, tmp_path / "copy.onnx", one_weight("bias", 7, 0.5)), frames)


def test_proposals_in_another_order_are_seen(spots, frames, tmp_path):
    def turned(graph):
        graph.node[-1].output[0] = "forward"
        graph.initializer.append(onnx.numpy_helper.from_array(np.arange(64)[::-1].copy(), "backwards"))
        graph.node.append(helper.make_node("Gather", ["forward", "backwards"], ["output0"], axis=2))

    path, source = spots
    with pytest.raises(ParityError, match="output0, row"):
        gate(source, exported(path, tmp_path / "copy.onnx", turned), frames)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"framehook.color": "bgr"}, "rgb False, where its source has True"),
        ({"framehook.pad": "113"}, "pad 113, where its source has 114"),
        ({"framehook.fit": "stretch"}, "fit stretch, where its source has center"),
        ({"framehook.mean": "[0, 0, 0.1]"}, "mean"),
        ({"framehook.layout": "end2end"}, "layout 'end2end'"),
        ({"framehook.layout": "yollo"}, "cannot be run without flags"),
        ({"framehook.pad": "grey"}, "cannot be run"),
        ({"names": "['red', 'green', 'blue', 'horse']"}, "4 classes"),
        ({"stride": "8"}, "says stride 8, and 32 is right"),
        ({"stride": "64"}, "says stride 64, and 32 is right"),
        ({"framehook.size": "[320, 320]"}, r"says framehook.size \[320, 320\], and \[64, 64\] is right"),
        ({"framehook.nms": '{"conf": 0.01, "iou": 0.7, "max_det": 300}'}, "says nms {.*}, and None is right"),
        ({"imgsz": "[320, 320]"}, r"says imgsz \[320, 320\], and \[64, 64\] is right"),
        ({"imgsz": None}, r"says imgsz None, and \[64, 64\] is right"),
        ({"batch": "2"}, "says batch 2, and 1 is right"),
        ({"task": "segment"}, "says task segment, and detect is right"),
        ({"end2end": "True"}, "says end2end True, and False is right"),
    ],
)
def test_metadata_that_says_something_else_is_seen(spots, frames, tmp_path, entries, said):
    path, source = spots
    with pytest.raises(ParityError, match=said):
        gate(source, exported(path, tmp_path / "copy.onnx", entries=entries), frames)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"framehook.nms": None}, "says nms None, and {'conf': 0.01, 'iou': 0.7, 'max_det': 300.0} is right"),
        ({"framehook.nms": '{"conf": 0.01, "iou": 0.5, "max_det": 300}'}, "says nms {.*0.5.*}, and {.*0.7.*} is right"),
        ({"framehook.boxes": None}, "says boxes in frame False, and True is right"),
        ({"framehook.layout": "yolo"}, "read as layout 'yolo', and it has layout 'end2end'"),
        ({"framehook.size": "[96, 64]"}, r"says size \(height, width\) \[64, 96\], and \[64, 64\] is right"),
        ({"framehook.fit": "stretch"}, "fit stretch, where its source has center"),
        ({"end2end": "False"}, "says end2end False, and True is right"),
        ({"batch": "4"}, "says batch 4, and 1 is right"),
    ],
)
def test_metadata_that_says_something_else_of_the_stages_is_seen(spots, frames, tmp_path, entries, said):
    path, source = spots
    names = merged(path, tmp_path / "merged.onnx", preprocess=True, nms=Suppression(), entries=entries)
    with pytest.raises(ParityError, match=said):
        gate(source, tmp_path / "merged.onnx", frames, **names)


def test_another_size_than_was_asked_for_is_seen(spots, frames, tmp_path):
    path, source = spots
    copy = exported(path, tmp_path / "copy.onnx")
    with pytest.raises(ParityError, match=r"says size \(height, width\) \[64, 64\], and \[64, 96\] is right"):
        gate(source, copy, frames, size=(96, 64))


@pytest.mark.parametrize("form", [{"rgb": False}, {"pad": 113}, {"scale": 1 / 256}, {"mean": (0.0, 0.01, 0.0)}])
def test_other_preprocessing_in_the_file_is_seen_whatever_the_frames(spots, tmp_path, form):
    path, source = spots
    names = merged(path, tmp_path / "merged.onnx", preprocess=True, **form)
    grey = [np.full((50, 80, 3), 100, np.uint8)]
    with pytest.raises(ParityError, match=r"preprocessing in the file is not Framehook's: .* grey levels of 255 off"):
        gate(source, tmp_path / "merged.onnx", grey, **names)


@pytest.mark.parametrize("wrong", [Suppression(iou=0.4), Suppression(conf=0.6), Suppression(max_det=3)])
@pytest.mark.parametrize("preprocess", [False, True])
def test_other_suppression_in_the_file_is_seen(spots, frames, tmp_path, wrong, preprocess):
    path, source = spots
    names = merged(path, tmp_path / "merged.onnx", preprocess=preprocess, nms=wrong, told_nms=Suppression())
    with pytest.raises(ParityError, match=r"the export finds other things than its source: class . at .* is missing"):
        gate(source, tmp_path / "merged.onnx", frames, **names)


def test_a_graph_that_is_another_one_is_seen(spots, frames, tmp_path):
    def shorter(graph):
        graph.node[-1].input.pop()

    path, source = spots
    with pytest.raises(ParityError, match=r"outputs of 1 x 4 x 64 numbers, and its source of 1 x 8 x 64"):
        gate(source, exported(path, tmp_path / "copy.onnx", shorter), frames)


def test_numbers_that_are_not_finite_are_seen(spots, frames, tmp_path):
    def overflowing(graph):
        set_constant(graph, "large", np.float32(np.inf))

    path, source = spots
    with pytest.raises(ParityError, match="not finite"):
        gate(source, exported(path, tmp_path / "copy.onnx", overflowing), frames)


def test_a_file_without_the_inner_tensors_is_refused(spots, frames, tmp_path):
    path, source = spots
    merged(path, tmp_path / "merged.onnx", preprocess=True)
    with pytest.raises(ExportError, match="no tensor nowhere"):
        gate(source, tmp_path / "merged.onnx", frames, network_input="nowhere", network_outputs=("output0",))


# Less exact arithmetic ----------------------------------------------------------------------------------------------------


def rounded(steps):
    """A change of all weights to so many steps."""

    def change(graph):
        weights = constant(graph, "weight")
        largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
        set_constant(graph, "weight", (np.round(weights / largest * steps) * largest / steps).astype(np.float32))

    return change


def test_float16_may_round_and_no_more(spots, frames, tmp_path):
    def halved(graph):
        set_constant(graph, "weight", constant(graph, "weight").astype(np.float16).astype(np.float32))

    path, source = spots
    copy = exported(path, tmp_path / "copy.onnx", halved)
    found = gate(source, copy, frames, kind="half")
    assert found.proven
    assert 0 < found.tensors.error < found.tensors.allowed
    with pytest.raises(ParityError, match=r"of its spread, and 0.2 is allowed; leave half out"):
        gate(source, exported(path, tmp_path / "copy.onnx", one_weight(by=5)), frames, kind="half")


def test_int8_is_judged_by_what_is_found_again(spots, frames, tmp_path):
    path, source = spots
    found = gate(source, exported(path, tmp_path / "copy.onnx", rounded(127)), frames, kind="int8")
    assert found.proven
    assert found.boxes.accuracy.ap50 > 0.9
    assert found.boxes.accuracy.found_again > 0.9
    with pytest.raises(ParityError, match=r"pass data of your own scenes"):
        gate(source, exported(path, tmp_path / "copy.onnx", rounded(0.4)), frames, kind="int8")


def test_int8_without_detections_is_judged_by_its_numbers(frames, tmp_path):
    path = save_spots(tmp_path / "shy.onnx", bias=-30.0)
    source = load_detector(path)
    assert not gate(source, exported(path, tmp_path / "copy.onnx", rounded(127)), frames, kind="int8").proven

    def emptied(graph):
        rounded(0.4)(graph)
        set_constant(graph, "middles", np.zeros_like(constant(graph, "middles")))

    with pytest.raises(ParityError, match="of its spread"):
        gate(source, exported(path, tmp_path / "copy.onnx", emptied), frames, kind="int8")


# Detections, matched ------------------------------------------------------------------------------------------------------


def boxes(*rows):
    """Boxes of left, top, right, bottom, score, class."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Boxes(table[:, :4], table[:, 4], table[:, 5].astype(np.int64), orig_shape=(100, 100))


def matched(expected, found, proposed=None, *, iou=0.5, conf=0.25, max_det=300):
    every = expected if proposed is None else proposed
    inside = Candidates(every.xyxy, every.conf, every.cls)
    return match(expected, found, Proposed(inside, every.xyxy, iou), EXACT, conf=conf, max_det=max_det)


def test_detections_are_matched_whatever_their_order():
    one, other = (0, 0, 10, 10, 0.9, 0), (50, 50, 60, 60, 0.8, 1)
    found = matched(boxes(one, other), boxes(other, one))
    assert (found.expected, found.found, found.matched, found.ties, found.missed) == (2, 2, 2, 0, "")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "class 0 at 0, 0, 20, 20 with score 0.900 is missing from the export"),
        ([(0, 0, 20, 20, 0.89, 0)], "the nearest overlaps by 1.0000 and scores 0.890"),
        ([(0, 0, 20, 19, 0.9, 0)], "the nearest overlaps by 0.9500 and scores 0.900"),
        ([(0, 0, 20, 20, 0.9, 1)], "the nearest overlaps by 1.0000, is of class 1 and scores 0.900"),
        (
            [(0, 0, 20, 20, 0.9, 0), (70, 70, 80, 80, 0.3, 0)],
            "class 0 at 70, 70, 80, 80 with score 0.300 is in the export alone",
        ),
    ],
)
def test_what_has_no_partner_is_told(found, said):
    assert said in matched(boxes((0, 0, 20, 20, 0.9, 0)), boxes(*found)).missed


def test_a_score_at_the_threshold_may_fall_on_either_side():
    above, below = (0, 0, 20, 20, 0.2501, 0), (0, 0, 20, 20, 0.2499, 0)
    for pair in ((above, below), (below, above)):
        found = matched(boxes(pair[0]), boxes(pair[1]))
        assert found.missed == ""
        assert found.ties == 0


def test_either_of_two_that_are_as_good_may_suppress_the_other():
    first, second = (0, 0, 20, 20, 0.8, 0), (0, 2, 20, 22, 0.7995, 0)
    found = matched(boxes(first), boxes(second), boxes(first, second))
    assert (found.ties, found.missed) == (2, "")
    better = (0, 2, 20, 22, 0.7, 0)  # which had no chance
    assert "missing" in matched(boxes(first), boxes(better), boxes(first, better)).missed


def test_an_overlap_at_the_threshold_may_suppress_or_not():
    first, second = (0, 0, 20, 30, 0.8, 0), (0, 10, 20, 40, 0.6, 0)  # an overlap of exactly one half
    alone, both = boxes(first), boxes(first, second)
    assert matched(alone, both, both).missed == matched(both, alone, both).missed == ""
    assert "in the export alone" in matched(alone, both, both, iou=0.4).missed
    assert "missing" in matched(both, alone, both, iou=0.6).missed


def test_a_box_that_nobody_proposed_is_no_tie():
    first, invented = (0, 0, 20, 20, 0.8, 0), (0, 2, 20, 22, 0.8, 0)
    assert matched(boxes(first), boxes(invented), boxes(first)).missed


def test_the_last_of_as_many_as_are_kept_may_be_another():
    ranked = [(10 * n, 0, 10 * n + 8, 8, 0.5, 0) for n in range(5)]
    found = matched(boxes(*ranked[:4]), boxes(*ranked[:3], ranked[4]), boxes(*ranked), max_det=4)
    assert (found.matched, found.ties, found.missed) == (3, 2, "")


def test_equal_detections_have_full_precision_and_none_have_nothing():
    truth = boxes((0, 0, 20, 20, 0.9, 0), (50, 50, 70, 70, 0.5, 1))
    assert judge([(truth, truth)], conf=0.25).ap50 == 1
    assert judge([(truth, boxes())], conf=0.25) == judge([(truth, boxes((0, 0, 20, 20, 0.9, 1)))], conf=0.25)
    assert judge([(truth, boxes())], conf=0.25).found_again == 0
    assert judge([(boxes(), truth)], conf=0.25).ap50 == 1  # nothing was to be found


def test_what_the_source_doubts_is_neither_truth_nor_mistake():
    sure, doubtful = (0, 0, 20, 20, 0.9, 0), (50, 50, 70, 70, 0.2, 0)
    louder = (50, 50, 70, 70, 0.95, 0)
    assert judge([(boxes(sure, doubtful), boxes(sure, louder))], conf=0.25).ap50 == 1
    assert judge([(boxes(sure), boxes(sure, louder))], conf=0.25).ap50 == pytest.approx(0.5)
    quieter = (0, 0, 20, 20, 0.15, 0)
    assert judge([(boxes(sure), boxes(quieter))], conf=0.25).found_again == 1
    assert judge([(boxes(sure), boxes((0, 0, 20, 20, 0.05, 0)))], conf=0.25).found_again == 0


# Numbers ------------------------------------------------------------------------------------------------------------------


def compared(expected, found, *, ranked=False, kind="float"):
    comparison = TensorComparison(tolerance_for(kind), ranked=ranked)
    comparison.add([expected], [found], ["output"])
    return comparison.figures()


def test_ranked_proposals_may_trade_places_and_the_last_may_be_others():
    chance = np.random.default_rng(0)
    ours = chance.uniform(0, 1, (1, 300, 6))
    others = ours.copy()
    others[0, [7, 8, 100, 250]] = others[0, [250, 7, 8, 100]]
    assert compared(ours, others, ranked=True).error == 0
    assert compared(ours, others).error > 1
    others[0, -3:] = chance.uniform(0, 1, (3, 6))
    assert compared(ours, others, ranked=True).error == 0
    others[0, -30:] = chance.uniform(0, 1, (30, 6))
    assert compared(ours, others, ranked=True).error > 1


def test_less_exact_ranked_proposals_are_compared_as_a_whole():
    ours = np.random.default_rng(0).normal(0, 1, (2, 300, 6))
    others = ours[:, ::-1] + 0.01
    assert compared(ours, others, ranked=True, kind="half").error == pytest.approx(0.01, rel=0.2)
    assert compared(ours, others + 0.3, ranked=True, kind="half").error > tolerance_for("half").spread


def test_pixels_of_large_inputs_may_be_off_by_what_single_precision_cannot_tell():
    ours = np.random.default_rng(0).uniform(0, 640, (1, 84, 100))
    ours[:, 4:] /= 640
    others = ours.copy()
    others[0, 2, 5] += 0.009
    assert compared(ours, others).error < 1
    others[0, 2, 5] += 0.09
    assert compared(ours, others).error > 1
    assert compared(ours, others).where == "output, row 2"
    others = ours.copy()
    others[0, 2] += 0.002
    assert compared(ours, others).error == pytest.approx(2)


def test_scores_are_judged_by_what_the_class_reaches():
    ours = np.random.default_rng(0).uniform(0, 0.5, (1, 84, 100))
    ours[:, :4] *= 1280
    for off, seen in ((1e-5, False), (1e-4, False), (4e-4, True)):
        others = ours.copy()
        others[0, 50, 7] += off
        assert (compared(ours, others).error > 1) == seen


def test_the_made_up_pictures_tell_channels_edges_and_corners_apart():
    form = InputFormat(size=(64, 64))
    for chart in charts():
        for wrong in (chart[..., ::-1], chart[::-1], chart[:, ::-1], chart // 2):
            preprocessor = Preprocessor(form, input_size=(64, 64), batch=1)
            preprocessor.fill([wrong])
            comparison = PixelComparison(form)
            comparison.add(chart, preprocessor.tensor)
            with pytest.raises(ParityError):
                comparison.figures()


# Real networks ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def street(data_dir):
    return take_frames(data_dir / "clips" / "vtest.avi", 3).images


def sabotaged(graph):
    """One weight of one convolution in the middle, changed by as much as it is."""
    weights = [each for each in graph.initializer if len(each.dims) == 4 and each.data_type == onnx.TensorProto.FLOAT]
    values = constant(graph, weights[len(weights) // 2].name)
    place = np.unravel_index(np.abs(values).argmax(), values.shape)
    values[place] *= 2
    set_constant(graph, weights[len(weights) // 2].name, values)


def test_a_real_network_passes_with_and_without_stages_and_sabotage_is_seen(data_dir, street, tmp_path):
    path = data_dir / "models" / "yolox_nano_416.onnx"
    source, to = load_detector(path), tmp_path / "copy.onnx"
    assert gate(source, exported(path, to), street).proven
    with pytest.raises(ParityError, match="output, row"):
        gate(source, exported(path, to, sabotaged), street)
    whole = {"preprocess": True, "nms": Suppression()}
    found = gate(source, to, street, **merged(path, to, **whole))
    assert found.proven
    assert found.boxes.matched.matched == found.detections
    assert found.own_pixels.accuracy.found_again > 0.95
    with pytest.raises(ParityError, match="output, row"):
        gate(source, to, street, **merged(path, to, **whole, change=sabotaged))


def test_the_bundled_detector_passes_though_it_rounds_to_int8_inside(street, tmp_path):
    source, to = load_detector(), tmp_path / "merged.onnx"
    names = merged(source.backend.path, to, preprocess=True, nms=Suppression())
    found = gate(source, to, street, **names)
    assert found.proven
    assert found.boxes.matched.matched + found.boxes.matched.ties >= found.detections
