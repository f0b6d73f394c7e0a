"""Networks in int8: quantised beforehand, with ranges measured on real pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import onnx
import onnx.version_converter

from framehook.export.body import LAYERS, Body, find_body
from framehook.export.calibration import measure_ranges
from framehook.export.graph import opset_of, refuse_quantised
from framehook.export.qdq import OPERATORS, OPSET, activations, quantise
from framehook.export.sensitivity import choose_layers
from framehook.inference.backends.base import Tensor
from framehook.inference.errors import ExportError, OptionError, one_line

_CALIBRATION: Final = 0.5
"""The share of the work that measuring ranges is, roughly."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """A network in int8.

    Attributes:
        model: The graph, with QuantizeLinear and DequantizeLinear around what runs in int8; its inputs and outputs stay float.
        left_in_float: Names of the layers that compute in float because int8 would hurt them, in order; often none.
        frames: How many pictures the ranges were measured on.
        noise: Variance of the error of the network's last layers, over the variance of what they give: .1 and less is fine.
    """

    model: onnx.ModelProto
    left_in_float: tuple[str, ...]
    frames: int
    noise: float


def to_int8(model: onnx.ModelProto, tensors: Sequence[Tensor], *, progress: Callable[[float], None] | None = None) -> Quantised:
    """Quantise a network.

    What comes before its first layer and after its last one stays in float (see `find_body`), and so do the layers that int8
    hurts (see `choose_layers`). A graph of an opset before 13 is converted to 13.

    Args:
        model: A graph of float32 weights, of fixed or open shapes; it is left as it is.
        tensors: Inputs of the network, made of pictures like those it will see; some ten of them do, at least one.
        progress: Called now and then with the share that is done, 0..1.

    Raises:
        OptionError: the network computes in int8 or float16 already, or there are no tensors.
        ExportError: it has nothing to quantise, or is of an old opset and cannot be converted.
        InferenceError: it does not run on the tensors.
    """
    tell = progress or (lambda _: None)
    refuse_quantised(model, "int8", model.graph.name or "this graph")
    if not len(tensors):
        raise OptionError("int8=True needs pictures to measure ranges on; pass data that has some")
    body = find_body(_of_opset(model))
    tensors = _as_taken(tensors, body.model.graph)
    able = _able(body)
    names = activations(body.model, able)
    ranges = measure_ranges(body.model, names, tensors, progress=lambda part: tell(part * _CALIBRATION))
    broken = set(names) - set(ranges)
    nodes = [node.name for node in able if not broken.intersection((*node.input, *node.output))]
    if not set(nodes) & set(body.layers):
        raise ExportError("the graph has no layers that can be computed in int8 (convolutions and the like); leave int8 out")
    chosen = choose_layers(body, ranges, nodes, tensors, progress=lambda part: tell(_CALIBRATION + part * (1 - _CALIBRATION)))
    quantised = quantise(body.model, ranges, chosen.nodes)
    tell(1.0)
    left = tuple(name for name in body.layers if name not in chosen.nodes)
    return Quantised(quantised, left, sum(len(tensor) for tensor in tensors), chosen.noise)


def _able(body: Body) -> list[onnx.NodeProto]:
    """The nodes of the body that int8 is for: products of two activations, as in attention, are not."""
    inside, layers = set(body.nodes), set(body.layers)
    return [
        node
        for node in body.model.graph.node
        if node.name in inside and node.op_type in OPERATORS and (node.op_type not in LAYERS or node.name in layers)
    ]


def _as_taken(tensors: Sequence[Tensor], graph: onnx.GraphProto) -> list[Tensor]:
    """The tensors in the type that the graph's picture has, which in some is uint8."""
    kinds = [each.type.tensor_type.elem_type for each in graph.input if len(each.type.tensor_type.shape.dim) == 4]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kinds[0]) if kinds else tensors[0].dtype
    return [tensor.astype(dtype, copy=False) for tensor in tensors]


def _of_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    if opset_of(model) >= OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, OPSET)
    except Exception as error:  # the converter raises what its C++ throws
        raise ExportError(
            f"int8 needs operators of opset {OPSET}, and the graph, of opset {opset_of(model)}, cannot be converted: "
            f"{one_line(error)[:200]}"
        ) from error
