import cv2
import numpy as np
import pytest

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.labels import Labels, lines_of

from .scenes import play, walk


def run(source, folder, *, ids=None, script=walk):
    labels = Labels()
    running = play(source, labels, script=script, ids=ids)
    running.predictor.save_dir = folder
    list(running)
    return labels


def test_a_line_is_class_centre_size_score_and_id():
    found = Boxes([[10, 20, 30, 60], [0, 0, 200, 100]], [0.875, 0.5], [3, 0], orig_shape=(100, 200))
    assert lines_of(found) == [
        "3 0.100000 0.400000 0.100000 0.400000 0.875000\n",
        "0 0.500000 0.500000 1.000000 1.000000 0.500000\n",
    ]
    assert lines_of(found.with_ids([7, -1]))[0].endswith(" 0.875000 7\n")


def test_frames_of_videos_are_numbered_from_one_and_empty_ones_give_empty_files(tmp_path):
    run("testsrc:320x240@30:3", tmp_path, script=lambda index: [] if index == 1 else walk(index))
    files = {file.name: file.read_text() for file in (tmp_path / "labels").iterdir()}
    assert sorted(files) == ["testsrc_1.txt", "testsrc_2.txt", "testsrc_3.txt"]
    assert files["testsrc_2.txt"] == ""
    assert files["testsrc_1.txt"] == "0 0.109375 0.416667 0.093750 0.333333 0.900000\n"


def test_pictures_keep_their_names_and_two_of_one_name_stay_apart(tmp_path):
    for name in ("b.png", "b.jpg", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((240, 320, 3), np.uint8))
    run([str(tmp_path / name) for name in ("b.png", "b.jpg", "c.png")], tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out" / "labels").iterdir()) == ["b.txt", "b_2.txt", "c.txt"]


def test_labels_that_are_there_already_are_not_touched(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "testsrc_1.txt").write_text("by hand")
    labels = run("testsrc:320x240@30:2", tmp_path)
    assert (tmp_path / "labels" / "testsrc_1.txt").read_text() == "by hand"
    assert labels.folders == [tmp_path / "labels2"]
    assert len(list((tmp_path / "labels2").iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "labels").write_text("a file")
    with pytest.raises(RuntimeError, match=r"RecordingError: .*labels cannot be made: File exists"):
        run("testsrc:320x240@30:2", tmp_path)
