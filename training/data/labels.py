"""The labels of one picture: rows of text files as the field writes them, and the checks that all labels go through.

A row is `class cx cy w h`, with centre and size as shares of the picture's width and height, or `class x1 y1 x2 y2 x3 y3 ...`,
the points of an outline, of which the enclosing box is taken.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from framehook.training.data.report import Action, Problem, ProblemKind, shown

ROUNDING: Final = 1e-4
"""Share of a side by which a box may pass the edge of the picture through rounding alone; it is clipped without a word."""
_FAR: Final = 0.5
"""Share of a side by which the points of an outline may pass the edge; those further off are no shares at all, but pixels."""
_MAX_BYTES: Final = 1 << 24


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The checked labels of a picture, in its pixels; the arrays are those of `Sample`.

    Attributes:
        problems: What was wrong with them.
        readable: False where it cannot be known what is in the picture.
    """

    cls: npt.NDArray[np.int64]
    xyxy: npt.NDArray[np.float64]
    crowd: npt.NDArray[np.bool_]
    area: npt.NDArray[np.float64]
    problems: tuple[Problem, ...]
    readable: bool = True


class LabelRows:
    """Collects the labels of a picture one by one, checks them, and notes what is wrong with them."""

    def __init__(self, file: Path, size: tuple[int, int], classes: int) -> None:
        """Begin with none.

        Args:
            file: Where they come from, for reports.
            size: (width, height) of the picture in pixels.
            classes: How many classes the dataset has.
        """
        self._file = file
        self._size = size
        self._classes = classes
        self._rows: dict[tuple[int, float, float, float, float, bool], float] = {}
        self._problems: list[Problem] = []

    def add(
        self,
        cls: int,
        xyxy: tuple[float, float, float, float],
        *,
        called: str,
        line: int | None = None,
        crowd: bool = False,
        area: float | None = None,
    ) -> None:
        """Take a label, clipped to the picture, unless something is wrong with it.

        Args:
            cls: Its class.
            xyxy: left, top, right, bottom in pixels of the picture.
            called: How a report calls it.
            line: Line of the file.
            crowd: It stands for many objects.
            area: Pixels it covers; None for those of its box.
        """
        if not 0 <= cls < self._classes:
            expected = f"0 to {self._classes - 1}" if self._classes > 1 else "0 alone"
            return self.refuse(ProblemKind.CLASS_OUT_OF_RANGE, f"{called}: class {shown(cls)}, expected {expected}", line)
        left, top, right, bottom = xyxy
        if right <= left or bottom <= top:
            return self.refuse(ProblemKind.NO_AREA, f"{called}: {_sides(xyxy)} pixels", line)
        width, height = self._size
        inside = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
        if inside[2] <= inside[0] or inside[3] <= inside[1]:
            return self.refuse(ProblemKind.OUT_OF_RANGE, f"{called}: it is outside the picture of {width} x {height}", line)
        row = (cls, *inside, crowd)
        if row in self._rows:
            return self.refuse(ProblemKind.DUPLICATE_ROW, f"{called}: the same as one before", line)
        beyond = max(-left / width, -top / height, right / width - 1, bottom / height - 1)
        if beyond > ROUNDING:
            self._tell(ProblemKind.OUTSIDE, f"{called}: {beyond:.2%} beyond the picture", line, Action.CLIPPED)
        self._rows[row] = area if area is not None else (inside[2] - inside[0]) * (inside[3] - inside[1])
        return None

    def refuse(self, kind: ProblemKind, detail: str, line: int | None = None) -> None:
        """Leave a label out, and note why."""
        self._tell(kind, detail, line, Action.ROW_LEFT_OUT)

    def labels(self) -> Labels:
        """All that were taken."""
        rows = list(self._rows)
        return Labels(
            np.array([row[0] for row in rows], np.int64),
            np.array([row[1:5] for row in rows], np.float64).reshape(-1, 4),
            np.array([row[5] for row in rows], np.bool_),
            np.array(list(self._rows.values()), np.float64),
            tuple(self._problems),
        )

    def _tell(self, kind: ProblemKind, detail: str, line: int | None, done: Action) -> None:
        self._problems.append(Problem(kind, self._file, line, detail, done))


def label_file(picture: Path) -> Path:
    """Where the labels of a picture are, or should be.

    That is the path of the picture with `labels` in place of its last folder named `images`, and `.txt` as its ending; or
    beside the picture, where no folder is named so, or where nothing is there but is beside it.
    """
    beside = picture.with_suffix(".txt")
    mapped = mapped_folder(picture.parent)
    if mapped is None:
        return beside
    file = mapped / beside.name
    return beside if not file.exists() and beside.exists() else file


@functools.lru_cache(maxsize=256)
def mapped_folder(folder: Path) -> Path | None:
    """The folder of labels that goes with a folder of pictures; None where no part of its path is named `images`."""
    parts = folder.parts
    if "images" not in parts:
        return None
    last = len(parts) - 1 - parts[::-1].index("images")
    return Path(*parts[:last], "labels", *parts[last + 1 :])


def read_labels(file: Path, size: tuple[int, int], classes: int) -> Labels:
    """Read the label file of a picture. A file that is not there is that of a picture without objects, and noted.

    Args:
        file: The text file.
        size: (width, height) of the picture in pixels.
        classes: How many classes the dataset has.
    """
    rows = LabelRows(file, size, classes)
    try:
        if file.stat().st_size > _MAX_BYTES:
            return _none(file, ProblemKind.UNREADABLE_LABEL, "too large for a label file", Action.PICTURE_LEFT_OUT)
        text = file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return _none(file, ProblemKind.MISSING_LABEL, "not there", Action.BACKGROUND)
    except OSError as error:
        return _none(file, ProblemKind.UNREADABLE_LABEL, str(error.strerror or error), Action.PICTURE_LEFT_OUT)
    except UnicodeDecodeError:
        return _none(file, ProblemKind.UNREADABLE_LABEL, "not a text file", Action.PICTURE_LEFT_OUT)
    for line, row in enumerate(text.splitlines(), 1):
        values = row.split()
        if values:
            _add(rows, values, line, size)
    return rows.labels()


def _none(file: Path, kind: ProblemKind, detail: str, done: Action) -> Labels:
    labels = LabelRows(file, (1, 1), 1).labels()
    problems = (Problem(kind, file, None, detail, done),)
    return Labels(labels.cls, labels.xyxy, labels.crowd, labels.area, problems, done is Action.BACKGROUND)


def _add(rows: LabelRows, values: Sequence[str], line: int, size: tuple[int, int]) -> None:
    called = shown(" ".join(values))
    try:
        number, *shares = map(float, values)
    except ValueError:
        return rows.refuse(ProblemKind.UNREADABLE_ROW, f"{called}: expected numbers", line)
    if not all(map(math.isfinite, (number, *shares))) or not number.is_integer():
        return rows.refuse(ProblemKind.UNREADABLE_ROW, f"{called}: expected a whole number and finite ones", line)
    if len(shares) == 4:
        return _add_box(rows, int(number), shares, called, line, size)
    if len(shares) >= 6 and len(shares) % 2 == 0:
        return _add_outline(rows, int(number), shares, called, line, size)
    expected = "expected class cx cy w h, or a class and three or more points"
    return rows.refuse(ProblemKind.UNREADABLE_ROW, f"{called}: {len(values)} numbers, {expected}", line)


def _add_box(rows: LabelRows, cls: int, shares: list[float], called: str, line: int, size: tuple[int, int]) -> None:
    if min(shares) < -ROUNDING or max(shares) > 1 + ROUNDING:
        return rows.refuse(ProblemKind.OUT_OF_RANGE, f"{called}: expected shares of the picture's size, 0 to 1", line)
    cx, cy, w, h = shares
    width, height = size
    xyxy = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
    return rows.add(cls, xyxy, called=called, line=line)


def _add_outline(rows: LabelRows, cls: int, shares: list[float], called: str, line: int, size: tuple[int, int]) -> None:
    if min(shares) < -_FAR or max(shares) > 1 + _FAR:
        return rows.refuse(ProblemKind.OUT_OF_RANGE, f"{called}: expected shares of the picture's size, 0 to 1", line)
    points = np.array(shares).reshape(-1, 2) * size
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    x, y = points.clip(0, size).T
    area = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2  # the shoelace formula
    return rows.add(cls, (left, top, right, bottom), called=called, line=line, area=area or None)


def _sides(xyxy: tuple[float, float, float, float]) -> str:
    return f"{xyxy[2] - xyxy[0]:g} x {xyxy[3] - xyxy[1]:g}"
