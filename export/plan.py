"""What is exported, and what that takes: the source, and the options as they fit it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framehook.export.layouts import check_suppressible
from framehook.export.options import ExportOptions
from framehook.export.progress import Stage
from framehook.inference.backends import OnnxBackend
from framehook.inference.decoders import known_decoders
from framehook.inference.decoders.metadata import baked_into
from framehook.inference.detector import Detector
from framehook.inference.errors import ExportError, OptionError
from framehook.inference.load import bundled_model
from framehook.inference.network import image_input
from framehook.inference.options import PredictOptions
from framehook.inference.registry import models_folder


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model comes from.

    Attributes:
        name: What it is called, without ending.
        path: Its file; None where it was made in memory.
        folder: Where its exports go if nobody names another place: beside it, but for models that come with the package or were
            pulled, and those without a file, which go to the working directory.
        module: The PyTorch module, None for an ONNX file.
        size: Bytes of its file; None where it has none.
    """

    name: str
    path: Path | None
    folder: Path
    module: Any
    size: int | None = None


def origin_of(detector: Detector) -> Origin:
    """Find out where a model comes from.

    Raises:
        ExportError: it is no network that could be exported.
    """
    backend = detector.backend
    module = getattr(backend, "module", None)  # of a TorchBackend, which cannot be imported where PyTorch is not installed
    if module is None and not isinstance(backend, OnnxBackend):
        raise ExportError(
            f"{backend.network.source} is a {type(backend).__name__}, and only ONNX files and PyTorch networks can be exported"
        )
    check_unchanged(detector)
    path = Path(backend.network.source).absolute() if module is not None else getattr(backend, "path", None)
    if path is None or not path.is_file():  # a module of a user's own, named after its class
        return Origin(Path(backend.network.source).stem, None, Path(), module)
    beside = path.parent not in (bundled_model().absolute().parent, models_folder().absolute())
    return Origin(path.stem, path, path.parent if beside else Path(), module, path.stat().st_size)


def check_unchanged(detector: Detector) -> None:
    """Raise ModelFormatError where an ONNX file was changed or removed since it was loaded, as it is read once more."""
    if isinstance(detector.backend, OnnxBackend):
        detector.backend.check_unchanged()


@dataclass(frozen=True, slots=True)
class Plan:
    """An export as it will be.

    Attributes:
        stages: What it goes through, in order.
        size: (width, height) of the network's input, or what a run takes first where that stays open.
        batch: Pictures of a network call, or what a run takes first.
    """

    stages: tuple[Stage, ...]
    size: tuple[int, int]
    batch: int


def plan(detector: Detector, options: ExportOptions) -> Plan:
    """Check options against a model.

    Raises:
        OptionError: they do not fit.
    """
    network = detector.backend.network
    baked = baked_into(network)
    if baked.frames or baked.nms is not None:
        raise OptionError(
            f"{network.source} has preprocessing or suppression built in, so nothing more can be made of it; export what it "
            "was made of"
        )
    if detector.decoder.name not in known_decoders():
        raise OptionError(
            f"decoder '{detector.decoder.name}' is not registered, so that nothing could run the file; register it here, and "
            "where it will run: register_decoder"
        )
    if getattr(detector.backend, "dtype", "float32") != "float32":
        raise OptionError(
            f"{network.source} computes in a narrow type; load it in float32, and pass half=True for a narrow file"
        )
    if options.nms:
        check_suppressible(detector.decoder.name)
    picture = image_input(network)
    batch = picture.shape[0] or options.batch
    if options.batch not in (1, batch) and not options.dynamic:
        raise OptionError(
            f"batch={options.batch} does not fit: the model takes {batch} at a time; leave batch out, or pass dynamic=True, too"
        )
    if options.preprocess and batch > 1:
        raise OptionError(f"preprocess=True takes one frame at a time, and the model takes {batch}; leave preprocess out")
    wanted = {
        Stage.FRAMES: options.verify or options.int8,
        Stage.NETWORK: True,
        Stage.SIMPLIFY: options.simplify,
        Stage.HALF: options.half,
        Stage.INT8: options.int8,
        Stage.MERGE: options.nms or options.preprocess,
        Stage.WRITE: True,
        Stage.VERIFY: options.verify,
    }
    size = _size(detector, options)
    return Plan(tuple(stage for stage in Stage if wanted[stage]), size, options.batch if options.dynamic else batch)


def _size(detector: Detector, options: ExportOptions) -> tuple[int, int]:
    """(width, height) of the network's input."""
    own = detector.input_size(PredictOptions())
    size = options.size
    if size is None or size == own:
        return own
    stride = detector.stride
    if wrong := [side for side in size if side % stride]:
        lower = wrong[0] // stride * stride
        near = f"{lower} or {lower + stride}" if lower else str(stride)
        raise OptionError(f"imgsz={options.imgsz!r} is no multiple of {stride}, the network's stride; pass {near}")
    picture = image_input(detector.backend.network)
    if None not in picture.shape[1:] and not options.dynamic:
        raise OptionError(
            f"imgsz={options.imgsz!r} does not fit: the model takes {own[1]}x{own[0]} only; leave imgsz out, or pass "
            "dynamic=True, too"
        )
    return size
