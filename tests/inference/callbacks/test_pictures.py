import sys

import cv2
import numpy as np
import pytest

from framehook.inference.callbacks.overlay import Overlay
from framehook.inference.callbacks.pictures import Pictures
from framehook.inference.errors import CallbackError

from .scenes import play, walk


def run(source, folder, *others):
    pictures = Pictures()
    running = play(source, *others, pictures, script=walk)
    running.predictor.save_dir = folder
    list(running)
    return [path.name for path in pictures.paths]


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((240, 320, 3), 40, np.uint8))
    return [str(folder / name) for name in names]


def test_annotated_pictures_keep_their_names(tmp_path):
    (tmp_path / "out").mkdir()
    assert run(write(tmp_path, "a.png", "b.jpg"), tmp_path / "out", Overlay("boxes", colors=["#ff0000"])) == ["a.jpg", "b.jpg"]
    picture = cv2.imread(str(tmp_path / "out" / "a.jpg")).astype(int)
    assert np.abs(picture[80:120, 20].mean(0) - (0, 0, 255)).max() < 90
    assert np.abs(picture[200:, 200:] - 40).max() < 8


def test_nothing_is_overwritten_not_even_the_pictures_themselves(tmp_path):
    files = write(tmp_path, "a.jpg", "a.png", "sub/a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    assert run(files, tmp_path) == ["a_2.jpg", "a_3.jpg", "a_4.jpg"]
    assert (tmp_path / "a.jpg").read_bytes() == before


def test_arrays_are_numbered_and_videos_left_alone(tmp_path):
    assert run([np.zeros((240, 320, 3), np.uint8)] * 3, tmp_path) == ["list_1.jpg", "list_2.jpg", "list_3.jpg"]
    assert run(np.zeros((240, 320, 3), np.uint8), tmp_path) == ["array.jpg"]
    assert run("testsrc:320x240@30:3", tmp_path) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RuntimeError, match=r"RecordingError: .*array\.jpg cannot be written: No such file or directory"):
        run(np.zeros((240, 320, 3), np.uint8), tmp_path / "missing")


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
def test_a_full_disk_leaves_no_broken_picture(tmp_path):
    import resource

    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(
            CallbackError, match=r"array\.jpg cannot be written: File too large; free some space or save elsewhe"
        ):
            run(noise, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
