"""From what a user names as a model to a detector that is ready to run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final, cast

from framehook.inference.backends import Backend, OnnxBackend
from framehook.inference.backends.openmp import wait_briefly
from framehook.inference.decoders import DecoderSpec, class_names_of, input_format_of, resolve_decoder
from framehook.inference.detector import Detector
from framehook.inference.errors import (
    MissingDependencyError,
    ModelFormatError,
    ModelNotFoundError,
    OptionError,
    did_you_mean_file,
)

BUNDLED: Final = "person320"
"""Name of the detector that comes with the package."""
CHECKPOINTS: Final = (".pt", ".pth")
DESCRIPTIONS: Final = (".yaml", ".yml")
MODEL_FILES: Final = (".onnx", *CHECKPOINTS)
"""Endings of files that hold models."""


def bundled_model() -> Path:
    """Path of the person detector that comes with the package; its card lies beside it."""
    # Wheels are unpacked on installation, so the resource is a plain file for as long as the program runs.
    with as_file(files("framehook.inference") / "assets" / f"{BUNDLED}.onnx") as path:
        return path


def load_detector(
    spec: Any = None,
    *,
    device: str | int | None = None,
    decoder: DecoderSpec = None,
    architecture: str | None = None,
) -> Detector:
    """Load a detector.

    Args:
        spec: Path of an `.onnx` file or a `.pt` checkpoint; the name of a model that was pulled (`yolox_nano`), or of an
            architecture (`yolo11n.yaml`) for a network with random weights; a backend; a `torch.nn.Module`, which is put into
            evaluation mode and float32 and on the device itself (of a `DetectionNet` a copy is); or None (also `person320`)
            for the bundled person detector.
        device: `cpu`, `cuda`, `cuda:1`, `coreml` ..., or a `torch.device`; None picks the best that is installed.
        decoder: Name of an output layout, a decoder, or a function; None to recognise the layout. Of a checkpoint with two
            heads (YOLO26), `yolo` chooses the one whose boxes are suppressed, `end2end` the other.
        architecture: Name of the network (`yolo11n`) of a checkpoint that holds weights alone.

    Raises:
        ModelNotFoundError, ModelFormatError: there is no such file, or it is damaged or no model, or takes other inputs.
        UnsafeModelError: the checkpoint asks for something to be imported or called.
        MissingDependencyError: a checkpoint, and PyTorch is not installed.
        UnknownLayoutError: no decoder reads its outputs.
        OptionError: the device cannot be used, or an architecture is named for a model that knows its own.
    """
    layout = decoder if isinstance(decoder, str) else None
    backend = open_backend(spec, device, layout=layout, architecture=architecture)
    if isinstance(backend, OnnxBackend):
        backend.check_inputs()
    chosen = resolve_decoder(decoder, backend.network)
    return Detector(
        backend,
        chosen,
        names=class_names_of(backend.network, chosen),
        form=input_format_of(backend.network, chosen),
    )


def open_backend(
    spec: Any, device: str | int | None = None, *, layout: str | None = None, architecture: str | None = None
) -> Backend:
    """Load a network, whatever its outputs mean.

    Args:
        spec: As `load_detector` takes it.
        device: As `load_detector` takes it.
        layout: Name of the output layout, where a network has a head for each of several.
        architecture: As `load_detector` takes it.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsafeModelError, MissingDependencyError, OptionError: as `load_detector`.
    """
    if architecture is not None:
        _check_architecture(architecture, spec)
    if device is not None and not isinstance(device, int):
        device = str(device)  # a torch.device, too
    if spec is None or spec == BUNDLED:
        return OnnxBackend(bundled_model(), device=device)
    if hasattr(spec, "infer"):
        return cast(Backend, spec)
    if _is_module(spec):
        from framehook.inference.backends.pytorch import TorchBackend
        from framehook.inference.nets.load import run_network
        from framehook.inference.nets.net import DetectionNet

        if isinstance(spec, DetectionNet):
            return run_network(spec, device=device, layout=layout)
        return TorchBackend(spec, device=device)
    if not isinstance(spec, str | Path):
        raise ModelFormatError(
            f"a model cannot be made of {type(spec).__name__}; pass the path of an .onnx or .pt file, a torch.nn.Module, or a "
            "backend"
        )
    path = Path(spec).expanduser()
    if path.is_dir():
        raise ModelNotFoundError(f"{path} is a folder; pass the path of an .onnx or .pt file")
    if path.exists() and not path.is_file():
        raise ModelNotFoundError(f"{path} is a pipe or device; pass the path of an .onnx or .pt file")
    if path.suffix.lower() in DESCRIPTIONS or (path.suffix.lower() in CHECKPOINTS and path.is_file()):
        return _network_loader(path)(path, device=device, layout=layout, architecture=architecture)
    if path.is_file():
        return OnnxBackend(path, device=device)
    return OnnxBackend(_pulled(path, str(spec)), device=device)


def _check_architecture(architecture: object, spec: object) -> None:
    """Raise OptionError unless an architecture is named, and for a checkpoint, which alone may not know its own."""
    if not isinstance(architecture, str):
        raise OptionError(f"architecture={architecture!r} is no name; pass one such as 'yolo11n'")
    if not isinstance(spec, str | Path) or Path(spec).suffix.lower() not in CHECKPOINTS:
        raise OptionError(
            f"architecture={architecture!r} is for checkpoints (.pt) of weights alone; this one knows its own: leave it out"
        )


def _network_loader(path: Path) -> Callable[..., Backend]:
    """The loader of PyTorch networks, which nothing imports before one is wanted."""
    wait_briefly()
    try:
        from framehook.inference.nets.load import load_network
    except ImportError as error:
        if error.name != "torch":
            raise
        raise MissingDependencyError(
            f"{path} is a PyTorch model, and PyTorch is not installed; install it with: pip install 'framehook[torch]', or "
            "export the model to ONNX where it is: framehook export MODEL"
        ) from error
    return load_network


def _is_module(spec: object) -> bool:
    """Whether this is a `torch.nn.Module`; torch is not imported to find out, as who has one has imported it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(spec, torch.nn.Module)


def _pulled(path: Path, name: str) -> Path:
    """The file of a model that was pulled by its name, where there is no file of that name."""
    from framehook.inference.registry import find_model, how_to_get  # rarely needed

    if (pulled := find_model(name)) is not None:
        return pulled
    folder = path.parent if path.parent.is_dir() else Path()
    near = did_you_mean_file(path.name, (each.name for each in folder.iterdir() if each.suffix.lower() in MODEL_FILES))
    known = how_to_get(name)
    ways = [near, f" {known}." if known else "", " Pass the path of an .onnx or .pt file."]
    if not path.suffix:  # a name rather than a file
        ways[:2] = reversed(ways[:2])
    raise ModelNotFoundError(f"no model file at {path}.{next(way for way in ways if way)}")
