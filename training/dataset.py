"""Labelled pictures as a network is trained on them: one by one, each the same whenever and wherever it is made."""

from __future__ import annotations

import errno
import math
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import heap
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from framehook.inference.errors import FramehookError, TrainingError
from framehook.inference.geometry import Fit, Letterbox
from framehook.inference.sources.image import decode_image
from framehook.training.augment import (
    Augmentation,
    Labelled,
    Pixels,
    centred,
    mixed,
    mosaic_of,
    random_matrix,
    recolour,
    warped,
)
from framehook.training.data.sample import Sample

Key: TypeAlias = tuple[int, int, bool]
"""Epoch, index of the picture, and whether mosaics and mixup are wanted in this epoch."""


class Item(NamedTuple):
    """One picture to train on.

    Attributes:
        image: 3 x side x side, uint8, RGB.
        cls: m, int64: class numbers.
        xyxy: m x 4, float32: left, top, right, bottom in pixels of `image`.
        path: The picture's file; of a mosaic that of the one it was begun with.
    """

    image: Pixels
    cls: npt.NDArray[np.int64]
    xyxy: npt.NDArray[np.float32]
    path: str


class TrainingSet(Dataset[Item]):
    """The pictures of a split, augmented or letterboxed.

    What comes for a key depends on the pictures, the settings, the seed and the key alone: not on what was asked for before,
    nor on the process that is asked. So a training that is resumed sees what it would have seen.

    Attributes:
        imgsz: Side of the pictures in pixels.
        augment: How much they are changed; None for not at all, which gives the very pixels inference makes of them.
        seed: Of everything random.
    """

    def __init__(
        self, samples: Sequence[Sample], *, imgsz: int, augment: Augmentation | None, seed: int, cache: bool = False
    ) -> None:
        """Take the pictures' names and labels; without `cache` no file is read.

        Args:
            samples: The pictures. Boxes that stand for a crowd are left out.
            imgsz: Side in pixels.
            augment: How much pictures are changed.
            seed: Of everything random.
            cache: Read and scale all pictures now, and keep them in memory, which worker processes share.

        Raises:
            TrainingError: pictures that do not fit into memory; else as `__getitem__`.
        """
        self.imgsz = imgsz
        self.augment = augment
        self.seed = seed
        # Few large arrays rather than many small ones: they are quick to hand to a worker process.
        self._paths = [str(sample.path) for sample in samples]
        self._sizes = np.array([sample.size for sample in samples], np.int64).reshape(-1, 2)
        singles = [~sample.crowd for sample in samples]
        self._starts = np.concatenate(([0], np.cumsum([int(each.sum()) for each in singles]))).astype(np.int64)
        none: Any = ([np.zeros(0, np.int64)], [np.zeros((0, 4))])
        self._cls = np.concatenate([s.cls[each] for s, each in zip(samples, singles, strict=True)] or none[0])
        self._xyxy = np.concatenate([s.xyxy[each] for s, each in zip(samples, singles, strict=True)] or none[1])
        self._kept: _Kept | None = self._keep() if cache else None

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, key: Key) -> Item:
        """Make the picture of a key.

        Raises:
            TrainingError: a file that cannot be read any more, or is not what it was.
        """
        _, index, _ = key
        image = np.empty((3, self.imgsz, self.imgsz), np.uint8)
        cls, xyxy = self.fill(image, key)
        return Item(image, cls, xyxy, self._paths[index])

    def path(self, index: int) -> str:
        """The file of a picture."""
        return self._paths[index]

    def fill(self, image: Pixels, key: Key) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Write the picture of a key into `image` (3 x side x side, uint8), and return its classes and boxes.

        Raises:
            TrainingError: as `__getitem__`.
        """
        epoch, index, together = key
        if self.augment is None:
            made = centred(self._load(index), self.imgsz)
        else:
            made = self._augmented(index, self.augment, together, np.random.default_rng([self.seed, epoch, index]))
        cv2.split(made.image, list(image[::-1]))
        return made.cls, made.xyxy.astype(np.float32)

    def _augmented(self, index: int, how: Augmentation, together: bool, rng: np.random.Generator) -> Labelled:
        made = self._warped(index, how, together, rng)
        if together and rng.random() < how.mixup:
            made = mixed(made, self._warped(int(rng.integers(len(self))), how, together, rng), rng)
        recolour(made.image, how, rng)
        return made

    def _warped(self, index: int, how: Augmentation, together: bool, rng: np.random.Generator) -> Labelled:
        if together and rng.random() < how.mosaic:
            others = rng.integers(len(self), size=3)
            part = mosaic_of([self._load(int(each)) for each in (index, *others)], self.imgsz, rng)
        else:
            part = centred(self._load(index), self.imgsz)
        size = part.image.shape[1], part.image.shape[0]
        return warped(part, random_matrix(size, self.imgsz, how, rng), self.imgsz)

    def _load(self, index: int) -> Labelled:
        """A picture scaled as inference does, its padding left out, and its boxes."""
        box = self._placement(index)
        image = self._read(index, box) if self._kept is None else self._kept[index]
        first, last = self._starts[index : index + 2]
        (width, height), (scaled_width, scaled_height) = box.frame_size, box.inner_size
        x, y = scaled_width / width, scaled_height / height
        return Labelled(image, self._cls[first:last], self._xyxy[first:last] * np.array([x, y, x, y]))

    def _placement(self, index: int) -> Letterbox:
        width, height = self._sizes[index].tolist()
        return Letterbox.fit((width, height), (self.imgsz, self.imgsz), Fit.CENTER)

    def _read(self, index: int, box: Letterbox) -> Pixels:
        path = self._paths[index]
        try:
            pixels: Any = decode_image(Path(path))
        except FramehookError as error:
            raise TrainingError(f"{error}; it was there when the dataset was read") from error
        if pixels is None:
            raise TrainingError(f"{path} is no picture any more; it was one when the dataset was read")
        if pixels.shape[1::-1] != box.frame_size:
            raise TrainingError(
                f"{path} has {pixels.shape[1]} x {pixels.shape[0]} pixels, and had {box.frame_size[0]} x {box.frame_size[1]} "
                "when the dataset was read; start again, so that it is read anew"
            )
        if box.frame_size != box.inner_size:
            pixels = cv2.resize(pixels, box.inner_size, interpolation=cv2.INTER_LINEAR)
        return pixels  # type: ignore[no-any-return]

    def _keep(self) -> _Kept:
        """All pictures, read by as many threads as there are cores."""
        placed = [self._placement(index) for index in range(len(self))]
        kept = _Kept([box.inner_size for box in placed])

        def read(index: int) -> None:
            kept[index][:] = self._read(index, placed[index])

        with ThreadPoolExecutor(thread_name_prefix="framehook-cache") as pool:
            try:
                for _ in pool.map(read, range(len(self))):
                    pass
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return kept


class _Kept:
    """Pictures in memory that processes share."""

    def __init__(self, sizes: Sequence[tuple[int, int]]) -> None:
        """Make room for pictures of these sizes (width, height)."""
        self._sizes = sizes
        self._starts = np.concatenate(([0], np.cumsum([width * height * 3 for width, height in sizes]))).tolist()
        self._bytes = SharedBytes(self._starts[-1], "the pictures", "train without cache=True")

    def __getitem__(self, index: int) -> Pixels:
        width, height = self._sizes[index]
        return self._bytes.part(self._starts[index], (height, width, 3))


class SharedBytes:
    """Memory that processes share, which is there: a file in memory of which a part is not ends a process with a bus error."""

    def __init__(self, size: int, what: str, instead: str) -> None:
        """Take it.

        Args:
            size: Bytes.
            what: What it is for, to begin a message with.
            instead: What can be done without it.

        Raises:
            TrainingError: there is not as much.
        """
        free = _free_memory()
        if free is not None and size > free:
            raise TrainingError(f"{what} take {size / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; {instead}")
        try:
            # What `RawArray` is made of, which would write to all of it before anything could be looked after.
            self._arena = heap.Arena(max(size, 1))
            if sys.platform != "win32":  # where it is no file
                _allocate(self._arena.fd, self._arena.size)
        except OSError as error:
            raise TrainingError(
                f"{what} take {size / 1e6:.0f} MB of shared memory, for which there is no room in /dev/shm nor among the "
                f"temporary files ({error.strerror or error}); {instead}, or have TMPDIR name a folder with room"
            ) from error

    def part(self, start: int, shape: tuple[int, ...]) -> Pixels:
        """The bytes from `start` on, as an array."""
        pixels: Pixels = np.frombuffer(self._arena.buffer, np.uint8, math.prod(shape), start).reshape(shape)
        return pixels


def _allocate(file: int, size: int) -> None:
    """Have all of an open file's bytes be there.

    Raises:
        OSError: there is no room for them.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:  # as on macOS
        room = os.fstatvfs(file)
        if room.f_bavail * room.f_frsize < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _free_memory() -> int | None:
    """Bytes that can be had without swapping, and that a container may have, where the system tells."""
    told = [int(line.split()[1]) * 1024 for line in _lines("/proc/meminfo") if line.startswith("MemAvailable:")]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        told += [int(line) for line in _lines(limit) if line.isdecimal()]  # or the word max
    return min(told, default=None)


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="ascii").splitlines()
    except OSError:
        return []
