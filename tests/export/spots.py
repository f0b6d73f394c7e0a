"""A small network with real weights, and pictures in which it finds things."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from framehook.export.metadata import metadata_of
from framehook.export.options import ExportOptions
from framehook.inference.detector import Detector
from framehook.inference.load import load_detector
from framehook.inference.network import image_input

SIDE, CELL = 64, 8
CELLS = SIDE // CELL
NAMES = {0: "red", 1: "green", 2: "blue", 3: "unicorn"}


def save_spots(path: Path, *, batch=1, side=SIDE, seed=0, bias=-4.0) -> Path:
    """Write a network of the layout yolo that finds what is red, green or blue, and never anything of its last class.

    Each cell of 8 x 8 pixels proposes a box around itself; boxes of neighbours overlap, so that there is something to suppress.

    Args:
        path: Where to.
        batch: Pictures of a call; a text leaves them open.
        side: Of the input in pixels.
        seed: Of the weights, which differ by a little.
        bias: Of the scores' logits: how hard it is to convince.
    """
    chance = np.random.default_rng(seed)
    weights = chance.normal(0, 0.004, (8, 3, CELL, CELL))
    for number in range(3):
        weights[4 + number] += np.where(np.arange(3) == number, 10, -7).reshape(3, 1, 1) / CELL**2
    biases = np.array([*chance.normal(0, 0.3, 4), bias, bias, bias, -11])
    cells = side // CELL
    rows, columns = np.mgrid[:cells, :cells].reshape(2, -1)
    middles = np.stack(((columns + 0.5) * CELL, (rows + 0.5) * CELL))[None].astype(np.float32)
    constants = {
        "weight": weights.astype(np.float32),
        "bias": biases.astype(np.float32),
        "middles": middles,
        "shape": np.array([0, 8, -1]),
        "parts": np.array([2, 2, 4]),
        "five": np.float32(5),
        "large": np.float32(90),
    }
    nodes = [
        helper.make_node("Conv", ["images", "weight", "bias"], ["features"], strides=[CELL, CELL]),
        helper.make_node("Reshape", ["features", "shape"], ["flat"]),
        helper.make_node("Split", ["flat", "parts"], ["moves", "sizes", "logits"], axis=1),
        helper.make_node("Tanh", ["moves"], ["part_moves"]),
        helper.make_node("Mul", ["part_moves", "five"], ["pixel_moves"]),
        helper.make_node("Add", ["pixel_moves", "middles"], ["centers"]),
        helper.make_node("Sigmoid", ["sizes"], ["part_sizes"]),
        helper.make_node("Mul", ["part_sizes", "large"], ["pixel_sizes"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Concat", ["centers", "pixel_sizes", "scores"], ["output0"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "spots",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, side, side])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [batch, 8, cells**2])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"framehook.layout": "yolo", "names": str(NAMES)})
    onnx.save(model, path)
    return path


def spotted(count=6, size=(160, 120), seed=0) -> list[np.ndarray]:
    """Pictures of (width, height) with coloured rectangles on soft grey, BGR."""
    chance = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        picture = chance.integers(90, 130, (size[1], size[0], 3)).astype(np.uint8)
        for _ in range(8):
            left, top = chance.integers(0, size[0] - 20), chance.integers(0, size[1] - 20)
            wide, high = chance.integers(20, 60, 2)
            colour = np.full(3, chance.integers(10, 60))
            colour[chance.integers(3)] = chance.integers(170, 256)
            picture[top : top + high, left : left + wide] = colour
        pictures.append(picture)
    return pictures


def exported(source: Path, path: Path, change=None, *, entries=None) -> Path:
    """Write a copy of a model with the metadata of an export.

    Args:
        source: The model.
        path: Where to.
        change: Called with the graph before it is written.
        entries: Metadata that is written over the true one; None leaves an entry out.
    """
    detector, model = load_detector(source), onnx.load(source)
    if change is not None:
        change(model.graph)
    told = {**entries_of(detector), **(entries or {})}
    helper.set_model_props(model, {key: text for key, text in told.items() if text is not None})
    onnx.save(model, path)
    return path


def entries_of(detector: Detector, stages=None) -> dict[str, str]:
    """The metadata of an honest export."""
    batch = image_input(detector.backend.network).shape[0] or 1
    return metadata_of(detector, ExportOptions(), detector.form, batch=batch, opset=17, stages=stages or {})


def constant(graph: onnx.GraphProto, name: str) -> np.ndarray:
    """A constant of a graph, to be read."""
    (found,) = (each for each in graph.initializer if each.name == name)
    return numpy_helper.to_array(found).copy()


def set_constant(graph: onnx.GraphProto, name: str, value: np.ndarray) -> None:
    """Replace a constant of a graph."""
    (found,) = (each for each in graph.initializer if each.name == name)
    found.CopyFrom(numpy_helper.from_array(value, name))
