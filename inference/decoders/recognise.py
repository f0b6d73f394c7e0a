"""Which decoder fits a network, and what its classes are called."""

from __future__ import annotations

from typing import TypeAlias

from framehook.inference.decoders.base import Decoder, NetworkAware
from framehook.inference.decoders.coco import COCO_NAMES
from framehook.inference.decoders.metadata import LAYOUT_KEY, declared_names, fixed_input_size, literal
from framehook.inference.decoders.registry import (
    DecodeFunction,
    FunctionDecoder,
    get_decoder,
    instance_of,
    known_decoders,
)
from framehook.inference.decoders.tf_detection import order_by_name
from framehook.inference.errors import UnknownLayoutError
from framehook.inference.network import NetworkInfo, TensorInfo

DecoderSpec: TypeAlias = str | Decoder | type[Decoder] | DecodeFunction | None

_STRIDE_SETS = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32))
"""Grids of the usual heads, of those for large inputs (P6), and of those for small objects (P2)."""


class ClassNames(dict[int, str]):
    """Class names by number; a number without a name is called `class7`, and is not stored."""

    def __missing__(self, number: int) -> str:
        return f"class{number}"


def resolve_decoder(spec: DecoderSpec, network: NetworkInfo) -> Decoder:
    """Return the decoder a user named for a network, or the one that fits it.

    Args:
        spec: The name of a known decoder; a decoder, or a class of such; a function as `FunctionDecoder` takes it; or None to
            recognise the layout.
        network: The network, as its backend describes it.

    Raises:
        UnknownLayoutError: an unknown name, or a layout that is not recognised.
        OptionError: an object that is no decoder.
    """
    if spec is None:
        return recognise(network)
    if isinstance(spec, str):
        return _for_network(get_decoder(spec), network)
    if callable(spec) and not isinstance(spec, type) and not hasattr(spec, "decode"):
        return FunctionDecoder(spec)
    return _for_network(instance_of(spec), network)


def recognise(network: NetworkInfo) -> Decoder:
    """Find the decoder of a network: from its metadata, else from names and shapes of its outputs.

    Layouts that look alike are told apart by the number of proposals, which is a multiple of the number of grid cells in the
    input: one a cell for YOLOv8 and YOLOX, three a cell for YOLOv5. What stays ambiguous is refused, never guessed.

    Raises:
        UnknownLayoutError: the layout is not known, or the network is no detector; the message lists outputs and layouts.
    """
    if layout := network.metadata.get(LAYOUT_KEY, "").strip():
        return _for_network(get_decoder(layout), network)
    task = network.metadata.get("task", "detect")
    if task != "detect":
        raise UnknownLayoutError(f"{network.source} is a model for the task '{task}'; only detection models can be used")
    name = _by_names_and_shapes(network)
    if name is None:
        outputs = ", ".join(f"{output.name} [{_shape(output)}]" for output in network.outputs)
        raise UnknownLayoutError(
            f"cannot tell how the outputs of {network.source} are laid out: {outputs}. Known layouts are "
            f"{', '.join(known_decoders())}; name one with decoder=, or pass a decoder of your own (register_decoder)"
        )
    return _for_network(get_decoder(name), network)


def class_names_of(network: NetworkInfo, decoder: Decoder, nc: int | None = None) -> dict[int, str]:
    """Names of the classes by number: from metadata, else those of COCO for 80 classes, else `class0`, `class1` ...

    Args:
        network: The network.
        decoder: Its decoder.
        nc: Number of classes; None to derive it from the shape of the output, where its layout and shape tell.

    Returns:
        A dict that answers for any class number: what is not named in it is called after its number.
    """
    if nc is None:
        nc = class_count(network, decoder)
    names = ClassNames(declared_names(network) or (enumerate(COCO_NAMES) if nc == len(COCO_NAMES) else ()))
    # Where nothing tells the number of classes there is at least one.
    for number in range(nc or not names):
        names.setdefault(number, names[number])
    return names


def class_count(network: NetworkInfo, decoder: Decoder) -> int | None:
    """Number of classes that the shape of the output tells; None where the layout or an open axis hides it."""
    rows, columns = _proposal_axes(network) or (None, None)
    if decoder.name == "yolo":
        return None if rows is None else rows - 4
    if decoder.name in ("yolov5", "yolox"):
        return None if columns is None else columns - 5
    return None


def _for_network(decoder: Decoder, network: NetworkInfo) -> Decoder:
    return decoder.for_network(network) if isinstance(decoder, NetworkAware) else decoder


def _shape(tensor: TensorInfo) -> str:
    return " x ".join("?" if axis is None else str(axis) for axis in tensor.shape)


def _by_names_and_shapes(network: NetworkInfo) -> str | None:
    if order_by_name([output.name for output in network.outputs]) is not None or _looks_like_tf(network):
        return "tf_detection"
    axes = _proposal_axes(network)
    if axes is None:
        return None
    names = declared_names(network)
    fits = _fitting_layouts(network, *axes, nc=None if names is None else len(names))
    if len(fits) > 1:
        fits = [name for name in fits if name in _layouts_of_exporter(network)]
    return fits[0] if len(fits) == 1 else None


def _looks_like_tf(network: NetworkInfo) -> bool:
    """Whether outputs under other names have the shapes of count, boxes, scores and classes, and the input is uint8 pixels."""
    shapes = sorted((output.shape for output in network.outputs), key=len)
    return (
        [len(shape) for shape in shapes] == [1, 2, 2, 3]
        and shapes[3][2] == 4
        and any(tensor.dtype == "uint8" and len(tensor.shape) == 4 for tensor in network.inputs)
    )


def _proposal_axes(network: NetworkInfo) -> tuple[int | None, int | None] | None:
    """The last two axes of the only output of three axes, where others are at most v5's feature maps of five axes.

    Other companions are signs of something else: mask prototypes of a segmentation model have four axes, a DETR splits boxes
    and scores into two outputs of three.
    """
    proposals = [output.shape for output in network.outputs if len(output.shape) == 3]
    if len(proposals) != 1 or any(len(output.shape) not in (3, 5) for output in network.outputs):
        return None
    return proposals[0][1], proposals[0][2]


def _fitting_layouts(network: NetworkInfo, rows: int | None, columns: int | None, *, nc: int | None) -> list[str]:
    """Layouts that N x rows x columns can be, given the input size and the number of classes as far as they are known."""
    if "RTDETR" in network.metadata.get("head", "").upper():
        # Its N x 300 x (4 + classes) would pass for finished detections where it has two classes.
        return []
    width, height = fixed_input_size(network)
    if width is None or height is None:
        one_a_cell: set[int] = set()
        yolox_cells = None
    else:
        one_a_cell = {sum(-(-width // s) * -(-height // s) for s in strides) for strides in _STRIDE_SETS}
        yolox_cells = sum((width // s) * (height // s) for s in _STRIDE_SETS[0])
    three_a_cell = {3 * cells for cells in one_a_cell}
    nc_as_rows = rows is not None and nc is not None and rows == 4 + nc
    nc_as_columns = columns is not None and columns >= 6 and nc in (None, columns - 5)
    fits = []
    if (rows is None or rows >= 5) and (
        (columns is None and (nc is None or nc_as_rows or rows is None))
        or (columns in one_a_cell and (nc is None or nc_as_rows))
    ):
        fits.append("yolo")
    if nc_as_columns and (rows is None or rows in three_a_cell):
        fits.append("yolov5")
    if nc_as_columns and (rows is None or rows == yolox_cells):
        fits.append("yolox")
    if columns == 6 and (rows is None or rows not in one_a_cell | three_a_cell):
        fits.append("end2end")
    if rows is None and columns is None and "task" not in network.metadata:
        return []
    return fits


def _layouts_of_exporter(network: NetworkInfo) -> tuple[str, ...]:
    """Which of several fitting layouts the program that wrote the metadata exports.

    `task` comes with YOLOv8 and later, which have no objectness; YOLOv5 writes `stride` and `names` only; YOLOX nothing.
    """
    if literal(network, "end2end") is True:
        return ("end2end",)
    if "task" in network.metadata:
        return ("yolo", "end2end")
    return ("yolov5",) if {"stride", "names"} <= network.metadata.keys() else ()
