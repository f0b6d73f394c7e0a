"""What a dataset looks like, in one picture."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from framehook.inference.errors import DatasetError, OptionError, RecordingError
from framehook.training.data.description import read_data
from framehook.training.data.preview import labelled, preview
from framehook.training.data.sample import Split
from framehook.training.data.scan import load_split


@pytest.fixture
def split(example: Path) -> Split:
    return load_split(read_data(example), "val", cache=False)


def test_it_shows_as_many_as_are_asked_for_and_no_more_than_there_are(tmp_path: Path, split: Split) -> None:
    one = cv2.imread(str(preview(split, tmp_path / "one.jpg", count=1, side=96)))
    all_ = cv2.imread(str(preview(split, tmp_path / "all.jpg", count=100, side=96)))
    assert one.shape[1] == 96 + 8
    assert all_.shape[1] == 3 * 96 + 4 * 4  # 8 pictures, in rows of 3


def test_the_same_seed_shows_the_same_pictures_and_another_one_others(tmp_path: Path, split: Split) -> None:
    shown = [
        preview(split, tmp_path / f"{name}.jpg", count=3, seed=seed, side=96).read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert shown[0] == shown[1] != shown[2]


def test_the_labels_are_drawn_where_they_are(split: Split) -> None:
    sample = split.samples[0]
    picture = labelled(sample)
    assert picture.image.shape == (72, 96, 3)
    assert picture.title == sample.path.name
    assert np.array_equal(picture.xyxy, sample.xyxy)
    assert picture.conf is None


def test_a_picture_that_is_there_is_kept(tmp_path: Path, split: Split) -> None:
    first = preview(split, tmp_path / "shown.jpg", count=1)
    before = first.read_bytes()
    second = preview(split, tmp_path / "shown.jpg", count=2)
    assert second != first
    assert second.parent == tmp_path
    assert first.read_bytes() == before


def test_what_cannot_be_shown_is_told(tmp_path: Path, example: Path) -> None:
    shutil.copytree(example.parent, tmp_path / "in")
    split = load_split(read_data(tmp_path / "in"), "val", cache=False)
    with pytest.raises(OptionError, match="count=0"):
        preview(split, tmp_path / "out.jpg", count=0)
    with pytest.raises(OptionError, match="seed=-1"):
        preview(split, tmp_path / "out.jpg", seed=-1)
    with pytest.raises(OptionError, match=r"out\.gif is no JPEG file"):
        preview(split, tmp_path / "out.gif")
    with pytest.raises(RecordingError):
        preview(split, example / "out.jpg", count=1)
    split.samples[0].path.write_text("no picture")
    with pytest.raises(DatasetError, match="is no picture any more"):
        preview(split, tmp_path / "out.jpg")
    split.samples[0].path.unlink()
    with pytest.raises(DatasetError, match="does not exist; it did when the dataset was read"):
        preview(split, tmp_path / "out.jpg")
    assert not (tmp_path / "out.jpg").exists()
