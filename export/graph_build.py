"""Writing operators into an ONNX graph that is already there, in the version of ONNX that it speaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from framehook.inference.errors import ExportError, one_line
from framehook.inference.network import NetworkInfo, TensorInfo

OLDEST: Final = 11
"""The first opset with the operators that the stages are made of; older graphs are converted."""
_CONVERTED: Final = 13
"""What they are converted to."""
_WITH_INITIALIZERS: Final = 4
"""The first version of the file format in which constants need not be listed among the inputs."""
_AXES_AS_INPUT: Final = {"Unsqueeze": 13, "ReduceMax": 18, "ReduceMin": 18}
"""The opset in which an operator's axes became an input."""


class Graph:
    """A model under work: its graph, and the names that are taken in it.

    Attributes:
        model: The model, changed in place.
    """

    def __init__(self, model: ModelProto) -> None:
        """Work on a copy of `model`, converted to an opset that has all the operators if its own is older.

        Raises:
            ExportError: the conversion failed.
        """
        self.model = _own_copy(model)
        self.model.ir_version = max(self.model.ir_version, _WITH_INITIALIZERS)
        self.opset = opset_of(self.model)
        self._taken = set(_names(self.model.graph))
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    @property
    def inputs(self) -> list[ValueInfoProto]:
        """What has to be fed: old files list their weights among the inputs, too."""
        constant = {each.name for each in self.model.graph.initializer}
        return [each for each in self.model.graph.input if each.name not in constant]

    def unused(self, name: str) -> str:
        """This name, or one like it that nothing in the graph bears; taken from now on."""
        free, number = name, 1
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        return free

    def reserve(self, name: str) -> dict[str, str]:
        """Make a name free for a tensor of ours: whatever bears it in the graph gets another.

        Returns:
            The old and the new name, if there was one.
        """
        if name not in self._taken:
            self._taken.add(name)
            return {}
        renamed = {name: self.unused(f"network/{name}")}
        _rename(self.model.graph, renamed)
        return renamed

    def constant(self, values: npt.NDArray[Any]) -> str:
        """The name of a constant; equal ones are stored once."""
        key = values.dtype.str, values.shape, values.tobytes()
        if key not in self._constants:
            name = self._constants[key] = self.unused("framehook/constant")
            self.model.graph.initializer.append(numpy_helper.from_array(values, name))
        return self._constants[key]

    def prepend(self, nodes: Iterable[NodeProto]) -> None:
        """Put operators before all others."""
        behind = list(self.model.graph.node)
        del self.model.graph.node[:]
        self.model.graph.node.extend([*nodes, *behind])

    def append(self, nodes: Iterable[NodeProto]) -> None:
        """Put operators behind all others."""
        self.model.graph.node.extend(nodes)

    def fix(self, picture: str, shape: Mapping[int, int]) -> None:
        """Fix open axes of an input; a named axis is fixed wherever its name occurs.

        Args:
            picture: The input.
            shape: Lengths by axis; those of axes that are fixed already must agree.
        """
        tensor = next(each for each in self.model.graph.input if each.name == picture)
        known = {}
        for axis, length in shape.items():
            dim = tensor.type.tensor_type.shape.dim[axis]
            if dim.dim_param:
                known[dim.dim_param] = length
            dim.dim_value = length
        graph = self.model.graph
        for each in (*graph.input, *graph.output, *graph.value_info):
            for dim in each.type.tensor_type.shape.dim:
                if dim.dim_param in known:
                    dim.dim_value = known[dim.dim_param]

    def shape_of(self, name: str) -> tuple[int | None, ...] | None:
        """The shape of an output as far as it is known, or shows when the graph is loaded; None where its rank is not."""
        declared = _shape(next(each for each in self.model.graph.output if each.name == name))
        if declared is not None and None not in declared[1:]:
            return declared
        loaded = self._shapes_loaded().get(name)
        if declared is None or loaded is None or len(declared) != len(loaded):
            return loaded or declared
        return declared[0], *(ours or theirs for ours, theirs in zip(declared[1:], loaded[1:], strict=True))

    def _shapes_loaded(self) -> dict[str, tuple[int | None, ...]]:
        """What ONNX Runtime finds the outputs to be for one picture, once it has folded all that does not depend on it."""
        one = ModelProto()
        one.CopyFrom(self.model)
        for each in one.graph.input:
            for dim in each.type.tensor_type.shape.dim[:1]:
                dim.dim_value = dim.dim_value or 1
        options = ort.SessionOptions()
        options.log_severity_level = 4
        try:
            session = ort.InferenceSession(one.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception:  # noqa: BLE001 - whatever is wrong with the graph shows where it is run
            return {}
        return {
            each.name: tuple(axis if isinstance(axis, int) else None for axis in each.shape)
            for each in session.get_outputs()
            if each.shape is not None
        }


class Operators:
    """Operators written one after another; each method returns the name of the tensor it gives.

    Attributes:
        nodes: What was written.
    """

    def __init__(self, graph: Graph, scope: str) -> None:
        """Write for `graph`, under names that begin with `scope`."""
        self.nodes: list[NodeProto] = []
        self._graph = graph
        self._scope = scope

    def __call__(self, kind: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        """Any operator of one output, which gets the name `out` if that is given."""
        name = self._graph.unused(f"{self._scope}/{kind}")
        self.nodes.append(helper.make_node(kind, inputs, [out or name], name=name, **attributes))
        return out or name

    def several(self, kind: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """Any operator of several outputs."""
        names = [self._graph.unused(f"{self._scope}/{kind}") for _ in range(count)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names

    def constant(self, values: Any, dtype: npt.DTypeLike = np.float32) -> str:
        """A number or an array."""
        return self._graph.constant(np.array(values, dtype))

    def integers(self, *values: int) -> str:
        """A vector of whole numbers."""
        return self.constant(values, np.int64)

    def cast(self, tensor: str, dtype: npt.DTypeLike, out: str | None = None) -> str:
        """Another type."""
        return self("Cast", tensor, out=out, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def gather(self, tensor: str, *indices: int, axis: int = 0) -> str:
        """These entries of an axis, which stays."""
        return self("Gather", tensor, self.integers(*indices), axis=axis)

    def take(self, tensor: str, index: int, axis: int) -> str:
        """One entry of an axis, which goes."""
        return self("Gather", tensor, self.constant(index, np.int64), axis=axis)

    def slice(self, tensor: str, start: int, end: int | None, axis: int) -> str:
        """A piece of an axis, to its end where that is None."""
        ends = np.iinfo(np.int64).max if end is None else end
        return self("Slice", tensor, self.integers(start), self.integers(ends), self.integers(axis))

    def unsqueeze(self, tensor: str, axis: int) -> str:
        """One axis more."""
        return self._with_axes("Unsqueeze", tensor, axis)

    def reduce(self, kind: str, tensor: str, axis: int) -> str:
        """One axis fewer, by `ReduceMax` or `ReduceMin`."""
        return self._with_axes(kind, tensor, axis, keepdims=0)

    def _with_axes(self, kind: str, tensor: str, axis: int, **attributes: Any) -> str:
        if self._graph.opset >= _AXES_AS_INPUT[kind]:
            return self(kind, tensor, self.integers(axis), **attributes)
        return self(kind, tensor, axes=[axis], **attributes)


def network_of(graph: Graph, source: str = "the network") -> NetworkInfo:
    """What a graph says of itself, as a backend that has loaded it would."""
    model = graph.model
    return NetworkInfo(
        inputs=tuple(_tensor(each) for each in graph.inputs),
        outputs=tuple(_tensor(each) for each in model.graph.output),
        metadata={each.key: each.value for each in model.metadata_props},
        source=source,
    )


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators that a model is written in."""
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    return max(versions, default=1)


def _own_copy(model: ModelProto) -> ModelProto:
    if opset_of(model) >= OLDEST:
        copy = ModelProto()
        copy.CopyFrom(model)
        return copy
    try:
        converted = onnx.version_converter.convert_version(model, _CONVERTED)
    except Exception as error:  # the converter raises several types, of C++ also
        raise ExportError(
            f"the graph is of opset {opset_of(model)} and cannot be converted to {_CONVERTED}, which preprocess and nms need: "
            f"{one_line(error)[:200]}; export the model again with a newer opset"
        ) from error
    del converted.metadata_props[:]
    converted.metadata_props.extend(model.metadata_props)
    return converted


def _tensor(value: ValueInfoProto) -> TensorInfo:
    kind = value.type.tensor_type.elem_type
    dtype = helper.tensor_dtype_to_np_dtype(kind) if kind else np.dtype(np.float32)
    return TensorInfo(value.name, _shape(value) or (), np.dtype(dtype))


def _shape(value: ValueInfoProto) -> tuple[int | None, ...] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)  # some write -1 for an open axis


def _names(graph: GraphProto) -> Iterator[str]:
    """The names of all tensors and operators, those of graphs inside of operators included."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
    for weights in graph.initializer:
        yield weights.name
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
    for node in graph.node:
        yield from (node.name, *node.input, *node.output)
        for inner in _inside(node):
            yield from _names(inner)


def _rename(graph: GraphProto, renamed: Mapping[str, str]) -> None:
    values = [*graph.input, *graph.output, *graph.value_info, *graph.initializer]
    named: list[ValueInfoProto | TensorProto] = [*values, *(each.values for each in graph.sparse_initializer)]
    for each in named:
        each.name = renamed.get(each.name, each.name)
    for note in graph.quantization_annotation:
        note.tensor_name = renamed.get(note.tensor_name, note.tensor_name)
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
        for inner in _inside(node):
            _rename(inner, renamed)


def _inside(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs
