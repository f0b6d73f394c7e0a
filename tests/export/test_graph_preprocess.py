"""Preprocessing inside of a graph against `Preprocessor`: frames of all shapes, all forms of input, all versions of ONNX."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from framehook.export.stages import add_stages
from framehook.inference.geometry import Fit
from framehook.inference.preprocess import InputFormat, Preprocessor

from .staging import passes_on, run

NANODET = {"scale": 1, "mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)}
FORMS = [
    InputFormat(),
    InputFormat(fit=Fit.TOP_LEFT, rgb=False, scale=1),
    InputFormat(fit=Fit.STRETCH, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    InputFormat(rgb=False, pad=0, **NANODET),
    InputFormat(channels_last=True, pad=7, fit=Fit.TOP_LEFT, **NANODET),
    InputFormat(channels_last=True, rgb=False, scale=1, fit=Fit.STRETCH),
]
INPUT = (96, 64)
SIZES = [
    *((96, 64), (192, 128), (288, 192), (144, 96), (48, 32), (97, 63), (640, 480), (1281, 719)),
    *((1, 1), (1, 40), (40, 1), (2, 3), (3, 2), (1500, 11), (11, 1500), (95, 200), (200, 95), (33, 33)),
]
"""The input's own, whole multiples of it and fractions, odd ones, and slivers."""


def frame(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def staged(form: InputFormat, dtype: type = np.float32, *, size: tuple[int, int] = INPUT, opset: int = 17) -> onnx.ModelProto:
    """A graph that gives the tensor it makes of a frame; batch, height and width of its network are open."""
    shape = ["N", "H", "W", 3] if form.channels_last else ["N", 3, "H", "W"]
    network = passes_on(shape, dtype, opset=opset)
    made = add_stages(network, layout="rtdetr", form=form, input_size=size, preprocess=True, nms=None)
    onnx.checker.check_model(made.model, full_check=True)
    return made.model


def levels_off(model: onnx.ModelProto, form: InputFormat, image: np.ndarray, size: tuple[int, int] = INPUT) -> np.ndarray:
    """How many grey levels each value is off."""
    (found,) = run(model, {"frame": image})
    preprocessor = Preprocessor(form, input_size=size, batch=1, dtype=found.dtype)
    preprocessor.fill([image])
    assert found.shape == preprocessor.tensor.shape
    std = np.array(form.std or (1, 1, 1))
    in_levels = (std if form.channels_last else std[:, None, None]) / form.scale
    return np.abs(found.astype(np.float64) - preprocessor.tensor) * in_levels


@pytest.mark.parametrize("form", FORMS)
def test_a_graph_makes_of_frames_of_any_size_what_the_preprocessor_makes(form: InputFormat) -> None:
    model = staged(form)
    off = [levels_off(model, form, frame(size, number)) for number, size in enumerate(SIZES)]
    assert max(each.max() for each in off) <= 1 + 1e-4
    # It is OpenCV's own arithmetic: what is left is rounding, in about one value of a million.
    assert sum((each > 0.5).sum() for each in off) <= 2


def test_large_inputs_are_the_same_too() -> None:
    form = InputFormat()
    off = levels_off(staged(form, size=(640, 480)), form, frame((777, 555)), (640, 480))
    assert off.max() <= 1 + 1e-4
    assert (off > 0.5).mean() < 1e-4


@pytest.mark.parametrize("scale", [1, 1 / 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16])
def test_other_types_of_input_are_rounded_as_the_preprocessor_does(dtype: type, scale: float) -> None:
    form = InputFormat(scale=scale)
    model = staged(form, dtype)
    for size in SIZES[:8]:
        (found,) = run(model, {"frame": frame(size)})
        preprocessor = Preprocessor(form, input_size=INPUT, batch=1, dtype=dtype)
        preprocessor.fill([frame(size)])
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, preprocessor.tensor)


@pytest.mark.parametrize("opset", [9, 10, 11, 12, 13, 17, 18, 19, 21, 22])
def test_it_can_be_said_in_every_version_of_onnx(opset: int) -> None:
    model = staged(InputFormat(), opset=opset)
    written = {each.domain: each.version for each in model.opset_import}[""]
    assert written == (opset if opset >= 11 else 13)
    off = levels_off(model, InputFormat(), frame((200, 100)))
    assert off.max() <= 1 + 1e-4
    assert (off > 0.5).sum() <= 1


def test_the_network_inside_knows_the_size_of_its_input() -> None:
    model = staged(InputFormat())
    (output,) = model.graph.output
    assert [dim.dim_value for dim in output.type.tensor_type.shape.dim] == [1, 3, 64, 96]
    (only,) = model.graph.input
    assert only.name == "frame"
    assert [dim.dim_param or dim.dim_value for dim in only.type.tensor_type.shape.dim] == ["frame_height", "frame_width", 3]
