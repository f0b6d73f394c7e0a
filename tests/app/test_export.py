"""`framehook export`: what it shows, what it leaves, how it ends."""

import json
import shlex
import signal
import time

import pytest

from framehook.app.exporting import in_shell_terms
from framehook.export.options import OPTION_NAMES, ExportOptions

SCENE = "testsrc:320x240@30:2"
WAIT = 300
"""Seconds that anything may take on a machine that does much else."""


def wait_for(condition):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_an_export_is_told_with_what_to_do_next_and_that_works(framehook, tmp_path):
    told = framehook("export", "person320", "--preprocess", "--nms", "--data", SCENE)
    assert told.code == 0
    assert (tmp_path / "person320_preprocess_nms.onnx").is_file()
    lines = told.out.splitlines()
    assert lines[0].startswith("person320.onnx -> person320_preprocess_nms.onnx, in ")
    assert any(line.split()[:2] == ["compared", "on"] for line in lines)
    command = shlex.split(lines[lines.index("Run it:") + 1])
    assert command[:3] == ["framehook", "predict", SCENE]
    assert framehook(*command[1:]).code == 0


def test_without_a_terminal_each_stage_is_a_line_on_standard_error(framehook):
    told = framehook("export", "person320", "--no-verify")
    assert told.err.splitlines() == ["making the graph ...", "simplifying ...", "writing ..."]
    assert "since --no-verify" in told.out
    assert "=False" not in told.out


def test_json_is_all_there_is_on_standard_output(framehook, tmp_path):
    told = framehook("export", "person320", "--no-verify", "--json", "-o", "person.onnx")
    report = json.loads(told.out)
    assert report["path"] == str(tmp_path / "person.onnx")
    assert report["options"]["verify"] is False
    assert report["proven"] is False
    assert list(report["stages"]) == ["network", "simplify", "write"]


def test_a_file_that_is_there_is_told_of_even_where_a_callback_fails_at_the_end(framehook, tmp_path):
    (tmp_path / "upload.py").write_text(
        "def on_export_end(exporter):\n    raise ValueError('upload failed')\n", encoding="utf-8"
    )
    told = framehook("export", "person320", "--no-verify", "-o", "person.onnx", "--callbacks", "upload.py")
    assert told.code == 1
    assert told.out.startswith("person320.onnx -> person.onnx, in ")
    assert "callback 'on_export_end' failed in on_export_end: ValueError: upload failed" in told.err


def test_help_names_every_option_of_the_library_with_its_default(framehook):
    text = " ".join(framehook("export", "--help").out.split())
    options = ExportOptions()
    for name in OPTION_NAMES:
        assert f"--{name.replace('_', '-')} " in text
    for name in ("format", "batch", "conf", "iou", "max_det"):
        after = text.partition(f"--{name.replace('_', '-')} ")[2]
        assert after.partition("[default: ")[2].partition("]")[0] == str(getattr(options, name)), name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--half", "--int8", "--data", "x"], "--half and --int8 exclude each other; choose one"),
        (["--int8"], "--int8 is calibrated on what the model will see; pass --data, too: such a clip, or a folder of pictures"),
        (["--conf", ".3"], "--conf 0.3 is put into the file by nms alone; pass --nms, too, or choose it when running"),
        (["--imgsz", "100"], "--imgsz 100 is no multiple of 32, the network's stride; pass 96 or 128"),
        (
            ["--imgsz", "640"],
            "--imgsz 640 does not fit: the model takes 320x320 only; leave --imgsz out, or pass --dynamic, too",
        ),
        (["--format", "engine"], "--format 'engine' is unknown; models are exported as onnx, which runs anywhere"),
        (["-o", "a/b.onnx"], "--output 'a/b.onnx': there is no folder a; make it first"),
        (["--data", "x", "--no-verify"], "--data 'x' is for int8 and for verify; leave it out, or pass --verify"),
    ],
)
def test_wrong_use_is_told_in_one_line_as_it_is_typed(framehook, tmp_path, arguments, said):
    told = framehook("export", "person320", *arguments)
    assert told.code == 2
    assert told.err == f"error: {said}\n"
    assert told.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("half=True needs the float model", "--half needs the float model"),
        ("export it with simplify=False or another opset", "export it with --no-simplify or another opset"),
        ("verify=False writes it as it is; leave half out", "--no-verify writes it as it is; leave --half out"),
        ("max_det=0 is out of range", "--max-det 0 is out of range"),
        ("pass data of your own scenes", "pass --data of your own scenes"),
        ("my_half=True and --half=True", "my_half=True and --half=True"),
    ],
)
def test_options_of_an_export_are_told_as_they_are_typed(said, meant):
    assert in_shell_terms(said) == meant


SABOTAGE = """
import onnx
from onnx import numpy_helper

def on_export_progress(exporter):
    if exporter.stage != "verify" or exporter.target.with_suffix(".done").exists():
        return
    exporter.target.with_suffix(".done").touch()
    (path,) = exporter.target.parent.glob(f".{exporter.target.name}.*")
    model = onnx.load(path)
    weights = next(each for each in model.graph.initializer if len(each.dims) == 4)
    values = numpy_helper.to_array(weights).copy()
    values.flat[0] += 64
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    path.write_bytes(model.SerializeToString())
"""


def test_one_weight_changed_after_the_export_is_caught_and_nothing_is_left(framehook, tmp_path):
    (tmp_path / "sabotage.py").write_text(SABOTAGE)
    options = ("-o", "out.onnx", "--no-simplify", "--callbacks", "sabotage.py", "--data", SCENE)
    told = framehook("export", "person320", *options)
    assert told.code == 1
    *stages, error = told.err.splitlines()
    assert stages[-1] == "comparing with the source ..."
    assert error.startswith("error: ")
    assert "=False" not in error
    assert sorted(path.name for path in tmp_path.glob("*out*")) == ["out.done"]


HANG = """
import threading

def on_export_progress(exporter):
    if exporter.stage == "verify":
        open("running", "w").close()
        threading.Event().wait()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_what_was_there(start_framehook, tmp_path, number, code):
    (tmp_path / "hang.py").write_text(HANG)
    (tmp_path / "out.onnx").write_bytes(b"old")
    quick = ("--no-simplify", "--data", SCENE)
    process = start_framehook("export", "person320", "-o", "out.onnx", "--callbacks", "hang.py", *quick)
    wait_for((tmp_path / "running").exists)
    process.interrupt(number)
    told = process.finish(timeout=WAIT)
    assert told.code == code
    assert told.err.splitlines()[-1] == "interrupted; out.onnx was not written"
    assert "Traceback" not in told.err
    assert (tmp_path / "out.onnx").read_bytes() == b"old"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


LOST = """
import os, signal

class Swallows:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)  # what is raised in here is printed, and lost

def on_export_progress(exporter):
    if exporter.stage == "simplify":
        Swallows()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there are no such signals")
def test_an_interrupt_that_is_lost_ends_the_export_all_the_same(start_framehook, tmp_path):
    (tmp_path / "lost.py").write_text(LOST)
    options = ("-o", "out.onnx", "--callbacks", "lost.py", "--data", SCENE)
    told = start_framehook("export", "person320", *options).finish(timeout=WAIT)
    assert told.code == 143
    assert not list(tmp_path.glob("*out*"))
