"""A small dataset that is drawn rather than collected: to try a training with, and to test with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from framehook.inference.errors import OptionError, did_you_mean
from framehook.inference.ranges import is_whole
from framehook.training.data.new_folder import new_folder
from framehook.training.data.yaml_file import write_yaml

_Points = npt.NDArray[np.float64]

_OBJECTS: Final = (1, 5)
"""Shapes of a picture: from the first up to, not including, the second."""
_SIDES: Final = (0.18, 0.5)
"""Least and largest side of a shape, as a share of the picture's shorter side."""
_VISIBLE: Final = 0.6
"""Share of a shape that later ones leave to be seen."""
_TRIES: Final = 20
_LEAST_SIDE: Final = 32
_MOST: Final = 100_000


def write_example(
    folder: str | Path,
    *,
    train: int = 64,
    val: int = 16,
    size: tuple[int, int] = (320, 240),
    classes: Sequence[str] = ("circle", "square", "triangle"),
    seed: int = 0,
    exist_ok: bool = False,
) -> Path:
    """Draw a dataset: coloured shapes on textured backgrounds, of all sizes, some partly behind others.

    Each shape has its own range of hues, so that a small network learns to tell them apart in a few epochs. The same arguments
    draw the same pictures.

    Args:
        folder: Where to; must be new or empty. Pictures are `images/train/*.jpg` and `images/val/*.jpg`, their labels
            `labels/train/*.txt` and `labels/val/*.txt`.
        train: Pictures to train on.
        val: Pictures to validate on.
        size: (width, height) of the pictures in pixels.
        classes: Shapes to draw, out of circle, square, triangle, diamond, cross and star.
        seed: Other numbers give other pictures.
        exist_ok: The folder may hold files: those of the same names are replaced.

    Returns:
        The `data.yaml` that describes it.

    Raises:
        OptionError: an argument out of range, or a shape that is not known.
        DatasetError: the folder holds something.
        RecordingError: it cannot be written.
    """
    _check(train=train, val=val, size=size, classes=classes, seed=seed)
    with new_folder(folder, exist_ok=exist_ok) as made:
        for number, (split, count) in enumerate({"train": train, "val": val}.items()):
            (made / "images" / split).mkdir(parents=True)
            (made / "labels" / split).mkdir(parents=True)
            for index in range(count):
                image, rows = _picture(np.random.default_rng([seed, number, index]), size, classes)
                name = f"{split}{index:04d}"
                (made / "images" / split / f"{name}.jpg").write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
                (made / "labels" / split / f"{name}.txt").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
        splits = {"train": "images/train", "val": "images/val"}
        write_yaml(made / "data.yaml", splits, dict(enumerate(classes)), about="Drawn by 'framehook data example'.")
    return Path(folder).expanduser() / "data.yaml"


def _check(*, train: Any, val: Any, size: Any, classes: Any, seed: Any) -> None:
    for name, value, least in (("train", train, 1), ("val", val, 1), ("seed", seed, 0)):
        if not is_whole(value, least, _MOST):
            raise OptionError(f"{name}={value!r} is out of range; pass a whole number from {least} to {_MOST}")
    if not isinstance(size, Sequence) or len(size) != 2 or not all(is_whole(side, _LEAST_SIDE, 8192) for side in size):
        raise OptionError(f"size={size!r} is no size; pass (width, height), each {_LEAST_SIDE} pixels or more, 8192 at most")
    if isinstance(classes, str) or not isinstance(classes, Sequence) or not classes or len(set(classes)) < len(classes):
        raise OptionError(f"classes={classes!r} are no list of different shapes; known are {', '.join(_SHAPES)}")
    for name in classes:
        if name not in _SHAPES:
            hint = did_you_mean(str(name), _SHAPES)
            raise OptionError(f"classes={name!r} is no shape that can be drawn.{hint} Known are {', '.join(_SHAPES)}")


def _picture(
    rng: np.random.Generator, size: tuple[int, int], classes: Sequence[str]
) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """A picture, and the rows of its label file."""
    width, height = size
    image = _background(rng, width, height)
    # Number of the shape a pixel shows, from 1.
    shown = np.zeros((height, width), np.int32)
    areas: list[int] = []
    rows: list[str] = []
    wanted = int(rng.integers(*_OBJECTS))
    for _ in range(_TRIES):
        if len(rows) == wanted:
            break
        number = int(rng.integers(len(classes)))
        colour, mask = _colour(rng, classes[number]), _mask(rng, width, height, classes[number])
        inside = mask > 127
        left = np.bincount(shown[~inside], minlength=len(areas) + 1)[1:]
        if any(now < _VISIBLE * area for now, area in zip(left, areas, strict=True)):
            continue
        image = _blend(image, colour, mask)
        areas.append(int(inside.sum()))
        shown[inside] = len(areas)
        x, y, w, h = cv2.boundingRect(inside.astype(np.uint8))
        box = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        rows.append(f"{number} " + " ".join(f"{value:.6f}" for value in box))
    return image, rows


def _background(rng: np.random.Generator, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Greyish clouds with grain, so that neither a colour nor an edge alone tells a shape."""
    clouds = rng.uniform(40, 200, (6, 8, 1)) + rng.uniform(-15, 15, (6, 8, 3))
    soft = cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(soft + rng.normal(0, 8, (height, width, 1)), 0, 255).astype(np.uint8)


def _colour(rng: np.random.Generator, shape: str) -> npt.NDArray[np.uint8]:
    step = 180 / len(_SHAPES)
    hue = (list(_SHAPES).index(shape) * step + rng.uniform(-0.3, 0.3) * step) % 180
    pixel = np.array([[[hue, rng.uniform(150, 255), rng.uniform(140, 255)]]]).astype(np.uint8)
    colour: npt.NDArray[np.uint8] = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].astype(np.uint8)
    return colour


def _mask(rng: np.random.Generator, width: int, height: int, shape: str) -> npt.NDArray[np.uint8]:
    """Where a shape of random size and place is: 255 inside, between at its border. It touches no border of the picture."""
    points = _SHAPES[shape]()
    turn = rng.uniform(-0.25, 0.25)
    points = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = (points - points.min(0)) / (points.max(0) - points.min(0))
    sides = min(width, height) * rng.uniform(*_SIDES) * rng.uniform(0.8, 1.0, 2)
    place = 2 + rng.random(2) * (np.array([width, height]) - 4 - sides)
    # The last four bits are parts of a pixel, as `shift` says.
    corners = np.round((place + points * sides - 0.5) * 16).astype(np.int32)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
    return mask


def _blend(image: npt.NDArray[np.uint8], colour: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    share = mask[..., None].astype(np.float64) / 255
    return np.round(image * (1 - share) + colour * share).astype(np.uint8)


def _star(points: int, inner: float, turn: float) -> Callable[[], _Points]:
    """A star's corners, the first upwards at `turn` 0; without an inner radius a polygon's."""

    def corners() -> _Points:
        count = points * 2 if inner < 1 else points
        angles = np.arange(count) * 2 * np.pi / count - np.pi / 2 + turn
        radii = np.where(np.arange(count) % 2 == 1, inner, 1.0)
        return np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]

    return corners


def _cross() -> _Points:
    a, b = 1.0, 0.35
    return np.array(
        [(-b, -a), (b, -a), (b, -b), (a, -b), (a, b), (b, b), (b, a), (-b, a), (-b, b), (-a, b), (-a, -b), (-b, -b)]
    )


_SHAPES: Final[dict[str, Callable[[], _Points]]] = {
    "circle": _star(48, 1.0, 0.0),
    "triangle": _star(3, 1.0, 0.0),
    "square": _star(4, 1.0, np.pi / 4),
    "diamond": _star(4, 1.0, 0.0),
    "cross": _cross,
    "star": _star(5, 0.45, 0.0),
}
"""Name of a shape to its outline; neighbours have neighbouring hues."""
