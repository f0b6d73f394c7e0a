"""What a network says of itself before it is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from framehook.inference.errors import ModelFormatError

ORIGINAL_SIZES: Final = "orig_target_sizes"
"""Input N x 2 of whole numbers: the (width, height) that a DETR with postprocessing inside scales its boxes to."""
PIXEL_MASK: Final = "pixel_mask"
"""Input N x H x W: one where a DETR shall look, zero in the padding."""


INPUT_KEY: Final = "framehook.input"
"""Metadata entry of graphs that take something else than a tensor of pictures."""
WHOLE_FRAME: Final = "frame"
"""Its value for those that take one frame as it was captured: H x W x 3 uint8 BGR, of any size."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name and shape of a network input or output.

    Attributes:
        name: As the graph calls it.
        shape: One entry an axis; None where the graph leaves it open.
        dtype: NumPy dtype of the tensor.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """Inputs, outputs and stored notes of a network.

    Attributes:
        inputs: Its input tensors.
        outputs: Its output tensors.
        metadata: Free text pairs stored in the file, empty when there are none.
        source: What the user named: a file path or a short description, for messages.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    source: str = "network"


def takes_frames(network: NetworkInfo) -> bool:
    """Whether preprocessing is a part of the graph: its input is one captured frame, H x W x 3 uint8 BGR, of any size."""
    return network.metadata.get(INPUT_KEY) == WHOLE_FRAME


def image_input(network: NetworkInfo) -> TensorInfo:
    """The first input of four axes, which takes the picture; of three where the graph takes whole frames.

    Raises:
        ModelFormatError: there is none.
    """
    axes, expected = 4, "four axes, N x 3 x H x W or N x H x W x 3"
    if takes_frames(network):
        axes, expected = 3, f"three axes, H x W x 3, as metadata {INPUT_KEY}={WHOLE_FRAME} says"
    for tensor in network.inputs:
        if len(tensor.shape) == axes:
            return tensor
    shapes = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in network.inputs) or "none"
    raise ModelFormatError(f"{network.source} takes no picture: inputs are {shapes}; expected one of {expected}")


def channels_last(picture: TensorInfo, otherwise: bool = False) -> bool:
    """Whether a picture's axes are N x H x W x 3 rather than N x 3 x H x W; `otherwise` where the shape does not tell."""
    last, first = picture.shape[3] == 3, picture.shape[1] == 3
    return last if last != first else otherwise
