"""A graph of one picture size made one of any size, and the proof that it still computes the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import inliner

from framehook.export.open_shapes import NotOpenError, Picture, open_shapes, set_dims
from framehook.inference.errors import ExportError, one_line

USUAL: Final = 640
"""Pixels of a side that the graph leaves open while it fixes the other one and says nothing else."""
STEP: Final = 64
"""Other sizes that are tried differ by multiples of this: networks halve their pictures five or six times."""
TOLERANCE: Final = 1e-4
"""Of the largest number in an output: how far two runs of the same computation may differ."""

_Arrays = list[npt.NDArray[Any]]


def to_dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    """Open the batch, height and width of a graph that was exported for one size.

    Its constants are replaced where their meaning is certain (see `open_shapes`). The new graph is then run beside the old one:
    at the old size it must give the same outputs, for two different pictures in one batch as well; at a smaller and at a larger
    size a batch of two must give what each picture gives alone.

    Args:
        model: A graph that takes N x 3 x H x W or N x H x W x 3 pictures, and nothing else; it is left as it is.

    Returns:
        The graph with an input of batch x 3 x height x width (or batch x height x width x 3), and with open outputs. One whose
        sizes are open already is returned as it is.

    Raises:
        ExportError: it cannot be done, or was done and does not hold; the message says why and what to do.
    """
    try:
        picture = _picture(model)
        if picture is None:
            return model
        opened = onnx.ModelProto()
        opened.CopyFrom(model)
        if opened.functions:
            opened = inliner.inline_local_functions(opened)
        sizes = _other_sizes(picture)
        open_shapes(opened, picture, picture.shape(2, *sizes[0]))
        _name_axes(opened, picture, {})
        seen = _prove(model, opened, picture, sizes)
        _name_axes(opened, picture, seen)
    except NotOpenError as error:
        raise ExportError(
            f"the graph cannot be opened to other sizes: {error}; "
            "export it from its checkpoint with dynamic=True, or leave dynamic out"
        ) from error
    return opened


def _picture(model: onnx.ModelProto) -> Picture | None:
    """The input, or None if all its sizes are open."""
    constants = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in constants]
    if len(inputs) != 1:
        raise NotOpenError(f"it takes {len(inputs)} inputs ({', '.join(each.name for each in inputs)}), not pictures alone")
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in inputs[0].type.tensor_type.shape.dim]
    if len(dims) == 3:
        raise NotOpenError("it takes one frame of any size already; open the graph before preprocessing is added")
    if len(dims) != 4 or 3 not in (dims[1], dims[3]):
        raise NotOpenError(f"its input '{inputs[0].name}' takes no pictures of three channels, N x 3 x H x W or N x H x W x 3")
    first = 2 if dims[1] == 3 else 1
    batch, height, width = dims[0], dims[first], dims[first + 1]
    if batch is height is width is None:
        return None
    channels_last = first == 1
    height, width = height or width or USUAL, width or height or USUAL
    fixed = (batch or 1, height, width, 3) if channels_last else (batch or 1, 3, height, width)
    return Picture(inputs[0].name, first, fixed)


def _other_sizes(picture: Picture) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two more (height, width), one smaller where there is room, one larger, none with two sides alike or as exported."""

    def moved(side: int, by: int) -> int:
        return side - by if side - by >= 2 * STEP else side + by

    smaller = moved(picture.height, STEP), moved(picture.width, 2 * STEP)
    if smaller[0] == smaller[1]:
        smaller = smaller[0], picture.width + STEP
    larger = picture.height + 2 * STEP, picture.width + STEP
    if larger[0] == larger[1]:
        larger = larger[0] + STEP, larger[1]
    return smaller, larger


def _name_axes(model: onnx.ModelProto, picture: Picture, seen: dict[str, list[tuple[int, ...]]]) -> None:
    """Name the open axes of input and outputs.

    Args:
        model: The graph.
        picture: Its input.
        seen: Shapes that each output was seen to have; an axis that was always as long is fixed. Without any it stays unknown.
    """
    for each in model.graph.input:
        if each.name == picture.name:
            dims: list[int | str | None] = list(picture.fixed)
            dims[0], dims[picture.height_axis], dims[picture.height_axis + 1] = "batch", "height", "width"
            set_dims(each, dims)
    for output in model.graph.output:
        if output.name in seen:
            axes = list(zip(*seen[output.name], strict=True))
            open_axes = [number for number, lengths in enumerate(axes) if len(set(lengths)) > 1]
            names = {number: f"{output.name}_axis_{number}" for number in open_axes} | {0: "batch"}
            if len(open_axes) == 2:
                names[open_axes[1]] = "anchors"
            set_dims(output, [names.get(number, lengths[0]) for number, lengths in enumerate(axes)])


def _prove(
    fixed: onnx.ModelProto, opened: onnx.ModelProto, picture: Picture, sizes: Sequence[tuple[int, int]]
) -> dict[str, list[tuple[int, ...]]]:
    """Run both graphs, and return the shapes of the outputs that were seen.

    Raises:
        NotOpenError: they differ, or the opened one cannot be run at another size.
    """
    old, new = _session(fixed), _session(opened)
    names = [each.name for each in opened.graph.output]
    seen: dict[str, list[tuple[int, ...]]] = {name: [] for name in names}
    pictures = _pictures(picture, picture.height, picture.width, max(picture.fixed[0], 2), new)
    batch = picture.fixed[0]
    wanted = _run(old, picture, pictures[:batch])
    _compare(names, _run(new, picture, pictures[:batch]), wanted, f"at {picture.width}x{picture.height}, its own size")
    if batch == 1:
        wanted = [np.concatenate(rows) for rows in zip(wanted, _run(old, picture, pictures[1:2]), strict=True)]
        _compare(names, _run(new, picture, pictures), wanted, f"at {picture.width}x{picture.height} with two pictures a batch")
    for name, array in zip(names, wanted, strict=True):
        seen[name].append(array.shape)
    for height, width in sizes:
        pictures = _pictures(picture, height, width, 2, new)
        each = [_run(new, picture, pictures[:1]), _run(new, picture, pictures[1:])]
        wanted = [np.concatenate(rows) for rows in zip(*each, strict=True)]
        _compare(names, _run(new, picture, pictures), wanted, f"at {width}x{height} with two pictures a batch")
        for name, alone, both in zip(names, each[0], wanted, strict=True):
            seen[name] += [alone.shape, both.shape]
    return seen


def _pictures(picture: Picture, height: int, width: int, count: int, session: ort.InferenceSession) -> npt.NDArray[np.generic]:
    """So many different pictures of smooth noise, 0..255, of the input's type."""
    random = np.random.default_rng(0)
    shape = picture.shape(count, height, width)
    (info,) = session.get_inputs()
    types = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
    if info.type not in types:
        raise NotOpenError(f"its input '{info.name}' takes {info.type}, not pictures")
    return random.uniform(0, 255, shape).astype(types[info.type])


def _compare(names: Sequence[str], found: _Arrays, wanted: _Arrays, where: str) -> None:
    for name, one, two in zip(names, found, wanted, strict=True):
        if one.shape != two.shape:
            raise NotOpenError(f"output '{name}' is {_text(one.shape)}, not {_text(two.shape)}, {where}")
        if one.dtype.kind != "f":
            same = bool(np.array_equal(one, two))
        else:
            largest = float(np.abs(two, dtype=np.float64).max(initial=0))
            same = bool(np.allclose(one, two, rtol=0, atol=TOLERANCE * max(largest, 1), equal_nan=True))
        if not same:
            raise NotOpenError(f"output '{name}' is not what it was {where}")


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is told here, in one line
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no common class for its errors
        raise NotOpenError(f"ONNX Runtime cannot load it: {_reason(error)}") from error


def _run(session: ort.InferenceSession, picture: Picture, pictures: npt.NDArray[np.generic]) -> _Arrays:
    try:
        return list(session.run(None, {picture.name: pictures}))
    except Exception as error:  # as above
        height, width = pictures.shape[picture.height_axis : picture.height_axis + 2]
        raise NotOpenError(f"it cannot be run on {len(pictures)} of {width}x{height}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What ONNX Runtime says of an error, without where in its sources."""
    text = one_line(error)
    node = re.search(r"running (\w+) node\. Name:'([^']*)'", text)
    return f"{node[1]} '{node[2]}' holds a fixed size" if node else text[:160]


def _text(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
