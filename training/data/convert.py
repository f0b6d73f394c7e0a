"""From YOLO's text files to COCO's json and back; boxes stay what they are to the last digit that a float64 holds."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from framehook.inference.errors import OptionError, did_you_mean
from framehook.training.data.description import DataSpec, read_data
from framehook.training.data.new_folder import new_folder
from framehook.training.data.report import DataReport
from framehook.training.data.sample import Sample, Split
from framehook.training.data.scan import load_split
from framehook.training.data.split import first_of_same
from framehook.training.data.yaml_file import write_yaml

Form: TypeAlias = Literal["yolo", "coco"]
FORMS: Final = ("yolo", "coco")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What came of a conversion.

    Attributes:
        file: The `data.yaml` of the new dataset.
        pictures: How many were taken over.
        objects: Boxes that were taken over, crowds included.
        crowds: Boxes of crowds that had to be left out, as YOLO's rows cannot say that they are such.
        areas: Objects of which the area of the outline was known, and now is that of the box, for the same reason.
        reports: What was wrong with each split that was read; what they say was left out is not in the new dataset either.
    """

    file: Path
    pictures: int
    objects: int
    crowds: int
    areas: int
    reports: tuple[DataReport, ...]


def convert(
    data: str | Path | DataSpec,
    out: str | Path,
    *,
    to: Form,
    exist_ok: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Write a dataset in another form, in a folder of its own, with a `data.yaml` and all of its pictures.

    For `yolo` that is `images/train/NAME.jpg` and `labels/train/NAME.txt` and so on, for `coco` `images/train/NAME.jpg` and
    `train.json`. The pictures are hard links of the old ones where the file system allows it, which take no space, else copies.
    Where names of pictures collide, all but the first get a number.

    Args:
        data: What `read_data` takes: a YAML file, a COCO json, a folder.
        out: The new dataset's folder; new or empty.
        to: `yolo` or `coco`; of the form it has it makes a clean copy.
        exist_ok: The folder may hold files: those of the same names are replaced, the others stay.
        progress: Called with the pictures read and all of a split.

    Raises:
        DatasetError: the dataset cannot be read, or the folder holds something.
        RecordingError: the folder cannot be written.
        OptionError: no such form.
    """
    if to not in FORMS:
        raise OptionError(f"to={to!r} is unknown.{did_you_mean(str(to), FORMS)} Pass one of {', '.join(FORMS)}")
    spec = read_data(data)
    parts = first_of_same(spec)
    with new_folder(out, exist_ok=exist_ok) as made:
        splits = [load_split(spec, name, cache=False, progress=progress) for name in dict.fromkeys(parts.values())]
        for split in splits:
            pictures = _take_pictures(split.samples, made / "images" / split.name)
            if to == "yolo":
                _write_rows(made / "labels" / split.name, pictures)
            else:
                _write_json(made / f"{split.name}.json", split, pictures)
        place = "images/{}" if to == "yolo" else "{}.json"
        places = {name: place.format(first) for name, first in parts.items()}
        write_yaml(made / "data.yaml", places, spec.names, about=f"Made of {spec.file.name} by 'framehook data convert'.")
    samples = [sample for split in splits for sample in split.samples]
    lossy = to == "yolo"
    crowds = sum(int(sample.crowd.sum()) for sample in samples) if lossy else 0
    return Conversion(
        file=Path(out).expanduser() / "data.yaml",
        pictures=len(samples),
        objects=sum(map(len, samples)) - crowds,
        crowds=crowds,
        areas=sum(_outlines(sample) for sample in samples) if lossy else 0,
        reports=tuple(split.report for split in splits),
    )


def _take_pictures(samples: Sequence[Sample], folder: Path) -> dict[str, Sample]:
    """Link or copy the pictures into a folder; returns their names there, in which no two differ in their endings alone."""
    folder.mkdir(parents=True)
    taken: set[str] = set()
    pictures = {}
    for sample in samples:
        stem, number = sample.path.stem, 1
        # Letters count once: other file systems hold `A.jpg` and `a.jpg` to be the same.
        while stem.lower() in taken:
            number += 1
            stem = f"{sample.path.stem}-{number}"
        taken.add(stem.lower())
        name = stem + sample.path.suffix
        _link(sample.path.resolve(), folder / name)
        pictures[name] = sample
    return pictures


def _link(source: Path, target: Path) -> None:
    with suppress(OSError):  # another disk, a file system without links, too many of them
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _write_rows(folder: Path, pictures: Mapping[str, Sample]) -> None:
    folder.mkdir(parents=True)
    for name, sample in pictures.items():
        size = np.array(sample.size, np.float64)
        low, high = sample.xyxy[:, :2], sample.xyxy[:, 2:]
        values = np.concatenate(((low + high) / 2 / size, (high - low) / size), axis=1)
        rows = zip(sample.cls[~sample.crowd].tolist(), values[~sample.crowd].tolist(), strict=True)
        # A float's shortest text that reads as the same float.
        text = "".join(f"{cls} {' '.join(map(repr, row))}\n" for cls, row in rows)
        (folder / f"{Path(name).stem}.txt").write_text(text, encoding="utf-8")


def _write_json(file: Path, split: Split, pictures: Mapping[str, Sample]) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, sample) in enumerate(pictures.items(), 1):
        width, height = sample.size
        images.append({"id": number, "file_name": f"{split.name}/{name}", "width": width, "height": height})
        for cls, (x1, y1, x2, y2), crowd, area in zip(
            sample.cls.tolist(), sample.xyxy.tolist(), sample.crowd.tolist(), sample.area.tolist(), strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": cls + 1,  # 0 is background to many who read these files
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": area,
                    "iscrowd": int(crowd),
                }
            )
    categories = [{"id": number + 1, "name": name} for number, name in split.names.items()]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    file.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")


def _outlines(sample: Sample) -> int:
    """How many objects have another area than their boxes."""
    sides = sample.xyxy[:, 2:] - sample.xyxy[:, :2]
    return int((~np.isclose(sample.area, sides.prod(axis=1), rtol=1e-6) & ~sample.crowd).sum())
