"""Networks in int8: what is quantised, what is not, and that it was measured."""

import json
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, numpy_helper, parser

from framehook.export import calibration
from framehook.export.box_check import judge
from framehook.export.calibration import measure_ranges, open_graph
from framehook.export.int8 import to_int8
from framehook.inference.errors import ExportError, OptionError
from framehook.inference.load import bundled_model, load_detector
from framehook.inference.options import PredictOptions
from framehook.inference.preprocess import Preprocessor
from framehook.inference.sources import open_source

CHANCE = np.random.default_rng(4)
WEIGHTS = {
    "w1": CHANCE.normal(0, 0.3, (16, 3, 3, 3)).astype(np.float32),
    "w2": CHANCE.normal(0, 0.15, (32, 16, 3, 3)).astype(np.float32),
    "w3": CHANCE.normal(0, 0.15, (8, 32, 1, 1)).astype(np.float32),
}
LAYERS = """
    [first] a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(images, w1)
    s = Sigmoid(a)
    b = Mul(a, s)
    [second] c = Conv<pads = [1, 1, 1, 1]>(b, w2)
    d = Relu(c)
    [third] e = Conv(d, w3)
"""


def graph(body, *, inputs="float[1,3,32,48] images", outputs="output", opset=17, **constants):
    """A graph whose `body` is ONNX's own text; `constants` are put in by name."""
    results = ", ".join(f"float[] {name}" for name in outputs.split())
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => ({results}) {{ {body} }}')
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    for name, value in {**WEIGHTS, **constants}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return onnx.shape_inference.infer_shapes(model)


def pictures(count=4, shape=(1, 3, 32, 48)):
    """Soft patterns, as pictures are, rather than noise."""
    chance = np.random.default_rng(1)
    rows, columns = np.mgrid[: shape[2], : shape[3]]
    waves = [np.sin(rows * chance.uniform(0.05, 0.5) + columns * chance.uniform(0.05, 0.5)) for _ in range(count * 3)]
    return [np.broadcast_to(np.stack(waves[n * 3 : n * 3 + 3]) / 2 + 0.5, shape).astype(np.float32) for n in range(count)]


def run(model, x):
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {session.get_inputs()[0].name: x})
    return output


def off(got, wanted):
    """Root of the mean square error, in units of the spread."""
    return float(np.sqrt(np.square(got - wanted).mean()) / wanted.std())


def kinds(model):
    return {each.name: each.data_type for each in model.graph.initializer}


def quantised_tensors(model):
    return {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}


def test_weights_and_what_flows_between_layers_are_eight_bits_wide():
    model = graph(LAYERS + "output = Identity(e)")
    result = to_int8(model, pictures())
    assert {kind for name, kind in kinds(result.model).items() if name.endswith("_quantized") and "bias" not in name} == {
        TensorProto.INT8
    }
    assert not set(WEIGHTS) & set(kinds(result.model)), "the float weights are gone"
    assert {"a", "b", "e"} <= quantised_tensors(result.model)
    assert [each.type.tensor_type.elem_type for each in (*result.model.graph.input, *result.model.graph.output)] == [1, 1]
    x = pictures(6)[5]  # none of those it was calibrated on
    assert 0 < off(run(result.model, x), run(model, x)) < 0.1
    assert result.left_in_float == ()
    assert result.frames == 4
    assert kinds(model)["w1"] == TensorProto.FLOAT, "the graph it was made of is left as it is"


def test_each_channel_of_the_weights_has_a_scale_of_its_own():
    loud = WEIGHTS["w3"] * np.logspace(0, 4, 8, dtype=np.float32)[:, None, None, None]
    model = graph(LAYERS + "output = Identity(e)", w3=loud)
    result = to_int8(model, pictures())
    scales = {each.name: numpy_helper.to_array(each) for each in result.model.graph.initializer if each.name == "w3_scale"}
    assert scales["w3_scale"].shape == (8,)
    assert scales["w3_scale"].max() / scales["w3_scale"].min() > 1000


def test_weights_do_not_use_the_bit_that_processors_without_vnni_overflow():
    result = to_int8(graph(LAYERS + "output = Identity(e)"), pictures())
    values = [numpy_helper.to_array(each) for each in result.model.graph.initializer if each.data_type == TensorProto.INT8]
    assert max(int(np.abs(each.astype(int)).max()) for each in values if each.ndim == 4) == 64


def test_pixels_are_reckoned_in_float():
    model = graph(
        LAYERS + "t = Sigmoid(e) p = Mul(t, strides) output = Add(p, anchors)",
        strides=np.float32(0.1),
        anchors=np.linspace(0, 640, 24, dtype=np.float32),
    )
    result = to_int8(model, pictures())
    assert not {"t", "p", "output"} & quantised_tensors(result.model)
    x = pictures(6)[5]
    assert np.abs(run(result.model, x) - run(model, x)).max() < 0.05  # a step of int8 would be 2.5


def test_the_expectation_over_the_bins_of_a_box_edge_stays_in_float():
    bins = np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1)
    model = graph(LAYERS + "p = Softmax<axis = 1>(e) output = Conv(p, bins)", bins=bins)
    result = to_int8(model, pictures())
    assert kinds(result.model)["bins"] == TensorProto.FLOAT
    assert "p" not in quantised_tensors(result.model)


def test_attention_stays_in_float_between_its_layers():
    attention = """
        flat = Reshape(d, rows)
        turned = Transpose<perm = [0, 2, 1]>(flat)
        products = MatMul(turned, flat)
        weighed = Softmax<axis = 2>(products)
        mixed = MatMul(weighed, turned)
        output = MatMul(mixed, w4)
    """
    body = LAYERS.replace("[third] e = Conv(d, w3)", attention)
    w4 = CHANCE.normal(0, 0.1, (32, 8)).astype(np.float32)
    result = to_int8(graph(body, rows=np.array([1, 32, 384]), w4=w4), pictures())
    assert "w4" not in kinds(result.model), "the last layer is quantised"
    assert not {"products", "weighed"} & quantised_tensors(result.model)


def channels_apart(*places):
    """Thirteen layers; those at `places` scale their channels from 1 to 1e4, and the next ones take that back.

    No single scale can hold the values between them.
    """
    chance = np.random.default_rng(8)
    weights = {f"w{n}": chance.normal(0, 0.35, (16, 3 if n == 0 else 16, 1, 1)).astype(np.float32) for n in range(13)}
    far = np.logspace(0, 4, 16, dtype=np.float32)
    for place in places:
        weights[f"w{place}"] *= far[:, None, None, None]
        weights[f"w{place + 1}"] /= far[None, :, None, None]
    layers = [f"y{n} = Relu(x{n - 1}) [layer{n}] x{n} = Conv(y{n}, w{n})" for n in range(1, 13)]
    return graph(" ".join(["[layer0] x0 = Conv(images, w0)", *layers, "output = Identity(x12)"]), **weights)


def test_layers_that_int8_hurts_are_found_and_left_in_float():
    model = channels_apart(3)
    result = to_int8(model, pictures())
    assert set(result.left_in_float) & {"layer3", "layer4"}
    assert len(result.left_in_float) <= 3
    assert result.noise < 0.1
    x = pictures(6)[5]
    assert off(run(result.model, x), run(model, x)) < 0.35


def test_layers_stay_in_int8_where_a_few_in_float_would_not_help():
    result = to_int8(channels_apart(*range(0, 12, 2)), pictures())
    assert result.noise > 0.1
    assert result.left_in_float == ()


def test_open_shapes_stay_open():
    model = graph(LAYERS + "output = Identity(e)", inputs="float[batch,3,height,width] images")
    result = to_int8(model, [*pictures(2), *pictures(2, (2, 3, 64, 32))])
    assert result.frames == 6
    for shape in ((1, 3, 32, 32), (3, 3, 64, 48)):
        (x,) = pictures(1, shape)
        assert run(result.model, x).shape == (shape[0], 8, shape[2] // 2, shape[3] // 2)
        assert off(run(result.model, x), run(model, x)) < 0.1


def test_a_fixed_batch_is_calibrated_in_batches():
    model = graph(LAYERS + "output = Identity(e)", inputs="float[2,3,32,48] images")
    result = to_int8(model, pictures(3, (2, 3, 32, 48)))
    assert result.frames == 6
    (x,) = pictures(1, (2, 3, 32, 48))
    assert off(run(result.model, x), run(model, x)) < 0.1


def test_an_old_graph_is_brought_to_operators_that_know_scales_of_channels():
    model = graph(LAYERS + "output = Identity(e)", opset=11)
    result = to_int8(model, pictures())
    assert [each.version for each in result.model.opset_import] == [13]
    x = pictures(1)[0]
    assert off(run(result.model, x), run(model, x)) < 0.1


def test_a_network_may_take_bytes():
    model = graph(
        "f = Cast<to = 1>(frame) images = Div(f, full)" + LAYERS + "output = Identity(e)",
        inputs="uint8[1,3,32,48] frame",
        full=np.float32(255),
    )
    result = to_int8(model, [picture * 255 for picture in pictures()])
    x = (pictures(1)[0] * 255).astype(np.uint8)
    assert off(run(result.model, x), run(model, x)) < 0.1


def test_values_without_end_are_left_alone():
    """Masks of attention are minus infinity, which is a range of no use."""
    body = LAYERS.replace("d = Relu(c)", "m = Add(c, mask) d = Relu(m)")
    mask = np.zeros((1, 1, 16, 24), np.float32)
    mask[..., 0, 0] = -np.inf
    model = graph(body + "output = Identity(e)", mask=mask)
    result = to_int8(model, pictures())
    x = pictures(1)[0]
    assert off(run(result.model, x), run(model, x)) < 0.1


def test_a_rare_outlier_does_not_stretch_the_steps_of_all_other_values():
    model = graph(LAYERS + "output = Identity(e)", inputs="float[1,3,200,200] images")
    (picture,) = pictures(1, (1, 3, 200, 200))
    picture = picture.copy()
    picture[0, 0, 7, 7] = 1000
    low, high = measure_ranges(model, ["images"], [picture])["images"]
    assert low == 0
    assert 0.9 < high < 1.1


def test_large_networks_are_measured_in_portions(monkeypatch):
    model = graph(LAYERS + "output = Identity(e)")
    at_once = to_int8(model, pictures())
    monkeypatch.setattr(calibration, "_AT_ONCE", 50_000)  # two or three tensors
    opened = []
    monkeypatch.setattr(calibration, "open_graph", lambda *given: opened.append(given) or open_graph(*given))
    in_portions = to_int8(model, pictures())
    assert len(opened) > 3
    assert in_portions.model == at_once.model


def test_progress_is_told_from_nothing_to_all():
    told = []
    to_int8(channels_apart(3), pictures(), progress=told.append)
    assert told == sorted(told)
    assert 0 < told[0] < 0.5
    assert told[-1] == 1
    assert len(told) > 10


def test_an_interruption_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def interrupt(part):
        if part > 0.6:  # while layers are tried
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_int8(channels_apart(3), pictures(), progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_quantised_network_is_refused():
    with pytest.raises(OptionError, match="quantised already"):
        to_int8(onnx.load(bundled_model()), pictures())
    with pytest.raises(OptionError, match="quantised already"):
        to_int8(to_int8(graph(LAYERS + "output = Identity(e)"), pictures(1)).model, pictures())


def test_without_pictures_nothing_can_be_measured():
    with pytest.raises(OptionError, match="pictures"):
        to_int8(graph(LAYERS + "output = Identity(e)"), [])


def test_a_graph_without_layers_is_refused():
    with pytest.raises(ExportError, match="no layers"):
        to_int8(graph("output = Relu(images)"), pictures())


def test_tools_of_the_runtime_leave_the_program_as_it_was():
    """They print, set up logging and add to the search path; in a process of its own, since pytest sets up logging, too."""
    program = """
import json, logging, sys
import numpy
from framehook.export.half import to_float16
from framehook.export.int8 import to_int8
from tests_of_int8 import LAYERS, graph, pictures
before = list(sys.path)
made = LAYERS.replace("(d, w3)", "(d, w3, bias)")  # a bias that is computed, which the quantiser warns of
model = graph("bias = Neg(negative) " + made + "output = Identity(e)", negative=numpy.ones(8, numpy.float32))
to_float16(model)
to_int8(model, pictures(2))
logging.getLogger("of the program").warning("heard")
root = logging.getLogger()
print(json.dumps([sys.path == before, len(root.handlers), len(root.filters)]))
"""
    setup = f"import importlib.util, sys; spec = importlib.util.spec_from_file_location('tests_of_int8', {__file__!r});"
    setup += (
        "module = importlib.util.module_from_spec(spec); sys.modules['tests_of_int8'] = module; spec.loader.exec_module(module)"
    )
    done = subprocess.run([sys.executable, "-c", setup + program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [True, 0, 0]
    assert done.stderr.strip() == "heard"


def test_a_real_network_finds_again_what_it_found(data_dir):
    """NanoDet-Plus, calibrated on a few frames and judged on others."""
    path = data_dir / "models" / "nanodet_plus_m_416.onnx"
    detector = load_detector(path)
    with open_source(data_dir / "clips" / "vtest.avi") as clip:
        frames = [frame.image for frame, _ in zip(clip, range(351), strict=False) if frame.index % 50 == 0]
    preprocessor = Preprocessor(detector.form, input_size=(416, 416), batch=1)
    tensors = []
    for image in frames[::2]:
        preprocessor.fill([image])
        tensors.append(preprocessor.tensor.copy())
    model = onnx.load(path)
    result = to_int8(model, tensors)
    assert len(result.model.SerializeToString()) < 0.4 * len(model.SerializeToString())
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(result.model, file := f"{folder}/int8.onnx")
        quantised = load_detector(file, decoder="nanodet")
        options = PredictOptions.build({"conf": 0.01})
        pairs = [
            (detector.find([image], options).boxes[0], quantised.find([image], options).boxes[0]) for image in frames[1::2]
        ]
    accuracy = judge([(wanted[wanted.conf >= 0.125], found) for wanted, found in pairs], conf=0.25)
    assert accuracy.ap50 > 0.85
    assert accuracy.found_again > 0.9
