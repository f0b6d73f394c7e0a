"""The dataset that is drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from framehook.inference.errors import DatasetError, OptionError, RecordingError
from framehook.training.data.description import read_data
from framehook.training.data.example import write_example
from framehook.training.data.scan import load_split

SHAPES = ("circle", "square", "triangle", "diamond", "cross", "star")


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_arguments_draw_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        write_example(tmp_path / name, train=3, val=2, size=(64, 48), seed=seed)
    one, two, three = (files(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one.keys() == three.keys()
    assert one["images/train/train0000.jpg"] != three["images/train/train0000.jpg"]
    assert len(set(one.values())) == len(one)


def test_it_is_read_without_a_single_problem(example: Path) -> None:
    spec = read_data(example)
    assert dict(spec.names) == {0: "circle", 1: "square", 2: "triangle"}
    for name, count in (("train", 24), ("val", 8)):
        split = load_split(spec, name, cache=False)
        assert (len(split.samples), split.report.problems, split.report.background) == (count, (), 0)
        assert {sample.size for sample in split.samples} == {(96, 72)}
        assert all(split.report.per_class.values())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_box_is_where_its_shape_is(tmp_path: Path, shape: str) -> None:
    spec = read_data(write_example(tmp_path / "shapes", train=8, val=1, size=(160, 120), classes=(shape,)))
    alone = [sample for sample in load_split(spec, "train", cache=False).samples if len(sample) == 1]
    assert alone
    for sample in alone:
        hsv = cv2.cvtColor(cv2.imread(str(sample.path)), cv2.COLOR_BGR2HSV)
        # The background is grey: what is of a strong colour is the shape.
        strong = cv2.morphologyEx((hsv[..., 1] > 110).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        count, _, facts, _ = cv2.connectedComponentsWithStats(strong)
        x, y, width, height, _ = facts[1 + int(facts[1:count, cv2.CC_STAT_AREA].argmax())]
        assert sample.xyxy[0] == pytest.approx((x, y, x + width, y + height), abs=3)


def test_only_a_new_or_empty_folder_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert write_example(tmp_path / "empty", train=1, val=1, size=(64, 48)).is_file()
    before = files(tmp_path)
    with pytest.raises(DatasetError, match="empty holds something already; name a new folder"):
        write_example(tmp_path / "empty", train=1, val=1)
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="file is a file"):
        write_example(tmp_path / "file")
    with pytest.raises(RecordingError, match=r"below cannot be written: .*file"):
        write_example(tmp_path / "file" / "below")
    assert files(tmp_path) == {**before, "file": b""}


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(RecordingError, match=r"shapes cannot be written: File too large.*; free some space"):
            write_example(tmp_path / "shapes", train=2, val=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": 0}, "train=0 is out of range"),
        ({"val": 1.5}, "val=1.5 is out of range"),
        ({"seed": -1}, "seed=-1 is out of range"),
        ({"size": (320,)}, "is no size"),
        ({"size": (320, 8)}, "32 pixels or more"),
        ({"classes": ()}, "no list of different shapes"),
        ({"classes": ("circle", "circle")}, "no list of different shapes"),
        ({"classes": ("circel",)}, "no shape that can be drawn. Did you mean 'circle'?"),
    ],
)
def test_wrong_arguments_are_told_and_leave_nothing(tmp_path: Path, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as told:
        write_example(tmp_path / "shapes", **wrong)  # type: ignore[arg-type]
    assert message in str(told.value)
    assert not list(tmp_path.iterdir())
