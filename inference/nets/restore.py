"""From a checkpoint to a network with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from framehook.inference.checkpoints import Checkpoint
from framehook.inference.errors import ModelFormatError
from framehook.inference.nets.architecture import Architecture, architecture_of, parse
from framehook.inference.nets.net import DetectionNet


def net_from(checkpoint: Checkpoint, *, source: str, architecture: str | None = None) -> DetectionNet:
    """Build the network of a checkpoint and fill it, in float32.

    Args:
        checkpoint: What was read.
        source: Its path, for messages.
        architecture: Name of the architecture (`yolo11n`) where the checkpoint, a plain state dict, does not say.

    Raises:
        ModelFormatError: no detection network of a known family, or tensors that do not fit it.
    """
    if checkpoint.task != "detect":
        raise ModelFormatError(f"{source} is a model for the task '{checkpoint.task}'; only detection models can be used")
    net = DetectionNet(_architecture(checkpoint, source, architecture), names=checkpoint.names, source=source)
    fill(net, checkpoint.tensors, source=source)
    return net.eval()


def fill(net: torch.nn.Module, tensors: Mapping[str, npt.NDArray[Any]], *, source: str) -> None:
    """Copy every tensor into the network by its key.

    Raises:
        ModelFormatError: a key or shape that does not fit; the message names the first.
    """
    wanted = net.state_dict()
    missing, unknown = [key for key in wanted if key not in tensors], [key for key in tensors if key not in wanted]
    if missing or unknown:
        told = (
            f"{len(missing)} tensors are missing (the first is {missing[0]})" if missing else f"{unknown[0]} has no place in it"
        )
        raise ModelFormatError(f"{source}: its weights do not fit its description: {told}; they belong to another network")
    for key, value in tensors.items():
        if tuple(wanted[key].shape) != value.shape:
            raise ModelFormatError(
                f"{source}: {key} has shape {list(value.shape)} where its description asks for {list(wanted[key].shape)}"
            )
    with torch.no_grad():
        for key, value in tensors.items():
            # A copy: what was read from a file may be read-only, and of another byte order or type.
            wanted[key].copy_(torch.from_numpy(np.array(value, np.int64 if value.dtype.kind in "iu" else np.float32)))


def _architecture(checkpoint: Checkpoint, source: str, name: str | None) -> Architecture:
    nc = len(checkpoint.names) if checkpoint.names else None
    if checkpoint.architecture is not None:
        return parse(checkpoint.architecture, source=source)
    if name is None:
        raise ModelFormatError(
            f"{source} holds weights and no description of their network; name it: architecture='yolo11n', or another of "
            "yolov8, yolo11 and yolo26 with n, s, m, l or x"
        )
    return architecture_of(name, nc=nc or _classes(checkpoint.tensors))


def _classes(tensors: Mapping[str, npt.NDArray[Any]]) -> int:
    """Number of classes that the last class branch tells."""
    counts = [len(value) for key, value in tensors.items() if ".cv3.0.2.bias" in key]
    return counts[-1] if counts else 80
