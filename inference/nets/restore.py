"""From a checkpoint to a network with its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from framehook.inference.checkpoints import Checkpoint
from framehook.inference.errors import ModelFormatError, OptionError
from framehook.inference.nets.architecture import Architecture, architecture_of, parse, shown
from framehook.inference.nets.net import DetectionNet

_COUNT = ".num_batches_tracked"
_log = logging.getLogger("framehook")


def net_from(checkpoint: Checkpoint, *, source: str, architecture: str | None = None) -> DetectionNet:
    """Build the network of a checkpoint and fill it, in float32.

    Args:
        checkpoint: What was read.
        source: Its path, for messages.
        architecture: Name of the architecture (`yolo11n`) where the checkpoint, a plain state dict, does not say.

    Raises:
        ModelNotFoundError: no architecture has this name.
        ModelFormatError: no detection network of a known family, or tensors that do not fit it.
        OptionError: an architecture is named, and the checkpoint says it itself.
    """
    if checkpoint.task != "detect":
        raise ModelFormatError(f"{source} is a model for the task {shown(checkpoint.task)}; only detection models can be used")
    made_of = _architecture(checkpoint, source, architecture)
    with torch.device("meta"):  # without memory: the weights are those of the checkpoint, once they are known to fit
        net = DetectionNet(made_of, names=checkpoint.names, source=source)
    if checkpoint.names is not None and net.names != checkpoint.names:
        _log.warning("%s: its class names are not those of its %d classes; some are made up, or left out", source, made_of.nc)
    _fill(net, checkpoint.tensors, source=source, named=architecture)
    return net.eval()


def _fill(net: DetectionNet, tensors: Mapping[str, npt.NDArray[Any]], *, source: str, named: str | None) -> None:
    """Give the network every tensor by its key.

    Args:
        net: Without memory of its own.
        tensors: By the keys of the network, or by those with one prefix before all of them, as wrappers add it.
        source: For messages.
        named: The architecture, where it is the user who named it.

    Raises:
        ModelFormatError: a key, shape or type that does not fit; the message names the first.
    """
    wanted = net.state_dict()
    tensors = _without_prefix(tensors, next(iter(wanted)))
    missing = [key for key in wanted if key not in tensors and not key.endswith(_COUNT)]
    unknown = [key for key in tensors if key not in wanted]
    asked = f"architecture={named!r}" if named else "its description"
    if missing or unknown:
        if any(key.endswith(".conv.bias") for key in unknown):
            raise ModelFormatError(
                f"{source}: its network was fused, and has no batch norms left; save its weights before that"
            )
        told = (
            f"{len(missing)} tensors are missing (the first is {missing[0]})"
            if missing
            else f"{shown(unknown[0])} has no place"
        )
        advice = "name the architecture that they were made with" if named else "they belong to another network"
        raise ModelFormatError(f"{source}: its weights do not fit {asked}: {told}; {advice}")
    for key, value in tensors.items():
        if tuple(wanted[key].shape) != value.shape:
            raise ModelFormatError(
                f"{source}: {key} has shape {list(value.shape)} where {asked} asks for {list(wanted[key].shape)}"
            )
        if value.dtype.kind not in ("iuf" if key.endswith(_COUNT) else "f"):
            raise ModelFormatError(f"{source}: {key} is of type {value.dtype}; expected weights in floating point")
    filled = {
        key: _tensor(tensors[key], like) if key in tensors else torch.zeros((), dtype=like.dtype)
        for key, like in wanted.items()
    }
    net.load_state_dict(filled, assign=True)
    if broken := [key for key, value in filled.items() if not value.isfinite().all()]:
        _log.warning("%s: %d tensors hold infinities or what is no number; the first is %s", source, len(broken), broken[0])


def _without_prefix(tensors: Mapping[str, npt.NDArray[Any]], first: str) -> Mapping[str, npt.NDArray[Any]]:
    """Tensors by keys as networks of ours have them, `first` being the first; wrappers put `module.` and the like before."""
    prefix = next((key.removesuffix(first) for key in tensors if key.endswith(first)), "")
    if not all(key.startswith(prefix) for key in tensors):
        return tensors
    return {key.removeprefix(prefix): value for key, value in tensors.items()}


def _tensor(value: npt.NDArray[Any], like: torch.Tensor) -> torch.Tensor:
    """A copy: what was read from a file may be read-only, and of another type."""
    with np.errstate(all="ignore"):  # what float32 cannot hold becomes infinite, and is told then
        return torch.from_numpy(np.array(value, np.float32 if like.is_floating_point() else np.int64, order="C"))


def _architecture(checkpoint: Checkpoint, source: str, name: str | None) -> Architecture:
    if checkpoint.architecture is not None:
        if name is not None:
            raise OptionError(f"{source} describes its network itself; leave out architecture={name!r}")
        return parse(checkpoint.architecture, source=source)
    if name is None:
        raise ModelFormatError(
            f"{source} holds weights and no description of their network; name it: architecture='yolo11n', or another of "
            "yolov8, yolo11 and yolo26 with n, s, m, l or x"
        )
    return architecture_of(name, nc=_classes(checkpoint.tensors))


def _classes(tensors: Mapping[str, npt.NDArray[Any]]) -> int:
    """Number of classes that the last class branch tells."""
    counts = [value.size for key, value in tensors.items() if key.endswith(".cv3.0.2.bias")]
    return counts[-1] if counts else 80
