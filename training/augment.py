"""Pictures changed at random, and their boxes with them: mosaic, random affine or perspective, colours, flips, mixup.

Mosaics are those of YOLOv4 (Bochkovskiy et al. 2020, https://arxiv.org/abs/2004.10934), mixup is that of Zhang et al. 2019
(https://arxiv.org/abs/1902.04103), both put together as in YOLOX (Ge et al. 2021, https://arxiv.org/abs/2107.08430).

Coordinates are continuous, as those of boxes: pixel (i, j) covers the square from (i, j) to (i + 1, j + 1), its middle is at
(i + .5, j + .5). All that is random comes from the generator that is passed; nothing here knows of files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple, Self

import cv2
import numpy as np
import numpy.typing as npt

from framehook.training.options import TrainOptions

PAD: Final = 114
"""Grey level beside pictures: that of inference."""
LEAST_SIDE: Final = 2.0
"""Pixels; boxes that are thinner after a change are left out."""
LEAST_SHARE: Final = 0.1
"""Boxes of which less is still in the picture are left out."""
NEAREST: Final = 0.1
"""Smallest depth a perspective may give a corner: at 0 it would be infinitely large, and beyond it upside down."""
MIXED: Final = 32.0
"""Both parameters of the beta distribution of mixup's weight: nearly always about one half."""

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]


class Labelled(NamedTuple):
    """A picture and what is to be found in it.

    Attributes:
        image: H x W x 3 uint8 BGR.
        cls: n, int64: class numbers.
        xyxy: n x 4, float64: left, top, right, bottom in pixels of `image`, within it.
    """

    image: Pixels
    cls: npt.NDArray[np.int64]
    xyxy: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How much pictures are changed; the attributes are those of `TrainOptions`, and are documented and checked there."""

    hsv_h: float = 0.0
    hsv_s: float = 0.0
    hsv_v: float = 0.0
    degrees: float = 0.0
    translate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    perspective: float = 0.0
    flipud: float = 0.0
    fliplr: float = 0.0
    mosaic: float = 0.0
    mixup: float = 0.0

    @classmethod
    def of(cls, options: TrainOptions) -> Self:
        """What the options of a training ask for."""
        return cls(**{field.name: float(getattr(options, field.name)) for field in fields(cls)})


def mosaic_of(parts: Sequence[Labelled], side: int, rng: np.random.Generator) -> Labelled:
    """Four pictures around a random point, on a canvas of twice the side.

    Args:
        parts: Four pictures, none larger than `side` x `side`: for the top left, top right, bottom left and bottom right.
        side: Half of the canvas, in pixels. The point is at least half of it away from the canvas' edges.
        rng: Where the point comes from.
    """
    middle_x, middle_y = (int(value) for value in rng.integers(side // 2, side + side // 2 + 1, 2))
    canvas = np.full((2 * side, 2 * side, 3), PAD, np.uint8)
    boxes, classes = [], []
    for place, part in enumerate(parts):
        height, width = part.image.shape[:2]
        left = middle_x - width if place % 2 == 0 else middle_x
        top = middle_y - height if place < 2 else middle_y
        _paste(canvas, part.image, left, top)
        moved = part.xyxy + np.array([left, top, left, top])
        kept, clipped = _clipped(moved, 2 * side, 2 * side)
        boxes.append(clipped[kept])
        classes.append(part.cls[kept])
    return Labelled(canvas, np.concatenate(classes), np.concatenate(boxes))


def centred(part: Labelled, side: int) -> Labelled:
    """A picture no larger than `side` x `side` in the middle of a square, where inference would put it."""
    height, width = part.image.shape[:2]
    if width == height == side:
        return part
    left, top = (side - width) // 2, (side - height) // 2
    canvas = np.full((side, side, 3), PAD, np.uint8)
    _paste(canvas, part.image, left, top)
    return Labelled(canvas, part.cls, part.xyxy + np.array([left, top, left, top]))


def random_matrix(size: tuple[int, int], side: int, how: Augmentation, rng: np.random.Generator) -> Matrix:
    """A random change of place, size and shape.

    Args:
        size: (width, height) of the picture that is changed.
        side: Width and height of what is made of it.
        how: The largest angles, shifts and so on.
        rng: Where they come from.

    Returns:
        3 x 3: takes points (x, y, 1) of the picture to those of the result.
    """
    middle = np.array([[1, 0, -size[0] / 2], [0, 1, -size[1] / 2], [0, 0, 1]])
    depth = np.eye(3)
    depth[2, :2] = rng.uniform(-how.perspective, how.perspective, 2)
    reach = abs(depth[2, 0]) * size[0] / 2 + abs(depth[2, 1]) * size[1] / 2
    if reach > 1 - NEAREST:
        depth[2, :2] *= (1 - NEAREST) / reach
    angle = math.radians(rng.uniform(-how.degrees, how.degrees))
    factor = rng.uniform(1 - how.scale, 1 + how.scale)
    cos, sin = factor * math.cos(angle), factor * math.sin(angle)
    turned = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    lean_x, lean_y = (math.tan(math.radians(value)) for value in rng.uniform(-how.shear, how.shear, 2))
    leaning = np.array([[1, lean_x, 0], [lean_y, 1, 0], [0, 0, 1]])
    shift_x, shift_y = rng.uniform(0.5 - how.translate, 0.5 + how.translate, 2) * side
    placed = np.array([[1, 0, shift_x], [0, 1, shift_y], [0, 0, 1]])
    flip_x, flip_y = rng.random(2) < (how.fliplr, how.flipud)
    flipped = np.eye(3)
    if flip_x:
        flipped[0] = (-1, 0, side)
    if flip_y:
        flipped[1] = (0, -1, side)
    matrix: Matrix = flipped @ placed @ leaning @ turned @ depth @ middle
    return matrix


def warped(part: Labelled, matrix: Matrix, side: int) -> Labelled:
    """A picture seen through a matrix.

    Args:
        part: The picture and its boxes.
        matrix: 3 x 3: takes points of the picture to those of the result.
        side: Width and height of the result.

    Returns:
        The result. A box is the smallest that holds the four moved corners of the old one, clipped; one of which too little is
        left is not among them.
    """
    # OpenCV's pixel (i, j) has its middle at (i, j).
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    whole = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    pixels = whole @ matrix @ half
    border = (PAD, PAD, PAD)
    if np.any(matrix[2, :2]):
        image: Any = cv2.warpPerspective(part.image, pixels, (side, side), flags=cv2.INTER_LINEAR, borderValue=border)
    else:
        image = cv2.warpAffine(part.image, pixels[:2] / pixels[2, 2], (side, side), flags=cv2.INTER_LINEAR, borderValue=border)
    moved = moved_boxes(part.xyxy, matrix)
    kept, clipped = _clipped(moved, side, side)
    return Labelled(image, part.cls[kept], clipped[kept])


def moved_boxes(xyxy: npt.NDArray[np.float64], matrix: Matrix) -> npt.NDArray[np.float64]:
    """The smallest boxes that hold the moved corners of n x 4 boxes, not clipped."""
    if not len(xyxy):
        return np.zeros((0, 4))
    corners = np.ones((len(xyxy), 4, 3))
    corners[:, :, 0] = xyxy[:, [0, 2, 2, 0]]
    corners[:, :, 1] = xyxy[:, [1, 1, 3, 3]]
    moved = corners @ matrix.T
    points = moved[:, :, :2] / moved[:, :, 2:]
    return np.concatenate((points.min(axis=1), points.max(axis=1)), axis=1)


def recolour(image: Pixels, how: Augmentation, rng: np.random.Generator) -> None:
    """Turn the hue of a BGR picture by up to `hsv_h` of the circle, and scale its saturation and value, in place."""
    turn, saturation, value = rng.uniform(-1, 1, 3) * (how.hsv_h, how.hsv_s, how.hsv_v)
    if not (how.hsv_h or how.hsv_s or how.hsv_v):
        return
    levels = np.arange(256, dtype=np.float64)
    table = np.empty((1, 256, 3), np.uint8)
    # OpenCV's hues of 8 bits go from 0 to 179.
    table[0, :, 0] = np.rint(levels + turn * 180) % 180
    table[0, :, 1] = np.clip(np.rint(levels * (1 + saturation)), 0, 255)
    table[0, :, 2] = np.clip(np.rint(levels * (1 + value)), 0, 255)
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    cv2.LUT(hsv, table, dst=hsv)
    cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=image)


def mixed(one: Labelled, other: Labelled, rng: np.random.Generator) -> Labelled:
    """Two pictures of one size shining through each other, with the objects of both."""
    weight = float(rng.beta(MIXED, MIXED))
    image: Any = cv2.addWeighted(one.image, weight, other.image, 1 - weight, 0)
    return Labelled(image, np.concatenate((one.cls, other.cls)), np.concatenate((one.xyxy, other.xyxy)))


def _paste(canvas: Pixels, image: Pixels, left: int, top: int) -> None:
    """Copy what of an image falls on the canvas."""
    rows, columns = canvas.shape[:2]
    height, width = image.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, columns), min(top + height, rows)
    canvas[y0:y1, x0:x1] = image[y0 - top : y1 - top, x0 - left : x1 - left]


def _clipped(xyxy: npt.NDArray[np.float64], width: int, height: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which boxes still show enough of what they hold, and all of them clipped."""
    clipped = np.clip(xyxy, 0, (width, height, width, height))
    sides = clipped[:, 2:] - clipped[:, :2]
    before = np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1)
    kept = np.all(sides >= LEAST_SIDE, axis=1) & (np.prod(sides, axis=1) >= LEAST_SHARE * before)
    return kept, clipped
