"""Whether a file says of itself what is true of its source, so that it runs with no flags."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from framehook.export.layouts import FINISHED
from framehook.inference import decoders
from framehook.inference.decoders import BakedIn, FunctionDecoder, get_decoder
from framehook.inference.decoders.metadata import literal
from framehook.inference.detector import Detector
from framehook.inference.errors import FramehookError, ParityError, UnknownLayoutError, one_line
from framehook.inference.load import load_detector
from framehook.inference.network import image_input
from framehook.inference.options import PredictOptions
from framehook.inference.preprocess import InputFormat

if TYPE_CHECKING:
    from framehook.export.graph_suppress import Suppression


def load_exported(
    source: Detector, exported: Path, *, takes_frames: bool, nms: Suppression | None, size: tuple[int, int]
) -> Detector:
    """Load a file as whoever gets it would, and see whether it is what it should be.

    All that a run takes from its metadata is compared with the source and with what was asked for, and so are the keys by which
    other programs know what it is. `batch` is, where the graph fixes it.

    Args:
        source: What was exported.
        exported: The file.
        takes_frames: Whether it does its own preprocessing.
        nms: The suppression that was built into it; None for none.
        size: (width, height) of the network's input, or what a run takes first where the graph leaves it open.

    Raises:
        ParityError: it does not load, or says other things of its classes, its layout, its input or its stages than are true.
    """
    try:
        target = load_detector(exported, device="cpu")
    except UnknownLayoutError as error:
        raise ParityError(f"the exported file cannot be run without flags: {one_line(error)}") from error
    except FramehookError as error:
        raise ParityError(f"the exported file cannot be run: {one_line(error)}") from error
    layout = source.decoder.name if nms is None else FINISHED
    if target.decoder.name != layout:
        raise ParityError(
            f"the exported file would be read as layout '{target.decoder.name}', and it has layout '{layout}'; its metadata is "
            "missing or wrong"
        )
    if dict(target.names) != dict(source.names):
        raise ParityError(
            f"the exported file says it finds {_some(target)}, and its source finds {_some(source)}; its metadata is wrong"
        )
    if unlike := _unlike(source.form, target.form, takes_frames=takes_frames):
        raise ParityError(f"the exported file says of its input {unlike}; its metadata is wrong")
    finished = takes_frames and layout == FINISHED
    baked = BakedIn(takes_frames, finished, None if nms is None else dataclasses.asdict(nms))
    for what, found, wanted in _facts(source, target, baked, size):
        if found != wanted:
            raise ParityError(f"the exported file says {what} {found}, and {wanted} is right; its metadata is missing or wrong")
    return target


def own_layout(layout: str) -> str | None:
    """The name of a layout that this program registered a decoder for; None of one that every Framehook install reads."""
    decoder = get_decoder(layout)
    ours = type(decoder).__module__.startswith(f"{decoders.__name__}.") and not isinstance(decoder, FunctionDecoder)
    return None if ours else layout


def _facts(source: Detector, target: Detector, baked: BakedIn, size: tuple[int, int]) -> Iterator[tuple[str, object, object]]:
    """What there is to be said of a file, as it says it, and as it is."""
    network, sides = target.backend.network, [size[1], size[0]]
    yield "stride", target.stride, source.stride
    width, height = target.input_size(PredictOptions())
    yield "size (height, width)", [height, width], sides
    yield "frames in", target.baked.frames, baked.frames
    yield "boxes in frame", target.baked.boxes_in_frame, baked.boxes_in_frame
    yield "nms", _plain(target.baked), _plain(baked)
    own = literal(network, "framehook.size")
    yield "framehook.size", own, list(size)
    yield "imgsz", literal(network, "imgsz"), sides
    yield "task", network.metadata.get("task"), "detect"
    yield "end2end", literal(network, "end2end"), target.decoder.name == FINISHED
    batch = 1 if baked.frames else image_input(network).shape[0]
    if batch is not None:
        yield "batch", literal(network, "batch"), batch


def _plain(baked: BakedIn) -> dict[str, float] | None:
    return None if baked.nms is None else {name: float(value) for name, value in baked.nms.items()}


def _unlike(source: InputFormat, target: InputFormat, *, takes_frames: bool) -> str:
    """How two formats differ, in words; `size` is seen to elsewhere, and whole frames have axes of their own."""
    for name in ("fit", "rgb", "scale", "mean", "std", "pad", *(() if takes_frames else ("channels_last",))):
        ours, theirs = getattr(source, name), getattr(target, name)
        neutral = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}.get(name)
        if (neutral if ours is None else ours) != (neutral if theirs is None else theirs):
            return f"{name} {theirs}, where its source has {ours}"
    return ""


def _some(detector: Detector) -> str:
    names = list(detector.names.values())
    return f"{len(names)} classes ({', '.join(names[:3])}{' ...' if len(names) > 3 else ''})"
