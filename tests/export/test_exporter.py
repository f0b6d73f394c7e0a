"""The engine: what fires when, what lies where when it ends, however it ends."""

import ast
import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from framehook import Callback, Model
from framehook.export.exporter import Exporter
from framehook.export.graph import read_graph
from framehook.export.options import ExportOptions
from framehook.export.snapshot import ExportSnapshot
from framehook.inference.backends import FunctionBackend
from framehook.inference.callbacks import Callbacks
from framehook.inference.decoders import FunctionDecoder
from framehook.inference.decoders.base import Candidates
from framehook.inference.errors import (
    CallbackError,
    ExportError,
    ModelFormatError,
    OptionError,
    RunError,
    SourceNotFoundError,
)

WAIT = 180
"""Seconds that a process may take on a machine that does much else."""
SIDE = 64
CELLS = 84  # 8 x 8 + 4 x 4 + 2 x 2


def tiny_model(path, *, shape=(1, 3, SIDE, SIDE), metadata=None, seed=0, opset=17):
    """Write a network of the layout yolo, of one class: averages of parts of the picture, as boxes and scores."""
    numbers = np.random.default_rng(seed).uniform(0.1, 1, (5, 3)).astype(np.float32)
    spread = np.ones((1, CELLS), np.float32)
    batch, channels, height, width = shape
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
        helper.make_node("Squeeze", ["mean", "axes"], ["colours"]),
        helper.make_node("MatMul", ["colours", "weights"], ["sums"]),
        helper.make_node("Unsqueeze", ["sums", "last"], ["column"]),
        helper.make_node("MatMul", ["column", "spread"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, channels, height, width])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [batch, 5, CELLS if isinstance(height, int) else "n"])],
        [
            numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.array([2], np.int64), "last"),
            numpy_helper.from_array(numbers.T.copy(), "weights"),
            numpy_helper.from_array(spread, "spread"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for key, value in {"task": "detect", "names": "{0: 'thing'}", **(metadata or {})}.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


@pytest.fixture
def tiny(tmp_path):
    return tiny_model(tmp_path / "tiny.onnx")


@pytest.fixture
def gradient():
    """A few pictures that differ."""
    ramp = np.linspace(0, 255, 96 * 128 * 3).reshape(96, 128, 3)
    return [(ramp * part).astype(np.uint8) for part in (0.3, 0.6, 1.0)]


class Watch(Callback):
    """Notes what fires, and what the exporter holds then."""

    def __init__(self):
        self.fired = []
        self.stages = []
        self.fractions = []

    def on_export_start(self, exporter):
        self.fired.append(("start", exporter.path, exporter.report, exporter.error))
        self.files = sorted(path.name for path in exporter.target.parent.iterdir())

    def on_export_progress(self, exporter):
        self.fractions.append(exporter.fraction)
        if exporter.stage not in self.stages:
            self.stages.append(exporter.stage)

    def on_export_end(self, exporter):
        self.fired.append(("end", exporter.path, exporter.report, exporter.error))
        self.exporter = exporter


def entries_of(path):
    return {each.key: each.value for each in onnx.load(path).metadata_props}


def outputs_of(path, tensor):
    return Model(path).detector.backend.infer(tensor)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# Events -------------------------------------------------------------------------------------------------------------------


def test_events_fire_in_order_and_hold_what_they_should_on_success(tiny, tmp_path, gradient):
    model, watch = Model(tiny), Watch()
    model.add_callback(watch)
    path = model.export(data=gradient, output=tmp_path / "out.onnx")
    assert path == tmp_path / "out.onnx"
    (start, *nothing), (end, found, report, error) = watch.fired
    assert (start, nothing, watch.files) == ("start", [None, None, None], ["tiny.onnx"])
    assert (end, found, error) == ("end", path, None)
    assert report.path == path
    assert report.bytes == path.stat().st_size
    assert report.parity.tensors.difference == 0
    assert watch.stages == ["frames", "network", "simplify", "write", "verify"] == list(report.stages)
    assert watch.fractions == sorted(watch.fractions)
    assert watch.fractions[0] == 0
    assert 0.9 < watch.fractions[-1] <= 1
    assert watch.exporter.fraction == 1
    assert watch.exporter.model is model
    assert watch.exporter.device == "cpu"
    assert watch.exporter.args == ExportOptions(data=gradient, output=tmp_path / "out.onnx")


def test_events_fire_in_order_and_hold_the_error_on_failure(tiny, tmp_path):
    model, watch = Model(tiny), Watch()
    model.add_callback(watch)
    with pytest.raises(SourceNotFoundError) as caught:
        model.export(data=tmp_path / "none.mp4")
    (start, *_), (end, path, report, error) = watch.fired
    assert (start, end, path, report) == ("start", "end", None, None)
    assert error is caught.value
    assert watch.exporter.args.data == tmp_path / "none.mp4"
    assert watch.exporter.device == "cpu"
    assert watch.exporter.fraction < 1
    assert names_in(tmp_path) == ["tiny.onnx"]


@pytest.mark.parametrize("stage", ["frames", "network", "simplify", "merge", "write", "verify"])
def test_an_interrupt_in_any_stage_fires_the_end_and_leaves_nothing(tiny, tmp_path, gradient, stage):
    model, watch = Model(tiny), Watch()
    model.add_callback(watch)

    @model.on("on_export_progress")
    def interrupt(exporter):
        if exporter.stage == stage:
            raise KeyboardInterrupt

    (tmp_path / "out.onnx").write_bytes(b"what was there")
    with pytest.raises(KeyboardInterrupt):
        model.export(data=gradient, nms=True, output=tmp_path / "out.onnx")
    assert isinstance(watch.fired[-1][3], KeyboardInterrupt)
    assert watch.exporter.path is None
    assert names_in(tmp_path) == ["out.onnx", "tiny.onnx"]
    assert (tmp_path / "out.onnx").read_bytes() == b"what was there"


def test_a_callback_that_fails_ends_the_export_and_names_the_stage(tiny, tmp_path):
    model = Model(tiny)

    @model.on("on_export_progress")
    def broken(exporter):
        if exporter.stage == "simplify":
            raise ValueError("no")

    with pytest.raises(CallbackError, match=r"failed in on_export_progress at stage 'simplify': ValueError: no"):
        model.export(verify=False)
    assert names_in(tmp_path) == ["tiny.onnx"]


def test_every_callback_of_the_end_runs_and_their_errors_leave_together(tiny, tmp_path):
    model, called = Model(tiny), []

    def fail(exporter):
        called.append(exporter.error)
        raise ValueError("at the end")

    model.add_callback("on_export_end", fail)
    model.add_callback("on_export_end", fail)
    model.add_callback("on_export_end", lambda exporter: called.append("last"))
    with pytest.raises(ExceptionGroup, match="the export ended with 2 errors") as caught:
        model.export(verify=False, output=tmp_path / "out.onnx")
    assert called == [None, None, "last"]
    assert [type(each) for each in caught.value.exceptions] == [CallbackError, CallbackError]
    assert (tmp_path / "out.onnx").is_file()  # what is done and proven is not undone
    called.clear()
    with pytest.raises(ExceptionGroup, match="the export ended with 3 errors") as caught:
        model.export(data=tmp_path / "none.mp4")
    assert isinstance(caught.value.exceptions[0], SourceNotFoundError)
    assert len(called) == 3


def test_callbacks_in_the_background_get_frozen_copies(tiny, tmp_path):
    model, seen = Model(tiny), []
    model.add_callback("on_export_start", seen.append, background=True)
    model.add_callback("on_export_end", seen.append, background=True)
    path = model.export(verify=False, output=tmp_path / "out.onnx")
    first, last = seen
    assert isinstance(first, ExportSnapshot)
    assert (first.stage, first.fraction, first.path, first.model) == ("", 0, None, model)
    assert (last.stage, last.fraction, last.path, last.report.path) == ("write", 1, path, path)
    with pytest.raises(AttributeError):
        last.path = None


def test_callbacks_of_an_exporter_are_called_beside_those_of_the_model(tiny):
    model, seen = Model(tiny), []
    model.add_callback("on_export_start", lambda exporter: seen.append("model"))
    exporter = Exporter(model, verify=False)
    exporter.callbacks.add("on_export_end", lambda exporter: seen.append("exporter"))
    exporter.run()
    Model(tiny).export(verify=False)
    assert seen == ["model", "exporter"]
    own = Callbacks()
    own.add("on_export_start", lambda exporter: seen.append("given"))
    Exporter(tiny, callbacks=own, verify=False).run()
    assert seen[2:] == ["given"]


def test_an_exporter_is_used_once(tiny):
    exporter = Exporter(tiny, verify=False)
    exporter.run()
    with pytest.raises(RunError, match="an Exporter is used once; make another"):
        exporter.run()


# What is exported ---------------------------------------------------------------------------------------------------------


def test_a_path_a_detector_and_a_model_can_be_exported(tiny, tmp_path):
    model = Model(tiny)
    for number, source in enumerate((tiny, str(tiny), model.detector, model, model.detector.backend)):
        exporter = Exporter(source, verify=False, output=tmp_path / f"out{number}.onnx")
        assert exporter.run() == exporter.target == exporter.path
        assert Model(exporter.path).names == {0: "thing"}


def test_an_export_runs_without_flags_and_finds_the_same(tmp_path):
    picture = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    path = Model().export(output=tmp_path, simplify=False, data=picture)
    ours, theirs = (model.predict(picture, conf=0.001)[0].boxes for model in (Model(path), Model()))
    assert len(ours) > 0
    np.testing.assert_array_equal(ours.xyxy, theirs.xyxy)


def test_metadata_is_kept_and_written_as_the_field_does(tmp_path):
    kept = {"author": "Somebody", "license": "AGPL-3.0", "stride": "16", "head": "Detect", "kpt_shape": "[17, 3]"}
    tiny = tiny_model(tmp_path / "tiny.onnx", metadata={**kept, "names": '["a thing"]', "framehook.size": "[1, 1]"})
    entries = entries_of(Model(tiny).export(verify=False))
    assert {key: entries[key] for key in kept} == kept
    assert ast.literal_eval(entries["names"]) == {0: "a thing"}
    assert entries["imgsz"] == f"[{SIDE}, {SIDE}]"
    assert (entries["task"], entries["batch"], entries["channels"], entries["end2end"]) == ("detect", "1", "3", "False")
    assert ast.literal_eval(entries["args"])["opset"] == 17
    assert entries["framehook.layout"] == "yolo"
    assert entries["framehook.size"] == f"[{SIDE}, {SIDE}]"
    assert entries.keys() >= {"description", "date", "version"}


def test_neither_author_nor_licence_are_invented(tiny):
    entries = entries_of(Model(tiny).export(verify=False))
    assert entries["author"] == "Framehook"
    assert "license" not in entries


def test_what_is_no_onnx_file_and_no_network_cannot_be_exported():
    backend = FunctionBackend(lambda tensor: [np.zeros((1, 5, CELLS), np.float32)], output_shapes=[(1, 5, CELLS)])
    with pytest.raises(ExportError, match="is a FunctionBackend, and only ONNX files and PyTorch networks can be exported"):
        Exporter(backend, decoder="yolo")


def test_a_decoder_that_others_cannot_name_is_refused(tiny):
    decoder = FunctionDecoder(lambda outputs, *, input_size, conf: [Candidates.empty()], name="private")
    with pytest.raises(OptionError, match=r"decoder 'private' is not registered, so that nothing could run the file"):
        Model(tiny, decoder=decoder).export()


def test_what_has_suppression_built_in_is_not_built_on(tiny):
    path = Model(tiny).export(nms=True, verify=False)
    assert path.name == "tiny_nms.onnx"
    with pytest.raises(OptionError, match="has preprocessing or suppression built in, so nothing more can be made of it"):
        Model(path).export(preprocess=True)


def test_options_that_come_too_late_for_a_file_are_told_of(tiny, gradient, caplog):
    model = Model(Model(tiny).export(nms=True, verify=False))
    model.predict(gradient, conf=0.25, max_det=10)
    assert caplog.text == ""
    model.predict(gradient, conf=0.001, iou=0.3, agnostic_nms=True)
    assert "conf=0.001 (below 0.01) and iou=0.3 (it is 0.7) and agnostic_nms cannot be had; export it again" in caplog.text


def test_a_quantised_graph_is_no_source_of_other_numbers(tmp_path, gradient):
    for options in ({"half": True}, {"int8": True, "data": gradient}):
        with pytest.raises(
            OptionError, match=f"{next(iter(options))}=True needs the float model, and person320.onnx is quantised"
        ):
            Model().export(output=tmp_path, **options)
    assert names_in(tmp_path) == []


def test_weights_in_files_of_their_own_are_brought_in(tiny, tmp_path):
    apart = tmp_path / "apart"
    apart.mkdir()
    onnx.save(onnx.load(tiny), apart / "big.onnx", save_as_external_data=True, location="big.data", size_threshold=64)
    assert names_in(apart) == ["big.data", "big.onnx"]
    path = Model(apart / "big.onnx").export(output=tmp_path, verify=False)
    (apart / "big.data").unlink()
    tensor = np.full((1, 3, SIDE, SIDE), 0.3, np.float32)
    np.testing.assert_array_equal(outputs_of(path, tensor)[0], outputs_of(tiny, tensor)[0])


def test_weights_that_are_gone_are_told_in_one_line(tiny, tmp_path):
    onnx.save(onnx.load(tiny), tmp_path / "big.onnx", save_as_external_data=True, location="big.data", size_threshold=64)
    model = Model(tmp_path / "big.onnx")
    (tmp_path / "big.data").unlink()
    with pytest.raises(ModelFormatError, match=r"the weights of .*big\.onnx, kept in another file, cannot be read") as caught:
        model.export(verify=False)
    assert "\n" not in str(caught.value)


def test_more_than_one_file_can_hold_is_refused_before_it_is_read(tiny, tmp_path):
    model = onnx.load(tiny)
    (weights,) = (each for each in model.graph.initializer if each.name == "weights")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "huge.data"), ("offset", "0"), ("length", str(3 << 30))):
        weights.external_data.add(key=key, value=value)
    onnx.save(model, tiny)
    with pytest.raises(ExportError, match=r"tiny\.onnx has 3\.2 GB, and one ONNX file holds 2\.1 GB at most"):
        read_graph(tiny)


def test_the_version_of_the_operators_can_be_chosen(tiny, tmp_path):
    path = Model(tiny).export(opset=21, verify=False)
    assert [each.version for each in onnx.load(path).opset_import] == [21]
    with pytest.raises(OptionError, match=r"opset=999 is newer than what is installed: onnx .* goes up to"):
        Model(tiny).export(opset=999)
    with pytest.raises(ExportError, match=r"opset=11 cannot be had; leave opset out: ONNX's converter failed") as caught:
        Model().export(opset=11, output=tmp_path)
    assert "\n" not in str(caught.value)


def test_open_axes_are_closed_unless_they_are_to_stay_open(tmp_path, gradient):
    tiny = tiny_model(
        tmp_path / "open.onnx",
        shape=("batch", 3, "height", "width"),
        metadata={"imgsz": "[64, 96]", "framehook.layout": "yolo"},
    )
    closed = Model(Model(tiny).export(batch=2, data=gradient)).detector.backend.network
    assert closed.inputs[0].shape == (2, 3, 64, 96)
    assert closed.outputs[0].shape[0] == 2
    other = Model(Model(tiny).export(imgsz=(32, 64), verify=False)).detector.backend.network
    assert other.inputs[0].shape == (1, 3, 32, 64)
    model = Model(Model(tiny).export(dynamic=True, imgsz=128, verify=False))
    assert model.detector.backend.network.inputs[0].shape == (None, 3, None, None)
    assert model.detector.form.size == (128, 128)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"imgsz": 96}, r"imgsz=96 does not fit: the model takes 64x64 only; leave imgsz out, or pass dynamic=True, too"),
        ({"imgsz": 100}, "imgsz=100 is no multiple of 32, the network's stride; pass 96 or 128"),
        ({"imgsz": 5}, "imgsz=5 is no multiple of 32, the network's stride; pass 32"),
        ({"batch": 4}, "batch=4 does not fit: the model takes 1 at a time; leave batch out, or pass dynamic=True, too"),
    ],
)
def test_what_a_fixed_graph_cannot_take_is_told(tiny, options, said):
    with pytest.raises(OptionError, match=said):
        Model(tiny).export(**options)


def test_preprocessing_takes_one_frame(tmp_path):
    tiny = tiny_model(tmp_path / "four.onnx", shape=(4, 3, SIDE, SIDE))
    with pytest.raises(OptionError, match="preprocess=True takes one frame at a time, and the model takes 4"):
        Model(tiny).export(preprocess=True)


def test_a_graph_that_cannot_be_simplified_is_exported_as_it_is(tiny, monkeypatch):
    import onnxslim

    def fail(model):
        raise RuntimeError("not\nthis one")

    monkeypatch.setattr(onnxslim, "slim", fail)
    exporter = Exporter(tiny, verify=False)
    exporter.run()
    assert exporter.report.notes == ("it was not simplified, onnxslim failed: RuntimeError: not this one",)


def test_what_a_library_raises_becomes_one_line_that_names_the_stage(tiny, tmp_path, monkeypatch):
    def fail(model):
        raise RuntimeError("inside\nONNX")

    monkeypatch.setattr(onnx.checker, "check_model", fail)
    with pytest.raises(ExportError) as caught:
        Model(tiny).export(verify=False, simplify=False)
    assert str(caught.value) == "tiny cannot be exported like this; stage 'write' failed: RuntimeError: inside ONNX"
    assert names_in(tmp_path) == ["tiny.onnx"]


def test_without_verifying_the_report_says_so(tiny):
    exporter = Exporter(tiny, verify=False)
    exporter.run()
    assert exporter.report.parity is None
    assert not exporter.report.proven


@pytest.mark.parametrize("verify", [True, False])
def test_a_source_that_was_changed_since_it_was_loaded_is_not_exported(tiny, tmp_path, gradient, verify):
    os.utime(tiny, (0, 0))  # clocks of files tick slowly
    model = Model(tiny)
    tiny_model(tiny, seed=1)
    with pytest.raises(ModelFormatError, match="was changed or removed since it was loaded"):
        model.export(data=gradient if verify else None, verify=verify)
    assert names_in(tmp_path) == ["tiny.onnx"]
    tiny.unlink()
    with pytest.raises(ModelFormatError, match="was changed or removed since it was loaded"):
        model.export(verify=False)


def test_suppression_that_a_layout_cannot_have_is_refused_before_anything_is_begun(data_dir):
    model = Model(data_dir / "models" / "pedestrian_ssdlite.onnx")
    with pytest.raises(OptionError, match="nms cannot be built into a graph of layout 'tf_detection'"):
        Exporter(model, nms=True)


def test_files_appear_where_there_are_no_locks(tiny, tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def no_locks(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    other = tmp_path / ".out.onnx.12345678.partial.onnx"
    other.touch()
    Model(tiny).export(output=tmp_path / "out.onnx", verify=False)
    assert names_in(tmp_path) == sorted([other.name, "out.onnx", "tiny.onnx"])  # whose it is cannot be told


def test_one_model_is_exported_by_several_threads_while_it_runs(tmp_path, gradient):
    model = Model(tiny_model(tmp_path / "tiny.onnx"))
    before = model.predict(gradient, conf=0.0)

    def work(number):
        return model.export(data=gradient, nms=number % 2 == 1, output=tmp_path / f"out{number}.onnx")

    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(work, range(4)))
    assert all(path.is_file() for path in paths)
    after = model.predict(gradient, conf=0.0)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.boxes.xyxy, other.boxes.xyxy)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def convolutions(path):
    """Write a network of the layout yolo that has layers: a box a cell of 8 x 8 pixels, whose score follows its colours."""
    random = np.random.default_rng(3)
    scale = np.array([4, 4, 4, 4, 1], np.float32).reshape(1, 5, 1)
    y, x = np.mgrid[4:SIDE:8, 4:SIDE:8].reshape(2, 1, -1)
    cells = np.stack([x, y, np.full_like(x, 8), np.full_like(x, 8), np.zeros_like(x)], axis=1).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "w1", "b1"], ["c1"], name="first", strides=[8, 8]),
            helper.make_node("Relu", ["c1"], ["r1"], name="relu"),
            helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], name="second"),
            helper.make_node("Sigmoid", ["c2"], ["s"], name="sigmoid"),
            helper.make_node("Reshape", ["s", "shape"], ["flat"], name="flat"),
            helper.make_node("Mul", ["flat", "scale"], ["scaled"], name="scaled"),
            helper.make_node("Add", ["scaled", "cells"], ["output0"], name="placed"),
        ],
        "convolutions",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 5, 64])],
        [
            numpy_helper.from_array((random.standard_normal((16, 3, 8, 8)) / 8).astype(np.float32), "w1"),
            numpy_helper.from_array(np.zeros(16, np.float32), "b1"),
            numpy_helper.from_array(random.standard_normal((5, 16, 1, 1)).astype(np.float32), "w2"),
            numpy_helper.from_array(np.zeros(5, np.float32), "b2"),
            numpy_helper.from_array(np.array([1, 5, 64], np.int64), "shape"),
            numpy_helper.from_array(scale, "scale"),
            numpy_helper.from_array(cells, "cells"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.metadata_props.add(key="framehook.layout", value="yolo")
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("options", "name", "stage"),
    [
        ({"half": True, "nms": True}, "net_nms_half.onnx", "half"),
        ({"int8": True, "preprocess": True, "nms": True}, "net_preprocess_nms_int8.onnx", "int8"),
    ],
)
def test_narrow_numbers_and_built_in_stages_go_together(tmp_path, options, name, stage):
    random = np.random.default_rng(5)
    scenes = [cv2.resize(random.integers(0, 255, (6, 8, 3), dtype=np.uint8), (128, 96)) for _ in range(12)]
    model, watch = Model(convolutions(tmp_path / "net.onnx")), Watch()
    model.add_callback(watch)
    path = model.export(data=scenes, **options)
    assert path.name == name
    assert watch.stages == ["frames", "network", "simplify", stage, "merge", "write", "verify"]
    report = watch.exporter.report
    assert report.proven
    assert report.parity.kind == stage
    assert len(Model(path).predict(scenes[0])[0].boxes) > 0


def test_a_module_of_a_users_own_is_exported_and_left_as_it_was(tmp_path, gradient, monkeypatch):
    torch = pytest.importorskip("torch")
    from framehook.inference.backends.pytorch import TorchBackend

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 5, 8, 8)

        def forward(self, pictures):
            found = self.layer(pictures).flatten(2).sigmoid()
            return torch.cat([found[:, :4] * SIDE, found[:, 4:]], 1)

    def load(dtype="float32"):
        return TorchBackend(
            module,
            device="cpu",
            dtype=dtype,
            input_shape=(None, 3, SIDE, SIDE),
            metadata={"framehook.layout": "yolo", "names": "{0: 'thing'}", "license": "MIT"},
        )

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    module = Net()
    model = Model(load())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    path = model.export(data=gradient)
    assert path == tmp_path / "Net.onnx"
    assert entries_of(path)["license"] == "MIT"
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    expected, found = (each.predict(gradient, conf=0.1) for each in (model, Model(path)))
    for one, other in zip(expected, found, strict=True):
        assert len(one.boxes) > 0
        np.testing.assert_allclose(one.boxes.xyxy, other.boxes.xyxy, atol=1e-3)
    with pytest.raises(OptionError, match="Net computes in a narrow type; load it in float32, and pass half=True"):
        Model(load("bfloat16")).export()


# Where it goes ------------------------------------------------------------------------------------------------------------


def test_names_tell_what_is_special(tiny, tmp_path, monkeypatch):
    def name(**options):
        return Exporter(tiny, **options).target.relative_to(tmp_path).as_posix()

    assert name() == "tiny_export.onnx"  # tiny.onnx is the model itself
    assert name(half=True) == "tiny_half.onnx"
    assert name(int8=True, data="x", nms=True) == "tiny_nms_int8.onnx"
    assert name(half=True, nms=True, preprocess=True) == "tiny_preprocess_nms_half.onnx"
    assert name(dynamic=True) == "tiny_dynamic.onnx"
    (tmp_path / "there").mkdir()
    assert name(output=str(tmp_path / "there")) == "there/tiny.onnx"
    assert name(output=tmp_path / "there", nms=True) == "there/tiny_nms.onnx"
    assert name(output=tmp_path / "Other.ONNX") == "Other.ONNX"
    monkeypatch.chdir(tmp_path / "there")
    assert Exporter(None).target == tmp_path / "there" / "person320.onnx"
    assert name(output="here.onnx") == "there/here.onnx"


def test_the_model_itself_is_never_written_over(tiny, tmp_path):
    (tmp_path / "link.onnx").symlink_to(tiny)
    (tmp_path / "folder.onnx").mkdir()
    for output, said in (
        (tiny, "is the model itself; name another file"),
        (tmp_path / "link.onnx", "is the model itself; name another file"),
        (tmp_path / "none" / "x.onnx", "there is no folder .*none; make it first"),
        (tmp_path / "x.pt", r"is no folder, and no \.onnx file; end it in \.onnx, or make the folder first"),
    ):
        with pytest.raises(OptionError, match=said):
            Model(tiny).export(output=output)
    assert Exporter(tiny, output=tmp_path / "folder.onnx").target == tmp_path / "folder.onnx" / "tiny.onnx"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told_before_anything_is_done(tiny, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    watch = Watch()
    model = Model(tiny)
    model.add_callback(watch)
    with pytest.raises(ExportError, match="cannot be written: Permission denied"):
        model.export(output=tmp_path / "locked")
    assert watch.stages == []


def test_a_name_that_no_file_can_have_is_told_in_one_line(tiny, tmp_path):
    with pytest.raises(ExportError, match=r"cannot be written: File name too long"):
        Model(tiny).export(output=tmp_path / f"{'x' * 250}.onnx")
    assert names_in(tmp_path) == ["tiny.onnx"]


def test_the_target_is_replaced_at_the_very_end(tiny, tmp_path, gradient):
    target, seen = tmp_path / "out.onnx", []
    target.write_bytes(b"old")
    model = Model(tiny)
    model.add_callback("on_export_progress", lambda exporter: seen.append(target.read_bytes()))
    model.export(data=gradient, output=target)
    assert set(seen) == {b"old"}
    assert entries_of(target)["framehook.layout"] == "yolo"
    assert names_in(tmp_path) == ["out.onnx", "tiny.onnx"]


def test_files_are_as_readable_as_any_other(tiny, tmp_path):
    other = tmp_path / "other"
    other.touch()
    assert Model(tiny).export(verify=False).stat().st_mode == other.stat().st_mode


HANG = """
import sys, threading
from framehook import Model
model = Model(sys.argv[1])
@model.on("on_export_progress")
def hang(exporter):
    if exporter.stage == "verify":
        print("there", flush=True)
        threading.Event().wait()
model.export(output=sys.argv[2])
"""


@pytest.fixture
def hanging(tiny, tmp_path):
    """An export in another process, which has written its file and hangs before it compares it."""
    target = tmp_path / "out.onnx"
    target.write_bytes(b"old")
    process = subprocess.Popen([sys.executable, "-c", HANG, str(tiny), str(target)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "there\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_kill_leaves_a_hidden_file_at_most_and_the_next_export_removes_it(hanging, tiny, tmp_path):
    hanging.send_signal(signal.SIGKILL)
    hanging.wait()
    (left,) = (name for name in names_in(tmp_path) if name.startswith("."))
    assert left.startswith(".out.onnx.")
    assert (tmp_path / "out.onnx").read_bytes() == b"old"
    Model(tiny).export(verify=False, output=tmp_path / "other.onnx")
    assert left in names_in(tmp_path)
    Model(tiny).export(verify=False, output=tmp_path / "out.onnx")
    assert names_in(tmp_path) == ["other.onnx", "out.onnx", "tiny.onnx"]


def test_what_another_export_is_writing_is_left_alone(hanging, tiny, tmp_path):
    (writing,) = (name for name in names_in(tmp_path) if name.startswith("."))
    Model(tiny).export(verify=False, output=tmp_path / "out.onnx")
    assert writing in names_in(tmp_path)
    assert (tmp_path / writing).stat().st_size > 0


def test_re_exporting_imports_no_torch(tiny):
    program = (
        "import sys; from framehook import Model; print([m for m in ('onnx', 'framehook.export') if m in sys.modules]); "
        "Model(sys.argv[1]).export(verify=False); print('torch' in sys.modules, 'onnx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tiny)], capture_output=True, text=True, check=True, timeout=WAIT)
    assert done.stdout.splitlines() == ["[]", "False True"]


def test_a_missing_extra_names_the_command_that_installs_it(tiny):
    program = (
        "import sys, importlib.util as u; real = u.find_spec; "
        "u.find_spec = lambda name, *rest: None if name == 'onnxslim' else real(name, *rest); "
        "from framehook import Model; Model(sys.argv[1]).export()"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tiny)], capture_output=True, text=True, check=False, timeout=WAIT)
    assert done.stderr.splitlines()[-1].endswith(
        "exports need the package onnxslim, which is not installed; install it with: pip install 'framehook[export]'"
    )
