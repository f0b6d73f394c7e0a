from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from framehook.training.data import Sample, Split, load_split, read_data
from framehook.training.data.cache import _MAGIC

CACHE = ".data.train.framehook-cache"


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """A dataset of two good pictures, a background and a broken one."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for shade, name in enumerate("abc"):
        pixels = np.full((24, 32, 3), shade, np.uint8)
        (tmp_path / f"images/{name}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    (tmp_path / "images/broken.png").write_text("no picture")
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 0.25 0.5\n1 0.1 0.1 0.1 0.1\n1 0.2 0.2 0.5 0.5\n9 0 0 0 0\n")
    (tmp_path / "labels/c.txt").write_text("0 .1 .1 .2 .1 .2 .3\n")
    file = tmp_path / "data.yaml"
    file.write_text("train: images\nnames: [cat, dog]\n")
    return file


def loaded(described: Path) -> tuple[Split, bool]:
    """The split, and whether it came from the cache: then all pictures are there at once."""
    steps: list[int] = []
    split = load_split(read_data(described), "train", progress=lambda done, _: steps.append(done))
    return split, steps == [4]


def same(one: Sample, other: Sample) -> bool:
    arrays = all(
        np.array_equal(getattr(one, name), getattr(other, name)) and getattr(one, name).dtype == getattr(other, name).dtype
        for name in ("cls", "xyxy", "crowd", "area")
    )
    return arrays and (one.path, one.size) == (other.path, other.size)


def test_a_dataset_that_has_not_changed_is_not_read_again(described: Path) -> None:
    first, was_kept = loaded(described)
    assert not was_kept
    assert (described.parent / CACHE).is_file()
    again, was_kept = loaded(described)
    assert was_kept
    assert again.report == first.report
    assert len(again.samples) == len(first.samples) == 3
    assert all(map(same, first.samples, again.samples))
    assert [each.name for each in described.parent.iterdir() if each.name.startswith(".")] == [CACHE]


@pytest.mark.parametrize("change", ["touch picture", "edit label", "new label", "new picture", "remove picture", "names"])
def test_a_change_to_any_file_has_the_dataset_read_again(described: Path, change: str) -> None:
    first, _ = loaded(described)
    root = described.parent
    if change == "touch picture":
        os.utime(root / "images/a.png", ns=(1, 1))
    elif change == "edit label":
        (root / "labels/a.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    elif change == "new label":
        (root / "labels/b.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    elif change == "new picture":
        (root / "images/d.png").write_bytes((root / "images/a.png").read_bytes())
    elif change == "remove picture":
        (root / "images/a.png").unlink()
    else:
        described.write_text("train: images\nnames: [cat, dog, bird, cow, owl, fox, bat, ant, bee, elk]\n")
    steps: list[int] = []
    split = load_split(read_data(described), "train", progress=lambda done, _: steps.append(done))
    assert len(steps) > 1
    assert (split.report == first.report) == (change == "touch picture")
    fresh = load_split(read_data(described), "train", cache=False)
    assert split.report == fresh.report


def forged(content: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(content).digest() + content


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", "pickle", "no archive"])
def test_a_damaged_cache_is_made_anew(described: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    first, _ = loaded(described)
    file = described.parent / CACHE
    content = file.read_bytes()
    middle = len(content) // 2
    bad = {
        "cut": content[:middle],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
        "other": content[len(_MAGIC) :],
        "pickle": forged(b"cos\nsystem\n(S'exit 1'\ntR."),
        "no archive": forged(b"PK\x03\x04 and nothing"),
    }
    file.write_bytes(bad[damage])
    with caplog.at_level(logging.DEBUG, "framehook"):
        split, was_kept = loaded(described)
    assert not was_kept
    assert "is not used" in caplog.text
    assert split.report == first.report
    assert file.read_bytes() == content
    assert loaded(described)[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cls", np.array([0, 1, 1, 7])),
        ("cls", np.array([0, 1, 1, 0], np.float32)),
        ("xyxy", np.full((4, 4), np.nan)),
        ("area", np.ones(3)),
        ("counts", np.array([5, -2, 1])),
        ("used", np.ones(4, np.bool_)),
        ("problems", np.frombuffer(b'[["none", "", 1, "", ""]]', np.uint8)),
        ("problems", np.frombuffer(b"5", np.uint8)),
        ("key", np.array([{}], object)),
    ],
)
def test_a_cache_that_claims_what_cannot_be_is_not_believed(described: Path, name: str, value: np.ndarray) -> None:
    first, _ = loaded(described)
    file = described.parent / CACHE
    inside = file.with_suffix(".npz")
    inside.write_bytes(file.read_bytes()[len(_MAGIC) + 32 :])
    with np.load(inside) as stored:
        arrays = {**dict(stored), name: value}
    np.savez(inside, **arrays)
    file.write_bytes(forged(inside.read_bytes()))
    split, was_kept = loaded(described)
    assert not was_kept
    assert split.report == first.report


def test_a_folder_that_is_read_only_is_left_alone(described: Path, caplog: pytest.LogCaptureFixture) -> None:
    described.parent.chmod(0o555)
    try:
        with caplog.at_level(logging.DEBUG, "framehook"):
            assert len(loaded(described)[0].samples) == 3
        assert "is not written" in caplog.text
    finally:
        described.parent.chmod(0o755)
    assert not (described.parent / CACHE).exists()


def test_two_descriptions_in_a_folder_have_caches_of_their_own(described: Path) -> None:
    loaded(described)
    other = described.with_name("other.yaml")
    other.write_text(described.read_text())
    assert not loaded(other)[1]
    assert loaded(described)[1]
    assert loaded(other)[1]
