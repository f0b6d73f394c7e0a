"""Small networks to put stages around, and a plain runtime to run the result in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

KINDS = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16, np.uint8: TensorProto.UINT8}


def passes_on(shape: list[int | str | None], dtype: type = np.float32, *, opset: int = 17) -> ModelProto:
    """A network whose output `out` is its input `images`."""
    value = {name: helper.make_tensor_value_info(name, KINDS[dtype], shape) for name in ("images", "out")}
    node = helper.make_node("Identity", ["images"], ["out"])
    graph = helper.make_graph([node], "passes_on", [value["images"]], [value["out"]])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def answers(
    raw: Any,
    side: tuple[int, int],
    *,
    opset: int = 17,
    names: int | None = None,
    open_batch: bool = False,
    dtype: type = np.float32,
) -> ModelProto:
    """A network that answers with these numbers, N x rows x columns, whatever the pictures of (width, height) show.

    With `open_batch` the first row of `raw` is the answer for each picture.
    """
    raw = np.asarray(raw, dtype)
    batch = "N" if open_batch else len(raw)
    # Where nothing of the picture were used, the runtime would leave out what prepares it.
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["count"], axis=0),
        helper.make_node("Concat", ["count", "axes"], ["wanted"], axis=0),
        helper.make_node("Expand", ["raw", "wanted"], ["output"]),
    ]
    constants = {"zero": np.array([0]), "axes": np.array(raw.shape[1:]), "raw": raw[:1] if open_batch else raw}
    graph = helper.make_graph(
        nodes,
        "answers",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, side[1], side[0]])],
        [helper.make_tensor_value_info("output", KINDS[dtype], [batch, *raw.shape[1:]])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    if names is not None:
        helper.set_model_props(model, {"names": repr({number: f"class {number}" for number in range(names)})})
    return model


def with_nodes(model: ModelProto, nodes: list[NodeProto]) -> ModelProto:
    """A model with other operators."""
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def run(model: ModelProto, feeds: Mapping[str, Any], outputs: list[str] | None = None) -> list[Any]:
    """What ONNX Runtime computes, with nothing of ours around it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(outputs, dict(feeds)))
