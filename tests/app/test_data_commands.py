"""`framehook data`: what is typed, what is printed, and the exit codes."""

from __future__ import annotations

import json
import shutil

import cv2
import pytest

from framehook.app.cli import run


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A dataset that the command itself has drawn."""
    folder = tmp_path_factory.mktemp("drawn") / "shapes"
    assert run(["data", "example", str(folder), "--train", "6", "--val", "3", "--size", "64x48"]) == 0
    return folder


@pytest.fixture
def shapes(drawn, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(drawn, tmp_path / "shapes") / "data.yaml"


def test_alone_it_shows_what_can_be_done_on_one_screen(framehook):
    shown = framehook("data")
    assert shown.code == 0
    assert all(len(line) <= 100 for line in shown.out.splitlines())
    for command in ("example", "check", "preview", "split", "convert"):
        assert f"framehook data {command}" in shown.out
        assert framehook("data", command, "--help").code == 0


def test_an_example_says_what_to_do_with_it_and_is_never_written_over_another(framehook, shapes):
    shown = framehook("data", "example", "more shapes", "--train", 1, "--val", 1, "--classes", "star,cross")
    assert shown.code == 0
    assert "1 picture to train on and 1 to validate on" in shown.out
    assert "data preview 'more shapes/data.yaml'" in shown.out
    assert "train --data 'more shapes/data.yaml' --imgsz 320" in shown.out
    again = framehook("data", "example", "shapes")
    assert (again.code, again.out) == (2, "")
    assert again.err == "error: shapes holds something already; name a new folder\n"


def test_a_clean_dataset_is_told_in_a_few_lines(framehook, shapes):
    shown = framehook("data", "check", shapes)
    assert (shown.code, shown.err) == (0, "")
    assert "train: 6 pictures" in shown.out
    assert "val: 3 pictures" in shown.out
    assert shown.out.count("nothing is wrong") == 2
    assert "triangle" in shown.out


def test_what_is_wrong_is_told_with_file_and_line_and_in_the_exit_code(framehook, shapes):
    label = shapes.parent / "labels" / "val" / "val0001.txt"
    rows = label.read_text()
    label.write_text(rows + "99 .5 .5 .1 .1\n")
    shown = framehook("data", "check", "shapes")
    assert (shown.code, shown.err) == (1, "")
    assert f"{label}:{len(rows.splitlines()) + 1}: '99 .5 .5 .1 .1'" in shown.out
    only = framehook("data", "check", "shapes", "--split", "train")
    assert only.code == 0
    assert "val:" not in only.out
    told = framehook("data", "check", "shapes", "--json")
    facts = json.loads(told.out)
    assert (told.code, told.err, facts["kind"], facts["shared"]) == (1, "", "yolo", [])
    assert facts["names"] == ["circle", "square", "triangle"]
    assert [len(each["problems"]) for each in facts["splits"]] == [0, 1]


def test_all_problems_are_told_where_that_is_asked_for(framehook, shapes):
    (shapes.parent / "labels" / "val" / "val0001.txt").write_text("99 .5 .5 .1 .1\n" * 15)
    assert framehook("data", "check", "shapes").out.count("(row left out)") == 10
    assert framehook("data", "check", "shapes", "--all").out.count("(row left out)") == 15


def test_pictures_that_splits_share_are_told(framehook, shapes):
    for kind, suffix in (("images", "jpg"), ("labels", "txt")):
        folder = shapes.parent / kind
        (folder / "train" / f"again.{suffix}").write_bytes((folder / "val" / f"val0000.{suffix}").read_bytes())
    shown = framehook("data", "check", "shapes")
    assert shown.code == 1
    assert "train and val share 1 picture" in shown.out
    assert json.loads(framehook("data", "check", "shapes", "--json").out)["shared"][0]["splits"] == ["train", "val"]


def test_a_split_that_cannot_be_read_does_not_hide_the_others(framehook, shapes):
    for path in (shapes.parent / "images" / "train").iterdir():
        path.unlink()
    shown = framehook("data", "check", "shapes")
    assert shown.code == 2
    assert "val: 3 pictures" in shown.out
    assert shown.err.startswith("error: train is empty")
    assert len(shown.err.splitlines()) == 1
    told = framehook("data", "check", "shapes", "--json")
    assert "train is empty" in json.loads(told.out)["splits"][0]["error"]


def test_it_can_be_checked_without_leaving_a_file(framehook, shapes):
    before = sorted(shapes.parent.rglob("*"))
    assert framehook("data", "check", "shapes", "--no-cache").code == 0
    assert sorted(shapes.parent.rglob("*")) == before
    assert framehook("data", "check", "shapes").code == 0
    assert len(sorted(shapes.parent.rglob("*"))) == len(before) + 2


def test_a_dataset_goes_from_text_to_json_and_back(framehook, shapes, tmp_path):
    shown = framehook("data", "convert", "shapes", "-o", "json", "--to", "coco")
    assert shown.code == 0
    assert "9 pictures with" in shown.out
    assert str(tmp_path / "json") not in shown.out  # as it was typed
    back = framehook("data", "convert", "json", "-o", "text", "--to", "yolo")
    assert back.code == 0
    assert framehook("data", "check", "text").out == framehook("data", "check", "shapes").out
    again = framehook("data", "convert", "json", "-o", "text", "--to", "yolo")
    assert again.code == 2
    assert framehook("data", "convert", "json", "-o", "text", "--to", "yolo", "--exist-ok").code == 0


def test_what_a_conversion_loses_is_told(framehook, shapes, tmp_path):
    framehook("data", "convert", "shapes", "-o", "json", "--to", "coco")
    file = tmp_path / "json" / "train.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][1]["area"] /= 2
    (tmp_path / "json" / "other.json").write_text(json.dumps(content))
    shown = framehook("data", "convert", tmp_path / "json" / "other.json", "-o", "text", "--to", "yolo")
    assert shown.code == 0
    assert "note: 1 box of crowds left out" in shown.err
    assert "note: the areas of 1 outline left out" in shown.err
    assert "train, val and test are the same pictures" in shown.out


def test_a_collection_is_parted_and_the_parting_told(framehook, shapes):
    shown = framehook("data", "split", "shapes", "-o", "parted", "--fractions", ".5,.3,.2", "--seed", 3)
    assert shown.code == 0
    assert [line.split()[:3] for line in shown.out.splitlines()[1:]] == [
        ["train", "4", "pictures:"],
        ["val", "3", "pictures:"],
        ["test", "2", "pictures:"],
    ]
    assert framehook("data", "check", "parted").code == 0


def test_names_of_a_folder_of_pictures_can_be_typed(framehook, shapes):
    shown = framehook("data", "split", "shapes/images/train", "-o", "parted", "--names", "a,b", "--names", "c")
    assert shown.code == 0
    assert "a" in shown.out.splitlines()[1]
    assert framehook("data", "split", "shapes/images/train", "-o", "more").err.startswith(
        "error: shapes/images/train does not say"
    )


def test_a_preview_is_written_and_never_over_another(framehook, shapes, tmp_path):
    for name in ("preview.jpg", None):
        shown = framehook("data", "preview", "shapes", "--split", "val", "--count", 2)
        assert shown.code == 0
        assert shown.out.startswith("2 of 3 pictures of val: ")
        written = tmp_path / shown.out.split(": ")[1].strip()
        assert name is None or written.name == name
        assert cv2.imread(str(written)).shape[1] > 640
    assert len(list(tmp_path.glob("preview*.jpg"))) == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("check", "coco8.yaml"), "coco8.yaml does not exist"),
        (("check", "shapes", "--split", "vla"), "Did you mean 'val'?"),
        (("convert", "shapes", "-o", "out", "--to", "voc"), "--to 'voc' is unknown"),
        (("convert", "shapes", "-o", "out"), "--to"),
        (("split", "shapes", "-o", "out", "--fractions", "half,half"), "--fractions half,half are no shares"),
        (("split", "shapes", "-o", "out", "--fractions", ".5,.4"), "--fractions [0.5, 0.4] are no shares"),
        (("split", "shapes", "-o", "out", "--seed", "-1"), "--seed -1 is out of range"),
        (("preview", "shapes", "--count", "0"), "--count 0 is out of range"),
        (("preview", "shapes", "-o", "out.gif"), "out.gif is no JPEG file"),
        (("example", "out", "--size", "320"), "--size 320 is no size"),
        (("example", "out", "--train", "0"), "--train 0 is out of range"),
        (("example", "out", "--classes", "circel"), "Did you mean 'circle'?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_leaves_nothing(framehook, shapes, tmp_path, typed, said):
    shown = framehook("data", *typed)
    errors = [line for line in shown.err.splitlines() if not line.startswith("note: ")]
    assert (shown.code, shown.out, len(errors)) == (2, "", 1)
    assert errors[0].startswith("error: ")
    assert said in errors[0]
    assert [path.name for path in tmp_path.iterdir()] == ["shapes"]


def test_splits_that_are_one_folder_are_a_fault_and_a_json_by_itself_is_none(framehook, shapes, tmp_path):
    text = shapes.read_text()
    shapes.write_text(text.replace("images/val", "images/train"))
    assert shapes.read_text() != text
    shown = framehook("data", "check", "shapes")
    assert (shown.code, shown.err) == (1, "")
    assert "train and val are the same pictures" in shown.out
    assert framehook("data", "check", "shapes", "--split", "train", "--split", "val").code == 1
    assert framehook("data", "check", "shapes", "--split", "val").code == 0
    framehook("data", "convert", "shapes", "-o", "json", "--to", "coco")
    assert framehook("data", "check", tmp_path / "json" / "train.json").code == 0


def test_a_split_nobody_knows_is_told_before_any_is_read(framehook, shapes):
    shown = framehook("data", "check", "shapes", "--split", "train", "--split", "vla")
    assert (shown.code, shown.out) == (2, "")
    assert shown.err == "error: --split 'vla' is unknown; expected one of train, val. Did you mean 'val'?\n"
    shown = framehook("data", "check", "shapes", "--split", "train", "--split", "test")
    assert (shown.code, shown.out) == (2, "")
    assert "has no test: expected one of train, val" in shown.err
    assert framehook("data", "preview", "shapes", "--split", "vla").err.startswith("error: --split 'vla' is unknown")
