"""Graphs of one size that are opened to any: they compute the same, or are refused with the reason."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper, parser

from framehook import Model
from framehook.export.dynamic import to_dynamic
from framehook.inference.errors import ExportError
from framehook.inference.load import bundled_model
from framehook.inference.sources import open_source


def graph(body, *, inputs="float[1,3,64,96] images", outputs="output", opset=17, **constants):
    """A graph whose `body` is ONNX's own text; `constants` are put in by name."""
    results = ", ".join(f"float[] {name}" for name in outputs.split())
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => ({results}) {{ {body} }}'
    model = parser.parse_model(text)
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    for name, value in constants.items():
        array = np.array(value, np.int64) if isinstance(value, list) else value
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def dims(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def run(model, pictures):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pictures})


def noise(*shape):
    return np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)


WEIGHTS = np.random.default_rng(2).normal(size=(8, 3, 3, 3)).astype(np.float32)
CONV = "x = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(images, weights)"


# Real networks ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frames(data_dir):
    with open_source(data_dir / "clips" / "vtest.avi") as clip:
        return [frame.image for frame, _ in zip(clip, range(2), strict=False)]


@pytest.mark.parametrize(
    ("name", "layout", "outputs"),
    [
        ("yolox_nano_416", "yolox", ["batch", "anchors", 85]),
        ("nanodet_plus_m_416", "nanodet", ["batch", "anchors", 112]),
    ],
)
def test_a_detector_of_one_size_finds_the_same_at_its_own_and_in_any_other(data_dir, tmp_path, frames, name, layout, outputs):
    path = data_dir / "models" / f"{name}.onnx"
    model = onnx.load(path)
    before = model.SerializeToString()
    opened = to_dynamic(model)
    assert model.SerializeToString() == before
    assert dims(opened.graph.input[0]) == ["batch", 3, "height", "width"]
    assert dims(opened.graph.output[0]) == outputs
    onnx.checker.check_model(opened)
    onnx.save(opened, tmp_path / "opened.onnx")

    fixed, free = Model(path, decoder=layout), Model(tmp_path / "opened.onnx", decoder=layout)
    options = {"conf": 0.4, "classes": ["person"]}
    own = fixed.predict(frames, **options)
    for one, two in zip(own, free.predict(frames, imgsz=416, batch=2, **options), strict=True):
        assert len(one.boxes) >= 3
        np.testing.assert_allclose(two.boxes.xyxy, one.boxes.xyxy, atol=0.01)
        np.testing.assert_allclose(two.boxes.conf, one.boxes.conf, atol=1e-4)
    for one, two in zip(own, free.predict(frames, imgsz=(544, 704), batch=2, **options), strict=True):
        sure = one.boxes.xyxy[one.boxes.conf > 0.6]
        assert len(sure)
        assert overlaps(sure, two.boxes.xyxy).max(axis=1).min() > 0.6  # the same people, seen more sharply


def overlaps(one, two):
    """IoU of each box with each."""
    corner = np.maximum(one[:, None, :2], two[None, :, :2])
    inner = np.clip(np.minimum(one[:, None, 2:], two[None, :, 2:]) - corner, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, two)]
    return inner / (areas[0][:, None] + areas[1][None] - inner)


def test_anchors_for_one_size_are_refused_with_what_to_do():
    with pytest.raises(ExportError) as caught:
        to_dynamic(onnx.load(bundled_model()))
    assert str(caught.value) == (
        "the graph cannot be opened to other sizes: Mul '/Mul' takes a table of 1 x 1 x 2100 ('st') that fits a picture of "
        "320x320 alone, such as its anchors; export it from its checkpoint with dynamic=True, or leave dynamic out"
    )


def test_a_graph_that_is_open_already_stays_as_it_is(data_dir):
    model = onnx.load(data_dir / "models" / "pedestrian_ssdlite.onnx")
    assert to_dynamic(model) is model


# What is replaced -------------------------------------------------------------------------------------------------------------

OPENED = {
    "a level laid flat": graph(f"{CONV} output = Reshape(x, flat)", weights=WEIGHTS, flat=[1, 8, 1536]),
    "a level laid flat by -1": graph(f"{CONV} output = Reshape(x, flat)", weights=WEIGHTS, flat=[1, 8, -1]),
    "channels last": graph(
        "x = Transpose<perm = [0, 3, 1, 2]>(images) output = Reshape(x, flat)",
        inputs="float[1,64,96,3] images",
        flat=[1, 3, 6144],
    ),
    "an open batch": graph(
        f"{CONV} output = Reshape(x, flat)", inputs="float[batch,3,64,96] images", weights=WEIGHTS, flat=[-1, 8, 1536]
    ),
    "a batch of three": graph(
        f"{CONV} output = Reshape(x, flat)", inputs="float[3,3,64,96] images", weights=WEIGHTS, flat=[3, 8, 1536]
    ),
    "shuffled channels": graph(
        f"{CONV} y = Reshape(x, parted) z = Transpose<perm = [0, 2, 1, 3, 4]>(y) output = Reshape(z, joined)",
        weights=WEIGHTS,
        parted=[1, 2, 4, 32, 48],
        joined=[1, 8, 32, 48],
    ),
    "attention": graph(
        f"{CONV} p = AveragePool<kernel_shape = [8, 8], strides = [8, 8]>(x) s = Sigmoid(p) q = Reshape(s, heads) "
        "k = Transpose<perm = [0, 1, 3, 2]>(q) a = MatMul(k, q) w = Softmax<axis = -1>(a) v = MatMul(q, w) "
        "r = Reshape(v, level) output = Add(r, s)",
        weights=WEIGHTS,
        heads=[1, 2, 4, 24],
        level=[1, 8, 4, 6],
    ),
    "heads in the batch": graph(
        f"{CONV} h = Reshape(x, heads) s = Softmax<axis = -1>(h) output = Reshape(s, level)",
        weights=WEIGHTS,
        heads=[2, 4, 1536],
        level=[1, 8, 1536],
    ),
    "a level made twice as large": graph(
        f'{CONV} y = Resize<mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">'
        '(x, "", "", sizes) z = Concat<axis = 1>(y, images) output = Reshape(z, flat)',
        weights=WEIGHTS,
        sizes=[1, 8, 64, 96],
        flat=[1, 11, 6144],
    ),
    "a level made half as large": graph(
        f'{CONV} output = Resize<mode = "linear">(x, "", "", sizes)', weights=WEIGHTS, sizes=[1, 8, 16, 24]
    ),
    "every second pixel, to an end": graph(
        "output = Slice(images, starts, ends, axes, steps)",
        starts=[1, 0],
        ends=[64, 96],
        axes=[2, 3],
        steps=[2, 2],
    ),
    "every second pixel, in the old way": graph("output = Slice<starts = [0], ends = [64], axes = [2]>(images)", opset=9),
    "a row repeated as often as there are rows": graph("output = Expand(images, shape)", shape=[1, 3, 64, 96]),
    "a constant of a node": graph(
        f"shape = Constant<value_ints = [1, 8, 1536]>() {CONV} output = Reshape(x, shape)", weights=WEIGHTS
    ),
    "pooled to one": graph(
        f"{CONV} p = GlobalAveragePool(x) q = Reshape(p, one) s = Reshape(q, back) output = Mul(x, s)",
        weights=WEIGHTS,
        one=[1, 8],
        back=[1, 8, 1, 1],
    ),
}


@pytest.mark.parametrize("model", OPENED.values(), ids=OPENED)
def test_constants_that_hold_the_size_are_replaced(model):
    opened = to_dynamic(model)
    shape = [dim.dim_value or 1 for dim in model.graph.input[0].type.tensor_type.shape.dim]
    [one], [two] = run(opened, noise(*shape)), run(model, noise(*shape))
    np.testing.assert_array_equal(one, two)
    first = 1 if shape[3] == 3 else 2
    for batch, height, width in ((1, 96, 64), (3, 128, 192)):
        shape[0], shape[first], shape[first + 1] = batch, height, width
        [out] = run(opened, noise(*shape))
        assert len(out) == batch
        assert out.size * two.shape[0] * 64 * 96 == two.size * batch * height * width


def test_what_attention_computes_at_another_size_is_what_a_graph_of_that_size_does():
    body = OPENED["attention"]
    larger = graph("", inputs="float[1,3,128,64] images")
    larger.graph.node.extend(body.graph.node)
    larger.graph.initializer.extend(
        [
            numpy_helper.from_array(WEIGHTS, "weights"),
            numpy_helper.from_array(np.array([1, 2, 4, 32]), "heads"),
            numpy_helper.from_array(np.array([1, 8, 8, 4]), "level"),
        ]
    )
    picture = noise(1, 3, 128, 64)
    [one], [two] = run(to_dynamic(body), picture), run(larger, picture)
    np.testing.assert_array_equal(one, two)


def test_outputs_are_named_after_what_is_open_in_them():
    model = graph(
        f"{CONV} one = Reshape(x, flat) two = Identity(x) p = GlobalAveragePool(x) three = Flatten(p)",
        outputs="one two three",
        weights=WEIGHTS,
        flat=[1, 8, 1536],
    )
    assert [dims(each) for each in to_dynamic(model).graph.output] == [
        ["batch", 8, "anchors"],
        ["batch", 8, "two_axis_2", "two_axis_3"],
        ["batch", 8],
    ]


def test_weights_stay_and_constants_that_nothing_takes_any_more_go():
    model = graph(f"{CONV} output = Reshape(x, flat)", weights=np.tile(WEIGHTS, (64, 1, 1, 1)), flat=[1, 512, 1536])
    opened = to_dynamic(model)
    assert {each.name: each.dims for each in opened.graph.initializer}["weights"] == [512, 3, 3, 3]
    assert "flat" not in {each.name for each in opened.graph.initializer}
    assert [each.name for each in opened.graph.input] == ["images"]


# What is refused --------------------------------------------------------------------------------------------------------------

REFUSED = {
    "a table": (
        graph(f"{CONV} output = Add(x, table)", weights=WEIGHTS, table=np.zeros((1, 8, 32, 48), np.float32)),
        r"Add '\w+' takes a table of 1 x 8 x 32 x 48 \('table'\) that fits a picture of 96x64 alone",
    ),
    "a layer over the whole picture": (
        graph(
            f"{CONV} y = Reshape(x, flat) output = MatMul(y, full)",
            weights=WEIGHTS,
            flat=[1, 12288],
            full=np.ones((12288, 2), np.float32),
        ),
        r"MatMul '\w+' takes 12288 numbers, as many as a picture of 96x64 gives",
    ),
    "an axis parted that was never joined": (
        graph(f"{CONV} output = Reshape(x, windows)", weights=WEIGHTS, windows=[1, 8, 4, 8, 6, 8]),
        r"Reshape '\w+' parts 32 into 4 x 8, which holds for 96x64 alone",
    ),
    "a piece of the middle": (
        graph("output = Slice(images, starts, ends, axes)", starts=[0], ends=[32], axes=[2]),
        r"Slice '\w+' cuts 0 to 32 out of an axis of 64, which grows with the picture",
    ),
    "no whole factor": (
        graph('output = Resize<mode = "linear">(images, "", "", sizes)', sizes=[1, 3, 100, 100]),
        r"Resize '\w+' scales 64 to 100, which is no whole factor",
    ),
    "boxes made large by the picture's size": (
        graph("output = Mul(images, side)", side=np.array([96, 64], np.float32).reshape(1, 1, 1, 2)[..., :1]),
        r"Mul '\w+' computes with \[96\.0\], as it seems the picture's size",
    ),
    "pictures that are not computed one by one": (
        graph("m = ReduceMean<axes = [0], keepdims = 1>(images) output = Add(images, m)"),
        r"output 'output' is not what it was at 96x64 with two pictures a batch",
    ),
    "one result for the whole batch": (
        graph("output = ReduceMean<axes = [0], keepdims = 1>(images)"),
        r"output 'output' is 1 x 3 x 64 x 96, not 2 x 3 x 64 x 96, at 96x64 with two pictures a batch",
    ),
    "two inputs": (
        graph("output = Add(images, more)", inputs="float[1,3,64,96] images, float[1,3,64,96] more"),
        r"it takes 2 inputs \(images, more\), not pictures alone",
    ),
    "a frame": (
        graph("output = Identity(frame)", inputs="float[64,96,3] frame"),
        "it takes one frame of any size already",
    ),
    "no picture": (
        graph("output = Identity(x)", inputs="float[1,4,64,96] x"),
        "its input 'x' takes no pictures of three channels",
    ),
    "a level of fixed size within": (
        graph(
            f"{CONV} s, t = Split<axis = 3>(x, sizes) output = Add(s, t)",
            weights=WEIGHTS,
            sizes=[24, 24],
        ),
        r"it cannot be run on \d of \d+x\d+: Split '\w*' holds a fixed size",
    ),
}


@pytest.mark.parametrize(("model", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_opened_is_refused_with_the_reason_in_one_line(model, said, capfd):
    with pytest.raises(ExportError, match=said) as caught:
        to_dynamic(model)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("; export it from its checkpoint with dynamic=True, or leave dynamic out")
    assert capfd.readouterr() == ("", "")
