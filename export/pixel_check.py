"""Whether preprocessing inside a graph gives the pixels that `Preprocessor` gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from framehook.export.tolerances import GREY_BIAS, GREY_LEVELS, PADDING_LEVELS
from framehook.inference.backends.base import Tensor
from framehook.inference.errors import ParityError
from framehook.inference.preprocess import InputFormat, Preprocessor

Image = npt.NDArray[np.uint8]

_SIZES: Final = ((97, 160), (768, 331), (1280, 720))
"""(width, height) of the pictures that are made up: narrow and enlarged, upright, wide and reduced."""
_ROUNDING: Final = 1e-3


@dataclass(frozen=True, slots=True)
class PixelFigures:
    """How far the preprocessing of an export is from `Preprocessor`, in grey levels of 255.

    Attributes:
        frames: How many frames were compared, some of them made up.
        difference: Of the pixel that is furthest off.
        bias: Of the channel that is furthest off on average, in any frame.
        padding: Of the padding.
    """

    frames: int
    difference: float
    bias: float
    padding: float


class PixelComparison:
    """Compares what a graph makes of one frame after another."""

    def __init__(self, form: InputFormat) -> None:
        """Start; `form` is what the network expects."""
        self._form = form
        self._frames = 0
        self._difference = self._bias = self._padding = 0.0

    def add(self, image: Image, found: Tensor) -> None:
        """Compare one frame.

        Args:
            image: H x W x 3 uint8 BGR.
            found: The tensor that the graph made of it, with a batch of one.

        Raises:
            ParityError: it has another shape.
        """
        form = self._form
        axes = found.shape[1:3] if form.channels_last else found.shape[2:4]
        if found.ndim != 4 or found.shape[0] != 1 or found.shape[3 if form.channels_last else 1] != 3:
            shape = " x ".join(map(str, found.shape))
            raise ParityError(f"the preprocessing in the file makes a tensor of {shape}; its network takes one picture")
        preprocessor = Preprocessor(form, input_size=(axes[1], axes[0]), batch=1)
        (box,) = preprocessor.fill([image])
        std = np.ones(3) if form.std is None else np.array(form.std, np.float64)
        levels = (found.astype(np.float64) - preprocessor.tensor)[0] * (
            (std / form.scale) if form.channels_last else (std / form.scale)[:, None, None]
        )
        if form.channels_last:
            levels = np.moveaxis(levels, -1, 0)
        (x, y), (width, height) = box.offset, box.inner_size
        inner = levels[:, y : y + height, x : x + width]
        padding = np.ones(levels.shape[1:], bool)
        padding[y : y + height, x : x + width] = False
        self._frames += 1
        self._difference = max(self._difference, _most(inner))
        self._bias = max(self._bias, _most(inner.mean(axis=(1, 2))))
        self._padding = max(self._padding, _most(levels[:, padding]))

    def figures(self) -> PixelFigures:
        """What all frames so far gave.

        Raises:
            ParityError: it is more than is allowed.
        """
        for what, off, allowed in (
            ("pixel", self._difference, GREY_LEVELS),
            ("channel, on average,", self._bias, GREY_BIAS),
            ("padding", self._padding, PADDING_LEVELS),
        ):
            # Not "more than": what is not a number is no agreement either.
            if not off <= allowed + _ROUNDING:
                raise ParityError(
                    f"the preprocessing in the file is not Framehook's: a {what} is {off:.3g} grey levels of 255 off, and "
                    f"{allowed:g} is allowed; leave preprocess out"
                )
        return PixelFigures(self._frames, self._difference, self._bias, self._padding)


def charts() -> Iterator[Image]:
    """Pictures in which every channel, edge and corner counts, the same ones each time: coloured tiles under soft noise.

    They show what clips may not: a grey one is the same with its channels swapped.
    """
    chance = np.random.default_rng(0)
    for width, height in _SIZES:
        tiles = chance.integers(0, 256, (9, 12, 3)).astype(np.uint8)
        picture = cv2.resize(tiles, (width, height), interpolation=cv2.INTER_NEAREST)
        noise = cv2.GaussianBlur(np.asarray(chance.normal(0, 300, picture.shape), np.float32), (0, 0), 3)
        yield np.clip(picture + noise, 0, 255).astype(np.uint8)


def _most(values: npt.NDArray[np.float64]) -> float:
    return float(np.abs(values).max(initial=0.0))
