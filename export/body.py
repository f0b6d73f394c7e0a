"""The body of a network: its layers, without what prepares the picture and what turns their outputs into boxes.

What lies before the first layer and after the last one is arithmetic with pixels: normalisation, anchors, strides, distances to
box corners. It costs next to nothing, and in few bits it costs precision: float16 knows only half pixels beyond 512, int8 steps
of several pixels. So float16 and int8 are for the body alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

import onnx

from framehook.inference.errors import ExportError, one_line

LAYERS: Final = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
"""Operators that have weights."""
FORMULA: Final = 64
"""With fewer weights than this it is no layer but a formula: the expectation over the bins of a box edge (16 or 33 numbers), or
the matrix that makes corners of centres and sizes (16)."""


@dataclass(frozen=True, slots=True)
class Body:
    """A graph taken apart.

    Attributes:
        model: A copy of the graph: each node has a name of its own, constants are initializers, shapes are inferred.
        nodes: Names of the nodes of the body, in order.
        layers: Names of those that have weights, in order.
        doors: Names of the tensors that leave the body, to what comes after it or as outputs of the graph.
    """

    model: onnx.ModelProto
    nodes: tuple[str, ...]
    layers: tuple[str, ...]
    doors: tuple[str, ...]


def find_body(model: onnx.ModelProto) -> Body:
    """Find the body of a network: every node that has a layer at or before it, and one at or after it.

    Args:
        model: A graph of float32 weights; it is left as it is.

    Raises:
        ExportError: it has no layer at all, or shapes cannot be inferred.
    """
    prepared = _prepared(model)
    nodes = prepared.graph.node
    layers = {node.name for node in _layers(prepared.graph)}
    if not layers:
        raise ExportError("the graph has no layers (convolutions, matrix products with weights); export the network itself")
    after: set[str] = set()
    fed: set[str] = set()
    for node in nodes:
        if node.name in layers or any(name in fed for name in inputs_of(node)):
            after.add(node.name)
            fed.update(node.output)
    body: set[str] = set()
    needed: set[str] = set()
    for node in reversed(nodes):
        if node.name in layers or any(name in needed for name in node.output):
            needed.update(inputs_of(node))
            if node.name in after:
                body.add(node.name)
    wanted = {output.name for output in prepared.graph.output}
    wanted.update(name for node in nodes if node.name not in body for name in inputs_of(node))
    return Body(
        prepared,
        tuple(node.name for node in nodes if node.name in body),
        tuple(node.name for node in nodes if node.name in layers),
        tuple(name for node in nodes if node.name in body for name in node.output if name in wanted),
    )


def types_of(graph: onnx.GraphProto) -> dict[str, onnx.ValueInfoProto]:
    """What is known of each tensor of a graph that is no initializer, by name."""
    return {each.name: each for each in (*graph.value_info, *graph.input, *graph.output)}


def inputs_of(node: onnx.NodeProto) -> Iterator[str]:
    """Names of the tensors a node reads, those included that the graphs inside it take from around it."""
    yield from (name for name in node.input if name)
    for graph in _graphs_in(node):
        own = {each.name for each in (*graph.input, *graph.initializer)}
        for inner in graph.node:
            yield from (name for name in inputs_of(inner) if name not in own)
            own.update(inner.output)
        yield from (each.name for each in graph.output if each.name not in own)


def in_order(nodes: Sequence[onnx.NodeProto], given: Collection[str]) -> list[onnx.NodeProto]:
    """Nodes in an order in which each comes after what it reads, as ONNX demands and tools that add some do not care about.

    Args:
        nodes: All nodes of a graph.
        given: Names of its inputs and initializers.
    """
    maker = {name: place for place, node in enumerate(nodes) for name in node.output}
    done: dict[int, None] = {}
    for place in range(len(nodes)):
        waiting = [place]
        while waiting:
            top = waiting[-1]
            open_ones = [maker[name] for name in inputs_of(nodes[top]) if name not in given and maker[name] not in done]
            if open_ones:
                waiting.extend(open_ones)
            else:
                done.setdefault(waiting.pop())
    return [nodes[place] for place in done]


def _graphs_in(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _lift_constants(copy.graph)
    taken = {node.name for node in copy.graph.node}
    seen: set[str] = set()
    for number, node in enumerate(copy.graph.node):
        if not node.name or node.name in seen:
            node.name = _free_name(f"{node.op_type}_{number}", taken)
            taken.add(node.name)
        seen.add(node.name)
    try:
        return onnx.shape_inference.infer_shapes(copy)
    except Exception as error:  # ONNX raises what its C++ throws
        raise ExportError(
            f"shapes of the graph cannot be inferred; export the network again: {one_line(error)[:200]}"
        ) from error


def _lift_constants(graph: onnx.GraphProto) -> None:
    """Turn nodes that give a constant tensor into initializers, which is what quantisers and converters read weights from."""
    for node in [each for each in graph.node if each.op_type == "Constant"]:
        for attribute in node.attribute:
            if attribute.name == "value":
                graph.initializer.add().CopyFrom(attribute.t)
                graph.initializer[-1].name = node.output[0]
                graph.node.remove(node)


def _free_name(wanted: str, taken: set[str]) -> str:
    while wanted in taken:
        wanted += "_"
    return wanted


def _layers(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    sizes: Mapping[str, int] = {each.name: prod(each.dims) for each in graph.initializer}
    for node in graph.node:
        if node.op_type in LAYERS and _weights(node.input, sizes) >= FORMULA:
            yield node


def _weights(inputs: Sequence[str], sizes: Mapping[str, int]) -> int:
    """How many constant numbers an operator multiplies with."""
    return max((sizes.get(name, 0) for name in inputs[:2]), default=0)
