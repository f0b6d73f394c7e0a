"""Inputs that some networks take beside the picture, filled from the shape of the picture alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from framehook.inference.backends.base import Tensor
from framehook.inference.errors import ModelFormatError
from framehook.inference.network import ORIGINAL_SIZES, PIXEL_MASK, NetworkInfo, TensorInfo, channels_last, image_input


class Companions:
    """Fills the inputs of a network that are not its picture.

    Two are known, both of the DETR family: `orig_target_sizes` gets the size of the network input, so that boxes come out in
    its pixels as they do from any network; `pixel_mask` gets ones, all of the input being looked at.

    Attributes:
        unknown: Inputs that nothing is known about; the network cannot be run.
    """

    def __init__(self, network: NetworkInfo, picture: TensorInfo) -> None:
        """Look at the inputs of a network of which `picture` takes the picture."""
        others = [tensor for tensor in network.inputs if tensor is not picture]
        self.unknown = [tensor for tensor in others if not _is_known(tensor)]
        self._known = [tensor for tensor in others if _is_known(tensor)]
        self._last = len(picture.shape) == 4 and channels_last(picture)

    def fill(self, picture: Tensor) -> dict[str, Tensor]:
        """The values of these inputs by name, for a tensor of pictures, N x 3 x H x W or N x H x W x 3."""
        if not self._known:
            return {}
        count = len(picture)
        height, width = picture.shape[1:3] if self._last else picture.shape[2:4]
        return {tensor.name: _FILL[tensor.name](tensor, count, width, height) for tensor in self._known}


def picture_of(network: NetworkInfo) -> TensorInfo:
    """The input that takes the picture; the first one of a network that takes none, which can be described but not run."""
    try:
        return image_input(network)
    except ModelFormatError:
        return network.inputs[0]


def _is_known(tensor: TensorInfo) -> bool:
    axes = {ORIGINAL_SIZES: 2, PIXEL_MASK: 3}
    return axes.get(tensor.name) == len(tensor.shape)


def _sizes(tensor: TensorInfo, count: int, width: int, height: int) -> Tensor:
    return np.array([[width, height]] * count, tensor.dtype)


def _mask(tensor: TensorInfo, count: int, width: int, height: int) -> Tensor:
    # Transformers.js makes do with 64 x 64 for any picture, and Optimum fixes graphs to that.
    return np.ones((count, tensor.shape[1] or height, tensor.shape[2] or width), tensor.dtype)


_FILL: Final[dict[str, Callable[[TensorInfo, int, int, int], Tensor]]] = {ORIGINAL_SIZES: _sizes, PIXEL_MASK: _mask}
