"""A detector that really detects, exactly: red rectangles are class 0, green ones class 1; and pictures of such rectangles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from framehook.inference.backends import FunctionBackend
from framehook.inference.detector import Detector
from framehook.inference.load import load_detector
from framehook.training.data.report import DataReport
from framehook.training.data.sample import Sample, Split

NAMES = {0: "red", 1: "green"}
Rectangle = tuple[int, int, int, int, int]  # class, left, top, right, bottom


def coloured(tensor: np.ndarray) -> list[np.ndarray]:
    """For each picture (N x 3 x H x W, RGB 0..1) the bounding box of what is of one colour: N x 4 + 2 classes x 2."""
    found = np.zeros((len(tensor), 6, 2), np.float32)
    for picture, (red, green, blue) in enumerate(tensor):
        for cls, strong, weak in ((0, red, green), (1, green, red)):
            rows, columns = np.nonzero((strong > 0.6) & (weak < 0.4) & (blue < 0.4))
            if len(rows):
                low, high = np.array([columns.min(), rows.min()]), np.array([columns.max() + 1, rows.max() + 1])
                found[picture, :4, cls] = *((low + high) / 2), *(high - low)
                found[picture, 4 + cls, cls] = 0.9
    return [found]


def detector(names: dict[int, str] = NAMES, side: int | None = None, function=coloured) -> Detector:
    """Of any input size, or of one."""
    backend = FunctionBackend(
        function,
        input_shape=(None, 3, side, side),
        output_shapes=[(None, 6, 2)],
        metadata={"names": str(names), "imgsz": str([side or 64, side or 64])},
    )
    return load_detector(backend, decoder="yolo")


def picture(folder: Path, name: str, rectangles: Sequence[Rectangle], size: tuple[int, int] = (64, 48)) -> Sample:
    """Write a picture with these rectangles in it, and label them."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    for cls, left, top, right, bottom in rectangles:
        image[top:bottom, left:right] = (0, 255, 0) if cls else (0, 0, 255)
    path = folder / name
    assert cv2.imwrite(str(path), image)
    return labelled(path, size, rectangles)


def labelled(path: Path, size: tuple[int, int], rectangles: Sequence[Rectangle]) -> Sample:
    """A picture's labels alone."""
    rows = np.array(rectangles, np.float64).reshape(-1, 5)
    sides = rows[:, 3:] - rows[:, 1:3]
    return Sample(path, size, rows[:, 0].astype(np.int64), rows[:, 1:], np.zeros(len(rows), bool), sides.prod(axis=1))


def split(samples: Sequence[Sample], names: dict[int, str] = NAMES) -> Split:
    """These pictures as a part of a dataset."""
    report = DataReport(
        split="val", names=names, pictures=len(samples), background=0, objects=0, crowds=0, per_class={}, problems=()
    )
    return Split("val", names, tuple(samples), report)
