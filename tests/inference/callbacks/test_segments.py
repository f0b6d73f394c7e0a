import logging
import re
from datetime import datetime, timedelta

import pytest

from framehook.inference.callbacks.recorder import Recorder
from framehook.inference.errors import CallbackError, OptionError
from framehook.inference.sources import open_source

from ..scripted import until  # noqa: TID252 - the same scenery as the tests of runs
from .footage import Given, boxes, packets, record, seconds


def is_complete(path):
    kinds = boxes(path)
    return "mdat" in kinds and "moof" not in kinds


def test_each_part_plays_by_itself_and_together_they_hold_every_frame_once(tmp_path):
    recorder = Recorder(tmp_path / "out.mp4", segment_seconds=1.5)
    run = record("testsrc:320x240@20:100", recorder)
    list(run)
    assert [path.name for path in recorder.paths] == ["out.mp4", "out_2.mp4", "out_3.mp4", "out_4.mp4"]
    assert recorder.files_of(run.predictor) == recorder.paths
    assert [len(packets(path)) for path in recorder.paths] == [30, 30, 30, 10]
    assert [seconds(path) for path in recorder.paths] == pytest.approx([1.5, 1.5, 1.5, 0.5])
    assert all(packets(path)[0][2] and "moof" not in boxes(path) for path in recorder.paths)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in recorder.paths}


def test_parts_are_complete_while_the_run_goes_on(tmp_path):
    recorder = Recorder(tmp_path / "out.mp4", segment_seconds=1.0)
    run = record("testsrc:320x240@20:100", recorder)
    for result in run:
        if result.frame.index == 45:
            break
    assert "moof" not in boxes(tmp_path / "out.mp4")  # the third began only when the first was complete
    list(run)


def test_only_the_newest_parts_are_kept_and_numbers_are_not_used_again(tmp_path):
    (tmp_path / "out_5.mp4").write_bytes(b"mine")
    recorder = Recorder(tmp_path / "out.mp4", segment_seconds=1.0, keep=2)
    run = record("testsrc:320x240@20:150", recorder)
    most = max(len(list(tmp_path.iterdir())) for _ in run)
    # Of eight: the two that are kept, the one that is written, one on its way to disk under two names, and what was there.
    assert most <= 6
    assert [path.name for path in recorder.paths] == ["out_8.mp4", "out_9.mp4"]
    assert recorder.files_of(run.predictor) == recorder.paths
    assert {path.name for path in tmp_path.iterdir()} == {"out_5.mp4", "out_8.mp4", "out_9.mp4"}
    assert [len(packets(path)) for path in recorder.paths] == [20, 10]
    assert (tmp_path / "out_5.mp4").read_bytes() == b"mine"


def test_a_name_with_the_time_tells_when_each_part_begins_and_overwrites_nothing(tmp_path):
    before = datetime.now() - timedelta(seconds=1)
    for _ in range(2):
        recorder = Recorder(tmp_path / "%Y" / "100% of %d cam_%Y%m%d-%H%M%S.mp4", segment_seconds=1.0)
        list(record("testsrc:320x240@20:50", recorder))
    files = list(tmp_path.rglob("*.mp4"))
    assert len(files) == 6
    for file in files:
        stamp = re.fullmatch(r"100% of \d\d cam_(\d{8}-\d{6})(_\d)?\.mp4", file.name)
        assert before <= datetime.strptime(stamp[1], "%Y%m%d-%H%M%S") <= datetime.now()
        assert file.parent.name == stamp[1][:4]


def test_every_source_of_a_run_has_files_of_its_own(tmp_path):
    clips = [open_source(f"testsrc:{size}@20:{count}") for size, count in (("320x240", 50), ("160x120", 30))]
    recorder = Recorder(tmp_path / "out.mp4", segment_seconds=1.0)
    list(record(clips, recorder))
    assert sorted(len(packets(path)) for path in recorder.paths) == [10, 10, 20, 20, 20]
    assert len(set(recorder.paths)) == 5


def test_no_source_of_a_run_is_recorded_over(tmp_path):
    list(record("testsrc:320x240@20:30", Recorder(tmp_path / "in.mp4")))
    before = (tmp_path / "in.mp4").read_bytes()
    run = record([open_source("testsrc:320x240@20:30"), open_source(tmp_path / "in.mp4")], Recorder(tmp_path / "in.mp4"))
    with pytest.raises(CallbackError, match=r"in\.mp4 is the source itself; save to another file"):
        list(run)
    assert (tmp_path / "in.mp4").read_bytes() == before


def test_the_file_of_a_source_that_ends_is_complete_while_others_go_on(tmp_path):
    def wait(index):
        if index == 30:
            until(lambda: any(is_complete(path) for path in tmp_path.glob("*.mp4")), seconds=20)

    recorder = Recorder(tmp_path / "out.mp4")
    sources = [Given("short", [0.0, 0.04, 0.08]), Given("long", [number / 25 for number in range(60)], before=wait)]
    list(record(sources, recorder))
    assert sorted(len(packets(path)) for path in recorder.paths) == [3, 60]


def test_the_files_of_a_list_are_complete_soon_after_the_next_begins(tmp_path):
    for name in ("a", "b"):
        list(record("testsrc:320x240@20:30", Recorder(tmp_path / f"{name}.mp4")))
    recorder = Recorder(tmp_path / "out.mp4")
    run = record([str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")], recorder)
    for result in run:
        if result.frame.source.name == "b.mp4":
            until(lambda: is_complete(tmp_path / "out.mp4"), seconds=20)
    assert [len(packets(path)) for path in recorder.paths] == [30, 30]


def test_one_source_that_cannot_be_recorded_does_not_cost_the_others_theirs(tmp_path, caplog):
    def fail(index):
        if index == 20:
            (tmp_path / "away.mp4").unlink()

    moments = [number / 25 for number in range(100)]
    recorder = Recorder(on_error="stop", segment_seconds=1.0)
    run = record([Given("away", moments, before=fail), Given("here", moments)], recorder)
    run.predictor.save_dir = tmp_path
    with caplog.at_level(logging.ERROR, "framehook"):
        list(run)
    [told] = [record.message for record in caplog.records]
    assert told == (
        f"{tmp_path}/away.mp4 could not be written on: it was removed while it was written; "
        "the run goes on without that recording"
    )
    assert sum(len(packets(path)) for path in recorder.paths if path.name.startswith("here")) == 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segment_seconds": 0.5}, "segment_seconds=0.5 is out of range; pass 1 or more"),
        ({"segment_seconds": float("nan")}, "segment_seconds=nan is out of range; pass 1 or more"),
        ({"segment_bytes": 1000}, "segment_bytes=1000 is out of range; pass 100000 or more"),
        ({"keep": 0, "segment_seconds": 5}, "keep=0 is out of range; pass how many complete files to keep, 1 or more"),
        ({"keep": 1.5, "segment_seconds": 5}, "keep=1.5 is out of range; pass how many complete files to keep, 1 or more"),
        ({"segment_bytes": float("nan")}, "segment_bytes=nan is out of range; pass 100000 or more"),
        ({"segment_bytes": "1"}, "segment_bytes='1' is out of range; pass 100000 or more"),
        ({"segment_seconds": "5"}, "segment_seconds='5' is out of range; pass 1 or more"),
        ({"crf": "x"}, "crf='x' is out of range; pass a whole number from 0 (lossless) to 51"),
        ({"keep": 3}, "keep=3 is about the parts of a recording; pass segment_seconds or segment_bytes, too"),
        ({"on_error": "log"}, "on_error='log' is none; pass one of raise, stop"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(OptionError) as caught:
        Recorder(**options)
    assert str(caught.value) == message
