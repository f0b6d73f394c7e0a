"""Labelled pictures, parted."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from framehook.inference.errors import DatasetError, OptionError
from framehook.inference.saving import write_picture
from framehook.training.data.convert import convert
from framehook.training.data.description import read_data
from framehook.training.data.scan import load_split
from framehook.training.data.split import split_data


def collection(folder: Path, labels: Sequence[Sequence[int]], *, beside: bool = False) -> Path:
    """A folder of pictures, each with objects of these classes."""
    for number, classes in enumerate(labels):
        write_picture(folder / ("" if beside else "images") / f"{number:03d}.jpg", np.full((32, 32, 3), number % 256, np.uint8))
        rows = "".join(f"{cls} 0.5 0.5 0.{1 + row} 0.5\n" for row, cls in enumerate(classes))
        file = folder / ("" if beside else "labels") / f"{number:03d}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(rows)
    return folder


def members(file: Path) -> dict[str, list[str]]:
    """Names of the pictures of each split."""
    spec = read_data(file)
    return {name: [each.path.name for each in load_split(spec, name, cache=False).samples] for name in spec.splits}


def test_every_picture_is_in_one_split_and_the_shares_are_kept_to_the_picture(tmp_path: Path) -> None:
    data = collection(tmp_path / "in", [[0]] * 41)
    done = split_data(data, tmp_path / "out", fractions=(0.7, 0.2, 0.1), names=["cat"])
    assert dict(done.pictures) == {"train": 29, "val": 8, "test": 4}
    parted = members(done.file)
    assert {name: len(each) for name, each in parted.items()} == done.pictures
    assert sorted(chain.from_iterable(parted.values())) == [f"{number:03d}.jpg" for number in range(41)]
    assert dict(read_data(done.file).names) == {0: "cat"}


def test_each_class_is_parted_like_the_whole_however_rare_it_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    # The most frequent class is everywhere, the rarest in five pictures, and often two of them are together.
    labels = [
        [0] * int(rng.integers(1, 4)) + [1] * (row % 4 == 0) + [2] * (row % 8 == 1) + [3] * (row < 5) for row in range(80)
    ]
    data = collection(tmp_path / "in", labels)
    for seed in range(5):
        done = split_data(data, tmp_path / f"out{seed}", fractions=(0.6, 0.2, 0.2), seed=seed, names=["a", "b", "c", "d"])
        for cls in range(4):
            counts = np.array([done.objects[name][cls] for name in ("train", "val", "test")])
            wanted = np.array([0.6, 0.2, 0.2]) * counts.sum()
            assert np.abs(counts - wanted).max() <= max(1.5, 0.05 * counts.sum())
            assert counts.min() > 0


def test_the_same_seed_parts_alike_and_another_one_otherwise(tmp_path: Path) -> None:
    data = collection(tmp_path / "in", [[0]] * 20)
    parted = [
        members(split_data(data, tmp_path / name, seed=seed, names=["cat"]).file)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert parted[0] == parted[1] != parted[2]


def test_nothing_is_copied_and_all_of_it_can_be_moved_together(tmp_path: Path) -> None:
    collection(tmp_path / "set" / "in", [[0]] * 5)
    split_data(tmp_path / "set" / "in", tmp_path / "set" / "out", names=["cat"])
    assert sorted(path.name for path in (tmp_path / "set" / "out").iterdir()) == ["data.yaml", "train.txt", "val.txt"]
    (tmp_path / "set").rename(tmp_path / "moved")
    parted = members(tmp_path / "moved" / "out" / "data.yaml")
    assert len(parted["train"]) == 4
    assert len(parted["val"]) == 1


def test_lists_may_lie_among_the_pictures(tmp_path: Path) -> None:
    data = collection(tmp_path / "in", [[0], [1], [0], [1]])
    split_data(data, data, names=["cat", "dog"], fractions=(0.5, 0.5), exist_ok=True)
    assert (data / "train.txt").read_text().startswith("./images/")
    assert sum(len(each) for each in members(data / "data.yaml").values()) == 4


@pytest.mark.parametrize("place", ["", "labels", ".."])
def test_names_come_from_the_file_that_tools_for_labelling_write(tmp_path: Path, place: str) -> None:
    data = collection(tmp_path / "in", [[0], [1]])
    (data / place / "classes.txt").write_text("cat\nhot dog\n\n", encoding="utf-8")
    done = split_data(data, tmp_path / "out", fractions=(0.5, 0.5))
    assert dict(done.names) == {0: "cat", 1: "hot dog"}


def test_labels_beside_the_pictures_are_found(tmp_path: Path) -> None:
    data = collection(tmp_path / "in", [[0], [1]], beside=True)
    done = split_data(data, tmp_path / "out", fractions=(0.5, 0.5), names=["cat", "dog"])
    assert sum(sum(each.values()) for each in done.objects.values()) == 2


def test_the_splits_of_a_dataset_are_dealt_out_anew(tmp_path: Path, example: Path) -> None:
    done = split_data(example, tmp_path / "out", fractions=(0.5, 0.5))
    assert dict(done.pictures) == {"train": 16, "val": 16}
    again = split_data(done.file, tmp_path / "again", fractions=(0.75, 0.25), seed=5)
    assert dict(again.pictures) == {"train": 24, "val": 8}
    assert len(set(chain.from_iterable(members(again.file).values()))) == 32


def test_what_is_broken_is_in_no_split(tmp_path: Path) -> None:
    data = collection(tmp_path / "in", [[0], [0], [0]])
    (data / "images" / "001.jpg").write_text("no picture")
    done = split_data(data, tmp_path / "out", names=["cat"])
    assert sum(done.pictures.values()) == 2
    assert len(done.reports[0].problems) == 1


def test_what_cannot_be_parted_is_told_and_leaves_nothing(tmp_path: Path, example: Path) -> None:
    data = collection(tmp_path / "in", [[0]])
    json = convert(example, tmp_path / "json", to="coco").file
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DatasetError, match=r"does not say what its classes are called.*classes\.txt"):
        split_data(data, tmp_path / "out")
    with pytest.raises(DatasetError, match="too few pictures that can be used, 1; train and val need one each"):
        split_data(data, tmp_path / "out", names=["cat"])
    with pytest.raises(DatasetError, match="framehook data convert"):
        split_data(json, tmp_path / "out")
    with pytest.raises(DatasetError, match="nowhere is no folder"):
        split_data(tmp_path / "nowhere", tmp_path / "out")
    (data / "classes.txt").write_text("cat\n\ndog\n")
    with pytest.raises(DatasetError, match=r"classes\.txt has no name on line 2"):
        split_data(data, tmp_path / "out")
    shutil.rmtree(data / "images")
    (data / "images").mkdir()
    with pytest.raises(DatasetError, match="empty"):
        split_data(data, tmp_path / "out", names=["cat"])
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("fractions", [(), (1.0,), (0.5, 0.4), (0.5, 0.5, 0.0), (1.5, -0.5), (0.25,) * 4, "ab"])
def test_shares_that_are_none_are_told(tmp_path: Path, fractions: Sequence[float]) -> None:
    with pytest.raises(OptionError, match="add up to 1"):
        split_data(collection(tmp_path / "in", [[0]] * 4), tmp_path / "out", fractions=fractions, names=["cat"])


@pytest.mark.parametrize("name", ["a\nb.png", "a\rb.png"])
def test_a_picture_whose_name_no_list_can_hold_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    data = collection(tmp_path / "in", [[0], [0]])
    (data / "images" / "000.jpg").rename(data / "images" / name)
    with pytest.raises(DatasetError, match=r"a\\[nr]b\.png' has a line break in its path.*; rename it") as caught:
        split_data(data, tmp_path / "out", names=["cat"])
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()
