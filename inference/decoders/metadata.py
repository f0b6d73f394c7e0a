"""What a model file says in its metadata about its input, output layout and class names.

Framehook's own keys start with `framehook.`; `describe` writes them and `input_format_of` reads them:

    framehook.layout    name of the decoder
    framehook.fit       center, top_left or stretch
    framehook.color     rgb or bgr
    framehook.scale     factor applied to the 0..255 pixels
    framehook.mean      JSON list of three, subtracted after scaling, in the network's channel order; [0, 0, 0] for none
    framehook.std       JSON list of three, divided by; [1, 1, 1] for none
    framehook.pad       grey level of the padding, 0..255
    framehook.size      JSON list of width and height, used where the graph leaves them open

and of graphs that do part of the work themselves, which `baked_into` reads:

    framehook.input     frame: the input is one captured frame, H x W x 3 uint8 BGR of any size, and all of the above, but for
                        the layout, tells what the graph does with it
    framehook.boxes     frame or input: whose pixels the boxes are in; input where the entry is absent
    framehook.nms       JSON object: conf, iou and max_det of the suppression inside the graph, whose outputs have the layout
                        end2end. A run can ask for a higher conf and fewer boxes, not for another iou, and `agnostic_nms`
                        comes too late

The keys `task`, `names`, `imgsz`, `end2end`, `head` and `description` are read as the exporter of Ultralytics writes them,
Python literals included, and of RF-DETR's `rfdetr_inference` the task and the class names.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from framehook.inference.decoders.base import Decoder
from framehook.inference.errors import ModelFormatError
from framehook.inference.geometry import Fit
from framehook.inference.network import (
    INPUT_KEY,
    WHOLE_FRAME,
    NetworkInfo,
    TensorInfo,
    channels_last,
    image_input,
    takes_frames,
)
from framehook.inference.preprocess import InputFormat

MAX_STRIDE: Final = 256
"""More pixels a cell than any network has."""
LAYOUT_KEY: Final = "framehook.layout"
_BOXES_KEY: Final = "framehook.boxes"
_NMS_KEY: Final = "framehook.nms"
_RFDETR_KEY: Final = "rfdetr_inference"

_log = logging.getLogger("framehook")


@dataclass(frozen=True, slots=True)
class BakedIn:
    """What a graph does itself that is otherwise done around it.

    Attributes:
        frames: Preprocessing: it takes one captured frame, H x W x 3 uint8 BGR, of any size.
        boxes_in_frame: Its boxes are in pixels of that frame, not of the network's input.
        nms: `conf`, `iou` and `max_det` of its suppression; None where it has none, or that of its makers.
    """

    frames: bool = False
    boxes_in_frame: bool = False
    nms: Mapping[str, float] | None = None


def describe(decoder: Decoder | str, form: InputFormat, *, baked: BakedIn | None = None) -> dict[str, str]:
    """The metadata that lets any Framehook install run a network without flags.

    Args:
        decoder: The decoder of its outputs, or its name.
        form: What it expects at its input. Its `channels_last` is not written: the input's shape tells.
        baked: What the graph does itself; None for nothing.
    """
    baked = BakedIn() if baked is None else baked
    own = {
        INPUT_KEY: WHOLE_FRAME if baked.frames else None,
        _BOXES_KEY: "frame" if baked.boxes_in_frame else None,
        _NMS_KEY: json.dumps(dict(baked.nms)) if baked.nms is not None else None,
    }
    return {
        LAYOUT_KEY: decoder if isinstance(decoder, str) else decoder.name,
        "framehook.fit": form.fit.value,
        "framehook.color": "rgb" if form.rgb else "bgr",
        "framehook.scale": repr(form.scale),
        "framehook.mean": json.dumps(form.mean or (0, 0, 0)),
        "framehook.std": json.dumps(form.std or (1, 1, 1)),
        "framehook.pad": str(form.pad),
        "framehook.size": json.dumps(form.size),
        **{key: text for key, text in own.items() if text is not None},
    }


def baked_into(network: NetworkInfo) -> BakedIn:
    """What a network's graph does itself, as its metadata tells.

    Raises:
        ModelFormatError: an entry that cannot be read.
    """
    for key, known in ((INPUT_KEY, (WHOLE_FRAME,)), (_BOXES_KEY, ("frame", "input"))):
        if network.metadata.get(key, known[0]) not in known:
            raise _unreadable(network, key, " or ".join(known))
    nms = None
    if _NMS_KEY in network.metadata:
        try:
            nms = {str(name): float(value) for name, value in json.loads(network.metadata[_NMS_KEY]).items()}
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise _unreadable(network, _NMS_KEY, "a JSON object of numbers") from error
    return BakedIn(takes_frames(network), network.metadata.get(_BOXES_KEY) == "frame", nms)


def input_format_of(network: NetworkInfo, decoder: Decoder) -> InputFormat:
    """What the network expects at its input: the decoder's habit, corrected by what the graph and its metadata say.

    An input of uint8 takes pixels as they are, unless metadata says otherwise. The order of the axes and a fixed height and
    width come from the graph alone. Of a graph that takes whole frames it is what the network inside expects, as far as the
    metadata tells.

    Raises:
        ModelFormatError: a `framehook.` entry that cannot be read, or no input that could be a picture.
    """
    tensor = image_input(network)
    form = decoder.input_format
    if takes_frames(network):
        return dataclasses.replace(form, **_own_entries(network))
    if tensor.dtype == np.uint8:
        form = dataclasses.replace(form, scale=1, mean=None, std=None)
    form = dataclasses.replace(form, **_own_entries(network))
    last = channels_last(tensor, form.channels_last)
    width, height = _fixed_size(tensor, last)
    size = _open_size(network, form.size)
    return dataclasses.replace(form, channels_last=last, size=(width or size[0], height or size[1]))


def fixed_input_size(network: NetworkInfo) -> tuple[int | None, int | None]:
    """(width, height) of the picture in the network's input, None where the graph leaves one open or has no such input."""
    try:
        tensor = image_input(network)
    except ModelFormatError:
        return None, None
    if takes_frames(network):
        width, height = _own_entries(network).get("size", (None, None))
        return width, height
    return _fixed_size(tensor, channels_last(tensor))


def literal(network: NetworkInfo, key: str) -> Any:
    """The value of a metadata entry written as JSON or as a Python literal; None where it is absent or neither."""
    text = network.metadata.get(key, "")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def declared_names(network: NetworkInfo) -> dict[int, str] | None:
    """Class names from the entry `names`: a dict or list, as JSON or Python literal; else from RF-DETR's; None where absent.

    An entry that cannot be read is ignored with a logged warning.
    """
    if "names" in network.metadata:
        key, names = "names", literal(network, "names")
    elif "class_id_to_name" in (notes := _rfdetr_notes(network)):
        key, names = _RFDETR_KEY, notes["class_id_to_name"]
    else:
        return None
    try:
        pairs = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list | tuple) else ()
        table = {int(number): str(name) for number, name in pairs}
    except (TypeError, ValueError):
        table = {}
    if not table or min(table) < 0:
        _log.warning(
            "%s: class names in the metadata cannot be read and are ignored: %.80r", network.source, network.metadata[key]
        )
        return None
    return table


def declared_count(network: NetworkInfo) -> int | None:
    """How many class numbers the metadata names, gaps included; None where it names none."""
    names = declared_names(network)
    return None if names is None else max(names) + 1


def declared_stride(network: NetworkInfo) -> int | None:
    """What the sides of the input are a multiple of, from the entry `stride`; None where it tells nothing that could be."""
    said = literal(network, "stride")
    strides = said if isinstance(said, list | tuple) else [said]
    known = [int(each) for each in strides if isinstance(each, int | float) and 1 <= each <= MAX_STRIDE]
    return max(known, default=None)


def declared_task(network: NetworkInfo) -> str:
    """What the metadata says that the network is for; `detect` where it does not."""
    return network.metadata.get("task") or str(_rfdetr_notes(network).get("task", "detect"))


def _rfdetr_notes(network: NetworkInfo) -> dict[str, Any]:
    notes = literal(network, _RFDETR_KEY)
    return notes if isinstance(notes, dict) else {}


def _fixed_size(tensor: TensorInfo, last: bool) -> tuple[int | None, int | None]:
    height, width = tensor.shape[1:3] if last else tensor.shape[2:4]
    return width, height


def _open_size(network: NetworkInfo, size: tuple[int, int]) -> tuple[int, int]:
    """`imgsz` (height, width or one side) where the file has it and does not give our own entry, else `size`."""
    sides = literal(network, "imgsz")
    if isinstance(sides, int):
        sides = [sides, sides]
    known = isinstance(sides, list | tuple) and len(sides) == 2 and all(isinstance(side, int) and side > 0 for side in sides)
    return (sides[1], sides[0]) if known and "framehook.size" not in network.metadata else size


def _own_entries(network: NetworkInfo) -> dict[str, Any]:
    """Fields of `InputFormat` given by `framehook.` entries."""
    fields: dict[str, Any] = {}
    for key, (field, read, expected) in _ENTRIES.items():
        if key in network.metadata:
            text = network.metadata[key]
            try:
                fields[field] = read(text)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise _unreadable(network, key, expected) from error
    return fields


def _unreadable(network: NetworkInfo, key: str, expected: str) -> ModelFormatError:
    return ModelFormatError(f"{network.source}: metadata {key}={network.metadata[key]!r} cannot be read; expected {expected}")


def _read_scale(text: str) -> float:
    scale = float(text)
    if not math.isfinite(scale) or scale <= 0:
        raise ValueError(text)
    return scale


def _read_three(text: str, default: float) -> tuple[float, ...] | None:
    values = tuple(float(value) for value in json.loads(text))
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise ValueError(text)
    return None if values == (default,) * 3 else values


def _read_std(text: str) -> tuple[float, ...] | None:
    values = _read_three(text, 1)
    if values is not None and min(values) <= 0:
        raise ValueError(text)
    return values


def _read_pad(text: str) -> int:
    pad = int(text)
    if not 0 <= pad <= 255:
        raise ValueError(text)
    return pad


def _read_size(text: str) -> tuple[int, int]:
    width, height = json.loads(text)
    if not all(isinstance(side, int) and side > 0 for side in (width, height)):
        raise ValueError(text)
    return width, height


_ENTRIES: Final[dict[str, tuple[str, Callable[[str], Any], str]]] = {
    "framehook.fit": ("fit", Fit, "center, top_left or stretch"),
    "framehook.color": ("rgb", {"rgb": True, "bgr": False}.__getitem__, "rgb or bgr"),
    "framehook.scale": ("scale", _read_scale, "a positive number"),
    "framehook.mean": ("mean", lambda text: _read_three(text, 0), "a JSON list of three numbers"),
    "framehook.std": ("std", _read_std, "a JSON list of three positive numbers"),
    "framehook.pad": ("pad", _read_pad, "a whole number from 0 to 255"),
    "framehook.size": ("size", _read_size, "a JSON list of width and height in pixels"),
}
