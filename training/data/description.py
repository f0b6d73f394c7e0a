"""A dataset's description: where its pictures and labels are, and what its classes are called.

The YAML files are those of the field:

    path: shapes            # relative to this file, or to the working directory; this file's folder where it is left out
    train: images/train     # a folder of pictures, a .txt list of pictures, a COCO .json; or a list of these
    val: images/val
    test:
    names: [circle, square] # or a map from numbers: {0: circle, 1: square}
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from framehook.inference.errors import DatasetError, MissingDependencyError, did_you_mean, did_you_mean_file, one_line
from framehook.inference.sources.addresses import redacted, scheme_of
from framehook.training.data.coco import read_coco
from framehook.training.data.report import shown

Kind: TypeAlias = Literal["yolo", "coco", "mixed"]
SPLITS: Final = ("train", "val", "test")
_YAML: Final = (".yaml", ".yml")
_MAX_YAML: Final = 1 << 19
"""Bytes; the names of thirty thousand classes fit."""
_MAX_DEPTH: Final = 20
_MAX_NAME: Final = 200
_USUAL: Final = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_HOW: Final = "pass the data.yaml of your own dataset (none is downloaded), or make a small one: framehook data example shapes"


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Where a dataset is, and what its classes are called; nothing of it has been looked at yet.

    Attributes:
        file: The YAML or COCO json it was read from.
        root: The folder its paths start from.
        names: Class number to class name, for 0, 1, 2 ...
        splits: Name (`train`, `val`, `test`) to where its pictures are: folders of pictures, `.txt` lists of them, or COCO
            `.json` files.
    """

    file: Path
    root: Path
    names: Mapping[int, str]
    splits: Mapping[str, tuple[Path, ...]]

    @property
    def kind(self) -> Kind:
        """How its labels are written: `yolo` for text files, `coco` for json, `mixed` for both."""
        found = {path.suffix.lower() == ".json" for paths in self.splits.values() for path in paths}
        return "mixed" if len(found) == 2 else "coco" if True in found else "yolo"


def read_data(spec: str | Path | DataSpec | None) -> DataSpec:
    """Read the description of a dataset.

    Args:
        spec: A YAML file, a folder with one, or a COCO json, which then is every split of the dataset.

    Raises:
        DatasetError: there is no such file, or it describes no dataset.
        MissingDependencyError: a YAML file without PyYAML.
    """
    if isinstance(spec, DataSpec):
        return spec
    if not isinstance(spec, str | Path) or not str(spec).strip() or "\0" in str(spec):
        raise DatasetError(f"data={spec!r} is no dataset; {_HOW}")
    if scheme_of(str(spec)):
        raise DatasetError(f"{redacted(str(spec))} is an address; fetch the dataset first, then {_HOW}")
    file = _found(Path(os.path.expanduser(spec)).absolute())
    if file.suffix.lower() == ".json":
        names = read_coco(file).names()
        return DataSpec(file, file.parent, names, dict.fromkeys(SPLITS, (file,)))
    description = _read_yaml(file)
    try:
        return _described(file, description)
    except OSError as error:
        raise DatasetError(f"{file} names {shown(error.filename)}, which cannot be read: {error.strerror or error}") from error


def _found(path: Path) -> Path:
    """The file of a description, which may have been named by its folder."""
    try:
        if path.is_dir():
            usual = [path / name for name in _USUAL if (path / name).is_file()]
            others = sorted(each for each in path.iterdir() if each.suffix.lower() in _YAML and each.is_file())
            if not usual and len(others) != 1:
                raise DatasetError(f"{path} is a folder {_told(others)}; pass the YAML file that describes the dataset")
            return (usual or others)[0]
        if path.suffix.lower() not in (*_YAML, ".json"):
            raise DatasetError(f"{path} describes no dataset; pass a .yaml file, or a COCO .json")
        if not path.is_file():
            beside = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
            near = did_you_mean_file(path.name, (name for name in beside if Path(name).suffix.lower() in (*_YAML, ".json")))
            raise DatasetError(f"{path} does not exist.{near} Instead {_HOW}")
    except OSError as error:  # a name that is too long for one, a folder that may not be looked into
        raise DatasetError(f"{shown(str(path))} cannot be read: {error.strerror or error}") from error
    return path


def _told(files: list[Path]) -> str:
    return f"with several YAML files ({', '.join(each.name for each in files[:5])})" if files else "without a data.yaml"


def _described(file: Path, description: dict[str, Any]) -> DataSpec:
    root = _root(file, description.get("path"))
    splits = {split: _places(file, root, split, description[split]) for split in SPLITS if description.get(split)}
    if not splits:
        near = next(filter(None, (did_you_mean(str(key), SPLITS) for key in description if key != "path")), "")
        raise DatasetError(f"{file} names no pictures: expected train, val or test.{near}")
    names = _names(file, description, splits)
    count = description.get("nc")
    if count is not None and str(count) != str(len(names)):
        raise DatasetError(f"{file} has nc: {shown(count)}, but names {len(names)} classes; correct nc, or leave it out")
    return DataSpec(file, root, names, splits)


def _root(file: Path, path: Any) -> Path:
    if path is None or path == "":
        return file.parent
    _check_path(file, "path", path)
    given: str = os.path.expanduser(path)
    tried = list(dict.fromkeys((file.parent / given, Path.cwd() / given)))
    for folder in tried:
        if folder.is_dir():
            return folder
    raise DatasetError(
        f"{file} has path: {shown(path)}, and there is no folder {' or '.join(map(str, tried))}; correct path, "
        "or leave it out if the pictures are beside the file"
    )


def _places(file: Path, root: Path, split: str, given: Any) -> tuple[Path, ...]:
    places = []
    for place in given if isinstance(given, list) else [given]:
        _check_path(file, split, place)
        path = root / os.path.expanduser(place)
        # A hosted annotation tool writes `../train/images` for what lies beside the file.
        inside = root / re.sub(r"^(\.\./)+", "", place)
        places.append(inside if not path.exists() and inside.exists() else path)
    return tuple(places)


def _check_path(file: Path, key: str, path: Any) -> None:
    if not isinstance(path, str) or not path or "\0" in path:
        raise DatasetError(f"{file} has {key}: {shown(path)}, which is no path")
    if scheme_of(path):
        raise DatasetError(f"{file} has {key}: {redacted(path)}, an address; fetch the pictures and name their folder")


def _names(file: Path, description: dict[str, Any], splits: Mapping[str, tuple[Path, ...]]) -> dict[int, str]:
    given = description.get("names")
    if not given:
        written = next((path for paths in splits.values() for path in paths if path.suffix.lower() == ".json"), None)
        if written is not None:
            return read_coco(written).names()
        near = next(filter(None, (did_you_mean(key, ["names"]) for key in description)), "")
        raise DatasetError(f"{file} has no names; add the classes in the order of their numbers, as names: [cat, dog].{near}")
    if isinstance(given, list):
        named = dict(enumerate(given))
    elif isinstance(given, dict):
        odd = next((number for number in given if not re.fullmatch(r"[+-]?\d{1,9}", number)), None)
        if odd is not None:
            raise DatasetError(f"{file} has names with the number {shown(odd)}; expected 0, 1, 2 ...")
        named = {int(number): name for number, name in given.items()}
    else:
        raise DatasetError(f"{file} has names: {shown(given)}; expected a list of classes, as names: [cat, dog]")
    if sorted(named) != list(range(len(given))):
        raise DatasetError(f"{file} numbers its {len(given)} names {shown(sorted(named))}; expected 0, 1, 2 ... without a gap")
    for number, name in named.items():
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > _MAX_NAME:
            raise DatasetError(f"{file} calls class {number} {shown(name)}; expected a name of 1 to {_MAX_NAME} characters")
    return {number: named[number] for number in sorted(named)}


def _read_yaml(file: Path) -> dict[str, Any]:
    """A YAML file as dictionaries, lists, texts and None: all scalars stay as they are written, so that `no` can be a name."""
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError(
            f"{file} cannot be read without PyYAML; install it with: pip install 'framehook[val]'"
        ) from error

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # that in C is ten times as fast, and not everywhere

    def plain(node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            pairs = [(plain(key), plain(value)) for key, value in node.value]
            if not all(isinstance(key, str) for key, _ in pairs):
                raise DatasetError(f"{file} has a list or a map where a name is expected")
            often = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
            if often:
                raise DatasetError(f"{file} has {shown(often[0])} twice; leave one of them out")
            return dict(pairs)
        if isinstance(node, yaml.SequenceNode):
            return [plain(each) for each in node.value]
        return None if node is None or node.tag == "tag:yaml.org,2002:null" else node.value

    try:
        if file.stat().st_size > _MAX_YAML:
            raise DatasetError(f"{file} is too large for the description of a dataset")
        text = file.read_text(encoding="utf-8-sig")
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            # A few lines of aliases of aliases stand for gigabytes, and tags for whatever a loader would make of them.
            if isinstance(event, yaml.AliasEvent):
                raise DatasetError(f"{file} has aliases (*name), which datasets do without; write them out")
            tag = getattr(event, "tag", None)
            if tag is not None:
                raise DatasetError(f"{file} has the tag {shown(tag)}; datasets are described without tags")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise DatasetError(f"{file} nests lists and maps deeper than descriptions of datasets do")
        description = plain(yaml.compose(text, Loader=loader))
    except OSError as error:
        raise DatasetError(f"{file} cannot be read: {error.strerror or error}") from error
    except DatasetError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise DatasetError(f"{file} is no YAML file: {one_line(error)[:300]}") from error
    if not isinstance(description, dict):
        raise DatasetError(f"{file} describes no dataset; expected train, val and names")
    return description
