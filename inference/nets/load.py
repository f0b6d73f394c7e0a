"""From a checkpoint or the name of an architecture to a network that runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from framehook.inference.backends.pytorch import DType, TorchBackend
from framehook.inference.checkpoints import Checkpoint, read_checkpoint
from framehook.inference.decoders.end2end import End2EndDecoder
from framehook.inference.decoders.metadata import describe
from framehook.inference.decoders.yolo import YoloDecoder
from framehook.inference.errors import MissingDependencyError, ModelFormatError, one_line
from framehook.inference.nets.architecture import Architecture, architecture_of, parse
from framehook.inference.nets.head import MAX_DET
from framehook.inference.nets.net import DetectionNet
from framehook.inference.nets.restore import net_from
from framehook.inference.network import TensorInfo
from framehook.inference.preprocess import InputFormat

_MAX_DESCRIPTION: Final = 1 << 20
_log = logging.getLogger("framehook")


def load_network(
    path: str | Path,
    *,
    device: str | int | None = None,
    layout: str | None = None,
    architecture: str | None = None,
    dtype: DType = "float32",
    channels_last: bool = True,
    compile: bool | str = False,
) -> TorchBackend:
    """Load a detection network into PyTorch, fused and ready to run.

    Args:
        path: A `.pt` checkpoint; the name of an architecture, such as `yolo11n.yaml`, or a YAML file that describes one, for a
            network with random weights.
        device: As `TorchBackend` takes it.
        layout: `yolo` or `end2end`, where a network has a head for each (YOLO26); None for its own choice.
        architecture: Name of the network of a checkpoint that holds weights alone: `yolo11n`.
        dtype: As `TorchBackend` takes it.
        channels_last: As `TorchBackend` takes it.
        compile: As `TorchBackend` takes it.

    Raises:
        ModelNotFoundError, ModelFormatError, UnsafeModelError: there is no such file, or nothing that can be loaded in it.
        OptionError: the device or type is not possible here.
    """
    if str(path).lower().endswith((".yaml", ".yml")):
        net, facts = _fresh(path), {}
    else:
        checkpoint = read_checkpoint(path)
        net, facts = net_from(checkpoint, source=str(path), architecture=architecture), _facts(checkpoint)
    if layout in ("yolo", "end2end"):
        net = net.with_head("one2many" if layout == "yolo" else "one2one")
    return TorchBackend(
        net.fused(),
        device=device,
        dtype=dtype,
        channels_last=channels_last,
        compile=compile,
        input_shape=(None, net.architecture.channels, None, None),
        outputs=[_output(net)],
        metadata=_metadata(net, facts),
        source=path,
    )


def _fresh(path: str | Path) -> DetectionNet:
    file = Path(path).expanduser()
    architecture = _read_architecture(file) if file.is_file() else architecture_of(Path(path).name)
    _log.warning("%s is a description: the weights of its network are random until it is trained", path)
    return DetectionNet(architecture, source=str(path)).eval()


def _read_architecture(file: Path) -> Architecture:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError(
            f"{file} cannot be read without PyYAML; install it with: pip install 'framehook[torch]'"
        ) from error
    if file.stat().st_size > _MAX_DESCRIPTION:
        raise ModelFormatError(f"{file} is too large for a description of a network")
    try:
        description = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFormatError(f"{file} is no YAML file: {one_line(error)}") from error
    if not isinstance(description, dict):
        raise ModelFormatError(f"{file} describes no network; expected backbone and head rows, and nc")
    scales = description.get("scales") or {}
    # As the field does it: yolo11n.yaml and yolo11.yaml hold the same rows, and the name tells the scale.
    letter = file.stem[-1:] if file.stem[-1:] in scales else ""
    return parse({"scale": letter, "yaml_file": file.name, **description}, source=str(file))


def _output(net: DetectionNet) -> TensorInfo:
    shape = (None, MAX_DET, 6) if net.head == "one2one" else (None, 4 + net.architecture.nc, None)
    return TensorInfo("output0", shape, np.dtype(np.float32))


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a checkpoint says beside its weights, under the names that the field's exporters use."""
    known = {"date": checkpoint.date, "version": checkpoint.version, "license": checkpoint.license, "docs": checkpoint.docs}
    return {**{key: value for key, value in known.items() if value}, "imgsz": _sides(checkpoint.args)}


def _sides(args: Mapping[str, Any]) -> list[int]:
    """[height, width] a network was trained with; 640 each where that is not told."""
    given = args.get("imgsz", 640)
    sides = list(given) if isinstance(given, list | tuple) else [given, given]
    good = len(sides) == 2 and all(isinstance(side, int) and 0 < side <= 1 << 14 for side in sides)
    return sides if good else [640, 640]


def _metadata(net: DetectionNet, facts: Mapping[str, Any]) -> dict[str, str]:
    step = net.stride
    height, width = (-(-side // step) * step for side in facts.get("imgsz", (640, 640)))
    decoder = End2EndDecoder() if net.head == "one2one" else YoloDecoder()
    return {
        "description": f"Framehook {net.architecture.name}",
        **{key: str(value) for key, value in facts.items()},
        "task": "detect",
        "head": "Detect",
        "stride": str(step),
        "imgsz": str([height, width]),
        "names": str(net.names),
        "channels": str(net.architecture.channels),
        "end2end": str(net.head == "one2one"),
        **describe(decoder, InputFormat(size=(width, height))),
    }
