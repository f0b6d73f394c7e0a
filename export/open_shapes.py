"""Constants of a graph that hold the size of its picture, and what to put in their place for pictures of any size.

An exporter that is told one input size writes it into the graph, again and again: as targets of Reshape, sizes of Resize, ends
of Slice. What such a number means is told here by comparing the shapes of all tensors at two sizes of the picture: an axis that
grows with it must not be a constant any more. Numbers whose meaning is not certain are not touched; they raise `NotOpenError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Shape = tuple[int | None, ...]
"""Lengths of the axes; None where shape inference does not know."""

HEAVY: Final = 4096
"""Bytes of a weight from which on it is left out while shapes are inferred: they do not depend on it."""
TO_THE_END: Final = np.iinfo(np.int64).max
_BEYOND: Final = 2**31 - 1
"""Ends of a Slice from here on mean the end of any axis."""
_BROADCASTING: Final = frozenset(
    ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where", "PRelu", "Equal", "Less", "Greater")
)
_SCALING: Final = frozenset(("Mul", "Div", "Min", "Max", "Clip"))
_LEAST_SIDE: Final = 64


class NotOpenError(Exception):
    """A graph holds the size of its picture in a way that cannot be undone; the text says where, without a full stop."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The input that takes pictures.

    Attributes:
        name: As the graph calls it.
        height_axis: Number of the axis of rows; that of columns comes next.
        fixed: Its shape as the graph was exported.
    """

    name: str
    height_axis: int
    fixed: tuple[int, ...]

    def shape(self, batch: int, height: int, width: int) -> tuple[int, ...]:
        """Its shape for so many pictures of another size."""
        sizes = list(self.fixed)
        sizes[0], sizes[self.height_axis], sizes[self.height_axis + 1] = batch, height, width
        return tuple(sizes)

    @property
    def height(self) -> int:
        """Rows, as exported."""
        return self.fixed[self.height_axis]

    @property
    def width(self) -> int:
        """Columns, as exported."""
        return self.fixed[self.height_axis + 1]


@dataclass(frozen=True, slots=True)
class _Lengths:
    """The product of some axes of a tensor, over a number; it is known when the graph runs."""

    tensor: str
    axes: tuple[int, ...]
    over: int = 1


@dataclass(frozen=True, slots=True)
class _Merge:
    """Axes that a Reshape has made one of: their lengths at both sizes tell a later Reshape that parts them again."""

    source: _Lengths
    fixed: tuple[int, ...]
    other: tuple[int, ...]


def open_shapes(model: onnx.ModelProto, picture: Picture, other: tuple[int, ...]) -> None:
    """Replace the constants in `model` that hold the size of its picture, in place.

    Args:
        model: A graph without functions; its inferred shapes are dropped, as they hold for one size alone.
        picture: Its input.
        other: Another shape of that input, all of whose open axes differ from the exported ones, and height from width.

    Raises:
        NotOpenError: it cannot be done.
    """
    _Opening(model, picture, other).run()


class _Opening:
    """One graph on its way."""

    def __init__(self, model: onnx.ModelProto, picture: Picture, other: tuple[int, ...]) -> None:
        self._model = model
        self._graph = model.graph
        self._picture = picture
        self._other_input = other
        self._constants = dict(_small_constants(model.graph))
        self._opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 1)
        self._merges: list[_Merge] = []
        self._added = 0
        self._before: list[onnx.NodeProto] = []
        # What a target that is put together when the graph runs comes to at the other size: shape inference gives up on those.
        self._targets: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._types: dict[str, int] = {}
        self._fixed: Mapping[str, Shape] = {}
        self._other: Mapping[str, Shape] = {}
        self._patch: dict[str, Callable[[onnx.NodeProto], None]] = {
            "Reshape": self._reshape,
            "Resize": self._resize,
            "Slice": self._slice,
            "Expand": self._expand,
        }

    def run(self) -> None:
        del self._graph.value_info[:]
        for output in self._graph.output:
            output.type.tensor_type.ClearField("shape")
        with_weights = _without_weights(self._graph)
        try:
            self._fixed = self._shapes(self._picture.fixed)
            self._other = self._shapes(self._other_input)
            position = 0
            while position < len(self._graph.node):
                node = self._graph.node[position]
                self._check(node)
                patch = self._patch.get(node.op_type) if node.domain in ("", "ai.onnx") else None
                before = node.SerializeToString()
                if patch is not None:
                    patch(node)
                for each in self._before:
                    self._graph.node.insert(position, each)
                    position += 1
                if self._before or node.SerializeToString() != before:
                    self._other = self._shapes(self._other_input)
                self._before.clear()
                position += 1
        finally:
            with_weights()
        _drop_unused(self._graph)

    def _shapes(self, shape: Sequence[int]) -> Mapping[str, Shape]:
        """Shapes of all tensors for one shape of the picture."""
        for each in self._graph.input:
            if each.name == self._picture.name:
                set_dims(each, shape)
        if shape is self._other_input:
            known = self._targets.items()
            self._graph.value_info.extend(helper.make_tensor_value_info(name, kind, dims) for name, (kind, dims) in known)
        inferred = onnx.shape_inference.infer_shapes(self._model, data_prop=True).graph
        del self._graph.value_info[:]
        values = (*inferred.value_info, *inferred.input, *inferred.output)
        self._types |= {each.name: each.type.tensor_type.elem_type for each in values}
        shapes = {each.name: _shape_of(each) for each in values}
        shapes |= {each.name: tuple(each.dims) for each in self._graph.initializer}
        return {name: shape for name, shape in shapes.items() if shape is not None}

    def _known(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """The shape of a tensor at both sizes, if it is known and depends on the size."""
        fixed, other = self._fixed.get(name), self._other.get(name)
        if fixed is None or other is None or None in fixed or None in other or len(fixed) != len(other) or fixed == other:
            return None
        return fixed, other  # type: ignore[return-value]

    # What is refused ------------------------------------------------------------------------------------------------------

    def _check(self, node: onnx.NodeProto) -> None:
        """Refuse a node that works on one size of the picture by its nature."""
        fixed = [self._fixed.get(name) for name in node.input if name]
        other = [self._other.get(name) for name in node.input if name]
        if node.op_type in _BROADCASTING and None not in fixed and None not in other and not _broadcast(other):
            tables = [name for name, one, two in zip(node.input, fixed, other, strict=True) if one == two]
            table = f"a table of {_text(self._fixed[tables[0]])} ('{tables[0]}')" if tables else "tensors"
            raise NotOpenError(f"{_named(node)} takes {table} that fits a picture of {self._size} alone, such as its anchors")
        if node.op_type == "MatMul" and len(fixed) == 2 and other[0] and other[1] and fixed[0] and fixed[1]:
            inner = other[0][-1], other[1][-2 if len(other[1]) > 1 else 0]
            if None not in inner and inner[0] != inner[1]:
                raise NotOpenError(f"{_named(node)} takes {fixed[0][-1]} numbers, as many as a picture of {self._size} gives")
        if node.op_type in _SCALING:
            for name in node.input[1:] if node.op_type == "Clip" else node.input:
                values = self._constants.get(name)
                if values is not None and values.size <= 4 and self._holds_side(values):
                    raise NotOpenError(
                        f"{_named(node)} computes with {values.ravel().tolist()}, as it seems the picture's size"
                    )

    def _holds_side(self, values: npt.NDArray[Any]) -> bool:
        sides = {side for side in (self._picture.height, self._picture.width) if side >= _LEAST_SIDE}
        return any(float(value) in sides for value in values.ravel())

    @property
    def _size(self) -> str:
        return f"{self._picture.width}x{self._picture.height}"

    # What is replaced -----------------------------------------------------------------------------------------------------

    def _reshape(self, node: onnx.NodeProto) -> None:
        """Targets become 0 (this axis as it comes in) and -1 (what is left), and what neither can say is read off a tensor."""
        data, known, target = node.input[0], self._known(node.input[0]), self._constants.get(node.input[1])
        out = self._fixed.get(node.output[0])
        if known is None or target is None or out is None or None in out:
            return
        fixed, other = known
        wanted = self._wanted(node, data, fixed, other, [int(length or 0) for length in out])
        keeps_zero = any(each.name == "allowzero" and each.i for each in node.attribute)
        entries: list[int | _Lengths] = []
        for axis, each in enumerate(wanted):
            same = isinstance(each, _Lengths) and each == _Lengths(data, (axis,)) and not keeps_zero
            entries.append(0 if same else each)
        left = [number for number, each in enumerate(entries) if isinstance(each, _Lengths)]
        if left:
            entries[max(left, key=lambda number: _effort(entries[number]))] = -1
        node.input[1] = self._vector(entries)
        if (kind := self._types.get(data)) is not None:
            self._targets[node.output[0]] = kind, tuple(self._at_other(each) for each in wanted)

    def _at_other(self, length: int | _Lengths) -> int:
        if isinstance(length, int):
            return length
        return math.prod(self._other[length.tensor][axis] or 0 for axis in length.axes) // length.over

    def _wanted(
        self, node: onnx.NodeProto, data: str, fixed: tuple[int, ...], other: tuple[int, ...], out: list[int]
    ) -> list[int | _Lengths]:
        """What each axis of a Reshape's output shall be: the length it has always, or that of axes of a tensor."""
        wanted: list[int | _Lengths] = []
        for ins, outs in _groups(fixed, out):
            lengths = [out[axis] for axis in outs]
            changing = tuple(axis for axis in ins if fixed[axis] != other[axis] or fixed[axis] != 1)
            if all(fixed[axis] == other[axis] for axis in ins):
                wanted += lengths
                continue
            if len(ins) > 1:
                sizes = tuple(fixed[axis] for axis in ins), tuple(other[axis] for axis in ins)
                self._merges.append(_Merge(_Lengths(data, tuple(ins)), *sizes))
            if len(outs) > 1 and (merge := self._merged(lengths, math.prod(other[axis] for axis in ins))) is not None:
                for axis, one, two in zip(merge.source.axes, merge.fixed, merge.other, strict=True):
                    wanted.append(one if one == two else _Lengths(merge.source.tensor, (axis,)))
            elif _first_grows(ins, fixed, other) and math.prod(fixed[axis] for axis in ins[1:]) % math.prod(lengths[1:]) == 0:
                # Rows follow one another: however many there are, those axes that come after the first stay as they are.
                wanted += [_Lengths(data, changing, math.prod(lengths[1:])), *lengths[1:]]
            elif sum(length != 1 for length in lengths) <= 1:
                # Where all are 1, the batch is what grows, and it comes first.
                longest = lengths.index(max(lengths))
                wanted += [_Lengths(data, changing) if number == longest else 1 for number in range(len(lengths))]
            else:
                raise NotOpenError(
                    f"{_named(node)} parts {math.prod(lengths)} into {_text(lengths)}, which holds for {self._size} alone"
                )
        return wanted

    def _merged(self, lengths: Sequence[int], product: int) -> _Merge | None:
        """The last time that axes of these lengths were made one."""
        for merge in reversed(self._merges):
            if merge.fixed == tuple(lengths) and math.prod(merge.other) == product:
                return merge
        return None

    def _resize(self, node: onnx.NodeProto) -> None:
        """Sizes become factors."""
        if len(node.input) < 4 or not node.input[3] or (known := self._known(node.input[0])) is None:
            return
        out = self._fixed.get(node.output[0])
        if self._constants.get(node.input[3]) is None or out is None or None in out:
            return
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if attributes.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
            raise NotOpenError(f"{_named(node)} scales to {_text(out)} in a way that depends on the picture's sides")
        factors = []
        for axis in attributes.get("axes", range(len(out))):
            (one, two), length = (known[0][axis], known[1][axis]), out[axis] or 0
            if one != two and length % one and one % length:
                raise NotOpenError(f"{_named(node)} scales {one} to {length}, which is no whole factor")
            factors.append(length / one)
        node.input[2] = self._constant(np.array(factors, np.float32))
        del node.input[3]

    def _slice(self, node: onnx.NodeProto) -> None:
        """Ends of an axis become the end of whatever axis."""
        if (known := self._known(node.input[0])) is None:
            return
        if len(node.input) < 3:
            attributes = {each.name: list(each.ints) for each in node.attribute}
            starts, ends = attributes["starts"], attributes["ends"]
            axes, steps = attributes.get("axes", list(range(len(starts)))), [1] * len(starts)
        else:
            given = [self._constants.get(name) if name else None for name in node.input[1:]] + [None, None]
            if given[0] is None or given[1] is None:
                return
            starts, ends = given[0].tolist(), given[1].tolist()
            axes = given[2].tolist() if given[2] is not None else list(range(len(starts)))
            steps = given[3].tolist() if given[3] is not None else [1] * len(starts)
        changed = list(ends)
        for number, axis in enumerate(axes):
            length = known[0][axis]
            if length == known[1][axis]:
                continue
            start, end, step = starts[number], ends[number], steps[number]
            backwards = step < 0 and (start == -1 or start >= _BEYOND) and end < -length
            if not backwards and (step < 0 or start >= max(step, 2) or 0 <= end < length):
                raise NotOpenError(
                    f"{_named(node)} cuts {start} to {end} out of an axis of {length}, which grows with the picture"
                )
            if step > 0 and length <= end < _BEYOND:
                changed[number] = TO_THE_END
        if changed == list(ends):
            return
        if len(node.input) < 3:
            for each in node.attribute:
                if each.name == "ends":
                    each.ints[:] = changed
        else:
            node.input[2] = self._constant(np.array(changed, np.int64))
            node.input[1] = self._constant(np.array(starts, np.int64))  # both must be of one type
            if len(node.input) > 3 and node.input[3]:
                node.input[3] = self._constant(np.array(axes, np.int64))
            if len(node.input) > 4 and node.input[4]:
                node.input[4] = self._constant(np.array(steps, np.int64))

    def _expand(self, node: onnx.NodeProto) -> None:
        """Axes that are as long already become 1, which leaves them alone."""
        known, target = self._known(node.input[0]), self._constants.get(node.input[1])
        if known is None or target is None:
            return
        lengths = [int(length) for length in target]
        for number in range(-min(len(lengths), len(known[0])), 0):
            if known[0][number] != known[1][number] and lengths[number] == known[0][number]:
                lengths[number] = 1
        node.input[1] = self._constant(np.array(lengths, np.int64))

    # What is put in their place -------------------------------------------------------------------------------------------

    def _vector(self, entries: Sequence[int | _Lengths]) -> str:
        """A tensor of these lengths: a constant, or one that is put together when the graph runs."""
        parts: list[str] = []
        numbers: list[int] = []
        for each in entries:
            if isinstance(each, int):
                numbers.append(each)
                continue
            if numbers:
                parts.append(self._constant(np.array(numbers, np.int64)))
                numbers = []
            parts.append(self._lengths(each))
        if numbers:
            parts.append(self._constant(np.array(numbers, np.int64)))
        return parts[0] if len(parts) == 1 else self._node("Concat", parts, axis=0)

    def _lengths(self, lengths: _Lengths) -> str:
        shape = self._node("Shape", [lengths.tensor])
        axes = self._node("Gather", [shape, self._constant(np.array(lengths.axes, np.int64))], axis=0)
        product = axes if len(lengths.axes) == 1 else self._node("ReduceProd", [axes], keepdims=1)
        if lengths.over == 1:
            return product
        return self._node("Div", [product, self._constant(np.array([lengths.over], np.int64))])

    def _node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = self._name(kind.lower())
        self._before.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def _constant(self, values: npt.NDArray[Any]) -> str:
        name = self._name("constant")
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        self._constants[name] = values
        return name

    def _name(self, what: str) -> str:
        self._added += 1
        return f"open_shapes/{what}_{self._added}"


def set_dims(value: onnx.ValueInfoProto, dims: Sequence[int | str | None]) -> None:
    """Write the axes of an input or output: lengths, names of open ones, or None for open ones without a name."""
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for each in dims:
        dim = shape.dim.add()
        if isinstance(each, str):
            dim.dim_param = each
        elif each is not None:
            dim.dim_value = each


def _groups(ins: Sequence[int], outs: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Part the axes on both sides of a Reshape into the shortest runs of the same product."""
    i = o = 0
    while i < len(ins) and o < len(outs):
        left, right, one, two = [i], [o], ins[i], outs[o]
        while one != two:
            if one < two:
                i += 1
                left.append(i)
                one *= ins[i]
            else:
                o += 1
                right.append(o)
                two *= outs[o]
        i, o = i + 1, o + 1
        if i == len(ins) or o == len(outs):  # what is left is all ones
            left += range(i, len(ins))
            right += range(o, len(outs))
        yield left, right


def _first_grows(axes: Sequence[int], fixed: Sequence[int], other: Sequence[int]) -> bool:
    """Whether the first of these axes alone depends on the size of the picture or the batch."""
    return fixed[axes[0]] != other[axes[0]] and all(fixed[axis] == other[axis] for axis in axes[1:])


def _effort(entry: int | _Lengths) -> int:
    """How many nodes it takes to work a length out; the one that takes most is left to Reshape itself."""
    return 0 if isinstance(entry, int) else len(entry.axes) + (entry.over > 1)


def _broadcast(shapes: Sequence[Shape | None]) -> bool:
    """Whether tensors of these shapes can be combined element by element."""
    given = [shape for shape in shapes if shape is not None]
    for axis in range(1, max(map(len, given), default=0) + 1):
        lengths = {shape[-axis] for shape in given if len(shape) >= axis} - {1, None}
        if len(lengths) > 1:
            return False
    return True


def _small_constants(graph: onnx.GraphProto) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Constants of a few numbers, by name; only those can be sizes."""
    for tensor in graph.initializer:
        if math.prod(tensor.dims) <= 16:
            yield tensor.name, numpy_helper.to_array(tensor)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute:
            value = helper.get_attribute_value(node.attribute[0])
            if isinstance(value, onnx.TensorProto):
                if math.prod(value.dims) <= 16:
                    yield node.output[0], numpy_helper.to_array(value)
            elif node.attribute[0].name in ("value_int", "value_ints", "value_float", "value_floats"):
                yield node.output[0], np.array(value)


def _without_weights(graph: onnx.GraphProto) -> Callable[[], None]:
    """Take the weights out of a graph, leaving their types and shapes, and return what puts them back."""
    heavy = [each for each in graph.initializer if len(each.raw_data) > HEAVY]
    inputs = {each.name for each in graph.input}
    light = [each for each in graph.initializer if len(each.raw_data) <= HEAVY]
    stand_ins = [
        helper.make_tensor_value_info(each.name, each.data_type, list(each.dims)) for each in heavy if each.name not in inputs
    ]
    del graph.initializer[:]
    graph.initializer.extend(light)
    graph.input.extend(stand_ins)

    def put_back() -> None:
        names = {each.name for each in stand_ins}
        kept = [each for each in graph.input if each.name not in names]
        del graph.input[:]
        graph.input.extend(kept)
        graph.initializer.extend(heavy)

    return put_back


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove constants that nothing takes any more; those inside branches and loops are left alone."""
    if any(
        each.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for node in graph.node for each in node.attribute
    ):
        return
    used = {name for node in graph.node for name in node.input} | {each.name for each in graph.output}
    nodes = [node for node in graph.node if node.op_type != "Constant" or node.output[0] in used]
    initializers = [each for each in graph.initializer if each.name in used]
    dropped = {each.name for each in graph.initializer} - used
    inputs = [each for each in graph.input if each.name not in dropped]
    for field, kept in ((graph.node, nodes), (graph.initializer, initializers), (graph.input, inputs)):
        del field[:]
        field.extend(kept)


def _shape_of(value: onnx.ValueInfoProto) -> Shape | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)


def _named(node: onnx.NodeProto) -> str:
    return f"{node.op_type} '{node.name or node.output[0]}'"


def _text(lengths: Sequence[int | None]) -> str:
    return " x ".join("N" if length is None else str(length) for length in lengths)
