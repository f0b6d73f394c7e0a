"""The frames of one network call, as callbacks see them."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from framehook.inference.errors import FrameError
from framehook.inference.frame import Frame


class Batch(NamedTuple):
    """The frames of one network call, as four lists that belong together.

    Attributes:
        paths: Where each frame comes from.
        images: H x W x 3 uint8 BGR arrays, read-only. In `on_predict_batch_start` an entry may be replaced by a picture of the
            same size, which the network then sees instead; results keep the captured frame.
        frames: The captured frames.
        infos: A few words on each frame for logs.
    """

    paths: list[str]
    images: list[npt.NDArray[np.uint8]]
    frames: list[Frame]
    infos: list[str]

    @classmethod
    def of(cls, frames: list[Frame]) -> Self:
        """The batch of these frames."""
        return cls(
            paths=[frame.source.path for frame in frames],
            images=[frame.image for frame in frames],
            frames=frames,
            infos=[f"{frame.source.name} frame {frame.index} {frame.size[0]}x{frame.size[1]}" for frame in frames],
        )

    def copy(self) -> Self:
        """The same frames in lists of their own."""
        return type(self)(list(self.paths), list(self.images), list(self.frames), list(self.infos))

    def check(self) -> None:
        """Check the images that callbacks may have replaced.

        Raises:
            FrameError: there are more or fewer, or one is not like the frame it stands for.
        """
        if len(self.images) != len(self.frames):
            raise FrameError(
                f"predictor.batch.images holds {len(self.images)} images for {len(self.frames)} frames; replace them one by one"
            )
        for image, frame in zip(self.images, self.frames, strict=True):
            shape, dtype = np.shape(image), getattr(image, "dtype", None)
            if shape != frame.image.shape or dtype != np.uint8:
                raise FrameError(
                    f"predictor.batch.images holds an image of shape {shape} and type {dtype} for frame {frame.index} of "
                    f"{frame.source.name}; replace it by one of shape {frame.image.shape} and type uint8"
                )
