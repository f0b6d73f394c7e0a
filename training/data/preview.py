"""What a dataset looks like, in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from framehook.inference.errors import DatasetError, OptionError, SourceError, one_line
from framehook.inference.ranges import is_whole
from framehook.inference.saving import write_picture
from framehook.inference.sources.image import decode_image
from framehook.training.data.sample import Sample, Split
from framehook.training.plots.pictures import LabelledPicture, tile

MOST: Final = 100
_SUFFIXES: Final = (".jpg", ".jpeg")


def preview(split: Split, out: str | Path, *, count: int = 16, seed: int = 0, side: int = 320) -> Path:
    """Draw some pictures of a split with their labels into one, to see whether the labels are where they belong.

    Args:
        split: What `load_split` gives.
        out: A `.jpg` to write; where it exists the next free number is added to its name.
        count: Pictures to draw, at random; all where there are no more.
        seed: Other numbers draw others.
        side: Pixels of the square that each is scaled to fit into.

    Returns:
        The file that was written.

    Raises:
        OptionError: a number out of range, or a file that is no JPEG.
        DatasetError: a picture can no longer be read.
        RecordingError: the file cannot be written.
    """
    if not is_whole(count, 1, MOST):
        raise OptionError(f"count={count!r} is out of range; pass a whole number from 1 to {MOST}")
    if not is_whole(seed, 0):
        raise OptionError(f"seed={seed!r} is out of range; pass a whole number from 0")
    if Path(out).suffix.lower() not in _SUFFIXES:
        raise OptionError(f"{out} is no JPEG file; pass a name that ends in .jpg")
    chosen = np.random.default_rng(seed).permutation(len(split.samples))[:count]
    pictures = [labelled(split.samples[row]) for row in sorted(chosen.tolist())]
    return write_picture(Path(out).expanduser(), tile(pictures, split.names, side=side))


def labelled(sample: Sample) -> LabelledPicture:
    """A picture of a dataset with its labels.

    Raises:
        DatasetError: it can no longer be read.
    """
    try:
        image = decode_image(sample.path)
    except SourceError as error:
        raise DatasetError(f"{one_line(error)}; it did when the dataset was read") from error
    if image is None:
        raise DatasetError(f"{sample.path} is no picture any more; it was when the dataset was read")
    return LabelledPicture(image, sample.xyxy, sample.cls, None, sample.path.name)
