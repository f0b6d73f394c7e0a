"""What is written into an exported file beside the graph, in the keys that the field reads and in ours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from framehook._version import __version__
from framehook.export.options import ExportOptions
from framehook.inference.decoders.metadata import LAYOUT_KEY, describe
from framehook.inference.detector import Detector
from framehook.inference.preprocess import InputFormat

if TYPE_CHECKING:
    import onnx

OURS: Final = "framehook."


def metadata_of(
    detector: Detector, options: ExportOptions, form: InputFormat, *, batch: int, opset: int, stages: Mapping[str, str]
) -> dict[str, str]:
    """All entries of an exported file: those of its source, what the field writes, and what Framehook reads.

    The author and the licence are the source's; a licence is never invented.

    Args:
        detector: The source.
        options: How it was exported.
        form: What the network expects, its size included.
        batch: Pictures of a network call.
        opset: Version of the graph's operators.
        stages: What is to be said of a network that stages were merged onto; empty where there are none.
    """
    source = detector.backend.network.metadata
    now = datetime.now(UTC).isoformat(timespec="seconds")
    told = stages or describe(detector.decoder, form)
    width, height = form.size
    arguments = {
        "batch": batch,
        "half": options.half,
        "int8": options.int8,
        "dynamic": options.dynamic,
        "simplify": options.simplify,
        "opset": opset,
        "nms": options.nms,
    }
    kept = {key: value for key, value in source.items() if not key.startswith(OURS)}
    if "author" not in kept:  # these three belong together: who wrote the file, when, with which version
        kept = {key: value for key, value in kept.items() if key not in ("date", "version")}
    return {
        "description": f"Detector of the layout {detector.decoder.name}, exported by Framehook",
        "author": "Framehook",
        "date": now,
        "version": __version__,
        **kept,
        "stride": str(detector.stride),
        "task": "detect",
        "batch": str(batch),
        "imgsz": str([height, width]),
        "names": str({number: str(name) for number, name in sorted(detector.names.items())}),
        "args": str(arguments),
        "channels": "3",
        "end2end": str(told[LAYOUT_KEY] == "end2end"),
        **told,
        f"{OURS}version": __version__,
        f"{OURS}exported": now,
    }


def write_metadata(model: onnx.ModelProto, entries: Mapping[str, str]) -> None:
    """Put entries into a graph in place of those it has."""
    del model.metadata_props[:]
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
