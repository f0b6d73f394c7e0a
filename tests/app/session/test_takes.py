import json
import shutil
import sys
import threading
import time

import av
import cv2
import numpy as np
import pytest

from framehook.app.session.state import Level
from framehook.app.session.takes import Takes, default_folder
from framehook.inference.backends import FunctionBackend
from framehook.inference.callbacks import Callbacks
from framehook.inference.errors import OptionError, RecordingError, RunError
from framehook.inference.sources import frame_number
from framehook.model import Model

WAIT = 60.0


def network(tensor):
    """Finds one thing, always in the middle of the picture."""
    count = tensor.shape[0]
    return [np.tile(np.array([[[16.0], [16.0], [12.0], [12.0], [0.9]]], np.float32), (count, 1, 1))]


class Desk:
    """Takes, and a model whose runs they save, as a session has them."""

    def __init__(self, folder):
        self.callbacks = Callbacks()
        self.notes = []
        self.changes = threading.Condition()
        self.look = lambda: None
        self.takes = Takes(self.callbacks, self._note, self._changed, folder)
        backend = FunctionBackend(network, input_shape=(None, 3, 32, 32), output_shapes=[(None, 5, 1)])
        self.model = Model(backend, decoder="yolo")
        self.model.callbacks = self.callbacks

    def _note(self, level, text, detail):
        with self.changes:
            self.notes.append((level, text, detail))
            self.changes.notify_all()

    def _changed(self):
        self.look()
        with self.changes:
            self.facts = self.takes.facts()
            self.changes.notify_all()

    def run(self, source, **options):
        return self.model.predict(source, stream=True, **options)

    def wait_for(self, condition):
        with self.changes:
            assert self.changes.wait_for(condition, WAIT), self.notes

    def texts(self, level):
        with self.changes:
            return [text for each, text, _ in self.notes if each is level]

    def fact(self, kind):
        return next((each for each in self.takes.facts() if each.kind == kind and each.going_on), None)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path / "saved")
    yield desk
    assert desk.takes.close(WAIT)


def pictures(path):
    """Every frame of a video: (seconds, picture)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [(float(frame.pts * stream.time_base), frame.to_ndarray(format="bgr24")) for frame in container.decode(stream)]


def advance(run, count):
    return [next(run) for _ in range(count)]


def test_a_recording_begins_and_ends_in_the_middle_of_a_run_that_goes_on(desk, tmp_path):
    with desk.run("testsrc:320x240@25:100") as run:
        advance(run, 20)
        desk.takes.begin("annotated", tmp_path / "out.mp4", run.predictor)
        advance(run, 40)
        assert desk.fact("annotated").paths == (tmp_path / "out.mp4",)
        desk.takes.end("annotated")
        assert desk.fact("annotated") is None
        assert len(list(run)) == 40
    assert desk.takes.close(WAIT)
    video = pictures(tmp_path / "out.mp4")
    assert [seconds for seconds, _ in video] == pytest.approx([number / 25 for number in range(40)], abs=1e-4)
    assert [frame_number(picture) for _, picture in video] == list(range(20, 60))
    (note,) = desk.texts(Level.INFO)
    assert note.startswith("Saved 1.6 s of video (")
    assert note.endswith(f"to {tmp_path / 'out.mp4'}")


def test_the_annotated_and_the_original_video_are_recorded_side_by_side(desk, tmp_path):
    desk.takes.begin("annotated", tmp_path / "boxes.mp4")
    desk.takes.begin("original", tmp_path / "plain.mkv")
    results = list(desk.run("testsrc:320x240@25:10"))
    assert desk.takes.close(WAIT)
    annotated, original = pictures(tmp_path / "boxes.mp4"), pictures(tmp_path / "plain.mkv")
    assert len(annotated) == len(original) == 10
    for result, (_, with_boxes), (_, without) in zip(results, annotated, original, strict=True):
        off = [np.abs(picture.astype(int) - wanted).mean() for picture, wanted in
               ((with_boxes, result.canvas), (without, result.orig_img), (with_boxes, result.orig_img))]  # fmt: skip
        assert off[0] < 3
        assert off[1] < 3
        assert off[2] > max(off[:2]) + 0.5  # the box is there


def test_rows_are_written_from_one_frame_to_another(desk, tmp_path):
    with desk.run("testsrc:320x240@25:50") as run:
        advance(run, 10)
        desk.takes.begin("rows", tmp_path / "out.jsonl")
        advance(run, 5)
        desk.takes.end("rows")
        list(run)
    assert desk.takes.close(WAIT)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows] == [10, 11, 12, 13, 14]
    assert all(len(row["boxes"]) == 1 for row in rows)
    assert desk.texts(Level.INFO) == [f"Saved rows of 5 frames to {tmp_path / 'out.jsonl'}"]


@pytest.mark.parametrize(("name", "lines"), [("out.csv", 9), ("out.txt", 8)])
def test_rows_are_written_as_their_ending_says(desk, tmp_path, name, lines):
    desk.takes.begin("rows", tmp_path / name)
    list(desk.run("testsrc:320x240@25:8"))
    desk.takes.close(WAIT)
    assert len((tmp_path / name).read_text().splitlines()) == lines


def test_a_take_goes_on_in_a_further_file_when_another_source_is_chosen(desk, tmp_path, clip):
    desk.takes.begin("annotated", tmp_path / "out.mp4")
    desk.takes.begin("rows", tmp_path / "out.csv")
    list(desk.run("testsrc:320x240@25:12"))
    list(desk.run(clip))
    list(desk.run("testsrc:320x240@25:7"))
    assert desk.fact("annotated") is not None
    desk.takes.close(WAIT)
    videos = {path.name: len(pictures(path)) for path in tmp_path.glob("*.mp4")}
    assert videos == {"out.mp4": 12, "out_scene.mp4": 20, "out_2.mp4": 7}
    lines = {path.name: len(path.read_text().splitlines()) - 1 for path in tmp_path.glob("*.csv")}
    assert lines == {"out.csv": 12, "out_scene.csv": 20, "out_2.csv": 7}
    assert len(desk.texts(Level.INFO)) == 6


def test_files_without_a_name_are_named_after_source_and_time_and_overwrite_nothing(desk, tmp_path, clip):
    for _ in range(2):
        for kind in ("annotated", "original", "rows"):
            desk.takes.begin(kind)
        list(desk.run(clip))
        for kind in ("annotated", "original", "rows"):
            desk.takes.end(kind)
    desk.takes.close(WAIT)
    saved = sorted(path.name for path in (tmp_path / "saved").iterdir())
    assert len(saved) == 6
    assert sum(name.startswith("scene_original_2") and ".mp4" in name for name in saved) == 2
    assert sum(name.startswith("scene_2") and ".mp4" in name for name in saved) == 2
    assert sum(name.startswith("scene_2") and ".jsonl" in name for name in saved) == 2


def test_a_file_that_was_asked_for_is_overwritten_once_and_other_files_never(desk, tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"old")
    (tmp_path / "out_2.mp4").write_bytes(b"precious")
    desk.takes.begin("annotated", tmp_path / "out.mp4")
    list(desk.run("testsrc:320x240@25:5"))
    list(desk.run("testsrc:320x240@25:6"))
    desk.takes.close(WAIT)
    assert len(pictures(tmp_path / "out.mp4")) == 5
    assert (tmp_path / "out_2.mp4").read_bytes() == b"precious"
    assert len(pictures(tmp_path / "out_3.mp4")) == 6


def test_each_of_several_sources_has_a_video_of_its_own(desk, tmp_path, clip):
    desk.takes.begin("original", tmp_path / "out.mp4")
    desk.takes.begin("rows")
    with desk.run(clip) as run:
        run.add_source("testsrc:64x48@25:9")
        list(run)
    desk.takes.close(WAIT)
    assert sorted(len(pictures(path)) for path in tmp_path.glob("out*.mp4")) == [9, 20]
    (rows,) = (tmp_path / "saved").glob("rows_*.jsonl")
    assert len(rows.read_text().splitlines()) == 29


def test_a_live_stream_is_recorded_at_its_own_pace(desk, tmp_path):
    with desk.run("testsrc:64x48@30:live") as run:
        advance(run, 3)
        desk.takes.begin("annotated", tmp_path / "out.mp4", run.predictor)
        taken = [next(run).frame]
        while taken[-1].captured_at < taken[0].captured_at + 0.6:
            taken.append(next(run).frame)
        desk.takes.end("annotated")
        advance(run, 3)
        desk.wait_for(lambda: any(level is Level.INFO for level, *_ in desk.notes))
    at = {frame.index: frame.captured_at - taken[0].captured_at for frame in taken}
    video = [(seconds, frame_number(picture)) for seconds, picture in pictures(tmp_path / "out.mp4")]
    assert len(video) > 5  # more than that can wait for an encoder that has no turn; others may be left out
    assert [seconds for seconds, _ in video] == pytest.approx([at[number] for _, number in video], abs=0.02)


def test_its_state_tells_of_begin_files_completion_and_end(desk, tmp_path):
    with desk.run("testsrc:64x48@25:20") as run:
        desk.takes.begin("annotated", tmp_path / "out.mp4")
        (begun,) = desk.facts
        assert (begun.kind, begun.paths, begun.going_on, begun.finishing) == ("annotated", (), True, False)
        advance(run, 2)
        (with_file,) = desk.facts
        assert with_file.paths == (tmp_path / "out.mp4",)
        desk.takes.end("annotated")
        desk.wait_for(lambda: not desk.facts[0].finishing and len(desk.notes) == 1)
        (over,) = desk.facts
        assert (over.paths, over.going_on) == ((tmp_path / "out.mp4",), False)
        desk.takes.begin("annotated", tmp_path / "again.mp4")
        assert [each.going_on for each in desk.facts] == [False, True]


def test_what_is_being_saved_cannot_be_begun_again(desk, tmp_path):
    desk.takes.begin("annotated", tmp_path / "out.mp4")
    with pytest.raises(RunError, match="video is being saved already"):
        desk.takes.begin("annotated", tmp_path / "other.mp4")
    desk.takes.begin("original", tmp_path / "other.mp4")


def test_a_take_in_which_no_frame_came_says_so(desk, tmp_path):
    desk.takes.begin("annotated", tmp_path / "out.mp4")
    desk.takes.end("annotated")
    desk.takes.end("annotated")
    desk.takes.end("rows")
    desk.takes.close(WAIT)
    assert desk.texts(Level.WARNING) == ["No video was saved, since no frame came meanwhile"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "name"), [("annotated", "out.avi"), ("rows", "out.xml"), ("original", "")])
def test_a_name_that_is_none_is_refused_at_once(desk, tmp_path, kind, name):
    with pytest.raises(OptionError):
        desk.takes.begin(kind, tmp_path / name)
    assert desk.takes.facts() == ()


def test_the_source_that_is_played_is_never_overwritten(desk, tmp_path, clip):
    mine = shutil.copy(clip, tmp_path / "mine.mp4")
    before = mine.read_bytes()
    with desk.run(mine) as run:
        advance(run, 1)
        with pytest.raises(RecordingError, match="is the source itself"):
            desk.takes.begin("annotated", mine, run.predictor)
    desk.takes.begin("annotated", mine)  # nothing is played yet, which shows with the first frame
    assert len(list(desk.run(mine))) == 20
    desk.takes.close(WAIT)
    assert mine.read_bytes() == before
    (error,) = desk.texts(Level.ERROR)
    assert "mine.mp4 is the source itself; save to another file" in error


def test_a_folder_that_cannot_be_made_ends_the_take_and_not_the_run(desk, tmp_path):
    (tmp_path / "file").write_text("in the way")
    desk.takes.begin("annotated", tmp_path / "file" / "out.mp4")
    desk.takes.begin("rows", tmp_path / "file" / "out.csv")
    assert len(list(desk.run("testsrc:64x48@25:20"))) == 20
    desk.takes.close(WAIT)
    errors = desk.texts(Level.ERROR)
    assert len(errors) == 2
    assert all("cannot be made" in error and "begin it again" in error for error in errors)
    assert not any(each.going_on or each.finishing for each in desk.takes.facts())


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_a_folder_that_is_removed_meanwhile_is_told_and_the_run_goes_on(desk, tmp_path):
    folder = tmp_path / "gone"
    with desk.run("testsrc:320x240@25:40") as run:
        desk.takes.begin("annotated", folder / "out.mp4")
        advance(run, 10)
        shutil.rmtree(folder)
        advance(run, 10)
        desk.takes.end("annotated")
        assert len(list(run)) == 20
    desk.takes.close(WAIT)
    (error,) = desk.texts(Level.ERROR)
    assert "it was removed while it was written" in error


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits on file sizes there")
def test_what_fits_on_a_full_disk_can_be_played_and_the_run_goes_on(desk, tmp_path):
    import resource
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        desk.takes.begin("annotated", tmp_path / "out.mp4")
        assert len(list(desk.run("testsrc:320x240@25:400"))) == 400
        desk.takes.close(WAIT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    (error,) = desk.texts(Level.ERROR)
    assert (
        "out.mp4 could not be written on: File too large; what was written until then can be played; free some space" in error
    )
    video = pictures(tmp_path / "out.mp4")
    assert 25 <= len(video) < 400
    assert [frame_number(picture) for _, picture in video] == list(range(len(video)))
    assert len(desk.texts(Level.INFO)) == 1


def test_takes_are_begun_and_ended_by_other_threads_while_a_run_goes_on(desk, tmp_path):
    stop = threading.Event()
    pressed = {"annotated": 0, "rows": 0}

    def press(kind, ending):
        while not stop.is_set():
            desk.takes.begin(kind, tmp_path / f"{kind}{pressed[kind]}{ending}")
            stop.wait(0.01)
            desk.takes.end(kind)
            pressed[kind] += 1

    def saved():
        return min(sum(what in text for text in desk.texts(Level.INFO)) for what in (".mp4", ".csv"))

    threads = [threading.Thread(target=press, args=each) for each in (("annotated", ".mp4"), ("rows", ".csv"))]
    for thread in threads:
        thread.start()
    count, deadline = 0, time.monotonic() + WAIT
    with desk.run("testsrc:64x48@25") as run:
        for _ in run:
            count += 1
            if (count >= 100 and min(pressed.values()) >= 10 and saved() >= 3) or time.monotonic() > deadline:
                break
        stop.set()
        for thread in threads:
            thread.join()
    assert desk.takes.close(WAIT)
    assert saved() >= 3, (count, pressed)
    assert desk.texts(Level.ERROR) == []
    assert len(list(desk.callbacks)) == 0
    videos = sorted(tmp_path.glob("*.mp4"))
    assert videos
    assert all(pictures(path) for path in videos)
    assert not any(each.going_on or each.finishing for each in desk.takes.facts())


def test_whoever_closes_while_a_run_ends_waits_for_its_files(desk, tmp_path, monkeypatch):
    really = threading.Thread.start

    def slowly(thread):  # as on a machine that does much else
        if threading.current_thread().name == "ending":
            time.sleep(0.3)
        really(thread)

    monkeypatch.setattr(threading.Thread, "start", slowly)
    with desk.run("testsrc:320x240@25:100") as run:
        desk.takes.begin("annotated", tmp_path / "out.mp4", run.predictor)
        desk.takes.begin("rows", tmp_path / "out.jsonl", run.predictor)
        advance(run, 20)
        ending = threading.Thread(target=run.close, name="ending")
        ending.start()
        desk.wait_for(lambda: any(each.finishing for each in desk.takes.facts()))
        assert desk.takes.close(WAIT)
        assert not any(each.finishing for each in desk.takes.facts())
        assert len(pictures(tmp_path / "out.mp4")) == 20
        assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 20
        ending.join(WAIT)


def test_whoever_closes_after_a_take_was_ended_elsewhere_waits_for_its_files(desk, tmp_path):
    held = threading.Event()
    let_go = threading.Event()
    with desk.run("testsrc:320x240@25:100") as run:
        desk.takes.begin("annotated", tmp_path / "out.mp4", run.predictor)
        advance(run, 20)

        def hold():
            if not held.is_set():
                held.set()
                let_go.wait(WAIT)

        desk.look = hold
        ending = threading.Thread(target=desk.takes.end, args=("annotated",))
        ending.start()
        assert held.wait(WAIT)
        assert not desk.takes.close(0.2)  # it is not even told that it ends
        let_go.set()
        assert desk.takes.close(WAIT)
        assert len(pictures(tmp_path / "out.mp4")) == 20
        ending.join(WAIT)


def test_a_run_that_sees_many_takes_keeps_nothing_of_them(desk, tmp_path):
    with desk.run("testsrc:64x48@25:60") as run:
        advance(run, 2)
        kept = len(run.predictor.kept)
        for number in range(8):
            desk.takes.begin("annotated", tmp_path / f"{number}.mp4")
            desk.takes.begin("rows", tmp_path / f"{number}.csv")
            advance(run, 2)
            desk.takes.end("annotated")
            desk.takes.end("rows")
            done = 2 * number + 2
            desk.wait_for(lambda done=done: len(desk.notes) == done)
        assert len(run.predictor.kept) == kept
        assert len(desk.takes.facts()) <= 4


@pytest.mark.parametrize("name", ["shot.png", "shot.jpg"])
def test_a_snapshot_holds_what_is_shown_or_the_captured_frame(desk, tmp_path, name):
    result = list(desk.run("testsrc:320x240@25:3"))[-1]
    shown = desk.takes.snapshot(result, tmp_path / name)
    original = desk.takes.snapshot(result, tmp_path / "new" / f"o_{name}", original=True)
    for path, wanted in ((shown, result.canvas), (original, result.orig_img)):
        picture = cv2.imread(str(path))
        assert np.abs(picture.astype(int) - wanted).mean() <= (0 if name.endswith("png") else 4)
    assert not np.array_equal(result.canvas, result.orig_img)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]
    assert desk.texts(Level.INFO) == [f"Saved a picture to {shown}", f"Saved a picture to {original}"]


def test_snapshots_without_a_name_overwrite_nothing(desk, tmp_path):
    (result,) = desk.run("testsrc:64x48@25:1")
    paths = {desk.takes.snapshot(result) for _ in range(3)}
    assert len(paths) == 3
    assert set((tmp_path / "saved").iterdir()) == paths
    assert all(cv2.imread(str(path)) is not None for path in paths)


def test_a_snapshot_that_cannot_be_written_leaves_what_was_there(desk, tmp_path):
    (result,) = desk.run("testsrc:64x48@25:1")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordingError, match="cannot be made"):
        desk.takes.snapshot(result, tmp_path / "file" / "shot.png")
    with pytest.raises(RecordingError, match="no name for a picture"):
        desk.takes.snapshot(result, tmp_path / "file")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(RecordingError, match=r"folder\.png cannot be written"):
        desk.takes.snapshot(result, tmp_path / "folder.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


def test_a_snapshot_never_overwrites_the_picture_it_is_of(desk, tmp_path):
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))
    (result,) = desk.run(path)
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="is the source itself"):
        desk.takes.snapshot(result, path)
    assert path.read_bytes() == before


def test_things_are_saved_in_the_folder_for_videos_where_there_is_one(tmp_path):
    assert default_folder(tmp_path) == tmp_path / "Framehook"
    (tmp_path / "Videos").mkdir()
    assert default_folder(tmp_path, "linux") == tmp_path / "Videos" / "Framehook"
    (tmp_path / "Movies").mkdir()
    assert default_folder(tmp_path, "darwin") == tmp_path / "Movies" / "Framehook"
