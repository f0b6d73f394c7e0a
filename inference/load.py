"""From what a user names as a model to a detector that is ready to run."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from framehook.inference.backends import Backend, FunctionBackend, OnnxBackend
from framehook.inference.decoders import DecoderSpec, class_names_of, input_format_of, resolve_decoder
from framehook.inference.detector import Detector
from framehook.inference.errors import ModelFormatError, ModelNotFoundError, did_you_mean_file

BUNDLED: Final = "person320"
"""Name of the detector that comes with the package."""


def bundled_model() -> Path:
    """Path of the person detector that comes with the package; its card lies beside it."""
    # Wheels are unpacked on installation, so the resource is a plain file for as long as the program runs.
    with as_file(files("framehook.inference") / "assets" / f"{BUNDLED}.onnx") as path:
        return path


def load_detector(
    spec: str | Path | Backend | None = None, *, device: str | int | None = None, decoder: DecoderSpec = None
) -> Detector:
    """Load a detector.

    Args:
        spec: Path of an `.onnx` file, a backend, or None (also `person320`) for the bundled person detector.
        device: `cpu`, `cuda`, `cuda:1`, `coreml` ...; None picks the best that is installed.
        decoder: Name of an output layout, a decoder, or a function; None to recognise the layout.

    Raises:
        ModelNotFoundError, ModelFormatError: there is no such file, or it is damaged or no model, or takes other inputs.
        UnknownLayoutError: no decoder reads its outputs.
        OptionError: the device cannot be used.
    """
    backend = open_backend(spec, device)
    if isinstance(backend, OnnxBackend):
        backend.check_inputs()
    chosen = resolve_decoder(decoder, backend.network)
    return Detector(
        backend,
        chosen,
        names=class_names_of(backend.network, chosen),
        form=input_format_of(backend.network, chosen),
    )


def open_backend(spec: str | Path | Backend | None, device: str | int | None = None) -> Backend:
    """Load a network, whatever its outputs mean.

    Args:
        spec: As `load_detector` takes it.
        device: As `load_detector` takes it.

    Raises:
        ModelNotFoundError, ModelFormatError, OptionError: as `load_detector`.
    """
    if spec is None or spec == BUNDLED:
        return OnnxBackend(bundled_model(), device=device)
    if isinstance(spec, OnnxBackend | FunctionBackend) or hasattr(spec, "infer"):
        return spec  # type: ignore[return-value]
    if not isinstance(spec, str | Path):
        raise ModelFormatError(f"a model cannot be made of {type(spec).__name__}; pass the path of an .onnx file or a backend")
    path = Path(spec).expanduser()
    if path.suffix.lower() in (".pt", ".pth") and path.is_file():
        raise ModelFormatError(
            f"{path} is a PyTorch checkpoint, which cannot be loaded yet; export it to ONNX and pass that file"
        )
    if path.is_dir():
        raise ModelNotFoundError(f"{path} is a folder; pass the path of an .onnx file")
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        near = did_you_mean_file(path.name, (each.name for each in folder.glob("*.onnx")))
        raise ModelNotFoundError(f"no model file at {path}.{near or ' Pass the path of an .onnx file.'}")
    return OnnxBackend(path, device=device)
