"""Rows, pictures and counts that a command is asked for: where they lie, and what is said of them."""

import json
import os
import shlex
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from framehook.app.summary import zone_lines


def saved(told):
    return [line.split(maxsplit=1)[1] for line in told.out.splitlines() if line.strip().startswith("saved")]


def test_what_is_asked_for_lies_where_the_summary_says(framehook, data_dir, tmp_path):
    clip = data_dir / "clips" / "vtest.avi"
    zones = ["--zone", "across=0,300,768,300", "--zone", "all=0,0,1,0,1,1,0,1"]
    told = framehook("track", clip, "--frames", "30", "--save-rows", "out.csv", "--save-crop", "--save-frames", "1", *zones)
    assert (told.code, told.err) == (0, "")
    boxes = len((tmp_path / "out.csv").read_text().splitlines()) - 1
    assert boxes > 30
    assert saved(told) == ["out.csv", f"{boxes} crops in runs/predict/crops", "3 frames in runs/predict/frames"]
    assert len(list((tmp_path / "runs" / "predict" / "crops" / "person").iterdir())) == boxes
    assert "  zone     across: in " in told.out
    assert "  zone     all: entered " in told.out


def test_naming_a_folder_for_rows_does_not_save_a_video_too(framehook, clip, tmp_path):
    told = framehook("predict", clip, "--save-rows", "jsonl", "--save-dir", "here")
    assert saved(told) == ["here/rows.jsonl"]
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["rows.jsonl"]
    assert len((tmp_path / "here" / "rows.jsonl").read_text().splitlines()) == 20
    told = framehook("predict", clip, "--save-rows", "out.jsonl", "--save-dir", "there")
    assert sorted(saved(told)) == ["out.jsonl", "there/scene.mp4"]


def test_mot_files_of_several_sources_are_counted(framehook, clip, tmp_path):
    told = framehook("track", clip, clip, "--save-rows", "mot")
    assert saved(told) == ["runs/predict/scene.txt, runs/predict/scene_2.txt"]
    assert sorted(path.name for path in (tmp_path / "runs" / "predict").iterdir()) == ["scene.txt", "scene_2.txt"]


def test_what_zones_counted_is_said_in_words():
    line = {"in": 3, "out": 0, "classes": {"person": {"in": 2, "out": 0}, "car": {"in": 1, "out": 0}}}
    area = {"inside": 1, "most": 4, "entered": 7, "classes": {"person": {"inside": 1, "entered": 7}}}
    untracked = {"inside": 1, "most": 4, "entered": None, "classes": {"person": {"inside": 1, "entered": None}}}
    assert list(zone_lines({"door": line, "yard": area, "lawn": untracked})) == [
        "door: in 2 people, 1 car; out nothing",
        "yard: entered 7 people; at most 4 at once",
        "lawn: at most 4 at once",
    ]


def test_rows_on_standard_output_are_alone_there(start_framehook, clip, tmp_path):
    (tmp_path / "talks.py").write_text("def on_predict_batch_end(predictor):\n    print('from a callback')\n")
    told = start_framehook("predict", clip, "--save-rows", "-", "--callbacks", "talks.py").finish()
    assert told.code == 0
    assert [json.loads(line)["frame"] for line in told.out.splitlines()] == list(range(20))
    assert told.err.count("from a callback\n") == 20
    assert "scene.mp4: 20 frames in " in told.err
    assert "saved" not in told.err


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_a_reader_who_has_enough_ends_an_endless_run(tmp_path):
    framehook = f"{shlex.quote(sys.executable)} -m framehook"
    command = f"{framehook} predict testsrc:64x48@30 --save-rows - | head -n 3; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    *rows, code = done.stdout.splitlines()
    assert [json.loads(line)["frame"] for line in rows] == [0, 1, 2]
    assert code == "0"
    assert "error" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
def test_rows_that_do_not_fit_fail_in_one_line(tmp_path):
    command = f"{shlex.quote(sys.executable)} -m framehook predict testsrc:64x48:3 --save-rows - >/dev/full"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "standard output cannot be written: No space left on device" in done.stderr


def test_counts_of_a_real_run_agree_with_its_own_rows(framehook, data_dir, tmp_path):
    """The crossings that the summary tells are those one finds by going through the rows with the rule in mind."""
    clip, model = data_dir / "clips" / "vtest.avi", data_dir / "models" / "yolox_nano_416.onnx"
    told = framehook(
        *("track", clip, "--model", model, "--classes", "person", "--frames", "140"),
        *("--save-rows", "out.txt", "--zone", "across=0,300,768,300"),
    )
    assert told.code == 0
    side, since, pending, crossed = {}, Counter(), Counter(), Counter()
    for _, number, _, top, _, height, *_ in np.loadtxt(tmp_path / "out.txt", delimiter=",").tolist():
        above = min(top + height, 575) < 300
        if side.setdefault(number, above) != above:
            pending[number] += 1 if above else -1
            since[number] = 0
        side[number] = above
        since[number] += 1
        if since[number] >= 3 and pending[number]:
            crossed["in" if pending[number] > 0 else "out"] += 1
            pending[number] = 0
    assert min(crossed["in"], crossed["out"]) > 0
    said = [f"{way} {count} {'person' if count == 1 else 'people'}" for way, count in sorted(crossed.items())]
    assert f"across: {'; '.join(said)}\n" in told.out


def test_many_files_are_counted_by_kind(framehook, clip):
    told = framehook("track", *[clip] * 4, "--save", "--save-rows", "mot", "--save-dir", "o")
    assert saved(told) == ["4 videos in o", "4 files of rows in o"]


def test_a_list_of_sources_is_not_added_to(framehook, clip, tmp_path):
    (tmp_path / "list.txt").write_text(f"{clip}\n")
    (tmp_path / "figures.json").symlink_to("list.txt")
    for option, name in (("--stats", "figures.json"), ("--save-rows", "list.txt")):
        told = framehook("predict", "list.txt", option, name)
        assert (told.code, told.out) == (2, "")
        assert told.err == f"error: {option} {name} is the source itself; name another file\n"
    assert framehook("benchmark", "list.txt", "--json", "figures.json").code == 2
    assert (tmp_path / "list.txt").read_text() == f"{clip}\n"
