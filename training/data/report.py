"""What was found in reading a dataset: for people, and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from framehook.inference.errors import one_line

SHOWN: Final = 10
"""Problems of a kind that `DataReport.lines` shows unless it is asked for more."""
_SHOWN_LENGTH: Final = 80


class ProblemKind(StrEnum):
    """What can be wrong with a dataset; the values are what reports say."""

    MISSING_PICTURE = "missing picture"
    NOT_A_PICTURE = "not a picture"
    CORRUPT_PICTURE = "corrupt picture"
    WRONG_SIZE = "picture of another size than its labels"
    DUPLICATE_PICTURE = "duplicate picture"
    OTHER_FILE = "file of another kind"
    MISSING_LABEL = "picture without a label file"
    UNREADABLE_LABEL = "label file that cannot be read"
    LABEL_WITHOUT_PICTURE = "label without a picture"
    UNREADABLE_ROW = "row that cannot be read"
    CLASS_OUT_OF_RANGE = "class that the dataset does not have"
    OUT_OF_RANGE = "negative or out-of-range coordinates"
    NO_AREA = "box without area"
    OUTSIDE = "box that reaches beyond the picture"
    DUPLICATE_ROW = "duplicate row"


class Action(StrEnum):
    """What was done about a problem."""

    ROW_LEFT_OUT = "row left out"
    PICTURE_LEFT_OUT = "picture left out"
    FILE_LEFT_OUT = "file left out"
    BACKGROUND = "taken as background"
    CLIPPED = "clipped"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: What it is.
        path: The file it is in, or that is missing.
        line: Line of that file, from 1; None where it is about the file.
        detail: The offending value, and what was expected.
        done: What was done about it.
    """

    kind: ProblemKind
    path: Path
    line: int | None
    detail: str
    done: Action

    def __str__(self) -> str:
        where = str(self.path) if self.line is None else f"{self.path}:{self.line}"
        return one_line(f"{where}: {self.detail} ({self.done})")

    def as_dict(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            "kind": self.kind.name.lower(),
            "path": str(self.path),
            "line": self.line,
            "detail": self.detail,
            "done": str(self.done),
        }


@dataclass(frozen=True, slots=True)
class DataReport:
    """What a split holds, and what was wrong with it: nothing is left out of a dataset that is not named here.

    Attributes:
        split: `train`, `val` or `test`.
        names: Class number to class name.
        pictures: How many can be used.
        background: How many of them have no objects.
        objects: How many are labelled, crowds not counted.
        crowds: Boxes that stand for many objects.
        per_class: Class number to its objects, for every class.
        problems: In the order of their files.
    """

    split: str
    names: Mapping[int, str]
    pictures: int
    background: int
    objects: int
    crowds: int
    per_class: Mapping[int, int]
    problems: tuple[Problem, ...]

    def counts(self) -> dict[ProblemKind, int]:
        """How often each kind of problem was met; kinds that were not are left out."""
        met = Counter(problem.kind for problem in self.problems)
        return {kind: met[kind] for kind in ProblemKind if met[kind]}

    def summary(self) -> str:
        """All of it in one line."""
        held = f"{self.split}: {_many(self.pictures, 'picture')}, {_many(self.objects, 'object')}, {self.background} background"
        if self.crowds:
            held += f", {_many(self.crowds, 'crowd')}"
        found = ", ".join(f"{count} x {kind}" for kind, count in self.counts().items())
        return f"{held}; {found or 'nothing is wrong'}"

    def lines(self, most: int | None = SHOWN) -> list[str]:
        """All of it for people to read, a line each; `most` problems of every kind, all of them for None."""
        told = [self.summary()]
        idle = [self.names[number] for number, count in self.per_class.items() if not count]
        if idle:
            told.append(f"  without any object: {', '.join(idle[:most])}{_rest(len(idle), most)}")
        for kind, count in self.counts().items():
            told.append(f"  {kind}: {count}")
            alike = [problem for problem in self.problems if problem.kind is kind]
            told += [f"    {problem}" for problem in alike[:most]]
            if _rest(count, most):
                told.append(f"   {_rest(count, most)}")
        return told

    def as_dict(self) -> dict[str, Any]:
        """All of it in JSON's types."""
        return {
            "split": self.split,
            "pictures": self.pictures,
            "background": self.background,
            "objects": self.objects,
            "crowds": self.crowds,
            "classes": [
                {"number": number, "name": self.names[number], "objects": count} for number, count in self.per_class.items()
            ],
            "counts": {kind.name.lower(): count for kind, count in self.counts().items()},
            "problems": [problem.as_dict() for problem in self.problems],
        }


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _rest(count: int, most: int | None) -> str:
    return f" and {count - most} more" if most is not None and count > most else ""


def shown(value: object) -> str:
    """An offending value as a message shows it: in one line, and not too long."""
    text = repr(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."
