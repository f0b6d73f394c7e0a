"""Parts of a graph in int8, as pairs of QuantizeLinear and DequantizeLinear around them, by ONNX Runtime's quantiser."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import numpy as np
import onnx

from framehook.export.body import in_order, types_of
from framehook.export.calibration import Range
from framehook.export.runtime_tools import undisturbed

OPSET: Final = 13
"""The first version of the operators that has a scale for each channel."""
OPERATORS: Final = (
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "Sigmoid",
    "Mul",
    "Add",
    "Relu",
    "LeakyRelu",
    "Clip",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Concat",
    "Split",
    "Slice",
    "Resize",
    "Pad",
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
)
"""What is quantised: layers, and what lies between them, so that values stay in int8 from one to the next: with the layers
alone YOLO11n takes 1.2 times as long. Softmax is not among them."""
_NOTES: Final = ("onnx.infer", "onnx.quant.pre_process")
"""Metadata by which the quantiser's parts tell each other what was done."""


def quantise(model: onnx.ModelProto, ranges: Mapping[str, Range], nodes: Collection[str]) -> onnx.ModelProto:
    """Quantise nodes of a graph.

    Activations become uint8 with a scale for each tensor, weights int8 with a scale for each channel: the pair that ONNX
    Runtime has fast kernels for on every CPU; with int8 activations YOLOX-nano takes three times as long on x86. Weights use
    seven of the eight bits: processors without VNNI add two products in 16 bits, which the eighth would overflow. It cost the
    networks tried less accuracy than one choice of pictures differs from another by.

    Args:
        model: Its nodes named, its shapes inferred, of opset 13 or newer; it is left as it is.
        ranges: Of each float tensor that these nodes read or write.
        nodes: Names of nodes; those that have no counterpart in int8 stay as they are.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    # It would write the graph to a file and read it again to infer shapes, which is done.
    copy.metadata_props.add(key=_NOTES[0], value="onnxruntime.quant")
    with undisturbed():
        from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
        from onnxruntime.quantization.calibrate import TensorData, TensorsData

        data = {name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()}
        quantiser = QDQQuantizer(
            copy,
            True,  # a scale for each channel
            True,  # seven bits
            QuantType.QInt8,
            QuantType.QUInt8,
            TensorsData(CalibrationMethod.MinMax, data),
            [node.name for node in model.graph.node if node.name in nodes],
            [],
            list(OPERATORS),
            {},
        )
        quantised: onnx.ModelProto = quantiser.quantize_model()
    graph = quantised.graph
    ordered = in_order(list(graph.node), {each.name for each in (*graph.input, *graph.initializer)})
    del graph.node[:]
    graph.node.extend(ordered)
    kept = [each for each in quantised.metadata_props if each.key not in _NOTES]
    del quantised.metadata_props[:]
    quantised.metadata_props.extend(kept)
    return quantised


def activations(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> list[str]:
    """Names of the float tensors, no weights, that these nodes of a graph read or write."""
    known = types_of(model.graph)
    weights = {each.name for each in model.graph.initializer}
    names = dict.fromkeys(
        name for node in nodes for name in (*node.input, *node.output) if name in known and name not in weights
    )
    return [name for name in names if known[name].type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
