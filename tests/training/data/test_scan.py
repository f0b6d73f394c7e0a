from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from framehook.inference.errors import DatasetError, OptionError
from framehook.training.data import Action, ProblemKind, Split, load_split, read_data, shared_pictures

GOOD = "0 0.5 0.5 0.25 0.5\n"


def encoded(suffix: str = ".png", width: int = 40, height: int = 30, shade: int = 0) -> bytes:
    pixels = np.random.default_rng(shade).integers(0, 255, (height, width, 3), np.uint8)
    return bytes(cv2.imencode(suffix, pixels)[1].tobytes())


def dataset(folder: Path, files: dict[str, bytes | str], train: str = "images") -> Path:
    """A dataset of the given files; those that end in `.png` or `.jpg` go to images, the others to labels."""
    for name, content in files.items():
        file = folder / name
        if "/" not in name:
            file = folder / ("labels" if name.endswith(".txt") else "images") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    described = folder / "data.yaml"
    described.write_text(f"train: {train}\nnames: [cat, dog, bird]\n")
    return described


def loaded(described: Path, split: str = "train") -> Split:
    return load_split(read_data(described), split, cache=False)


def test_pictures_and_labels_are_read_in_the_order_of_their_paths(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {"b.png": encoded(shade=1), "b.txt": GOOD + "2 0.1 0.1 0.1 0.1\n", "a.jpg": encoded(".jpg", 64, 32), "a.txt": ""}
    files |= {"images/deep/c.png": encoded(shade=2), "labels/deep/c.txt": GOOD}
    done: list[tuple[int, int]] = []
    with caplog.at_level(logging.INFO, "framehook"):
        split = load_split(read_data(dataset(tmp_path, files)), "train", progress=lambda *each: done.append(each))
    assert [sample.path for sample in split.samples] == [
        tmp_path / "images" / name for name in ("a.jpg", "b.png", "deep/c.png")
    ]
    assert [sample.size for sample in split.samples] == [(64, 32), (40, 30), (40, 30)]
    assert [len(sample) for sample in split.samples] == [0, 2, 1]
    np.testing.assert_allclose(split.samples[1].xyxy[0], [15, 7.5, 25, 22.5])
    assert (split.name, split.names) == ("train", {0: "cat", 1: "dog", 2: "bird"})
    assert split.report.problems == ()
    assert (split.report.pictures, split.report.objects, split.report.background) == (3, 3, 1)
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_everything_that_is_wrong_is_told_and_the_rest_is_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    jpeg = encoded(".jpg")
    files: dict[str, bytes | str] = {
        "good.png": encoded(),
        "good.txt": GOOD + "99 0.5 0.5 0.1 0.1\n0 0.5 0.5 -0.1 0.1\n",
        "text.jpg": "this is no picture",
        "text.txt": GOOD,
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut.txt": GOOD,
        "cut2.png": encoded(shade=5)[:60],
        "empty.png": b"",
        "head.jpg": jpeg[:3],
        "odd.png": encoded(shade=7),
        "odd.txt": b"\xff\xfe\x00",
        "plain.png": encoded(shade=8),
        "twin.png": encoded(),
        "twin.txt": GOOD,
        "alone.txt": GOOD,
        "classes.txt": "cat\ndog\nbird",
        "images/notes.doc": "",
        "images/.hidden.png": b"",
    }
    with caplog.at_level(logging.WARNING, "framehook"):
        report = loaded(dataset(tmp_path, files)).report
    found = {(each.kind, each.path.name, each.line, each.done) for each in report.problems}
    assert found == {
        (ProblemKind.CLASS_OUT_OF_RANGE, "good.txt", 2, Action.ROW_LEFT_OUT),
        (ProblemKind.OUT_OF_RANGE, "good.txt", 3, Action.ROW_LEFT_OUT),
        (ProblemKind.NOT_A_PICTURE, "text.jpg", None, Action.PICTURE_LEFT_OUT),
        (ProblemKind.CORRUPT_PICTURE, "cut.jpg", None, Action.PICTURE_LEFT_OUT),
        (ProblemKind.CORRUPT_PICTURE, "cut2.png", None, Action.PICTURE_LEFT_OUT),
        (ProblemKind.CORRUPT_PICTURE, "empty.png", None, Action.PICTURE_LEFT_OUT),
        (ProblemKind.CORRUPT_PICTURE, "head.jpg", None, Action.PICTURE_LEFT_OUT),
        (ProblemKind.UNREADABLE_LABEL, "odd.txt", None, Action.PICTURE_LEFT_OUT),
        (ProblemKind.MISSING_LABEL, "plain.txt", None, Action.BACKGROUND),
        (ProblemKind.DUPLICATE_PICTURE, "twin.png", None, Action.KEPT),
        (ProblemKind.LABEL_WITHOUT_PICTURE, "alone.txt", None, Action.FILE_LEFT_OUT),
        (ProblemKind.OTHER_FILE, "notes.doc", None, Action.FILE_LEFT_OUT),
    }
    assert (report.pictures, report.objects, report.background) == (3, 2, 1)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert report.summary() in record.getMessage()


def test_sizes_are_those_of_upright_pictures(tmp_path: Path) -> None:
    plain = encoded(".jpg", 40, 30)
    turned = bytes.fromhex("ffe1 0022 4578696600004d4d002a000000080001 0112 0003 00000001 0006 0000 00000000")
    described = dataset(tmp_path, {"a.jpg": plain[:2] + turned + plain[2:], "a.txt": GOOD})
    (sample,) = loaded(described).samples
    assert sample.size == (30, 40)
    np.testing.assert_allclose(sample.xyxy, [[11.25, 10, 18.75, 30]])


def test_a_jpeg_with_a_thumbnail_is_cut_off_all_the_same(tmp_path: Path) -> None:
    plain = encoded(".jpg")
    whole = plain[:2] + b"\xff\xe1\x00\x08Exif\xff\xd9" + plain[2:]
    files = {"a.jpg": whole, "a.txt": GOOD, "b.jpg": whole[:-200], "b.txt": GOOD, "c.jpg": plain + b"trailer", "c.txt": GOOD}
    split = loaded(dataset(tmp_path, files))
    assert [sample.path.name for sample in split.samples] == ["a.jpg", "c.jpg"]
    assert "cut off" in split.report.problems[0].detail


def test_a_list_of_pictures_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str, bytes | str] = {f"{name}.png": encoded(shade=number) for number, name in enumerate("abcd")}
    files |= {"a.txt": GOOD, "b.txt": GOOD, "c.txt": GOOD, "here/e.png": encoded(shade=9), "here/e.txt": GOOD}
    listed = f"./images/b.png\n\nimages/a.png\r\n{tmp_path}/images/c.png\nimages/gone.png\nimages/../images/a.png\ne.png\n"
    listed += "~nobody/a.png\nrtsp://me:secret@host/a.png\n"
    described = dataset(tmp_path, {**files, "images/train.txt": "", "lists/train.txt": listed}, "lists/train.txt")
    monkeypatch.chdir(tmp_path / "here")
    split = loaded(described)
    assert [sample.path.name for sample in split.samples] == ["e.png", "a.png", "b.png", "c.png"]
    found = [(each.kind, each.path.name, each.line) for each in split.report.problems]
    assert sorted(found) == [
        (ProblemKind.DUPLICATE_PICTURE, "a.png", None),
        *((ProblemKind.MISSING_PICTURE, "train.txt", line) for line in (5, 8, 9)),
    ]
    assert "secret" not in str(split.report.as_dict())


def test_several_places_make_one_split_and_labels_may_lie_beside_pictures(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "one/a.png": encoded(),
        "one/a.txt": GOOD,
        "two/b.png": encoded(shade=1),
        "two/b.txt": GOOD,
    }
    files |= {"one/lost.txt": GOOD}
    split = loaded(dataset(tmp_path, files, "[one, two, one]"))
    assert [len(sample) for sample in split.samples] == [1, 1]
    assert split.report.counts() == {ProblemKind.DUPLICATE_PICTURE: 1, ProblemKind.LABEL_WITHOUT_PICTURE: 2}


def test_links_in_circles_end(tmp_path: Path) -> None:
    described = dataset(tmp_path, {"a.png": encoded(), "a.txt": GOOD})
    (tmp_path / "images/again").symlink_to(tmp_path / "images", target_is_directory=True)
    assert len(loaded(described).samples) == 1


@pytest.mark.parametrize(
    ("files", "train", "told"),
    [
        ({"images/readme.md": ""}, "images", "train is empty: .*images has no pictures; file of another kind"),
        ({"list.txt/x": ""}, "list.txt", "has no pictures"),
        ({"lists/a.txt": "gone.png"}, "lists/a.txt", r"has no pictures; missing picture: .*a\.txt:1"),
        ({"lists/a.txt": b"\xff\xfe"}, "lists/a.txt", "is no list of pictures"),
        ({"a.png": encoded()}, "image", r"image does not exist; correct train in .*data\.yaml\. Did you mean 'images'"),
        ({"a.png": encoded()}, "images/a.png", "neither a folder of pictures"),
        ({"a.png": "text"}, "images", "none of 1 pictures can be used; not a picture, as"),
        ({"a.png": encoded()}, "images", "no object is labelled in 1 pictures; picture without a label file"),
        ({"a.png": encoded(), "a.txt": "7 0.5 0.5 0.1 0.1"}, "images", "class that the dataset does not have, as .*a.txt:1"),
        ({"a.png": encoded(), "a.txt": ""}, "images", r"a\.txt is empty, and so are the others"),
    ],
)
def test_a_split_with_nothing_to_use_is_refused_in_one_line(
    tmp_path: Path, files: dict[str, bytes | str], train: str, told: str
) -> None:
    with pytest.raises(DatasetError, match=told) as error:
        loaded(dataset(tmp_path, files, train))
    assert "\n" not in str(error.value)


def test_a_split_that_the_dataset_does_not_have_is_refused(tmp_path: Path) -> None:
    described = dataset(tmp_path, {"a.png": encoded(), "a.txt": GOOD})
    with pytest.raises(DatasetError, match=r"data\.yaml has no val: expected one of train"):
        loaded(described, "val")
    with pytest.raises(OptionError, match=r"split='trian' is unknown.* Did you mean 'train'"):
        loaded(described, "trian")


def test_an_interrupt_ends_the_reading_and_its_threads(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"{number}.png": encoded(shade=number) for number in range(40)}

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_split(read_data(dataset(tmp_path, files)), "train", progress=interrupt)
    assert not [each for each in threading.enumerate() if each.name.startswith("framehook-scan")]
    assert not list(tmp_path.glob(".*cache*"))


def test_pictures_that_two_splits_share_are_found_under_any_name(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"train/{name}.png": encoded(shade=ord(name)) for name in "ab"}
    files |= {"val/z.png": encoded(shade=ord("b")), "val/c.png": encoded(shade=ord("c"))}
    files |= {f"{name}.txt": GOOD for name in ("train/a", "train/b", "val/z", "val/c")}
    described = dataset(tmp_path, files, "train\nval: val")
    train, val = loaded(described), loaded(described, "val")
    assert shared_pictures(train, val) == [(tmp_path / "train/b.png", tmp_path / "val/z.png")]
    os.remove(tmp_path / "val/z.png")
    with pytest.raises(DatasetError, match=r"z\.png cannot be read"):
        shared_pictures(train, val)


def test_the_example_is_without_fault(example: Path) -> None:
    spec = read_data(example)
    train, val = (load_split(spec, split, cache=False) for split in ("train", "val"))
    assert (len(train.samples), len(val.samples)) == (24, 8)
    assert train.report.problems == val.report.problems == ()
    assert shared_pictures(train, val) == []


def test_shared_pictures_are_found_among_many_files_of_one_size(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {}
    for number in range(300):  # of which each would be compared with each, 90,000 times
        files |= {f"{place}/{number:03d}.bmp": encoded(".bmp", shade=number + first) for place, first in PLACES.items()}
    files |= {"train/000.txt": GOOD, "val/000.txt": GOOD}
    described = dataset(tmp_path, files, "train\nval: val")
    train, val = loaded(described), loaded(described, "val")
    wanted = [(tmp_path / f"train/{number + 298}.bmp", tmp_path / f"val/{number:03d}.bmp") for number in range(2)]
    assert shared_pictures(train, val) == wanted


PLACES = {"train": 0, "val": 298}


def test_names_in_a_list_may_hold_what_ends_lines_elsewhere(tmp_path: Path) -> None:
    names = [f"images/a{odd}b.png" for odd in ("\x85", "\u2028", "\x0b")]
    files: dict[str, bytes | str] = {name: encoded(shade=number) for number, name in enumerate(names)}
    files |= {name.replace("images", "labels").replace("png", "txt"): GOOD for name in names}
    described = dataset(tmp_path, files | {"list.txt": ""}, "list.txt")
    (tmp_path / "list.txt").write_bytes("\r\n".join(["\ufeff./" + names[0], *names[1:], "none.png", ""]).encode())
    split = loaded(described)
    assert {sample.path.relative_to(tmp_path).as_posix() for sample in split.samples} == set(names)
    (problem,) = split.report.problems
    assert (problem.kind, problem.line) == (ProblemKind.MISSING_PICTURE, 4)


def test_problems_are_told_in_one_line_whatever_files_are_called(tmp_path: Path) -> None:
    described = dataset(tmp_path, {"a.png": encoded(), "a.txt": GOOD, "b\nc.png": b"", "b\nc.txt": GOOD})
    (problem,) = loaded(described).report.problems
    assert str(problem) == f"{tmp_path}/images/b c.png: empty (picture left out)"
