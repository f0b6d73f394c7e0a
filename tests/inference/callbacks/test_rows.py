import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from framehook.inference import saving
from framehook.inference.callbacks import Callbacks, Crops, FrameRate, Overlay, Recorder, Rows, Snapshots, Tracking
from framehook.inference.errors import CallbackError, OptionError

from ..scripted import Scripted  # noqa: TID252 - the same scenery as the tests of runs
from .scenes import play, walk


def run(source, rows, *, folder=None, ids=None, script=walk, attach=None):
    running = play(source, rows, script=script, ids=ids)
    running.predictor.save_dir = folder
    if attach is not None:
        running.predictor.callbacks.add("on_predict_batch_end", attach)
    list(running)
    return running.predictor


def pictures(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.zeros((240, 320, 3), np.uint8))
    return [str(folder / name) for name in names]


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def test_json_has_a_line_a_frame_with_everything_that_is_known(tmp_path):
    before = datetime.now(UTC)
    rows = Rows(tmp_path / "out.jsonl")
    run(
        "testsrc:320x240@30:3",
        rows,
        ids=lambda index: [7] * (index != 1),
        script=lambda index: [] if index == 1 else walk(index),
    )
    lines = objects((tmp_path / "out.jsonl").read_text())
    captured = [datetime.fromisoformat(line.pop("time")) for line in lines]
    assert lines[0] == {
        "source": "testsrc",
        "frame": 0,
        "pts": 0.0,
        "size": [320, 240],
        "boxes": [{"id": 7, "cls": 0, "name": "thing", "conf": 0.9, "xyxy": [20.0, 60.0, 50.0, 140.0]}],
    }
    assert [(line["frame"], line["pts"], len(line["boxes"])) for line in lines] == [(0, 0.0, 1), (1, 0.0333, 0), (2, 0.0667, 1)]
    assert [each.utcoffset().total_seconds() for each in captured] == [0, 0, 0]
    assert before.timestamp() - 0.1 < captured[0].timestamp() < time.time() + 0.1
    assert rows.paths == [tmp_path / "out.jsonl"]


def test_boxes_without_a_track_have_no_id(tmp_path):
    for name in ("a.jsonl", "a.csv", "a.txt"):
        run("testsrc:320x240@30:1", Rows(tmp_path / name), ids=lambda index: [-1])
    assert objects((tmp_path / "a.jsonl").read_text())[0]["boxes"][0]["id"] is None
    assert next(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))["id"] == ""
    assert (tmp_path / "a.txt").read_text() == "1,-1,20.00,60.00,30.00,80.00,0.9000,-1,-1,-1\n"


def test_what_callbacks_attached_is_there_as_far_as_json_can_hold_it(tmp_path):
    def attach(predictor):
        for result in predictor.frame_results:
            result.data.update(
                alarm=True,
                door={"in": np.int64(3), "late": np.float32(0.5)},
                words=["über", "日本"],
                frame=result.orig_img,
                broken=float("nan"),
                odd={1, 2},
            )

    run("testsrc:320x240@30:1", Rows(tmp_path / "out.jsonl"), attach=attach)
    line = objects((tmp_path / "out.jsonl").read_text(encoding="utf-8"))[0]
    assert line["data"] == {"alarm": True, "door": {"in": 3, "late": 0.5}, "words": ["über", "日本"]}


def test_csv_has_a_line_a_box_under_the_names_of_the_columns(tmp_path):
    run("testsrc:320x240@30:3", Rows(tmp_path / "out.csv"), script=lambda index: [] if index == 1 else walk(index) * 2)
    text = (tmp_path / "out.csv").read_text()
    assert text.splitlines()[0] == "source,frame,pts,time,id,cls,name,conf,x1,y1,x2,y2"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["frame"], row["name"], row["conf"], row["x1"], row["x2"]) for row in rows] == [
        ("0", "thing", "0.9", "20.0", "50.0"),
        ("0", "thing", "0.9", "20.0", "50.0"),
        ("2", "thing", "0.9", "28.0", "58.0"),
        ("2", "thing", "0.9", "28.0", "58.0"),
    ]


def test_mot_has_a_file_a_source_that_reads_back_as_the_boxes_were(tmp_path):
    predictor = run("testsrc:320x240@30:3", Rows(format="mot"), folder=tmp_path, ids=lambda index: [4])
    assert np.loadtxt(tmp_path / "testsrc.txt", delimiter=",").tolist() == [
        [index + 1, 4, 20 + 4 * index, 60, 30, 80, 0.9, -1, -1, -1] for index in range(3)
    ]
    assert predictor.save_dir == tmp_path
    rows = Rows(tmp_path / "mot.txt")
    predictor = run([*pictures(tmp_path, "a.png", "b.png"), np.zeros((240, 320, 3), np.uint8)], rows)
    assert [path.name for path in rows.files_of(predictor)] == ["mot.txt", "mot_list.txt"]
    assert (tmp_path / "mot.txt").read_text().count("\n") == 2  # pictures are one sequence
    assert (tmp_path / "mot_list.txt").read_text().count("\n") == 1


def test_two_sources_of_one_name_are_told_apart(tmp_path):
    run(["testsrc:320x240@30:2"] * 2, Rows(tmp_path / "out.jsonl"))
    lines = objects((tmp_path / "out.jsonl").read_text())
    assert sorted((line["source"], line["frame"]) for line in lines) == [
        ("testsrc", 0),
        ("testsrc", 1),
        ("testsrc (2)", 0),
        ("testsrc (2)", 1),
    ]
    run(["testsrc:320x240@30:2"] * 2, Rows(tmp_path / "out.txt"))
    assert [(tmp_path / name).read_text().count("\n") for name in ("out.txt", "out_testsrc.txt")] == [2, 2]


def test_pictures_keep_their_names(tmp_path):
    run(pictures(tmp_path, "a.png", "b/a.png", "c.png"), Rows(tmp_path / "out.jsonl"))
    assert [line["source"] for line in objects((tmp_path / "out.jsonl").read_text())] == ["a.png", "a.png", "c.png"]


def test_a_file_that_is_named_is_overwritten_and_one_in_the_runs_folder_never(tmp_path):
    for _ in range(2):
        run("testsrc:320x240@30:2", Rows(tmp_path / "deep" / "out.csv"))
    assert len((tmp_path / "deep" / "out.csv").read_text().splitlines()) == 3
    (tmp_path / "rows.csv").write_text("by hand")
    rows = Rows(format="csv")
    run("testsrc:320x240@30:2", rows, folder=tmp_path)
    assert (tmp_path / "rows.csv").read_text() == "by hand"
    assert rows.paths == [tmp_path / "rows_2.csv"]


def test_two_runs_at_once_do_not_write_into_one_file(tmp_path):
    rows = Rows(tmp_path / "out.csv")
    first, second = (play("testsrc:320x240@30:3", rows, script=walk) for _ in range(2))
    next(first), next(second)
    list(second), list(first)
    assert [path.name for path in rows.paths] == ["out.csv", "out_2.csv"]
    assert [len(path.read_text().splitlines()) for path in rows.paths] == [4, 4]


def test_rows_are_there_as_soon_as_a_frame_is_and_survive_an_error(tmp_path):
    file = tmp_path / "out.jsonl"
    with play("testsrc:320x240@30:9", Rows(file), script=walk) as running:
        next(running)
        assert len(objects(file.read_text())) == 1

    def fail(predictor):
        if predictor.frame.index == 4:
            raise ValueError("enough")

    registry = Callbacks()
    registry.add("on_predict_batch_end", fail, order=200)
    with pytest.raises(CallbackError, match="enough"):
        list(play("testsrc:320x240@30:9", Rows(file), script=walk, callbacks=registry))
    assert [line["frame"] for line in objects(file.read_text())] == [0, 1, 2, 3, 4]


def test_rows_go_to_a_stream_which_stays_open():
    text = io.StringIO()
    run("testsrc:320x240@30:2", Rows(text))
    assert [line["frame"] for line in objects(text.getvalue())] == [0, 1]
    with pytest.raises(OptionError, match="MOT has a file for each source"):
        Rows(text, format="mot")


def test_a_reader_who_goes_away_ends_the_run():
    ours, theirs = os.pipe()
    with open(theirs, "w") as stream:
        running = play("testsrc:320x240@30", Rows(stream), script=walk)
        next(running)
        os.close(ours)
        assert len(list(running)) < 10
        assert running.predictor.error is None
        with pytest.raises(BrokenPipeError):
            stream.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
@pytest.mark.parametrize("on_error", ["raise", "log"])
def test_a_full_disk_leaves_whole_lines_and_says_what_to_do(tmp_path, on_error, caplog):
    import resource

    file = tmp_path / "out.jsonl"
    registry = Callbacks()
    registry.add(Rows(file), on_error=on_error)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    running = play("testsrc:320x240@30:9", script=walk, callbacks=registry)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        if on_error == "raise":
            with pytest.raises(
                CallbackError, match=r"out\.jsonl cannot be written: File too large; free some space or save el"
            ):
                list(running)
        else:
            for result in running:
                if result.frame.index == 6:  # there is room again
                    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    frames = [line["frame"] for line in objects(file.read_text())]
    assert file.read_text().endswith("\n")
    assert frames == ([0, 1] if on_error == "raise" else [0, 1, 7, 8])


LONG = """
import sys
import numpy as np
from framehook import Model
from framehook.inference.backends import FunctionBackend
from framehook.inference.callbacks import Rows

model = Model(FunctionBackend(lambda tensor: [np.zeros((1, 5, 1), np.float32)], output_shapes=[(1, 5, None)]), decoder="yolo")
model.add_callback(Rows(sys.argv[1]))
for result in model.predict("testsrc:320x240@30", stream=True):
    print(result.frame.index, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_program_that_is_killed_leaves_every_frame_it_delivered_in_whole_lines(tmp_path):
    file = tmp_path / "out.jsonl"
    process = subprocess.Popen([sys.executable, "-c", LONG, str(file)], stdout=subprocess.PIPE, text=True)
    delivered = [int(process.stdout.readline()) for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait(timeout=300)
    text = file.read_text()
    assert text.endswith("\n")
    assert [line["frame"] for line in objects(text)][:30] == delivered


@pytest.mark.parametrize("name", ["out.json", "out", "jsnol", "video.mp4"])
def test_a_name_that_stands_for_no_format_is_refused(name):
    with pytest.raises(OptionError, match=r"is no name for rows\..* Pass jsonl, csv, mot, or a file that ends in"):
        Rows(name)
    assert Rows(name, format="csv").paths == []


def test_a_folder_and_an_unknown_format_are_refused(tmp_path):
    with pytest.raises(OptionError, match="is a folder"):
        Rows(tmp_path, format="csv")
    with pytest.raises(OptionError, match=r"format='xml' is unknown; pass jsonl, csv, mot"):
        Rows(format="xml")


def test_a_file_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CallbackError, match=r"RecordingError: the folder of .*out\.csv cannot be made"):
        run("testsrc:320x240@30:1", Rows(tmp_path / "file" / "out.csv"))


def test_what_is_neither_a_name_nor_a_stream_is_refused():
    with pytest.raises(OptionError, match="path=5 is no file; pass the name of one, or a text stream"):
        Rows(5)


def test_a_source_is_not_written_over_whatever_link_leads_to_it(tmp_path):
    [picture] = pictures(tmp_path, "a.png")
    (tmp_path / "link.csv").symlink_to(picture)
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(CallbackError, match=r"link\.csv is the source itself; save to another file"):
        run(picture, Rows(tmp_path / "link.csv"))
    assert (tmp_path / "a.png").read_bytes() == before


def test_the_file_of_a_live_source_that_is_removed_is_closed_while_the_run_goes_on(tmp_path):
    door, yard = (Scripted(live=True, stepwise=True, name=name) for name in ("door", "yard"))
    rows = Rows(tmp_path / "out.txt")
    running = play([door, yard], rows, script=walk)
    for source in (door, yard):
        source.allowed.release()
        next(running)
    assert [path.name for path in rows.paths] == ["out.txt", "out_yard.txt"]
    assert sorted(path.name for path in saving._being_written) == ["out.txt", "out_yard.txt"]
    running.remove_source("door")
    yard.allowed.release()
    next(running)
    assert [path.name for path in saving._being_written] == ["out_yard.txt"]
    running.close()
    assert not saving._being_written


@pytest.mark.parametrize("kind", [Rows, Recorder, Tracking, Overlay, Crops, Snapshots, FrameRate])
def test_what_keeps_something_for_a_run_is_refused_in_the_background(kind):
    registry = Callbacks()
    with pytest.raises(OptionError, match=f"{kind.__name__} cannot work on snapshots of a run; add it without background"):
        registry.add(kind(), background=True)
    assert list(registry) == []
