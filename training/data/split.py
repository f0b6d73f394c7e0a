"""Part a collection of labelled pictures into those to train on, to validate on and to test on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from framehook.inference.errors import DatasetError, OptionError, one_line
from framehook.inference.ranges import is_number, is_whole
from framehook.training.data.description import SPLITS, DataSpec, read_data
from framehook.training.data.new_folder import new_folder
from framehook.training.data.report import DataReport, shown
from framehook.training.data.sample import Sample
from framehook.training.data.scan import load_split
from framehook.training.data.yaml_file import write_yaml

CLASSES_FILE: Final = "classes.txt"
"""Where tools for labelling write the names of the classes, one a line."""
_DESCRIPTIONS: Final = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Parting:
    """How a collection was parted.

    Attributes:
        file: The `data.yaml` that describes it.
        names: Class number to class name.
        pictures: Name of each split to its pictures.
        objects: Name of each split to the objects of each class number.
        reports: What was wrong with the collection; what they say was left out is in no split.
    """

    file: Path
    names: Mapping[int, str]
    pictures: Mapping[str, int]
    objects: Mapping[str, Mapping[int, int]]
    reports: tuple[DataReport, ...]


def split_data(
    data: str | Path | DataSpec,
    out: str | Path,
    *,
    fractions: Sequence[float] = (0.8, 0.2),
    seed: int = 0,
    names: Sequence[str] | None = None,
    exist_ok: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Parting:
    """Part labelled pictures at random, each class in the same shares as far as possible; nothing is copied or moved.

    It writes `train.txt`, `val.txt` and `test.txt` with the paths of the pictures, and a `data.yaml`. The parting is the
    iterative stratification of Sechidis, Tsoumakas and Vlahavas (2011): the rarest class is dealt out first, each picture to
    the split that lacks most of it. Pictures that look alike are not kept together: part frames of one video by its time.

    Args:
        data: A folder of pictures with YOLO's labels beside them or in `labels` for `images`, or a dataset that `read_data`
            takes, all of whose splits are dealt out anew.
        out: Folder of the lists; new or empty.
        fractions: Shares of train, val and, if there are three, test; they add up to 1.
        seed: Other numbers part otherwise.
        names: Names of the classes, where a folder has neither a `data.yaml` nor a `classes.txt` in it or beside it.
        exist_ok: The folder may hold files; those of the same names are replaced.
        progress: Called with the pictures read and all of them.

    Raises:
        DatasetError: the pictures cannot be read or are too few, their classes have no names, their labels are COCO's, or the
            folder holds something.
        RecordingError: the folder cannot be written.
        OptionError: an argument out of range.
    """
    shares = _checked(fractions, seed)
    spec = _described(data, names)
    if spec.kind != "yolo":
        raise DatasetError(
            f"{spec.file} has labels in a json, which lists of pictures cannot part; write it as text files first: "
            "framehook data convert DATA --to yolo --output FOLDER"
        )
    splits = [load_split(spec, name, cache=False, progress=progress) for name in dict.fromkeys(first_of_same(spec).values())]
    # By its file, as the same picture may be in several splits.
    samples = list({os.path.normpath(sample.path): sample for split in splits for sample in split.samples}.values())
    counts = np.zeros((len(samples), len(spec.names)), np.int64)
    for row, sample in enumerate(samples):
        np.add.at(counts[row], sample.cls, 1)
    wanted = dict(zip(SPLITS, shares, strict=False))
    if len(samples) < len(wanted):
        raise DatasetError(
            f"{spec.file} has too few pictures that can be used, {len(samples)}; {' and '.join(wanted)} need one each"
        )
    part = _deal(counts, _sizes(len(samples), list(shares)), np.random.default_rng(seed))
    root = Path(out).expanduser().resolve()
    lines = [f"{_line(sample, root)}\n" for sample in samples]
    with new_folder(out, exist_ok=exist_ok) as made:
        for number, name in enumerate(wanted):
            listed = "".join(lines[row] for row in np.flatnonzero(part == number))
            (made / f"{name}.txt").write_text(listed, encoding="utf-8")
        about = f"Parted by 'framehook data split': seed {seed}, {', '.join(f'{share:g}' for share in shares)}."
        write_yaml(made / "data.yaml", {name: f"{name}.txt" for name in wanted}, spec.names, about=about)
    return Parting(
        file=Path(out).expanduser() / "data.yaml",
        names=spec.names,
        pictures={name: int((part == number).sum()) for number, name in enumerate(wanted)},
        objects={name: dict(enumerate(counts[part == number].sum(0).tolist())) for number, name in enumerate(wanted)},
        reports=tuple(split.report for split in splits),
    )


def first_of_same(spec: DataSpec) -> dict[str, str]:
    """Name of each split to that of the first with the very same pictures: itself, but where a COCO json is all of them."""
    first: dict[tuple[Path, ...], str] = {}
    return {name: first.setdefault(places, name) for name, places in spec.splits.items()}


def _checked(fractions: Sequence[float], seed: int) -> tuple[float, ...]:
    if not is_whole(seed, 0):
        raise OptionError(f"seed={seed!r} is out of range; pass a whole number from 0")
    shares = tuple(fractions)
    if len(shares) not in (2, 3) or not all(is_number(share, 1e-9, 1) for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise OptionError(
            f"fractions={fractions!r} are no shares of train, val and test; pass two or three numbers that add up to 1"
        )
    return shares


def _described(data: str | Path | DataSpec, names: Sequence[str] | None) -> DataSpec:
    """The dataset, or a folder of pictures as one."""
    if isinstance(data, DataSpec) or Path(data).suffix.lower() in _DESCRIPTIONS:
        return read_data(data)
    folder = Path(data).expanduser()
    if not folder.is_dir():
        raise DatasetError(f"{data} is no folder; pass one of pictures, or the data.yaml of a dataset")
    if names is None and any(each.suffix.lower() in (".yaml", ".yml") for each in folder.iterdir()):
        return read_data(folder)
    called = list(names) if names is not None else _names_beside(folder)
    pictures = folder / "images" if (folder / "images").is_dir() else folder
    return DataSpec(folder, folder, dict(enumerate(called)), {"train": (pictures,)})


def _names_beside(folder: Path) -> list[str]:
    for place in (folder, folder / "labels", folder.parent, folder.parent / "labels"):
        file = place / CLASSES_FILE
        if not file.is_file():
            continue
        try:
            names = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{file} cannot be read: {one_line(error)}") from error
        while names and not names[-1]:
            names.pop()
        if not names or not all(names):
            raise DatasetError(f"{file} has no name on line {names.index('') + 1 if names else 1}; write the names one a line")
        return names
    raise DatasetError(
        f"{folder} does not say what its classes are called; pass names, or write them one a line into {folder / CLASSES_FILE}"
    )


def _line(sample: Sample, root: Path) -> str:
    """A picture's path from the folder of the list on, as the field marks it; on another drive its whole path.

    Raises:
        DatasetError: it is not of one line.
    """
    whole = sample.path.absolute()
    try:
        line = f"./{Path(os.path.relpath(whole, root)).as_posix()}"
    except ValueError:
        line = whole.as_posix()
    if "\n" in line or "\r" in line:
        raise DatasetError(f"{shown(line)} has a line break in its path, which no list of pictures can hold; rename it")
    return line


def _sizes(count: int, shares: Sequence[float]) -> npt.NDArray[np.int64]:
    """Pictures of each split: their share, rounded so that they add up, and one at least."""
    exact = np.array(shares) * count
    sizes: npt.NDArray[np.int64] = np.maximum(np.floor(exact).astype(np.int64), 1)
    while sizes.sum() != count:
        step = 1 if sizes.sum() < count else -1
        lacking = np.where(sizes + step >= 1, (exact - sizes) * step, -np.inf)
        sizes[int(lacking.argmax())] += step
    return sizes


def _deal(counts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Which split each picture goes to.

    Args:
        counts: Pictures x classes: the objects in each.
        sizes: Pictures each split takes.
        rng: Decides where nothing else does.
    """
    part = np.full(len(counts), -1)
    room = sizes.copy()
    # Objects of each class (columns) that each split (rows) still lacks.
    lack = sizes[:, None] / sizes.sum() * counts.sum(0)
    order = rng.permutation(len(counts))
    open_ = np.ones(len(counts), bool)

    def put(row: int, cls: int | None) -> None:
        need = np.where(room > 0, room if cls is None else lack[:, cls], -np.inf)
        best = np.flatnonzero(need == need.max())
        best = best[room[best] == room[best].max()]
        split = int(rng.choice(best))
        part[row], open_[row] = split, False
        room[split] -= 1
        lack[split] -= counts[row]

    while True:
        left = (counts[open_] > 0).sum(0)
        if not left.any():
            break
        cls = int(np.where(left > 0, left, len(counts) + 1).argmin())
        for row in order[open_[order] & (counts[order, cls] > 0)]:
            put(int(row), cls)
    for row in order[open_[order]]:
        put(int(row), None)
    return part
