"""Preprocessing and suppression merged into a network's graph, so that a file needs nothing but a runtime."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from framehook.export.graph_build import Graph, Operators, network_of
from framehook.export.graph_preprocess import Placement, make_input, place_frame, to_frame
from framehook.export.graph_suppress import (
    Proposed,
    Suppression,
    propose_nanodet,
    propose_yolo,
    propose_yolov5,
    propose_yolox,
    suppress,
)
from framehook.export.layouts import FINISHED, ON_GRIDS, check_suppressible
from framehook.inference.backends.companions import Companions
from framehook.inference.decoders.metadata import baked_into, declared_count, describe
from framehook.inference.decoders.nanodet import class_columns, grids_of
from framehook.inference.decoders.yolox import grid_of
from framehook.inference.errors import ExportError, OptionError
from framehook.inference.network import NetworkInfo, TensorInfo, image_input
from framehook.inference.preprocess import InputFormat

__all__ = ["FRAME", "DETECTIONS", "Staged", "Suppression", "add_stages"]

FRAME: Final = "frame"
"""The input of a graph that does its own preprocessing: H x W x 3 uint8 BGR, one frame of any size."""
DETECTIONS: Final = "detections"
"""The output of a graph that does its own suppression: N x max_det x 6 float32, as layout `end2end` describes it."""


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """A network and the stages around it, in one graph.

    Attributes:
        model: The graph. Its metadata is that of the network alone.
        network_input: What the tensor that the network takes is called in it.
        network_outputs: What its raw outputs are called, in their order.
        metadata: The `framehook.` entries to be written into the file, so that it runs without flags.
    """

    model: onnx.ModelProto
    network_input: str
    network_outputs: tuple[str, ...]
    metadata: dict[str, str]


def add_stages(
    model: onnx.ModelProto,
    *,
    layout: str,
    form: InputFormat,
    input_size: tuple[int, int],
    preprocess: bool,
    nms: Suppression | None,
) -> Staged:
    """Merge preprocessing and suppression into a detection graph.

    - With `preprocess` the only input is `frame`, one H x W x 3 uint8 BGR frame of any size. The network's batch becomes 1, and
      its height and width the input size. Inputs beside the picture are filled in as `Companions` does.
    - With `nms` the only output is `detections`, N x max_det x 6 float32: left, top, right, bottom, score and class, best
      first, then rows of zeros. Layouts yolox and nanodet, which are decoded on a grid, have height and width fixed by it.
    - With both, and for layout end2end with `preprocess`, boxes are in frame pixels, clipped to the frame; otherwise they are
      in pixels of the network input, as raw outputs always are.

    The result is written in the opset of `model`, or in 13 where that is older than 11. It holds every weight once.

    Args:
        model: The network; not changed.
        layout: Name of its output layout.
        form: What it expects at its input.
        input_size: (width, height) of its input.
        preprocess: Whether it shall take frames.
        nms: How it shall suppress; None for not at all. Layout end2end, which has nothing left to suppress, is left as it is.

    Raises:
        OptionError: the network cannot have these stages: its batch is fixed to several, the layout has no overlaps or is not
            known, its input has another size, or it takes frames already.
        ExportError: the outputs are not those of the layout, or the graph is too old to be converted.
    """
    graph = Graph(model)
    network = network_of(graph)
    picture = image_input(network)
    finished = layout == FINISHED
    if nms is not None:
        check_suppressible(layout)
    baked = baked_into(network)
    if preprocess:
        if baked.frames:
            raise OptionError("preprocess: the model takes whole frames already; leave preprocess out")
        _check_picture(network, picture, form, input_size)
    if preprocess or (nms is not None and layout in ON_GRIDS and not baked.frames):
        graph.fix(picture.name, _axes(form, input_size, batch=preprocess))
    renamed: dict[str, str] = {}
    for name, wanted in ((FRAME, preprocess), (DETECTIONS, preprocess if finished else nms is not None)):
        if wanted:
            renamed |= graph.reserve(name)
    network_input = renamed.get(picture.name, picture.name)
    outputs = tuple(each.name for each in graph.model.graph.output)

    placement = None
    if preprocess:
        placement = _prepend_preprocessing(graph, picture, form, input_size, network_input)
        baked = dataclasses.replace(baked, frames=True, boxes_in_frame=finished or nms is not None)
    if not finished and nms is not None:
        baked = dataclasses.replace(baked, nms=dataclasses.asdict(nms))
        _append_suppression(graph, layout, network, input_size, nms, placement)
    elif finished and placement is not None:
        _append_mapping(graph, placement)
    told = describe(layout if nms is None else FINISHED, dataclasses.replace(form, size=input_size), baked=baked)
    return Staged(graph.model, network_input, outputs, told)


def _check_picture(network: NetworkInfo, picture: TensorInfo, form: InputFormat, input_size: tuple[int, int]) -> None:
    """Raise OptionError where a network cannot be given one frame, scaled to the input size, and nothing else."""
    if picture.shape[0] not in (1, None):
        raise OptionError(
            f"preprocess takes one frame at a time, and the network a batch of {picture.shape[0]}; export it with batch=1"
        )
    for axis, length in _axes(form, input_size, batch=True).items():
        if picture.shape[axis] not in (length, None):
            shape = " x ".join("N" if side is None else str(side) for side in picture.shape)
            raise OptionError(
                f"preprocess makes pictures of 3 x {input_size[1]} x {input_size[0]}, and input {picture.name} of the network "
                f"is {shape}; leave imgsz out"
            )
    if unknown := Companions(network, picture).unknown:
        names = ", ".join(each.name for each in unknown)
        raise OptionError(f"preprocess: the network takes more than a picture: {names}; export the model without that")


def _axes(form: InputFormat, input_size: tuple[int, int], *, batch: bool) -> dict[int, int]:
    """The lengths of a picture's axes by number."""
    width, height = input_size
    channel, top, left = (3, 1, 2) if form.channels_last else (1, 2, 3)
    return {channel: 3, top: height, left: width, **({0: 1} if batch else {})}


def _prepend_preprocessing(
    graph: Graph, picture: TensorInfo, form: InputFormat, input_size: tuple[int, int], network_input: str
) -> Placement:
    """Put a frame in the place of all that the network takes."""
    inner = graph.model.graph
    width, height = input_size
    filled = np.empty((1, height, width, 3) if form.channels_last else (1, 3, height, width), np.uint8)
    fed = graph.inputs
    beside = Companions(network_of(graph), next(each for each in network_of(graph).inputs if each.name == network_input))
    for name, values in beside.fill(filled).items():
        inner.initializer.append(numpy_helper.from_array(values, name))
    for each in fed:
        inner.input.remove(each)
    ops = Operators(graph, "framehook/preprocess")
    placement = place_frame(ops, FRAME, form.fit, input_size)
    make_input(ops, FRAME, placement, form=form, input_size=input_size, dtype=picture.dtype, out=network_input)
    graph.prepend(ops.nodes)
    inner.input.insert(0, helper.make_tensor_value_info(FRAME, TensorProto.UINT8, ["frame_height", "frame_width", 3]))
    return placement


def _append_mapping(graph: Graph, placement: Placement) -> None:
    """Put finished detections in frame pixels in the place of all outputs."""
    ops = Operators(graph, "framehook/detections")
    raw, shape = _proposals(graph, ops, FINISHED)
    _check_fit(FINISHED, shape, "N x max x 6", columns=(6, 6))
    boxes = to_frame(ops, ops.slice(raw, 0, 4, axis=2), placement)
    ops("Concat", boxes, ops.slice(raw, 4, 6, axis=2), axis=2, out=DETECTIONS)
    _set_output(graph, ops, [1, shape[1], 6])


def _append_suppression(
    graph: Graph,
    layout: str,
    network: NetworkInfo,
    input_size: tuple[int, int],
    nms: Suppression,
    placement: Placement | None,
) -> None:
    """Put detections in the place of all outputs."""
    ops = Operators(graph, "framehook/detections")
    raw, shape = _proposals(graph, ops, layout)
    proposed = _propose(ops, layout, raw, shape, network, input_size, nms.conf)

    def mapped(boxes: str) -> str:
        return boxes if placement is None else to_frame(ops, boxes, placement)

    suppress(ops, proposed, nms, place=mapped, out=DETECTIONS)
    _set_output(graph, ops, [shape[0], nms.max_det, 6])


def _propose(
    ops: Operators,
    layout: str,
    raw: str,
    shape: tuple[int | None, ...],
    network: NetworkInfo,
    input_size: tuple[int, int],
    conf: float,
) -> Proposed:
    _, rows, columns = shape
    if layout == "yolo":
        _check_fit(layout, shape, "N x (4 + classes) x anchors", rows=(5, None))
        return propose_yolo(ops, raw, conf)
    if layout == "yolov5":
        _check_fit(layout, shape, "N x anchors x (5 + classes)", columns=(6, None))
        return propose_yolov5(ops, raw, conf)
    of_size = f"for an input of {input_size[0]} x {input_size[1]}"
    if layout == "yolox":
        grid = grid_of(input_size)
        _check_fit(layout, shape, f"N x {len(grid)} x (5 + classes) {of_size}", (len(grid), len(grid)), (6, None))
        return propose_yolox(ops, raw, conf, grid)
    grids = grids_of(input_size)
    nc = None if columns is None else class_columns(columns, declared_count(network))
    if rows not in grids or columns is None or nc is None:
        raise _wrong_shape(layout, shape, f"N x {' or '.join(map(str, grids))} x (classes + 4 x bins) {of_size}")
    return propose_nanodet(ops, raw, conf, grids[rows], nc, (columns - nc) // 4)


def _proposals(graph: Graph, ops: Operators, layout: str) -> tuple[str, tuple[int | None, ...]]:
    """The first output of three axes, which is where a decoder finds its proposals, as float32, and its shape."""
    shapes = {}
    for output in graph.model.graph.output:
        shape = shapes[output.name] = graph.shape_of(output.name)
        if shape is not None and len(shape) == 3:
            plain = output.type.tensor_type.elem_type == TensorProto.FLOAT
            return output.name if plain else ops.cast(output.name, np.float32), shape
    told = ", ".join(f"{name} {shape or 'of unknown shape'}" for name, shape in shapes.items())
    raise ExportError(f"layout '{layout}' has an output of three axes, and the network has {told}; name another with decoder=")


def _check_fit(
    layout: str,
    shape: tuple[int | None, ...],
    axes: str,
    rows: tuple[int, int | None] = (0, None),
    columns: tuple[int, int | None] = (0, None),
) -> None:
    """Raise ExportError where an axis, as far as its length is known, is shorter or longer than its bounds."""
    for length, (least, most) in ((shape[1], rows), (shape[2], columns)):
        if length is not None and not least <= length <= (length if most is None else most):
            raise _wrong_shape(layout, shape, axes)


def _wrong_shape(layout: str, shape: tuple[int | None, ...], axes: str) -> ExportError:
    told = " x ".join("?" if side is None else str(side) for side in shape)
    return ExportError(f"an output of shape {told} does not fit layout '{layout}' ({axes}); name another with decoder=")


def _set_output(graph: Graph, ops: Operators, shape: list[int | None]) -> None:
    """Put the one output of a stage in the place of those of the network."""
    graph.append(ops.nodes)
    outputs = graph.model.graph.output
    axes = ["batch" if axis == 0 and side is None else side for axis, side in enumerate(shape)]
    del outputs[:]
    outputs.append(helper.make_tensor_value_info(DETECTIONS, TensorProto.FLOAT, axes))
