from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from framehook.inference.errors import DatasetError
from framehook.training.data import Action, ProblemKind, Split, load_split, read_data
from framehook.training.data.coco import read_coco

CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}, {"id": 90, "name": "cup"}]


def picture(file: Path, width: int = 40, height: int = 30, shade: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((height, width, 3), shade, np.uint8)
    file.write_bytes(cv2.imencode(file.suffix, pixels)[1].tobytes())


def annotation(number: int, bbox: Any = (4, 3, 10, 8), image: Any = 1, category: Any = 1, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": category, "bbox": bbox, **more}


def written(folder: Path, *annotations: Any, images: Any = None, categories: Any = CATEGORIES) -> Path:
    file = folder / "instances.json"
    if images is None:
        images = [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


def loaded(file: Path) -> Split:
    return load_split(read_data(file), "val", cache=False)


def test_boxes_areas_and_crowds_are_kept_to_the_last_bit(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    crowd = annotation(8, [0, 0, 40, 30], category=90, iscrowd=1, area=77.7)
    split = loaded(written(tmp_path, annotation(7, [1.1, 2.2, 3.3, 4.4], category=18, iscrowd=0, area=9.123456789), crowd))
    (sample,) = split.samples
    assert split.names == {0: "person", 1: "dog", 2: "cup"}
    assert sample.path == tmp_path / "a.png"
    assert sample.size == (40, 30)
    assert sample.cls.tolist() == [1, 2]
    assert sample.xyxy.tolist() == [[1.1, 2.2, 1.1 + 3.3, 2.2 + 4.4], [0, 0, 40, 30]]
    assert sample.area.tolist() == [9.123456789, 77.7]
    assert sample.crowd.tolist() == [False, True]
    assert (split.report.objects, split.report.crowds, split.report.problems) == (1, 1, ())
    assert split.report.per_class == {0: 0, 1: 1, 2: 0}


@pytest.mark.parametrize("place", ["a.png", "images/a.png", "../val2017/a.png", "../images/val2017/a.png", "../images/a.png"])
def test_pictures_are_found_in_the_usual_places(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "annotations"
    picture(folder / place)
    file = written(folder, annotation(1)).rename(folder / "instances_val2017.json")
    (sample,) = loaded(file).samples
    assert sample.path.samefile(folder / place)


def test_pictures_are_found_where_a_description_says(tmp_path: Path) -> None:
    picture(tmp_path / "pictures/deep/a.png")
    (tmp_path / "labels").mkdir()
    images = [{"id": "x", "file_name": "deep/a.png"}]
    written(tmp_path / "labels", annotation(1, image="x"), images=images)
    (tmp_path / "data.yaml").write_text("path: pictures\nval: ../labels/instances.json\n")
    split = load_split(read_data(tmp_path / "data.yaml"), "val", cache=False)
    assert len(split.samples[0]) == 1


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (annotation(5, category=7), ProblemKind.CLASS_OUT_OF_RANGE),
        (annotation(5, category=[]), ProblemKind.CLASS_OUT_OF_RANGE),
        (annotation(5, [4, 3, -10, 8]), ProblemKind.OUT_OF_RANGE),
        (annotation(5, [-20, 3, 10, 8]), ProblemKind.OUT_OF_RANGE),
        (annotation(5, [4, 3, 0, 8]), ProblemKind.NO_AREA),
        (annotation(5), ProblemKind.DUPLICATE_ROW),
        (annotation(5, [4, 3, 10]), ProblemKind.UNREADABLE_ROW),
        (annotation(5, [4, 3, 10, float("nan")]), ProblemKind.UNREADABLE_ROW),
        (annotation(5, [4, 3, 10, 10**400]), ProblemKind.UNREADABLE_ROW),
        (annotation(5, ["4", 3, 10, 8]), ProblemKind.UNREADABLE_ROW),
        (annotation(5, None), ProblemKind.UNREADABLE_ROW),
        (annotation(5, image=99), ProblemKind.LABEL_WITHOUT_PICTURE),
        (annotation(5, image=[]), ProblemKind.LABEL_WITHOUT_PICTURE),
        (5, ProblemKind.UNREADABLE_ROW),
    ],
)
def test_a_bad_annotation_is_left_out_and_told_with_its_id(tmp_path: Path, bad: Any, kind: ProblemKind) -> None:
    picture(tmp_path / "a.png")
    file = written(tmp_path, annotation(1), bad)
    split = loaded(file)
    assert len(split.samples[0]) == 1
    (problem,) = split.report.problems
    assert (problem.kind, problem.path, problem.done) == (kind, file, Action.ROW_LEFT_OUT)
    assert "annotation 5" in problem.detail
    assert len(str(problem).splitlines()) == 1


def test_a_box_beyond_the_picture_is_clipped_and_told_unless_it_is_rounding(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    split = loaded(written(tmp_path, annotation(1, [30, 3, 20, 8], area=160), annotation(2, [30, 20, 10.0003, 8])))
    assert split.samples[0].xyxy.tolist() == [[30, 3, 40, 11], [30, 20, 40, 28]]
    assert split.samples[0].area.tolist() == [160, 80]
    assert [(each.kind, each.done) for each in split.report.problems] == [(ProblemKind.OUTSIDE, Action.CLIPPED)]


def test_pictures_that_are_of_no_use_are_told(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / f"{name}.png", shade=ord(name))
    images = [
        {"id": 1, "file_name": "a.png", "width": 40, "height": 30},
        {"id": 2, "file_name": "b.png", "width": 30, "height": 40},
        {"id": 3, "file_name": "gone.png"},
        {"id": 1, "file_name": "b.png"},
        {"id": 5, "file_name": 5},
        {"id": 6, "file_name": "a.png"},
        {"id": 7, "file_name": "x" * 5000},
        {"id": 8, "file_name": "https://me:secret@host/a.png"},
        {"file_name": "a.png"},
        "a.png",
    ]
    split = loaded(written(tmp_path, annotation(1), annotation(2, image=3), images=images))
    assert [sample.path.name for sample in split.samples] == ["a.png"]
    assert split.report.counts() == {
        ProblemKind.MISSING_PICTURE: 2,
        ProblemKind.WRONG_SIZE: 1,
        ProblemKind.DUPLICATE_PICTURE: 2,
        ProblemKind.UNREADABLE_ROW: 4,
    }
    assert {each.done for each in split.report.problems} == {Action.PICTURE_LEFT_OUT}
    assert "40 x 30, but instances.json has labels for 30 x 40" in "\n".join(split.report.lines())
    assert "secret" not in str(split.report.as_dict())
    assert "1 annotations go with it" in "\n".join(split.report.lines())


def test_names_of_a_description_choose_among_the_categories(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    written(tmp_path, annotation(1), annotation(2, category=90), annotation(3, [1, 1, 2, 2], category=90))
    (tmp_path / "data.yaml").write_text("val: instances.json\nnames: [dog, cup, plane]")
    split = load_split(read_data(tmp_path / "data.yaml"), "val", cache=False)
    assert split.samples[0].cls.tolist() == [1, 1]
    (problem,) = split.report.problems
    assert problem.kind is ProblemKind.CLASS_OUT_OF_RANGE
    assert problem.detail == "category 1, 'person', is not among the names; it has 1 annotations"


def test_categories_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "fish"}, {"id": 1, "name": "fish"}, {"id": 2, "name": "crab"}]
    coco = read_coco(written(tmp_path, categories=categories))
    assert coco.classes(coco.names()) == {0: 0, 1: 1, 2: 2}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no json file"),
        ("{", "is no json file"),
        ("[" * 100_000, "is no json file"),
        ("\xff", "is no COCO json|is no json file"),
        ("[]", "expected an object with images, annotations and categories"),
        ('{"images": [], "annotations": {}, "categories": []}', "no list of annotations"),
        ('{"images": [], "categories": []}', "no list of annotations"),
        ('{"images": [], "annotations": [], "categories": []}', "no categories"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', "has the category {'id': 1}"),
        ('{"images": [], "annotations": [], "categories": [{"id": "1", "name": "a"}]}', "a whole id and a name"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}', "of id 1"),
    ],
)
def test_what_is_no_coco_json_is_refused_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "instances.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(DatasetError, match=told) as error:
        read_data(file)
    assert "\n" not in str(error.value)


def test_the_recorded_pictures_of_coco_are_read_as_they_are(data_dir: Path) -> None:
    file = data_dir / "coco_train/instances_train_merged.json"
    content = json.loads(file.read_bytes())
    some = {image["id"] for image in content["images"][:60]}
    coco = read_coco(file)
    classes = coco.classes(coco.names())
    pictures, problems = coco.pictures(file.parent)
    assert (len(pictures), problems, len(classes)) == (341, [], 80)
    boxes = {each["id"]: each for each in content["annotations"] if each["image_id"] in some}
    for found in pictures[:60]:
        assert found.size is not None
        labels = coco.labels(found, found.size, classes, 80)
        given = [boxes.pop(each["id"]) for each in found.annotations]
        assert labels.problems == ()
        assert labels.area.tolist() == [each["area"] for each in given]
        assert labels.crowd.tolist() == [each["iscrowd"] == 1 for each in given]
        ltwh = np.array([each["bbox"] for each in given], np.float64).reshape(-1, 4)
        np.testing.assert_allclose(labels.xyxy, np.c_[ltwh[:, :2], ltwh[:, :2] + ltwh[:, 2:]], rtol=0, atol=5e-4)
    assert not boxes


def test_a_picture_listed_under_two_ids_is_taken_once_and_what_is_left_out_with_it_is_told(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    images = [{"id": number, "file_name": "a.png", "width": 40, "height": 30} for number in (1, 2)]
    split = loaded(written(tmp_path, annotation(1), annotation(2, image=2), annotation(3, image=2), images=images))
    assert [len(sample) for sample in split.samples] == [1]
    (problem,) = split.report.problems
    assert (problem.kind, problem.done) == (ProblemKind.DUPLICATE_PICTURE, Action.PICTURE_LEFT_OUT)
    assert problem.detail == "named twice; 2 annotations go with it"
