"""What is said to somebody who typed something: help, and one line for each mistake."""

import pytest

from framehook.app.arguments import settings, zones
from framehook.app.messages import in_shell_terms


def lines(text):
    return text.splitlines()


def test_alone_it_shows_three_commands_on_one_screen(framehook):
    shown = framehook()
    assert shown.code == 0
    assert len(lines(shown.out)) < 12
    assert all(len(line) <= 80 for line in lines(shown.out))
    for command in ("framehook demo", "framehook track 0", "framehook predict"):
        assert command in shown.out


def test_help_names_every_command(framehook):
    shown = framehook("--help")
    assert shown.code == 0
    for command in ("demo", "predict", "track", "models"):
        assert command in shown.out


@pytest.mark.parametrize("command", ["predict", "track"])
def test_help_of_a_run_names_every_option_of_the_library(framehook, command):
    from framehook.inference.options import OPTION_NAMES

    shown = framehook(command, "--help")
    assert shown.code == 0
    for name in OPTION_NAMES:
        option = {"tracker_options": "tracker-option", "zones": "zone"}.get(name, name.replace("_", "-"))
        assert f"--{option} " in shown.out.replace(",", " ").replace("/", " ")


def test_defaults_in_the_help_are_those_of_the_library(framehook):
    from framehook.inference.options import PredictOptions

    text = " ".join(framehook("predict", "--help").out.split())
    options = PredictOptions()
    for name in ("conf", "iou", "max_det", "batch", "vid_stride", "pace"):
        after = text.partition(f"--{name.replace('_', '-')} ")[2]
        assert after.partition("[default: ")[2].partition("]")[0] == str(getattr(options, name)), name


def test_version(framehook):
    from framehook import __version__

    assert framehook("--version").out == f"framehook {__version__}\n"


@pytest.mark.parametrize("arguments", [["predict", "x", "--conf", "abc"], ["predict", "x", "--max-det", "1.5"]])
def test_values_of_another_kind_are_told_without_words_of_a_library(framehook, arguments):
    told = framehook(*arguments)
    assert arguments[2] in told.err
    assert "unable to parse" not in told.err
    assert "Input" not in told.err


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("conf=2.0 is out of range", "--conf 2.0 is out of range"),
        ("max_det='x' is out of range", "--max-det 'x' is out of range"),
        ("imgsz=(3, 4) does not fit", "--imgsz (3, 4) does not fit"),
        ("name another with decoder=", "name another with --decoder"),
        ("is right (decoder=)", "is right (--decoder)"),
        ("my_conf=2 and --conf=2", "my_conf=2 and --conf=2"),
    ],
)
def test_options_of_the_library_are_told_as_they_are_typed(said, meant):
    assert in_shell_terms(said) == meant


@pytest.mark.parametrize(
    ("text", "value"),
    [("None", None), ("none", None), ("True", True), ("false", False), ("3", 3), ("0.5", 0.5), ("iou", "iou"), ("", "")],
)
def test_values_of_settings(text, value):
    assert settings([f"some-key={text}"]) == {"some_key": value}


def test_zones_are_read_as_points_by_name():
    assert zones(["door=1,2,3,4", "the yard = 0,0,1,0,.5,-1"]) == {
        "door": [(1, 2), (3, 4)],
        "the yard": [(0, 0), (1, 0), (0.5, -1)],
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pradict", "x"], "no such command 'pradict'. Did you mean 'predict'?"),
        (["predict", "x", "--cnf", "1"], "no such option: --cnf. Did you mean '--conf'?"),
        (["predict", "x", "--nosuch"], "no such option: --nosuch. See 'framehook predict --help'."),
        (["predict"], "missing argument 'SOURCE'"),
        (["predict", "testsrc:64x48:1", "--conf", "abc"], "invalid value for '--conf': "),
        (["predict", "testsrc:64x48:1", "--conf", "2"], "--conf 2.0 is out of range; pass a number from 0 to 1"),
        (["predict", "testsrc:64x48:1", "--frames", "0"], "'--frames'"),
        (["predict", "testsrc:64x48:1", "--imgsz", "big"], "--imgsz big is not a size"),
        (["predict", "testsrc:64x48:1", "--imgsz", "123"], "the model takes 320x320 only; leave --imgsz out"),
        (["predict", "testsrc:64x48:1", "--pace", "slow"], "pass 'max' or 'realtime'"),
        (["predict", "testsrc:64x48:1", "--classes", "parson"], "Did you mean 'person'?"),
        (["predict", "testsrc:64x48:1", "--overlay", "boxs"], "Did you mean 'boxes'?"),
        (["track", "testsrc:64x48:1", "--tracker", "bytetrak"], "Did you mean 'bytetrack'?"),
        (["track", "testsrc:64x48:1", "--tracker-option", "fast"], "write key=value"),
        (["track", "testsrc:64x48:1", "--tracker-option", "fast=1"], "fast"),
        (["track", "testsrc:64x48:1", "--tracker-option", "lost_track_buffer=NaN"], "write a finite number"),
        (["predict", "testsrc:64x48:1", "--tracker-option", "fast=1"], "add --tracker bytetrack, or use 'framehook track'"),
        (["predict", "testsrc:64x48:1", "--no-save", "--save-dir", "x"], "--no-save leaves nothing to put into --save-dir x"),
        (["predict", "testsrc:64x48:1", "--save-dir", __file__], "'--save-dir'"),
        (["predict", "testsrc:64x48:1", "--no-save", "--save-dir", "x", "--save-rows", "a.csv"], "--no-save leaves nothing to"),
        (["predict", "testsrc:64x48:1", "--save-rows", "out.json"], "'out.json' is no name for rows. Pass jsonl, csv, mot, or"),
        (["predict", "testsrc:64x48:1", "--save-frames", "-1"], "--save-frames -1.0 is out of range; pass seconds"),
        (["track", "testsrc:64x48:1", "--zone", "door"], "--zone door is no line and no area; write its name and two points"),
        (["track", "testsrc:64x48:1", "--zone", "door=1,2,3"], "--zone door=1,2,3 is no line"),
        (["track", "testsrc:64x48:1", "--zone", "=1,2,3,4"], "--zone =1,2,3,4 is no line"),
        (["track", "testsrc:64x48:1", "--zone", "a=1,2,3,4", "--zone", "a=5,6,7,8"], "there are two zones of this name"),
        (["track", "testsrc:64x48:1", "--zone", "a=1,2,1,2"], "zone 'a' has no length"),
        (
            ["predict", "testsrc:64x48:1", "--zone", "a=1,2,3,4"],
            "--zone a is a line, which tracks cross; add --tracker bytetrack",
        ),
        (["predict", __file__, "--save-rows", __file__], "is the source itself; name another file"),
        (["predict", __file__, "--stats", __file__], f"--stats {__file__} is the source itself; name another file"),
        (
            ["benchmark", "testsrc", "--json", "clip.mp4"],
            "--json clip.mp4 is no JSON file; pass a name that ends in .json, or -",
        ),
        (["benchmark", "testsrc:320x240:5"], "testsrc:320x240:5 has fewer frames than the 10 that a benchmark takes"),
        (["benchmark", "testsrc", "--frames", "5"], "--frames 5 is too few for a benchmark; pass 10 or more"),
        (
            ["benchmark", "testsrc", "--seconds", "1e12"],
            "--seconds 1e+12 is out of range; pass a number above 0, 86400 (a day)",
        ),
        (["sources", "testsrc", "--seconds", "1e12"], "--seconds 1e+12 is out of range"),
        (["predict", "testsrc:64x48:1", "--save-keep", "2"], "add --save-segment"),
        (["predict", "testsrc:64x48:1", "--no-save", "--save-segment", "5"], "is about a recording; add --save"),
        (["predict", "testsrc:64x48", "nowhere.mp4"], "nowhere.mp4 does not exist"),
        (["predict", "testsrc:64x48:1", "--model", "."], ". is a folder; pass the path of an .onnx or .pt file"),
        (["predict", "testsrc:64x48:1", "--device", "abacus"], "'abacus' is unknown"),
        (
            ["predict", "testsrc:64x48:1", "--decoder", "yollo"],
            "Did you mean 'yolo'? Known are yolo, yolov5, end2end, yolox, ",
        ),
        (["predict", "testsrc:64x48:1", "--model", "none.onnx"], "no model file at none.onnx"),
        (["predict", "testsrc:64x48:1", "--callbacks", "none.py"], "none.py"),
        (["predict", "nowhere.mp4"], "nowhere.mp4"),
        (["predict", "testsrc:banana"], "testsrc[:WIDTHxHEIGHT]"),
        (["models", "none.onnx"], "no model file at none.onnx"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_told_in_one_line_and_exits_2(framehook, arguments, said):
    told = framehook(*arguments)
    assert said in told.err
    assert told.err.startswith("error: ")
    assert len(lines(told.err)) == 1
    assert told.out == ""
    assert told.code == 2


def test_a_file_that_is_no_video_fails_with_exit_1(framehook, tmp_path):
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 64)
    told = framehook("predict", "noise.mp4")
    assert told.err.startswith("error: ")
    assert "noise.mp4" in told.err
    assert len(lines(told.err)) == 1
    assert told.out == ""
    assert told.code == 1


def test_a_file_that_is_no_model_fails_with_exit_1(framehook, tmp_path):
    (tmp_path / "noise.onnx").write_bytes(b"not a model")
    told = framehook("models", "noise.onnx")
    assert told.err.startswith("error: noise.onnx (11 bytes) cannot be loaded")
    assert len(lines(told.err)) == 1
    assert told.code == 1


FAILING = """
def on_predict_batch_end(predictor):
    raise ValueError("the cat sat on the cable")
"""


def test_a_callback_that_fails_is_told_in_one_line_and_its_traceback_with_debug(framehook, tmp_path):
    (tmp_path / "mine.py").write_text(FAILING)
    arguments = ["predict", "testsrc:64x48:3", "--callbacks", "mine.py"]
    told = framehook(*arguments)
    assert told.code == 1
    assert told.out == ""
    assert len(lines(told.err)) == 1
    assert "on_predict_batch_end" in told.err
    assert "ValueError: the cat sat on the cable" in told.err
    detailed = framehook(*arguments, "--debug")
    assert detailed.code == 1
    assert 'mine.py", line 3' in detailed.err
    assert lines(detailed.err)[-1] == lines(told.err)[-1]


SEVERAL = """
def on_predict_batch_end(predictor):
    raise ValueError("first")

def on_predict_end(predictor):
    raise ValueError("second")
"""


def test_several_errors_are_told_on_a_line_each(framehook, tmp_path):
    (tmp_path / "mine.py").write_text(SEVERAL)
    told = framehook("predict", "testsrc:64x48:3", "--callbacks", "mine.py")
    assert told.code == 1
    assert len(lines(told.err)) == 2
    assert all(line.startswith("error: ") for line in lines(told.err))
    assert "first" in told.err
    assert "second" in told.err


def test_a_bug_is_told_in_one_line_with_the_way_to_its_traceback(framehook, monkeypatch):
    from framehook.inference.detector import Detector

    monkeypatch.setattr(Detector, "check", lambda self, options: 1 // 0)
    told = framehook("predict", "testsrc:64x48:1")
    assert told.code == 1
    assert len(lines(told.err)) == 1
    assert "ZeroDivisionError" in told.err
    assert "--debug" in told.err
    assert "Traceback" in framehook("predict", "testsrc:64x48:1", "--debug").err
