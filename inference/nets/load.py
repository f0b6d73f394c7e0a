"""From a checkpoint or the name of an architecture to a network that runs."""

from __future__ import annotations

import logging
import re
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
from framehook.inference.nets.architecture import Architecture, architecture_of, parse, shown
from framehook.inference.nets.head import MAX_DET, HeadName
from framehook.inference.nets.net import DetectionNet
from framehook.inference.nets.restore import net_from
from framehook.inference.network import TensorInfo
from framehook.inference.preprocess import InputFormat

_MAX_DESCRIPTION: Final = 1 << 16
_MAX_SIDE: Final = 4096
"""Pixels; a checkpoint's own size beyond this is not believed, as a run that says nothing else would take it."""
_MAX_FACT: Final = 200
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
        _log.warning("%s is a description: the weights of its network are random until it is trained", path)
        net, facts = DetectionNet(read_architecture(path), source=str(path)).eval(), {}
    else:
        checkpoint = read_checkpoint(path)
        net, facts = net_from(checkpoint, source=str(path), architecture=architecture), _facts(checkpoint, path)
    return run_network(
        net, facts, device=device, layout=layout, dtype=dtype, channels_last=channels_last, compile=compile, source=path
    )


def run_network(
    net: DetectionNet,
    facts: Mapping[str, Any] | None = None,
    *,
    device: str | int | None = None,
    layout: str | None = None,
    dtype: DType = "float32",
    channels_last: bool = True,
    compile: bool | str = False,
    source: str | Path | None = None,
) -> TorchBackend:
    """Run a copy of a network, fused; the network stays as it is.

    Args:
        net: With its weights.
        facts: What else is known of it, by the names of metadata: `imgsz`, `license` ...
        device: As `TorchBackend` takes it.
        layout: As `load_network` takes it.
        dtype: As `TorchBackend` takes it.
        channels_last: As `TorchBackend` takes it.
        compile: As `TorchBackend` takes it.
        source: What to call it in messages.

    Raises:
        ModelFormatError: it has no head of this layout.
        OptionError: the device or type is not possible here.
    """
    heads: dict[str | None, HeadName] = {"yolo": "one2many", "end2end": "one2one"}
    fused = net.fused(heads.get(layout))
    return TorchBackend(
        fused,
        device=device,
        dtype=dtype,
        channels_last=channels_last,
        compile=compile,
        input_shape=(None, net.architecture.channels, None, None),
        outputs=[output_of(fused)],
        metadata=metadata_of(fused, facts or {}),
        source=source,
    )


def read_architecture(path: str | Path) -> Architecture:
    """The architecture of a name such as `yolo11n.yaml`, or of a YAML file that describes one.

    Raises:
        ModelNotFoundError, ModelFormatError: no architecture has this name, or the file describes none.
    """
    file = Path(path).expanduser()
    return _described(file) if file.is_file() else architecture_of(Path(path).name)


def _described(file: Path) -> Architecture:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError(
            f"{file} cannot be read without PyYAML; install it with: pip install 'framehook[torch]'"
        ) from error
    if file.stat().st_size > _MAX_DESCRIPTION:
        raise ModelFormatError(f"{file} is too large for a description of a network")
    try:
        text = file.read_text(encoding="utf-8")
        # A few lines of aliases of aliases stand for gigabytes, and no description needs one.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise ModelFormatError(f"{file} has aliases (*name), which descriptions of networks do without; write them out")
        description = yaml.safe_load(text)
    except OSError as error:
        raise ModelFormatError(f"{file} cannot be read: {error.strerror or error}") from error
    except ModelFormatError:
        raise
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ModelFormatError(f"{file} is no YAML file: {one_line(error)[:300]}") from error
    if not isinstance(description, dict):
        raise ModelFormatError(f"{file} describes no network; expected backbone and head rows, and nc")
    # As the field does it: yolo11n.yaml and yolo11.yaml hold the same rows, and the name tells the scale.
    told = re.match(r"yolov?\d+([nslmx])", file.stem.lower())
    made = parse({"scale": told and told[1], "yaml_file": file.name, **description}, source=str(file))
    if not told and "scale" not in description and len(description.get("scales") or ()) > 1:
        _log.warning(
            "%s has several scales, and its name tells none (as yolo11n.yaml does): %s is taken", file, shown(made.letter)
        )
    return made


def output_of(net: DetectionNet) -> TensorInfo:
    """The output of a network in evaluation mode, batch and anchors being open."""
    shape = (None, MAX_DET, 6) if net.head == "one2one" else (None, 4 + net.architecture.nc, None)
    return TensorInfo("output0", shape, np.dtype(np.float32))


def _facts(checkpoint: Checkpoint, path: str | Path) -> dict[str, Any]:
    """What a checkpoint says beside its weights, under the names that the field's exporters use."""
    known = {"date": checkpoint.date, "version": checkpoint.version, "license": checkpoint.license, "docs": checkpoint.docs}
    texts = {key: value[:_MAX_FACT] for key, value in known.items() if value and value[:_MAX_FACT].isprintable()}
    return {**texts, "imgsz": _sides(checkpoint.args, path)}


def _sides(args: Mapping[str, Any], path: str | Path) -> list[int]:
    """[height, width] a network was trained with; 640 each where that is not told."""
    given = args.get("imgsz", 640)
    sides = list(given) if isinstance(given, list | tuple) else [given, given]
    if len(sides) == 2 and all(type(side) is int and 0 < side <= _MAX_SIDE for side in sides):
        return sides
    _log.warning("%s: its input size, %s, is none; 640 is taken", path, shown(given))
    return [640, 640]


def metadata_of(net: DetectionNet, facts: Mapping[str, Any]) -> dict[str, str]:
    """What an ONNX file of a network would carry, from which its decoder, names and input format are known.

    Args:
        net: In evaluation mode.
        facts: What else is known of it: `imgsz` as [height, width], `license` ...
    """
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
