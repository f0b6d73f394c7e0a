"""float16 inside, float32 at the doors."""

from __future__ import annotations

from typing import Final

import onnx

from framehook.export.body import find_body, in_order, inputs_of, types_of
from framehook.export.graph import refuse_quantised
from framehook.export.runtime_tools import undisturbed
from framehook.inference.errors import ExportError

_OWN: Final = "_float16"


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Convert the weights and the computation of a network to float16.

    Inputs and outputs stay as they are, and so does what `find_body` leaves out, which reckons in pixels: box edges of a
    YOLO11n at 416 x 416 move by .003 pixels on average, and would by .025 with all of it in float16. The conversion itself is
    that of ONNX Runtime's tools.

    Args:
        model: A graph of float32 weights; it is left as it is.

    Raises:
        OptionError: it computes in int8 or float16 already.
        ExportError: it has no layers, or nothing is known of the type of a tensor.
    """
    refuse_quantised(model, "half", model.graph.name or "this graph")
    body = find_body(model)
    whole, inside = body.model, set(body.nodes)
    graph = whole.graph
    # The tail is cut off rather than named as an exception: between two exceptions the tools round to float16.
    nodes = [node for node in graph.node if node.name in inside]
    others = [node for node in graph.node if node.name not in inside]
    read = {name for node in nodes for name in inputs_of(node)}
    made = {name for node in nodes for name in node.output}
    read_outside = {name for node in others for name in inputs_of(node)} | {output.name for output in graph.output}
    weights = [each for each in graph.initializer if each.name in read]
    constant = {each.name for each in graph.initializer}
    entries = sorted(read - made - constant)

    inner = onnx.ModelProto()
    inner.ir_version = whole.ir_version
    inner.opset_import.extend(whole.opset_import)
    inner.graph.name = "body"
    inner.graph.node.extend(nodes)
    inner.graph.initializer.extend(weights)
    known = types_of(graph)
    inner.graph.input.extend(_typed(known, entries))
    inner.graph.output.extend(_typed(known, body.doors))
    inner.graph.value_info.extend(each for each in graph.value_info if each.name in made and each.name not in body.doors)
    with undisturbed():
        from onnxruntime.transformers.float16 import convert_float_to_float16

        inner = convert_float_to_float16(inner, keep_io_types=True)
    _rename(inner.graph, {each.name: each.name + _OWN for each in weights if each.name in read_outside})

    result = onnx.ModelProto()
    result.CopyFrom(whole)
    for field in (result.graph.node, result.graph.initializer, result.graph.value_info):
        del field[:]
    given = {each.name for each in graph.input} | {each.name for each in graph.initializer}
    # Where several exceptions read one tensor, the tools cast it for each of them, to one and the same name.
    unique = {tuple(node.output): node for node in (*others, *inner.graph.node)}
    result.graph.node.extend(in_order(list(unique.values()), given | {each.name for each in inner.graph.initializer}))
    result.graph.initializer.extend(each for each in graph.initializer if each.name in read_outside)
    result.graph.initializer.extend(inner.graph.initializer)
    return onnx.shape_inference.infer_shapes(result)


def _typed(known: dict[str, onnx.ValueInfoProto], names: tuple[str, ...] | list[str]) -> list[onnx.ValueInfoProto]:
    """What is known of these tensors.

    Raises:
        ExportError: nothing is known of one of them.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ExportError(
            f"the type of tensor '{unknown[0]}' cannot be inferred, so the graph cannot be converted to float16; leave half out"
        )
    return [known[name] for name in names]


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for each in graph.initializer:
        each.name = names.get(each.name, each.name)
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
