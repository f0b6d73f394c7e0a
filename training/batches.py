"""Pictures to validate on, read ahead by threads."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from framehook.inference.errors import DatasetError, FrameError, SourceError
from framehook.inference.sources.image import decode_image
from framehook.training.data.sample import Sample

Image: TypeAlias = npt.NDArray[np.uint8]

AHEAD: Final = 2
"""Pictures that each thread is ahead, beyond a batch."""


class ValBatch(NamedTuple):
    """Some pictures to validate on.

    Attributes:
        paths: Their files.
        images: H x W x 3 uint8 BGR, each of its own size.
        samples: Their labels.
    """

    paths: list[Path]
    images: list[Image]
    samples: list[Sample]

    def copy(self) -> ValBatch:
        """The same pictures in lists of their own."""
        return ValBatch(list(self.paths), list(self.images), list(self.samples))

    def check(self) -> None:
        """Check the images that callbacks may have replaced.

        Raises:
            FrameError: there are more or fewer, or one is not like the picture it stands for.
        """
        if len(self.images) != len(self.samples):
            raise FrameError(
                f"validator.batch.images holds {len(self.images)} images for {len(self.samples)} pictures; "
                "replace them one by one"
            )
        for image, sample in zip(self.images, self.samples, strict=True):
            shape, dtype, wanted = np.shape(image), getattr(image, "dtype", None), (sample.size[1], sample.size[0], 3)
            if shape != wanted or dtype != np.uint8:
                raise FrameError(
                    f"validator.batch.images holds an image of shape {shape} and type {dtype} for {sample.path.name}; "
                    f"replace it by one of shape {wanted} and type uint8"
                )


class Batches:
    """A split of a dataset, batch by batch; it can be gone through any number of times.

    Attributes:
        samples: In the order in which they come.
        batch_size: Pictures of a batch; the last one may be smaller.
        rect: They are ordered by their shape.
    """

    def __init__(self, samples: Sequence[Sample], *, batch: int, workers: int = 0, rect: bool = False) -> None:
        """Read nothing yet.

        Args:
            samples: The labelled pictures.
            batch: Pictures of a batch.
            workers: Threads that read ahead; 0 to read when a batch is wanted.
            rect: Order them by their shape, so that those of a batch are alike.
        """
        self.samples = tuple(sorted(samples, key=lambda each: each.size[1] / each.size[0])) if rect else tuple(samples)
        self.batch_size = batch
        self.rect = rect
        self._workers = workers

    def __len__(self) -> int:
        return math.ceil(len(self.samples) / self.batch_size)

    def __iter__(self) -> Generator[ValBatch, None, None]:
        """Read the pictures. Closing the iterator joins the threads, as does its end.

        Raises:
            DatasetError: a picture is gone, damaged, or of another size than when the dataset was read.
        """
        with contextlib.closing(self._pictures()) as images:
            for start in range(0, len(self.samples), self.batch_size):
                samples = list(self.samples[start : start + self.batch_size])
                yield ValBatch([each.path for each in samples], list(itertools.islice(images, len(samples))), samples)

    def _pictures(self) -> Generator[Image, None, None]:
        """The pictures in their order, with a bounded number of them read before they are wanted."""
        if not self._workers:
            yield from map(read_picture, self.samples)
            return
        limit = self.batch_size + AHEAD * self._workers
        waiting = iter(self.samples)
        pending: deque[Future[Image]] = deque()
        with ThreadPoolExecutor(self._workers, thread_name_prefix="framehook-val") as pool:
            try:
                pending.extend(pool.submit(read_picture, each) for each in itertools.islice(waiting, limit))
                while pending:
                    image = pending.popleft().result()
                    pending.extend(pool.submit(read_picture, each) for each in itertools.islice(waiting, 1))
                    yield image
            finally:
                for each in pending:
                    each.cancel()


def read_picture(sample: Sample) -> Image:
    """The pixels of a labelled picture, H x W x 3 uint8 BGR.

    Raises:
        DatasetError: it is gone, damaged, or of another size than when the dataset was read.
    """
    try:
        image: Image | None = decode_image(sample.path)
    except SourceError as error:
        raise DatasetError(f"a picture of the dataset is gone since it was read: {error}") from error
    if image is None:
        raise DatasetError(f"{sample.path} is no picture any more; it was when the dataset was read")
    height, width = image.shape[:2]
    if (width, height) != sample.size:
        said = f"{sample.size[0]}x{sample.size[1]}"
        raise DatasetError(f"{sample.path} is of {width}x{height} pixels now, and was of {said} when the dataset was read")
    return image


def rectangle(samples: Sequence[Sample], size: tuple[int, int], stride: int) -> tuple[int, int]:
    """The smallest network input in which pictures are as large as in one of `size`.

    Args:
        samples: The pictures.
        size: (width, height) of the whole input.
        stride: What the sides are a multiple of.

    Returns:
        (width, height), neither larger than `size`.
    """
    scales = [min(size[0] / each.size[0], size[1] / each.size[1]) for each in samples]
    width = max(round(each.size[0] * scale) for each, scale in zip(samples, scales, strict=True))
    height = max(round(each.size[1] * scale) for each, scale in zip(samples, scales, strict=True))
    return min(math.ceil(width / stride) * stride, size[0]), min(math.ceil(height / stride) * stride, size[1])
