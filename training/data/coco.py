"""COCO's json files: pictures, annotations and categories in one."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from framehook.inference.errors import DatasetError, one_line
from framehook.inference.ranges import is_whole
from framehook.inference.sources.addresses import redacted, scheme_of
from framehook.training.data.labels import LabelRows, Labels
from framehook.training.data.report import Action, Problem, ProblemKind, shown

_MOST: Final = 1e18


@dataclass(frozen=True, slots=True, eq=False)
class CocoPicture:
    """A picture of a COCO json, and what it says of it.

    Attributes:
        path: The picture's file; it may not be there.
        size: (width, height) in pixels that the boxes are of; None where the json does not tell.
        annotations: Those of this picture, unchecked.
        looked: The folders it was looked for in.
    """

    path: Path
    size: tuple[int, int] | None
    annotations: Sequence[Mapping[str, Any]]
    looked: tuple[Path, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Coco:
    """A COCO json, as it was read; of its lists nothing but that they are there has been checked.

    Attributes:
        file: The json file.
        images, annotations: Its lists.
        categories: Category id to name, in the order of the ids.
    """

    file: Path
    images: Sequence[Any]
    annotations: Sequence[Any]
    categories: Mapping[int, str]

    def names(self) -> dict[int, str]:
        """Class number to name: the categories in the order of their ids, counted from 0."""
        return dict(enumerate(self.categories.values()))

    def classes(self, names: Mapping[int, str]) -> dict[int, int]:
        """Category id to class number, for the categories that `names` has; of several of one name the first is the first."""
        met: Counter[str] = Counter()
        classes = {}
        for category, name in self.categories.items():
            alike = [number for number, each in names.items() if each == name]
            if met[name] < len(alike):
                classes[category] = alike[met[name]]
            met[name] += 1
        return classes

    def unnamed(self, names: Mapping[int, str]) -> list[Problem]:
        """The categories that a dataset does not name, and whose annotations are therefore left out: one problem each."""
        classes = self.classes(names)
        held = Counter(each.get("category_id") for each in self.annotations if _of_category(each))
        return [
            Problem(
                ProblemKind.CLASS_OUT_OF_RANGE,
                self.file,
                None,
                f"category {number}, {shown(name)}, is not among the names; it has {held[number]} annotations",
                Action.ROW_LEFT_OUT,
            )
            for number, name in self.categories.items()
            if number not in classes and held[number]
        ]

    def pictures(self, root: Path) -> tuple[list[CocoPicture], list[Problem]]:
        """The pictures with their annotations, and what belongs to none.

        Args:
            root: Folder to look for pictures in, beside the usual places.
        """
        problems: list[Problem] = []
        by_image: dict[Any, list[Mapping[str, Any]]] = {}
        ids: dict[int | str, Mapping[str, Any]] = {}
        for image in self.images:
            told = self._refused(image, ids)
            if told:
                problems.append(Problem(*told, Action.PICTURE_LEFT_OUT))
            else:
                ids[image["id"]] = image
        for annotation in self.annotations:
            image = annotation.get("image_id") if isinstance(annotation, dict) else None
            if isinstance(image, int | str) and image in ids:
                by_image.setdefault(image, []).append(annotation)
            else:
                kind = ProblemKind.LABEL_WITHOUT_PICTURE if isinstance(annotation, dict) else ProblemKind.UNREADABLE_ROW
                detail = f"{_called(annotation)}: of image {shown(image)}, which the file does not list"
                problems.append(Problem(kind, self.file, None, detail, Action.ROW_LEFT_OUT))
        folders = _folders(self.file, root)
        found = [self._picture(image, by_image.get(number, []), folders) for number, image in ids.items()]
        return found, problems

    def labels(self, picture: CocoPicture, size: tuple[int, int], classes: Mapping[int, int], count: int) -> Labels:
        """The checked labels of a picture.

        Args:
            picture: One of this file's.
            size: Its (width, height) in pixels as decoded.
            classes: Category id to class number.
            count: How many classes the dataset has.
        """
        rows = LabelRows(self.file, size, count)
        for annotation in picture.annotations:
            self._add(rows, annotation, f"{_called(annotation)} of {picture.path.name}", classes)
        return rows.labels()

    def _add(self, rows: LabelRows, annotation: Mapping[str, Any], called: str, classes: Mapping[int, int]) -> None:
        box: Any = annotation.get("bbox")
        category: Any = annotation.get("category_id")
        area: Any = annotation.get("area")
        if not isinstance(box, list) or len(box) != 4 or not all(_is_number(side) for side in box):
            return rows.refuse(ProblemKind.UNREADABLE_ROW, f"{called}: bbox {shown(box)}, expected [left, top, width, height]")
        if not is_whole(category) or category not in self.categories:
            told = f"{called}: category {shown(category)}, which the file does not have"
            return rows.refuse(ProblemKind.CLASS_OUT_OF_RANGE, told)
        if category not in classes:
            return None  # all of its category are told in one, by `unnamed`
        left, top, width, height = map(float, box)
        if width < 0 or height < 0:
            return rows.refuse(ProblemKind.OUT_OF_RANGE, f"{called}: bbox {shown(box)}, of negative size")
        return rows.add(
            classes[category],
            (left, top, left + width, top + height),
            called=f"{called}, bbox {shown(box)}",
            crowd=bool(annotation.get("iscrowd", 0)),
            area=float(area) if _is_number(area) and area > 0 else None,
        )

    def _refused(self, image: Any, ids: Mapping[int | str, Any]) -> tuple[ProblemKind, Path, None, str] | None:
        """Why an image of the list is of no use."""
        if not isinstance(image, dict) or not isinstance(image.get("id"), int | str):
            return ProblemKind.UNREADABLE_ROW, self.file, None, f"image {shown(image)}: expected an object with an id"
        name = image.get("file_name")
        if not isinstance(name, str) or not name or "\0" in name:
            return ProblemKind.UNREADABLE_ROW, self.file, None, f"image {shown(image['id'])}: file_name {shown(name)}"
        if scheme_of(name):
            return (
                ProblemKind.UNREADABLE_ROW,
                self.file,
                None,
                f"image {shown(image['id'])}: {shown(redacted(name))} is an address",
            )
        if image["id"] in ids:
            return ProblemKind.DUPLICATE_PICTURE, self.file, None, f"image {shown(image['id'])} is listed twice"
        return None

    def _picture(self, image: Mapping[str, Any], annotations: list[Mapping[str, Any]], folders: list[Path]) -> CocoPicture:
        name: str = image["file_name"]
        width: Any = image.get("width")
        height: Any = image.get("height")
        size = (int(width), int(height)) if is_whole(width, 1) and is_whole(height, 1) else None
        for number, folder in enumerate(folders):
            if _is_file(folder / name):
                folders.insert(0, folders.pop(number))  # the next one is most likely there, too
                return CocoPicture(folder / name, size, annotations, ())
        return CocoPicture(self.file.parent / name, size, annotations, tuple(folders))


def read_coco(file: Path) -> Coco:
    """Read a COCO json.

    Raises:
        DatasetError: it cannot be read, or is none.
    """
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise DatasetError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{file} is no json file: {one_line(error)[:300]}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{file} is no COCO json; expected an object with images, annotations and categories")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            raise DatasetError(f"{file} is no COCO json: it has no list of {key}")
    categories = dict(_categories(file, content["categories"]))
    if not categories:
        raise DatasetError(f"{file} has no categories; a detector needs a class at least")
    return Coco(file, content["images"], content["annotations"], dict(sorted(categories.items())))


def _categories(file: Path, categories: list[Any]) -> Iterator[tuple[int, str]]:
    met = set()
    for category in categories:
        facts: dict[str, Any] = category if isinstance(category, dict) else {}
        number: Any = facts.get("id")
        name = facts.get("name")
        if not is_whole(number) or not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise DatasetError(f"{file} has the category {shown(category)}; expected one with a whole id and a name")
        if number in met:
            raise DatasetError(f"{file} has two categories of id {number}")
        met.add(number)
        yield int(number), name


def _folders(file: Path, root: Path) -> list[Path]:
    """Where the pictures of a json may be: where the dataset's root is, beside the file, and as COCO itself lays them out."""
    part = re.sub(r"^[a-z_]*_(?=[a-z]+\d*$)", "", file.stem)  # instances_train2017 -> train2017
    above = [file.parent.parent / part, file.parent.parent / "images" / part, file.parent.parent / "images"]
    beside = [file.parent, file.parent / "images", root / "images"]
    return list(dict.fromkeys([root, *beside, *(above if file.parent.name == "annotations" else [])]))


def _is_number(value: object) -> bool:
    """Whether it is a number of pixels; json has no bounds, and gives NaN and numbers too large for floats."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


def _of_category(annotation: object) -> bool:
    return isinstance(annotation, dict) and is_whole(annotation.get("category_id"))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for one
        return False


def _called(annotation: object) -> str:
    number = annotation.get("id") if isinstance(annotation, dict) else annotation
    return f"annotation {shown(number)}"
