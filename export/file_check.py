"""Whether a file says of itself what is true of its source, so that it runs with no flags."""

from __future__ import annotations

from pathlib import Path

from framehook.inference.decoders import known_decoders
from framehook.inference.detector import Detector
from framehook.inference.errors import FramehookError, ParityError, UnknownLayoutError, one_line
from framehook.inference.load import load_detector
from framehook.inference.preprocess import InputFormat


def load_exported(source: Detector, exported: Path, *, merged: bool, takes_frames: bool) -> tuple[Detector, list[str]]:
    """Load a file as whoever gets it would, and see whether it is what it should be.

    Args:
        source: What was exported.
        exported: The file.
        merged: Whether stages were merged onto its network.
        takes_frames: Whether it does its own preprocessing.

    Returns:
        What was loaded, and what there is to know about running it, in words.

    Raises:
        ParityError: it does not load, or says other things of its classes, its layout or its input than the source.
    """
    notes = []
    layout, known = source.decoder.name, source.decoder.name in known_decoders()
    try:
        target = load_detector(exported, device="cpu")
    except UnknownLayoutError as error:
        if known:
            raise ParityError(f"the exported file cannot be run without flags: {one_line(error)}") from error
        target = None
    except FramehookError as error:
        raise ParityError(f"the exported file cannot be run: {one_line(error)}") from error
    if target is None or (not known and not merged):
        target = load_detector(exported, device="cpu", decoder=source.decoder)
        notes.append(f"its layout '{layout}' is known to this program alone; name the decoder when running it")
    if not merged and target.decoder.name != layout:
        raise ParityError(
            f"the exported file would be read as layout '{target.decoder.name}', and its source is read as '{layout}'; "
            "its metadata is missing or wrong"
        )
    if dict(target.names) != dict(source.names):
        raise ParityError(
            f"the exported file says it finds {_some(target)}, and its source finds {_some(source)}; its metadata is wrong"
        )
    if not takes_frames and (unlike := _unlike(source.form, target.form)):
        raise ParityError(f"the exported file says of its input {unlike}; its metadata is wrong")
    return target, notes


def _unlike(source: InputFormat, target: InputFormat) -> str:
    """How two formats differ, in words; `size` does not count, it stands in where a graph leaves its own open."""
    for name in ("fit", "rgb", "scale", "mean", "std", "pad", "channels_last"):
        ours, theirs = getattr(source, name), getattr(target, name)
        neutral = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}.get(name)
        if (neutral if ours is None else ours) != (neutral if theirs is None else theirs):
            return f"{name} {theirs}, where its source has {ours}"
    return ""


def _some(detector: Detector) -> str:
    names = list(detector.names.values())
    return f"{len(names)} classes ({', '.join(names[:3])}{' ...' if len(names) > 3 else ''})"
