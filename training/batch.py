"""A batch of pictures and targets, as loaders give it and losses take it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Targets(NamedTuple):
    """The labelled objects of a batch, all pictures' in one list.

    Attributes:
        picture: M, int64: which picture of the batch each belongs to, ascending.
        cls: M, int64: class numbers.
        xyxy: M x 4, float32: left, top, right, bottom in pixels of the network's input.
    """

    picture: Tensor
    cls: Tensor
    xyxy: Tensor

    def to(self, device: object) -> Targets:
        """The same on another device."""
        return Targets(*(each.to(device, non_blocking=True) for each in self))  # type: ignore[call-overload]


class TrainBatch(NamedTuple):
    """Pictures of one size, and what is in them.

    Attributes:
        images: N x 3 x height x width, uint8, RGB.
        targets: Their objects.
        paths: N: the file of each picture; of a mosaic that of the one it was begun with.
    """

    images: Tensor
    targets: Targets
    paths: list[str]
