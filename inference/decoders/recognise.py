"""Which decoder fits a network, and what its classes are called."""

from __future__ import annotations

from typing import TypeAlias

from framehook.inference.decoders.base import Decoder, NetworkAware
from framehook.inference.decoders.coco import COCO_NAMES, COCO_NAMES_BY_ID
from framehook.inference.decoders.detr import COCO_IDS, layout_of_detr, query_columns, without_background
from framehook.inference.decoders.metadata import (
    LAYOUT_KEY,
    declared_count,
    declared_names,
    declared_task,
    fixed_input_size,
    literal,
)
from framehook.inference.decoders.nanodet import PLUS_STRIDES, STRIDES, cell_count, class_columns
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
_DETRS = ("rtdetr", "rfdetr", "detr")
"""Layouts of class scores and boxes of queries."""


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
    input: one a cell for YOLOv8, YOLOX and NanoDet, three a cell for YOLOv5; networks of the DETR family by the names of their
    outputs. What stays ambiguous is refused, never guessed.

    Raises:
        UnknownLayoutError: the layout is not known, or the network is no detector; the message lists outputs and layouts.
    """
    if layout := network.metadata.get(LAYOUT_KEY, "").strip():
        return _for_network(get_decoder(layout), network)
    task = declared_task(network)
    if task != "detect":
        raise UnknownLayoutError(f"{network.source} is a model for the task '{task}'; only detection models can be used")
    name = _by_names_and_shapes(network)
    if name is None:
        outputs = ", ".join(f"{output.name} [{_shape(output)}]" for output in network.outputs)
        raise UnknownLayoutError(
            f"cannot tell how the outputs of {network.source} are laid out: {outputs}.{_hint(network)} Known layouts are "
            f"{', '.join(known_decoders())}; name one with decoder=, or pass a decoder of your own (register_decoder)"
        )
    return _for_network(get_decoder(name), network)


def class_names_of(network: NetworkInfo, decoder: Decoder, nc: int | None = None) -> dict[int, str]:
    """Names of the classes by number: from metadata, else those of COCO for 80 classes, else `class0`, `class1` ...

    The DETR family has COCO's classes under 91 numbers, of which those that mean nothing get no name.

    Args:
        network: The network.
        decoder: Its decoder.
        nc: Number of classes; None to derive it from the shape of the output, where its layout and shape tell.

    Returns:
        A dict that answers for any class number: what is not named in it is called after its number.
    """
    if nc is None:
        nc = class_count(network, decoder)
    declared = declared_names(network)
    if declared is None and nc == COCO_IDS and decoder.name in _DETRS:
        return ClassNames(COCO_NAMES_BY_ID)
    names = ClassNames(declared or (enumerate(COCO_NAMES) if nc == len(COCO_NAMES) else ()))
    # Where nothing tells the number of classes there is at least one.
    for number in range(nc or not names):
        names.setdefault(number, names[number])
    return names


def class_count(network: NetworkInfo, decoder: Decoder) -> int | None:
    """Number of classes that the shape of the output tells; None where the layout or an open axis hides it."""
    rows, columns = _proposal_axes(network) or (None, None)
    if decoder.name == "yolo":
        return None if rows is None else rows - 4
    if decoder.name in _DETRS:
        queries = query_columns(network)
        if queries is not None:
            return {"rtdetr": queries, "rfdetr": without_background(queries), "detr": queries - 1}[decoder.name]
        return columns - 4 if decoder.name == "rtdetr" and columns is not None else None
    if columns is None:
        return None
    if decoder.name == "nanodet":
        return class_columns(columns, declared_count(network))
    return columns - 5 if decoder.name in ("yolov5", "yolox") else None


def _for_network(decoder: Decoder, network: NetworkInfo) -> Decoder:
    return decoder.for_network(network) if isinstance(decoder, NetworkAware) else decoder


def _shape(tensor: TensorInfo) -> str:
    return " x ".join("?" if axis is None else str(axis) for axis in tensor.shape)


def _hint(network: NetworkInfo) -> str:
    if query_columns(network) is None:
        return ""
    return (
        " They are class scores and boxes of the DETR family, and their number does not tell of which of its layouts: rtdetr "
        "(RT-DETR, D-FINE), rfdetr (RF-DETR, Deformable DETR) or detr (DETR, whose last class is the background)."
    )


def _by_names_and_shapes(network: NetworkInfo) -> str | None:
    if order_by_name([output.name for output in network.outputs]) is not None or _looks_like_tf(network):
        return "tf_detection"
    if (layout := layout_of_detr(network)) is not None:
        return layout
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
    four_and_classes = columns is not None and nc is not None and columns == 4 + nc
    if _says_rtdetr(network):
        # Its N x 300 x (4 + classes) would pass for finished detections where it has two classes.
        return ["rtdetr"] if four_and_classes else []
    width, height = fixed_input_size(network)
    if width is None or height is None:
        one_a_cell: set[int] = set()
        yolox_cells = nanodet_cells = plus_cells = None
    else:
        one_a_cell = {sum(-(-width // s) * -(-height // s) for s in strides) for strides in _STRIDE_SETS}
        yolox_cells = sum((width // s) * (height // s) for s in _STRIDE_SETS[0])
        nanodet_cells, plus_cells = (cell_count((width, height), strides) for strides in (STRIDES, PLUS_STRIDES))
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
    classes = None if columns is None else class_columns(columns, nc)
    # YOLOX has as many cells on three grids: there, columns that leave the classes of COCO are a sign, others are not.
    sure = nc is not None or classes == len(COCO_NAMES)
    if rows is not None and classes is not None and (rows == plus_cells or (rows == nanodet_cells and sure)):
        fits.append("nanodet")
    if four_and_classes and "task" in network.metadata and (rows is None or rows not in one_a_cell | three_a_cell):
        fits.append("rtdetr")
    if rows is None and columns is None and "task" not in network.metadata:
        return []
    return fits


def _says_rtdetr(network: NetworkInfo) -> bool:
    said = network.metadata.get("head", "") + network.metadata.get("description", "")
    return "rtdetr" in said.lower().replace("-", "")


def _layouts_of_exporter(network: NetworkInfo) -> tuple[str, ...]:
    """Which of several fitting layouts the program that wrote the metadata exports.

    `task` comes with YOLOv8 and later, which have no objectness; YOLOv5 writes `stride` and `names` only; YOLOX nothing.
    """
    if literal(network, "end2end") is True:
        return ("end2end",)
    if "task" in network.metadata:
        return ("yolo", "end2end")
    return ("yolov5",) if {"stride", "names"} <= network.metadata.keys() else ()
