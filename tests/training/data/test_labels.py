from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from framehook.training.data.labels import label_file, read_labels
from framehook.training.data.report import Action, ProblemKind

SIZE = (200, 100)


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "a.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_rows_become_boxes_in_pixels(tmp_path: Path) -> None:
    labels = read_labels(written(tmp_path, "\ufeff0 0.5 0.5 0.25 0.5\r\n\r\n2.0 0.1 0.2 0.2 0.4\n"), SIZE, 3)
    assert labels.problems == ()
    assert labels.cls.tolist() == [0, 2]
    assert labels.cls.dtype == np.int64
    np.testing.assert_allclose(labels.xyxy, [[75, 25, 125, 75], [0, 0, 40, 40]], rtol=0, atol=1e-12)
    np.testing.assert_allclose(labels.area, [2500, 1600])
    assert labels.crowd.tolist() == [False, False]


def test_an_outline_gives_its_enclosing_box_and_its_own_area(tmp_path: Path) -> None:
    labels = read_labels(written(tmp_path, "1 0.1 0.2 0.5 0.2 0.5 0.8\n0 .1 .1 .2 .1 .2 .2 .1 .2"), SIZE, 3)
    assert labels.problems == ()
    np.testing.assert_allclose(labels.xyxy, [[20, 20, 100, 80], [20, 10, 40, 20]])
    np.testing.assert_allclose(labels.area, [2400, 200])


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("99 0.5 0.5 0.1 0.1", ProblemKind.CLASS_OUT_OF_RANGE),
        ("-1 0.5 0.5 0.1 0.1", ProblemKind.CLASS_OUT_OF_RANGE),
        ("1e300 0.5 0.5 0.1 0.1", ProblemKind.CLASS_OUT_OF_RANGE),
        ("0 0.5 0.5 -0.1 0.1", ProblemKind.OUT_OF_RANGE),
        ("0 -0.5 0.5 0.1 0.1", ProblemKind.OUT_OF_RANGE),
        ("0 100 50 20 20", ProblemKind.OUT_OF_RANGE),
        ("0 0.5 0.5 20 20", ProblemKind.OUT_OF_RANGE),
        ("0 0 0 200 0 200 100 0 100", ProblemKind.OUT_OF_RANGE),
        ("0 -0.3 0 -0.1 0 -0.1 0.5", ProblemKind.OUT_OF_RANGE),
        ("0 0.5 0.5 0 0.1", ProblemKind.NO_AREA),
        ("0 0.1 0.1 0.2 0.1 0.3 0.1", ProblemKind.NO_AREA),
        ("0 0.5 0.5 0.1", ProblemKind.UNREADABLE_ROW),
        ("0 0.5 0.5 0.1 0.1 0.9", ProblemKind.UNREADABLE_ROW),
        ("0", ProblemKind.UNREADABLE_ROW),
        ("cat 0.5 0.5 0.1 0.1", ProblemKind.UNREADABLE_ROW),
        ("0,0.5,0.5,0.1,0.1", ProblemKind.UNREADABLE_ROW),
        ("0.5 0.5 0.5 0.1 0.1", ProblemKind.UNREADABLE_ROW),
        ("0 nan 0.5 0.1 0.1", ProblemKind.UNREADABLE_ROW),
        ("0 0.5 0.5 1e999 0.1", ProblemKind.UNREADABLE_ROW),
        ("nan 0.5 0.5 0.1 0.1", ProblemKind.UNREADABLE_ROW),
        ("\x00\x07", ProblemKind.UNREADABLE_ROW),
        ("0 0.25 0.25 0.1 0.1", ProblemKind.DUPLICATE_ROW),
    ],
)
def test_a_bad_row_is_left_out_and_told_with_its_line(tmp_path: Path, row: str, kind: ProblemKind) -> None:
    file = written(tmp_path, f"0 0.25 0.25 0.1 0.1\n{row}\n1 0.75 0.75 0.1 0.1\n")
    labels = read_labels(file, SIZE, 3)
    assert labels.cls.tolist() == [0, 1]
    (problem,) = labels.problems
    assert (problem.kind, problem.path, problem.line, problem.done) == (kind, file, 2, Action.ROW_LEFT_OUT)
    assert str(problem).isprintable()
    assert len(problem.detail) < 200
    assert labels.readable


def test_a_class_out_of_range_is_told_with_the_range(tmp_path: Path) -> None:
    (problem,) = read_labels(written(tmp_path, "99 0.5 0.5 0.1 0.1"), SIZE, 3).problems
    assert "class 99, expected 0 to 2" in problem.detail


def test_boxes_that_reach_beyond_the_picture_are_clipped_and_told(tmp_path: Path) -> None:
    labels = read_labels(written(tmp_path, "0 0.05 0.5 0.2 0.2\n0 -0.1 0.2 0.3 0.2 0.3 0.6\n"), SIZE, 1)
    np.testing.assert_allclose(labels.xyxy, [[0, 40, 30, 60], [0, 20, 60, 60]], atol=1e-12)
    assert [(each.kind, each.done) for each in labels.problems] == [(ProblemKind.OUTSIDE, Action.CLIPPED)] * 2
    assert "5.00% beyond" in labels.problems[0].detail
    np.testing.assert_allclose(labels.area, [600, (0 * 20 - 60 * 20 + 60 * 60 - 60 * 20 + 60 * 20 - 0 * 60) / 2])


def test_boxes_that_pass_the_edge_by_rounding_are_clipped_without_a_word(tmp_path: Path) -> None:
    labels = read_labels(written(tmp_path, "0 0.500001 0.5 1.0 1.000001\n"), SIZE, 1)
    assert labels.problems == ()
    left, top, right, bottom = labels.xyxy[0]
    assert left == pytest.approx(0.0002)
    assert (top, right, bottom) == (0, *SIZE)


def test_an_empty_file_is_a_background_and_a_missing_one_is_told(tmp_path: Path) -> None:
    empty = read_labels(written(tmp_path, "\n \n"), SIZE, 1)
    assert (len(empty.cls), empty.problems, empty.readable) == (0, (), True)
    missing = read_labels(tmp_path / "none.txt", SIZE, 1)
    assert (missing.problems[0].kind, missing.problems[0].done) == (ProblemKind.MISSING_LABEL, Action.BACKGROUND)
    assert missing.xyxy.shape == (0, 4)
    assert missing.readable


def test_what_is_no_text_leaves_unknown_what_is_in_the_picture(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    for file in (written(tmp_path, b"\xff\xd8\xff\xe0 binary"), tmp_path / "folder.txt"):
        labels = read_labels(file, SIZE, 1)
        assert not labels.readable
        assert (labels.problems[0].kind, labels.problems[0].done) == (
            ProblemKind.UNREADABLE_LABEL,
            Action.PICTURE_LEFT_OUT,
        )


def test_labels_are_where_the_last_folder_of_images_is_one_of_labels(tmp_path: Path) -> None:
    assert label_file(Path("/images/set/images/train/a.b.jpg")) == Path("/images/set/labels/train/a.b.txt")
    assert label_file(Path("/set/pictures/images.jpg")) == Path("/set/pictures/images.txt")
    picture = tmp_path / "images" / "a.png"
    picture.parent.mkdir()
    assert label_file(picture) == tmp_path / "labels" / "a.txt"
    picture.with_suffix(".txt").touch()
    assert label_file(picture) == picture.with_suffix(".txt")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").touch()
    assert label_file(picture) == tmp_path / "labels" / "a.txt"
