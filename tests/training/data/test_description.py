from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from framehook.inference.errors import DatasetError, MissingDependencyError
from framehook.training.data.description import read_data


def described(folder: Path, text: str, name: str = "data.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_description_as_the_field_writes_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "shapes").mkdir()
    text = (
        "# a comment\npath: shapes\ntrain: images/train\nval:\n  - images/val\n  - more.txt\ntest:\nnc: 2\nnames: [cat, dog]\n"
    )
    spec = read_data(described(tmp_path, text))
    root = tmp_path / "shapes"
    assert spec.root == root
    assert spec.file == tmp_path / "data.yaml"
    assert spec.names == {0: "cat", 1: "dog"}
    assert spec.splits == {"train": (root / "images/train",), "val": (root / "images/val", root / "more.txt")}
    assert spec.kind == "yolo"
    assert read_data(spec) is spec


def test_names_may_be_a_map_and_look_like_anything_in_yaml(tmp_path: Path) -> None:
    spec = read_data(described(tmp_path, "train: a\nnames:\n  1: no\n  0: 007\n  2: 1e3\n"))
    assert spec.names == {0: "007", 1: "no", 2: "1e3"}
    assert list(spec.names) == [0, 1, 2]


def test_a_path_is_relative_to_the_file_then_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here/set").mkdir(parents=True)
    (tmp_path / "there").mkdir()
    file = described(tmp_path / "there", "path: set\ntrain: images\nnames: [a]")
    monkeypatch.chdir(tmp_path / "here")
    assert read_data(file).root == tmp_path / "here/set"
    (tmp_path / "there/set").mkdir()
    assert read_data(file).root == tmp_path / "there/set"
    assert read_data(Path("../there/data.yaml")).splits["train"][0].is_absolute()


def test_without_a_path_all_is_relative_to_the_file(tmp_path: Path) -> None:
    assert read_data(described(tmp_path, "train: images\nnames: [a]")).splits["train"] == (tmp_path / "images",)


def test_a_folder_with_a_description_is_as_good_as_its_file(tmp_path: Path) -> None:
    described(tmp_path, "train: images\nnames: [a]", "my.yaml")
    assert read_data(tmp_path).file == tmp_path / "my.yaml"
    described(tmp_path, "train: images\nnames: [b]")
    assert read_data(tmp_path).names == {0: "b"}


def test_paths_that_lead_above_the_file_are_found_beside_it_as_hosted_tools_mean_them(tmp_path: Path) -> None:
    (tmp_path / "set/train/images").mkdir(parents=True)
    spec = read_data(described(tmp_path / "set", "train: ../train/images\nval: ../valid/images\nnames: [a]"))
    assert spec.splits["train"] == (tmp_path / "set/train/images",)
    assert spec.splits["val"] == (tmp_path / "set/../valid/images",)


def test_a_coco_json_stands_for_every_split(tmp_path: Path) -> None:
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    file = tmp_path / "instances.json"
    file.write_text(json.dumps({"images": [], "annotations": [], "categories": categories}))
    spec = read_data(file)
    assert spec.kind == "coco"
    assert spec.names == {0: "cat", 1: "dog"}
    assert spec.splits == {"train": (file,), "val": (file,), "test": (file,)}
    mixed = read_data(described(tmp_path, "train: instances.json\nval: images\n"))
    assert (mixed.kind, mixed.names) == ("mixed", spec.names)


def test_a_dataset_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"coco8\.yaml does not exist.* framehook data example") as error:
        read_data(tmp_path / "coco8.yaml")
    assert "\n" not in str(error.value)
    described(tmp_path, "train: a\nnames: [a]", "cocos.yaml")
    with pytest.raises(DatasetError, match=r"Did you mean 'cocos\.yaml'"):
        read_data(tmp_path / "coco8.yaml")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (None, "data=None is no dataset"),
        ("", "data='' is no dataset"),
        ("a\0.yaml", "is no dataset"),
        ("x" * 5000 + ".yaml", "cannot be read"),
        ("data.zip", "pass a .yaml file"),
        ("https://me:secret@host/data.yaml", "is an address"),
    ],
)
def test_what_is_no_file_is_refused_in_one_line(spec: str | None, told: str) -> None:
    with pytest.raises(DatasetError, match=told) as error:
        read_data(spec)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("train: images", "has no names; add the classes"),
        ("train: images\nname: [a]", "Did you mean 'names'"),
        ("train: images\nnames: []", "has no names"),
        ("train: images\nnames: cat", "expected a list of classes"),
        ("train: images\nnames: {0: a, 2: b}", "without a gap"),
        ("train: images\nnames: {0: a, b: c}", "the number 'b'"),
        ("train: images\nnames: {_: a, 1: c}", "the number '_'"),
        ("train: images\nnames: {0: a, 1__0: c}", "the number '1__0'"),
        ("train: images\nnames: {0: a, " + "1" * 500 + ": c}", "the number '111"),
        ("train: images\nnames: {0: a, 00: c}", "without a gap"),
        ("train: images\nnames: {0: a, 0: c}", "'0' twice"),
        ("train: images\nnames: [a, [b]]", "calls class 1"),
        ("train: images\nnames: [a, ]\nnc: 3", "nc: '3', but names 1 classes"),
        ("train: images\nnames: [a, '']", "calls class 1 ''"),
        ('train: images\nnames: ["a\\nb"]', "calls class 0"),
        ("names: [a]", "expected train, val or test"),
        ("trian: images\nnames: [a]", "Did you mean 'train'"),
        ("train: {a: b}\nnames: [a]", "is no path"),
        ("train: [[a]]\nnames: [a]", "is no path"),
        ("train: https://me:secret@host/images\nnames: [a]", "an address"),
        ("path: nowhere\ntrain: images\nnames: [a]", "there is no folder"),
        ("train: " + "x" * 300 + "\nnames: [a]", "cannot be read"),
        ("? [a]\n: b", "a list or a map where a name is expected"),
        ("- a\n- b", "describes no dataset"),
        ("", "describes no dataset"),
        ("train: [", "is no YAML file"),
        ("train: \x01", "is no YAML file"),
        ("a: &x [1]\ntrain: *x\nnames: [a]", "has aliases"),
        ("train: !!python/object/apply:os.system [ls]\nnames: [a]", "has the tag"),
        ("train: " + "[" * 5000, "nests lists"),
        ("# " + "x" * (1 << 20), "too large"),
    ],
)
def test_a_description_that_is_wrong_is_refused_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DatasetError, match=told) as error:
        read_data(described(tmp_path, text))
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_a_folder_without_a_description_or_with_several_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"without a data\.yaml"):
        read_data(tmp_path)
    for name in ("a.yaml", "b.yml"):
        described(tmp_path, "", name)
    with pytest.raises(DatasetError, match=r"several YAML files \(a\.yaml, b\.yml\)"):
        read_data(tmp_path)


def test_a_description_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "data.yaml"
    file.write_bytes(b"\xff\xfe\x00names")
    with pytest.raises(DatasetError, match="is no YAML file"):
        read_data(file)


def test_without_pyyaml_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'framehook\[val\]'"):
        read_data(described(tmp_path, "train: images\nnames: [a]"))
