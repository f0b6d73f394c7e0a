"""From YOLO's text files to COCO's json and back."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from framehook.inference.errors import DatasetError, OptionError
from framehook.inference.saving import write_picture
from framehook.training.data.convert import convert
from framehook.training.data.description import read_data
from framehook.training.data.sample import Split
from framehook.training.data.scan import load_split

SIZE = (101, 67)  # shares of these are no short numbers
BOXES = [[0.1, 0.2, 33.3, 21.7], [50.123456789, 3, 50.876543211, 64], [0, 0, 101, 67], [7, 66, 1e-3, 1e-3]]
"""Left, top, width, height."""


def read(file: Path, split: str) -> Split:
    return load_split(read_data(file), split, cache=False)


def picture(path: Path, shade: int = 90) -> Path:
    return write_picture(path, np.full((SIZE[1], SIZE[0], 3), shade, np.uint8))


def coco(folder: Path, boxes: list[list[float]], *, names: tuple[str, ...] = ("one.jpg",), **more: object) -> Path:
    """A COCO json of pictures that all have these boxes; `more` goes into the annotations."""
    for shade, name in enumerate(names):
        picture(folder / name, 10 * shade)
    images = [{"id": 7 + row, "file_name": name, "width": SIZE[0], "height": SIZE[1]} for row, name in enumerate(names)]
    ids = [image["id"] for image in images]
    found = [(each, box) for each in ids for box in boxes]
    labels = [
        {"id": 1 + row, "image_id": each, "category_id": 90 if row % 2 else 3, "bbox": box, "area": 5.5, "iscrowd": 0, **more}
        for row, (each, box) in enumerate(found)
    ]
    categories = [{"id": 90, "name": "tooth: brush"}, {"id": 3, "name": "Bär"}]
    file = folder / "coco.json"
    file.write_text(json.dumps({"images": images, "annotations": labels, "categories": categories}), encoding="utf-8")
    return file


def test_boxes_of_a_json_are_the_same_to_the_last_digits_as_text_and_as_json_again(tmp_path: Path) -> None:
    file = coco(tmp_path / "in", BOXES)
    first = convert(file, tmp_path / "text", to="yolo")
    assert (first.file, first.pictures, first.objects) == (tmp_path / "text" / "data.yaml", 1, 4)
    again = convert(first.file, tmp_path / "json", to="coco")
    was = read(file, "train").samples[0]
    for done in (first, again):
        split = read(done.file, "train")
        assert dict(split.names) == {0: "Bär", 1: "tooth: brush"}
        assert not split.report.problems
        assert split.samples[0].cls.tolist() == was.cls.tolist() == [0, 1, 0, 1]
        assert np.abs(split.samples[0].xyxy - was.xyxy).max() < 1e-12
    assert read_data(first.file).kind == "yolo"
    assert read_data(again.file).kind == "coco"


def test_text_files_become_a_json_that_pycocotools_reads(tmp_path: Path, example: Path) -> None:
    coco_tools = pytest.importorskip("pycocotools.coco")
    done = convert(example, tmp_path / "json", to="coco")
    known = coco_tools.COCO(str(done.file.parent / "val.json"))
    split = read(example, "val")
    assert len(known.imgs) == len(split.samples) == 8
    for sample, image in zip(split.samples, known.imgs.values(), strict=True):
        labels = known.imgToAnns[image["id"]]
        assert (image["file_name"], image["width"], image["height"]) == (f"val/{sample.path.name}", *sample.size)
        assert (tmp_path / "json" / "images" / image["file_name"]).read_bytes() == sample.path.read_bytes()
        assert [known.cats[each["category_id"]]["name"] for each in labels] == [split.names[cls] for cls in sample.cls]
        edges = [[x, y, x + width, y + height] for x, y, width, height in (each["bbox"] for each in labels)]
        assert np.allclose(edges, sample.xyxy, rtol=0, atol=1e-12)
    assert read(done.file, "train").report.per_class == read(example, "train").report.per_class


def test_areas_of_outlines_and_crowds_stay_in_a_json_and_are_counted_where_they_are_lost(tmp_path: Path) -> None:
    file = coco(tmp_path / "in", BOXES)
    content = json.loads(file.read_text(encoding="utf-8"))
    content["annotations"][2]["iscrowd"] = 1
    file.write_text(json.dumps(content), encoding="utf-8")
    kept = convert(file, tmp_path / "json", to="coco")
    sample = read(kept.file, "train").samples[0]
    assert (kept.crowds, kept.areas, kept.objects) == (0, 0, 4)
    assert (sample.area.tolist(), sample.crowd.tolist()) == ([5.5] * 4, [False, False, True, False])
    lost = convert(file, tmp_path / "text", to="yolo")
    assert (lost.crowds, lost.areas, lost.objects) == (1, 3, 3)
    assert read(lost.file, "train").report.objects == 3


def test_an_outline_of_a_text_file_gives_the_json_its_area(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "images" / "one.jpg")
    (tmp_path / "in" / "labels").mkdir()
    (tmp_path / "in" / "labels" / "one.txt").write_text("0 0.2 0.2 0.6 0.2 0.2 0.6\n")
    (tmp_path / "in" / "data.yaml").write_text("train: images\nnames: [corner]\n")
    convert(tmp_path / "in", tmp_path / "out", to="coco")
    (label,) = json.loads((tmp_path / "out" / "train.json").read_text(encoding="utf-8"))["annotations"]
    assert label["bbox"] == pytest.approx([20.2, 13.4, 40.4, 26.8])
    assert label["area"] == pytest.approx(40.4 * 26.8 / 2)


def test_pictures_of_one_name_get_different_ones(tmp_path: Path) -> None:
    names = ("a/one.jpg", "b/one.jpeg", "b/one.jpg", "c/ONE.jpg")
    done = convert(coco(tmp_path / "in", BOXES[:1], names=names), tmp_path / "out", to="yolo")
    made = sorted(path.name for path in (tmp_path / "out" / "images" / "train").iterdir())
    assert made == ["ONE-4.jpg", "one-2.jpeg", "one-3.jpg", "one.jpg"]
    assert len(read(done.file, "train").samples) == 4
    assert not read(done.file, "train").report.problems


def test_a_json_that_is_every_split_is_written_once(tmp_path: Path) -> None:
    convert(coco(tmp_path / "in", BOXES), tmp_path / "out", to="coco")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["data.yaml", "images", "train.json"]
    assert set(read_data(tmp_path / "out").splits) == {"train", "val", "test"}


def test_what_is_broken_is_told_and_not_taken_over(tmp_path: Path, example: Path) -> None:
    shutil.copytree(example.parent, tmp_path / "in")
    (tmp_path / "in" / "images" / "val" / "val0000.jpg").write_text("no picture")
    with (tmp_path / "in" / "labels" / "val" / "val0001.txt").open("a") as labels:
        labels.write("99 .5 .5 .1 .1\n")
    done = convert(tmp_path / "in", tmp_path / "out", to="yolo")
    assert [len(report.problems) for report in done.reports] == [0, 2]
    assert len(read(done.file, "val").samples) == 7
    assert not read(done.file, "val").report.problems


def test_pictures_take_no_space_where_they_can_be_linked_and_survive_the_old_dataset(tmp_path: Path, example: Path) -> None:
    shutil.copytree(example.parent, tmp_path / "in")
    convert(tmp_path / "in", tmp_path / "out", to="yolo")
    old, new = (tmp_path / each / "images" / "val" / "val0000.jpg" for each in ("in", "out"))
    assert os.path.samefile(old, new)
    shutil.rmtree(tmp_path / "in")
    assert read(tmp_path / "out" / "data.yaml", "val").report.pictures == 8


def test_nothing_is_overwritten_unless_that_is_asked_for_and_then_other_files_stay(tmp_path: Path, example: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    (out / "data.yaml").write_text("theirs")
    with pytest.raises(DatasetError, match="out holds something already"):
        convert(example, out, to="coco")
    assert sorted(path.name for path in out.iterdir()) == ["data.yaml", "mine.txt"]
    for _ in range(2):
        convert(example, out, to="coco", exist_ok=True)
        assert (out / "mine.txt").read_text() == "mine"
        assert read(out / "data.yaml", "val").report.pictures == 8
    assert sorted(path.name for path in out.iterdir()) == ["data.yaml", "images", "mine.txt", "train.json", "val.json"]


def test_a_conversion_that_fails_halfway_leaves_nothing(tmp_path: Path, example: Path) -> None:
    shutil.copytree(example.parent, tmp_path / "in")
    shutil.rmtree(tmp_path / "in" / "images" / "val")
    with pytest.raises(DatasetError, match="val"):
        convert(tmp_path / "in", tmp_path / "out", to="coco")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_unknown_form_is_told_with_the_nearest(tmp_path: Path, example: Path) -> None:
    with pytest.raises(OptionError, match=r"to='coc' is unknown\. Did you mean 'coco'\?"):
        convert(example, tmp_path / "out", to="coc")  # type: ignore[arg-type]
