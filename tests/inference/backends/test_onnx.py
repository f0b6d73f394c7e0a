from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from framehook.inference.backends import OnnxBackend, available_devices, choose_device
from framehook.inference.backends import onnx as module
from framehook.inference.errors import InferenceError, ModelFormatError, ModelNotFoundError, OptionError
from framehook.inference.load import bundled_model

SHAPE = (1, 3, 320, 320)


@pytest.fixture(scope="module")
def backend():
    return OnnxBackend(bundled_model())


@pytest.fixture(scope="module")
def tensor():
    return np.random.default_rng(1).random(SHAPE, np.float32)


def test_it_tells_inputs_outputs_metadata_and_device(backend):
    network = backend.network
    assert [(each.name, each.shape, each.dtype) for each in network.inputs] == [("images", (None, 3, 320, 320), np.float32)]
    assert [(each.name, each.shape) for each in network.outputs] == [("output0", (None, 5, 2100))]
    assert network.metadata["names"] == "{0: 'person'}"
    assert backend.device == "cpu"


def test_both_modes_and_all_threads_give_the_same_outputs(backend, tensor):
    throughput = backend.for_mode("throughput")
    assert backend.for_mode("latency") is backend
    assert backend.for_mode("throughput") is throughput
    expected = backend.infer(tensor)[0]
    np.testing.assert_allclose(throughput.infer(tensor)[0], expected, atol=1e-3)
    with ThreadPoolExecutor(4) as pool:
        for outputs in pool.map(lambda _: throughput.infer(tensor), range(8)):
            np.testing.assert_array_equal(outputs[0], throughput.infer(tensor)[0])


def test_bound_memory_gives_the_same_outputs(backend, tensor):
    # The path of GPU providers, run here on the one provider every machine has.
    np.testing.assert_array_equal(backend._infer_bound({"images": tensor})[0], backend.infer(tensor)[0])


def test_outputs_are_fresh_arrays(backend, tensor):
    first = backend.infer(tensor)[0]
    kept = first.copy()
    backend.infer(np.zeros(SHAPE, np.float32))
    np.testing.assert_array_equal(first, kept)


def test_an_input_that_does_not_fit_is_one_line(backend):
    with pytest.raises(InferenceError) as caught:
        backend.infer(np.zeros((1, 3, 8, 8), np.float32))
    assert str(caught.value).startswith("person320.onnx failed on an input of shape 1x3x8x8: ")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_model_are_one_line(tmp_path):
    empty, text, cut = tmp_path / "empty.onnx", tmp_path / "text.onnx", tmp_path / "cut.onnx"
    empty.touch()
    text.write_text("not a model")
    cut.write_bytes(bundled_model().read_bytes()[:100_000])
    with pytest.raises(ModelFormatError) as caught:
        OnnxBackend(empty)
    assert str(caught.value) == f"{empty} is empty; copy or export the model again"
    for path in (text, cut):
        with pytest.raises(ModelFormatError) as caught:
            OnnxBackend(path)
        assert str(caught.value).startswith(f"{path} ({path.stat().st_size} bytes) cannot be loaded as an ONNX model; copy or ")
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelNotFoundError, match=r"no model file at .*gone\.onnx"):
        OnnxBackend(tmp_path / "gone.onnx")


def test_devices_are_chosen_from_what_is_installed(monkeypatch):
    def installed(*providers):
        monkeypatch.setattr(module.ort, "get_available_providers", lambda: list(providers))

    installed("CUDAExecutionProvider", "TensorrtExecutionProvider", "AzureExecutionProvider", "CPUExecutionProvider")
    assert available_devices() == ["cuda", "tensorrt", "cpu"]
    assert str(choose_device(None)) == "cuda:0"
    assert str(choose_device("cuda:1")) == "cuda:1"
    assert str(choose_device(1)) == "cuda:1"
    assert str(choose_device("0")) == "cuda:0"
    assert str(choose_device("tensorrt")) == "tensorrt:0"
    assert str(choose_device("CPU")) == "cpu"
    installed("TensorrtExecutionProvider", "CPUExecutionProvider")
    assert str(choose_device("auto")) == "cpu"
    installed("CoreMLExecutionProvider", "CPUExecutionProvider")
    assert str(choose_device(None)) == "coreml"


def test_devices_that_are_not_there_say_what_is():
    with pytest.raises(OptionError) as caught:
        choose_device("cuda")
    assert str(caught.value) == (
        "device='cuda' is not available; this ONNX Runtime offers cpu; install onnxruntime-gpu in place of onnxruntime"
    )
    with pytest.raises(
        OptionError, match=r"device='warp9' is unknown; pass one of cuda, migraphx, coreml, .*, cpu, with a number"
    ):
        choose_device("warp9")


def graph(path, inputs, body, output="float[N,M] y"):
    onnx = pytest.importorskip("onnx", reason="onnx builds the graphs of these tests; install it with: pip install onnx")
    text = f"""<ir_version: 8, opset_import: ["" : 16]> g ({inputs}) => ({output}) {{ {body} }}"""
    onnx.save(onnx.parser.parse_model(text), path)
    return OnnxBackend(path)


@pytest.mark.parametrize("kind", ["int64", "int32", "float"])
@pytest.mark.parametrize(
    ("picture", "shape"), [("float[N,3,H,W] x", (2, 3, 20, 30)), ("float[N,H,W,3] x", (2, 20, 30, 3))], ids=["nchw", "nhwc"]
)
@pytest.mark.parametrize("first", [True, False])
def test_the_size_of_the_input_is_filled_in_wherever_it_stands(tmp_path, kind, picture, shape, first):
    sizes = f"{kind}[N,2] orig_target_sizes"
    inputs = f"{sizes}, {picture}" if first else f"{picture}, {sizes}"
    backend = graph(tmp_path / "sizes.onnx", inputs, "y = Cast<to=1>(orig_target_sizes)")
    backend.check_inputs()
    for run in (backend.infer, backend.for_mode("throughput").infer):
        np.testing.assert_array_equal(run(np.zeros(shape, np.float32))[0], [[30, 20], [30, 20]])


@pytest.mark.parametrize(
    ("mask", "area"), [("int64[N,H,W]", 600), ("int64[N,64,64]", 4096), ("bool[N,H,W]", 600), ("float[N,8,W]", 240)]
)
def test_the_mask_is_one_everywhere(tmp_path, mask, area):
    body = "f = Cast<to=1>(pixel_mask) y = ReduceSum<keepdims=0>(f)"
    backend = graph(tmp_path / "mask.onnx", f"float[N,3,H,W] x, {mask} pixel_mask", body, output="float y")
    backend.check_inputs()
    assert backend.infer(np.zeros((1, 3, 20, 30), np.float32))[0] == area


def test_bound_memory_takes_all_inputs(tmp_path):
    body = "s = Cast<to=1>(orig_target_sizes) m = ReduceMax<axes=[1,2,3], keepdims=0>(x) u = Flatten(m) y = Mul(u, s)"
    backend = graph(tmp_path / "two.onnx", "float[N,3,H,W] x, int64[N,2] orig_target_sizes", body)
    inputs = {"x": np.full((1, 3, 20, 30), 2, np.float32), "orig_target_sizes": np.array([[30, 20]])}
    np.testing.assert_array_equal(backend._infer_bound(inputs)[0], [[60, 40]])


@pytest.mark.parametrize("other", ["int64[N,2] sizes", "float[N,3] orig_target_sizes2", "int64[N,4,2] orig_target_sizes"])
def test_inputs_that_nothing_is_known_about_are_named(tmp_path, other):
    backend = graph(tmp_path / "odd.onnx", f"float[N,3,H,W] x, {other}", "y = Flatten(x)")
    with pytest.raises(ModelFormatError) as caught:
        backend.check_inputs()
    assert f"odd.onnx takes more than a picture: {other.split()[-1]} (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_graph_that_takes_no_picture_can_still_be_described(tmp_path):
    backend = graph(tmp_path / "words.onnx", "int64[N,M] words", "y = Cast<to=1>(words)")
    assert [tensor.name for tensor in backend.network.inputs] == ["words"]
