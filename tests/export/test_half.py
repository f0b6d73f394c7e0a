"""float16 inside a network, float32 at its doors and where pixels are reckoned."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, numpy_helper, parser

from framehook.export.half import to_float16
from framehook.inference.errors import ExportError, OptionError
from framehook.inference.load import bundled_model

CHANCE = np.random.default_rng(4)
WEIGHTS = {
    "w1": CHANCE.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32),
    "w2": CHANCE.normal(0, 0.2, (4, 8, 3, 3)).astype(np.float32),
}
LAYERS = """
    a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(images, w1)
    s = Sigmoid(a)
    b = Mul(a, s)
    c = Conv<pads = [1, 1, 1, 1]>(b, w2)
"""


def graph(body, *, inputs="float[1,3,32,48] images", outputs="output", kind="float", opset=17, **constants):
    """A graph whose `body` is ONNX's own text; `constants` are put in by name."""
    results = ", ".join(f"{kind}[] {name}" for name in outputs.split())
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => ({results}) {{ {body} }}')
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    for name, value in {**WEIGHTS, **constants}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return onnx.shape_inference.infer_shapes(model)


def run(model, pictures):
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pictures})


def pictures(*shape):
    return np.random.default_rng(1).uniform(0, 1, shape).astype(np.float32)


def kinds(model):
    return {each.name: each.data_type for each in model.graph.initializer}


def test_layers_compute_in_float16_and_inputs_and_outputs_stay_float32():
    model = graph(LAYERS + "output = Relu(c)")
    half = to_float16(model)
    assert kinds(half)["w1"] == kinds(half)["w2"] == TensorProto.FLOAT16
    assert [each.type.tensor_type.elem_type for each in (*half.graph.input, *half.graph.output)] == [TensorProto.FLOAT] * 2
    (wanted,), (got,) = run(model, x := pictures(1, 3, 32, 48)), run(half, x)
    assert got.dtype == np.float32
    assert 0 < np.abs(got - wanted).max() < 0.01  # zero would be float32 in disguise
    assert kinds(model)["w1"] == TensorProto.FLOAT, "the graph it was made of is left as it is"


def test_pixels_are_reckoned_in_float32():
    """Float16 knows 600.0 and 600.5 and nothing between."""
    tail = "t = Sigmoid(c) d = Mul(t, strides) output = Add(d, anchors)"
    model = graph(LAYERS + tail, strides=np.float32(0.1), anchors=np.float32(600.2))
    (wanted,), (got,) = run(model, x := pictures(1, 3, 32, 48)), run(to_float16(model), x)
    assert np.abs(got - wanted).max() < 0.001


def test_what_reads_like_a_layer_but_is_a_formula_stays_in_float32():
    """The expectation over the bins of a box edge is written as a convolution; its numbers are not weights."""
    bins = np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)
    tail = "p = Softmax<axis = 1>(c) d = Conv(p, bins) output = Mul(d, strides)"
    model = graph(LAYERS + tail, bins=bins, strides=np.float32(320))
    half = to_float16(model)
    assert kinds(half)["bins"] == TensorProto.FLOAT
    (wanted,), (got,) = run(model, x := pictures(1, 3, 32, 48)), run(half, x)
    assert np.abs(got - wanted).max() < 0.2


def test_a_constant_that_layers_and_pixels_share_keeps_its_precision_for_the_pixels():
    model = graph(
        LAYERS.replace("Mul(a, s)", "Mul(a, shared)") + "output = Add(c, shared)",
        shared=np.full((1, 1, 1, 1), 600.2, np.float32),
    )
    half = to_float16(model)
    assert kinds(half)["shared"] == TensorProto.FLOAT
    (wanted,), (got,) = run(model, x := pictures(1, 3, 32, 48) * 1e-3), run(half, x)
    assert np.median(np.abs(got - wanted)) < 0.02


def test_open_shapes_stay_open():
    model = graph(LAYERS + "output = Relu(c)", inputs="float[batch,3,height,width] images")
    half = to_float16(model)
    for shape in ((1, 3, 32, 32), (2, 3, 64, 48)):
        (wanted,), (got,) = run(model, x := pictures(*shape)), run(half, x)
        assert got.shape == wanted.shape
        assert np.abs(got - wanted).max() < 0.01


def test_a_network_may_take_bytes():
    model = graph(
        "f = Cast<to = 1>(frame) images = Div(f, full)" + LAYERS + "output = Relu(c)",
        inputs="uint8[1,3,32,48] frame",
        full=np.float32(255),
    )
    x = (pictures(1, 3, 32, 48) * 255).astype(np.uint8)
    half = to_float16(model)
    assert half.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert np.abs(run(half, x)[0] - run(model, x)[0]).max() < 0.01


def test_weights_may_be_written_as_nodes():
    model = graph(LAYERS + "output = Relu(c)")
    (weights,) = (each for each in model.graph.initializer if each.name == "w2")
    model.graph.initializer.remove(weights)
    model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["w2"], value=weights))
    half = to_float16(model)
    assert kinds(half)["w2"] == TensorProto.FLOAT16
    assert np.abs(run(half, x := pictures(1, 3, 32, 48))[0] - run(model, x)[0]).max() < 0.01


def test_operators_without_float16_may_share_an_input_and_sizes():
    """ONNX Runtime's tools give casts for each of them one name, which makes no valid graph."""
    middle = """
        a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(images, w1)
        m = Max(a, zero) n = Min(a, zero) b = Add(m, n)
        r = Resize<mode = "nearest">(b, , scales) q = Resize<mode = "nearest">(a, , scales) z = Add(r, q)
        c = Conv<pads = [1, 1, 1, 1]>(z, w2) output = Relu(c)
    """
    model = graph(middle, zero=np.float32(0), scales=np.array([1, 1, 2, 2], np.float32))
    assert np.abs(run(to_float16(model), x := pictures(1, 3, 32, 48))[0] - run(model, x)[0]).max() < 0.02


def test_a_graph_inside_the_graph_may_read_what_layers_give():
    inside = parser.parse_graph("g () => (float[] picked) { picked = Neg(c) }")
    other = parser.parse_graph("h () => (float[] other) { other = Identity(c) }")
    for each in (inside, other):
        each.output[0].type.tensor_type.ClearField("shape")
    model = graph(LAYERS + "total = ReduceSum<keepdims = 0>(c) positive = Greater(total, zero)", zero=np.float32(0))
    model.graph.node.append(onnx.helper.make_node("If", ["positive"], ["output"], then_branch=inside, else_branch=other))
    model = onnx.shape_inference.infer_shapes(model)
    (wanted,), (got,) = run(model, x := pictures(1, 3, 32, 48)), run(to_float16(model), x)
    assert np.abs(got - wanted).max() < 0.01


def test_a_quantised_network_is_refused():
    with pytest.raises(OptionError, match="quantised already"):
        to_float16(onnx.load(bundled_model()))


def test_a_network_in_float16_is_refused():
    with pytest.raises(OptionError, match="float16"):
        to_float16(to_float16(graph(LAYERS + "output = Relu(c)")))


def test_a_graph_without_layers_is_refused():
    with pytest.raises(ExportError, match="no layers"):
        to_float16(graph("output = Relu(images)"))


def test_a_real_network_gives_the_same_numbers(data_dir):
    """YOLOX-nano: offsets and sizes in cells, scores."""
    model = onnx.load(data_dir / "models" / "yolox_nano_416.onnx")
    half = to_float16(model)
    assert len(half.SerializeToString()) < 0.55 * len(model.SerializeToString())
    (wanted,), (got,) = run(model, x := pictures(1, 3, 416, 416) * 255), run(half, x)
    spread = wanted.std(axis=(0, 1))
    assert (np.abs(got - wanted).mean(axis=(0, 1)) < 0.1 * spread + 1e-4).all()
