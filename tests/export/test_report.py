"""What an export tells when it is done."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from framehook import Model
from framehook.export import report as report_module
from framehook.export.accuracy import Accuracy
from framehook.export.box_check import BoxFigures, Matched
from framehook.export.exporter import Exporter
from framehook.export.options import ExportOptions
from framehook.export.parity import Parity, Speed
from framehook.export.pixel_check import PixelFigures
from framehook.export.report import ExportReport
from framehook.export.tensor_check import TensorFigures
from framehook.export.tolerances import tolerance_for
from framehook.inference.decoders import FunctionDecoder, get_decoder, register_decoder, registry
from framehook.inference.load import bundled_model
from tests.export.spots import save_spots

SPEED = Speed((8.0, 4.0), (10.0, 5.0), 9)
"""Median times of source and export, in milliseconds."""


def parity(kind="float", *, matched=(341, 341, 341, 0), own=None, pixels=None, tensors=2e-5, notes=()):
    expected, found, same, ties = matched
    boxes = BoxFigures(Matched(expected, found, same, ties, 0.99996, 2e-5), Accuracy(0.984, 0.99), tolerance_for(kind))
    scaled = Matched(expected, found, same - 2, 0, 0.98, 0.01)
    return Parity(
        kind,
        32,
        0.25,
        TensorFigures(11, tensors, 0.05, 1.0, "output0, row 2"),
        pixels,
        boxes,
        own and BoxFigures(scaled, Accuracy(1.0, 1.0), tolerance_for(kind, own_pixels=True)),
        SPEED,
        notes,
    )


def report(path=Path("/models/yolo.onnx"), **changes):
    given = {
        "source": "/home/ann/yolo.pt",
        "path": path,
        "options": ExportOptions(),
        "stages": {"network": 4.21, "write": 0.01, "verify": 60.0},
        "parity": parity(),
        "bytes": 12_345_678,
        "source_bytes": 6_500_000,
        "about": "32 frames of street.mp4",
        "tried_on": "street.mp4",
    }
    return ExportReport(**{**given, **changes})


def said(lines, label):
    """What stands behind a label."""
    (line,) = (line for line in lines if line.split()[:1] == [label])
    return line.split(maxsplit=1)[1]


def test_all_of_it_for_people():
    assert report().lines() == [
        "yolo.pt -> /models/yolo.onnx, in 1 min 4 s",
        "  size        12.3 MB, its source 6.5 MB",
        "  compared    on 32 frames of street.mp4",
        "  network     the same numbers, 2e-05 off at most",
        "  detections  341 of 341 are the same (overlap 0.9999, score within 2e-05)",
        "  speed       5.00 ms a frame, 4.00 ms in the network; its source 10.0 ms, 2.00 x as fast",
        "  took        network 4.2 s, verify 1 min 0 s",
        "Run it:",
        "  framehook predict street.mp4 --model /models/yolo.onnx",
        "  from framehook import Model; Model('/models/yolo.onnx').predict('street.mp4')",
    ]


def test_all_of_it_for_programs():
    told = json.loads(json.dumps(report(options=ExportOptions(imgsz=(320, 416), output="x.onnx")).as_dict()))
    assert told["options"]["imgsz"] == [320, 416]
    assert (told["bytes"], told["source_bytes"], told["seconds"]) == (12_345_678, 6_500_000, pytest.approx(64.22))
    assert told["proven"] is True
    assert told["parity"]["boxes"]["matched"]["matched"] == 341
    assert told["parity"]["speed_ratio"] == 2
    assert told["next"]["command"] == "framehook predict street.mp4 --model /models/yolo.onnx"
    assert json.loads(json.dumps(report(parity=None, source_bytes=None).as_dict()))["parity"] is None


def test_paths_are_told_as_one_would_type_them(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    told = report(tmp_path / "my model.onnx", tried_on="my clips/*.mp4")
    assert told.lines()[0] == "yolo.pt -> my model.onnx, in 1 min 4 s"
    assert shlex.split(told.command) == ["framehook", "predict", "my clips/*.mp4", "--model", "my model.onnx"]
    assert told.code == "Model('my model.onnx').predict('my clips/*.mp4')"


def test_what_it_says_to_run_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = report(bundled_model(), tried_on="testsrc:64x48@30:2")
    assert len(eval(told.code, {"Model": Model})) == 2


def test_without_a_source_something_is_proposed_that_is_there(monkeypatch):
    monkeypatch.setattr(report_module, "find_demo_clip", lambda: Path("/clips/bikes.mp4"))
    assert report(tried_on=None).command == "framehook predict /clips/bikes.mp4 --model /models/yolo.onnx"
    monkeypatch.setattr(report_module, "find_demo_clip", lambda: None)
    assert report(tried_on=None).command == "framehook predict testsrc:640x480@30:100 --model /models/yolo.onnx"


def test_what_was_not_compared_is_said():
    lines = report(parity=None, about=None).lines()
    assert said(lines, "compared") == "no, since verify=False; nothing says that it does what its source does"
    assert not report(parity=None).proven
    assert not any("detections" in line for line in lines)


def test_too_few_detections_are_said_to_prove_nothing():
    few = report(parity=parity(matched=(12, 12, 12, 0)))
    assert not few.proven
    assert "12 of 12 are the same" in said(few.lines(), "detections")
    assert "too few to prove anything (20 are needed)" in said(few.lines(), "detections")
    none = report(parity=parity(matched=(0, 0, 0, 0)))
    assert "finds nothing over 0.25 there, so nothing is proven" in said(none.lines(), "detections")


def test_ties_pixels_and_notes_are_told():
    whole = parity(
        matched=(341, 341, 340, 2),
        own=True,
        pixels=PixelFigures(11, 1.0, 0.1, 0.0),
        tensors=0.0,
        notes=("other sizes were not compared",),
    )
    lines = report(parity=whole, notes=("PyTorch's newer exporter failed",)).lines()
    assert said(lines, "network") == "exactly the same numbers"
    assert said(lines, "pixels") == "1 of 255 grey levels off at most"
    assert said(lines, "detections").endswith("2 ties fell the other way")
    own = lines[next(number for number, line in enumerate(lines) if "detections" in line) + 1]
    assert own.strip().startswith("338 of 341 are the same (overlap 0.98, score within 0.01), 341 are found again")
    assert said(lines, "note") == "PyTorch's newer exporter failed"
    assert "              other sizes were not compared" in lines


def test_less_exact_exports_tell_what_it_costs():
    names = tuple(f"Conv_{number}" for number in range(8))
    lines = report(parity=parity("int8", matched=(341, 330, 300, 0)), left_in_float=names).lines()
    assert said(lines, "detections") == "300 of 341 are the same (overlap 0.9, score within 0.1), 338 are found again"
    assert said(lines, "AP50") == "0.984, with the detections of the source as the truth"
    assert "of their spread, in the median" in said(lines, "network")
    assert said(lines, "float") == "8 operators left in float: Conv_0, Conv_1, Conv_2, Conv_3, Conv_4, Conv_5 and 2 more"
    assert "the worst of them" in said(report(parity=parity("half")).lines(), "network")


def test_no_line_is_broken_and_figures_are_not_flattered():
    everything = report(parity=parity("half", own=True, pixels=PixelFigures(9, 0.0, 0.0, 0.0)), notes=("a note",))
    assert not any("\n" in line for line in everything.lines())
    assert not any(re.search(r"overlap 1\b", line) for line in report().lines())
    assert said(everything.lines(), "pixels") == "exactly the same pixels"
    slow = Parity(**{**{name: getattr(parity(), name) for name in Parity.__slots__}, "speed": Speed((1, 4), (2.0, 8.0), 3)})
    assert said(report(parity=slow).lines(), "speed").endswith("0.25 x as fast")


def test_a_decoder_that_has_to_be_registered_first_is_told():
    told = report(register="mine")
    lines = told.lines()
    assert said(lines, "note") == "whoever runs it has to register the decoder 'mine' first (register_decoder)"
    assert lines[-2:] == [
        "Run it in a program that has registered the decoder 'mine' (register_decoder):",
        "  from framehook import Model; Model('/models/yolo.onnx').predict('street.mp4')",
    ]
    assert not any("framehook predict" in line for line in lines)
    assert told.as_dict()["next"]["command"] is None
    assert told.as_dict()["register"] == "mine"
    assert told.as_dict()["notes"] == ["whoever runs it has to register the decoder 'mine' first (register_decoder)"]


def test_names_that_look_like_options_are_no_options(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    told = report(tmp_path / "-x.onnx", tried_on="-clip.mp4")
    assert told.command == "framehook predict ./-clip.mp4 --model ./-x.onnx"


@pytest.mark.skipif(shutil.which("bash") is None, reason="the notation is that of bash and zsh")
@pytest.mark.parametrize(
    "name",
    [
        "two\nlines.onnx",
        'it\'s\r\n"two".onnx',
        "a\u2028b\\n.onnx",
        "it's\ttabs.onnx",
        "a\u00adb\udcff0.onnx",
        "plain it's.onnx",
    ],
)
def test_line_breaks_in_names_break_no_lines(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    told = report(tmp_path / name, source=f"/models/{name}", notes=(f"{name} is a name",), about=f"frames of {name}")
    assert all(len(line.splitlines()) == 1 for line in told.lines())
    shown = subprocess.run(
        ["bash", "-c", told.command.replace("framehook", "printf '%s|'", 1)], capture_output=True, check=True
    )
    assert os.fsdecode(shown.stdout).split("|")[3] == name
    assert eval(told.code.split(".predict")[0], {"Model": str}) == name


def test_an_export_with_a_decoder_of_ones_own_says_that_it_has_to_be_registered(monkeypatch, tmp_path):
    def mine(outputs, *, input_size, conf):
        return get_decoder("yolo").decode(outputs, input_size=input_size, conf=conf)

    monkeypatch.setattr(registry, "_added", {})
    register_decoder(FunctionDecoder(mine))
    path = save_spots(tmp_path / "spots.onnx")
    for decoder, register in (("mine", "mine"), ("yolo", None)):
        exporter = Exporter(path, decoder=decoder, data="testsrc:64x48@30:2", output=tmp_path / f"{decoder}.onnx")
        exporter.run()
        assert exporter.report.register == register
