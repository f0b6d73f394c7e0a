"""A session plays, is steered and tuned, and puts up with whatever goes wrong."""

import gc
import os
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from framehook.app.session.state import Level, Phase
from framehook.inference.callbacks import ZoneCounter
from framehook.inference.errors import OptionError
from framehook.inference.sources import frame_number
from framehook.model import Model

from ...servers.mjpeg import MjpegServer  # noqa: TID252 - servers that several folders of tests share

LIVE = "testsrc:320x240@30:live"
ENDLESS = "testsrc:320x240@30"
PATIENCE = 60.0
SHORT = "testsrc:320x240@30:15"
CLIP_SECONDS = 120


@pytest.fixture
def watch(watch, cat_model):
    """Make sessions as others do; what finds boxes is quick, unless a test chooses another."""
    return lambda **options: watch(**{"model": cat_model, **options})


def phase_is(watcher, phase):
    return lambda: watcher.state.phase is phase


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two minutes, in a file that can be sought in: longer than any test looks at it."""
    path = tmp_path_factory.mktemp("clips") / "scene.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 5
        for number in range(CLIP_SECONDS * 10):
            image = np.full((48, 64, 3), number * 4 % 240, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def test_what_is_opened_plays_through_the_bundled_detector_until_its_end(watch):
    watcher = watch(model=None)
    assert watcher.state.phase is Phase.IDLE
    watcher.session.open(SHORT)
    watcher.until(phase_is(watcher, Phase.ENDED))
    assert watcher.state.model.title == "bundled person detector"
    assert watcher.state.slots[0].name == "testsrc"
    assert watcher.state.slots[0].duration == pytest.approx(0.5)
    assert watcher.painted > 1
    result, pixels = next(iter(watcher.pictures.values()))
    assert pixels.shape == (240, 320, 4)
    assert result.frame.size == (320, 240)
    assert not watcher.texts(Level.ERROR)
    watcher.session.play()  # from the beginning
    watcher.until(lambda: watcher.state.run == 2)
    watcher.until(phase_is(watcher, Phase.ENDED))


def test_a_file_plays_in_real_time_and_is_followed(watch, clip):
    watcher, began = watch(), []
    watcher.session.callbacks.add("on_predict_start", lambda predictor: began.append(time.monotonic()))
    watcher.session.open(clip)
    watcher.until(lambda: watcher.pictures and watcher.pictures[watcher.key()][0].frame.pts >= 1.0)
    assert time.monotonic() - began[0] > 0.95
    assert watcher.state.options.tracker == "bytetrack"


def test_it_pauses_steps_and_goes_on(watch, clip):
    watcher = watch()
    watcher.session.open(clip)
    watcher.shown(2)
    watcher.hold()
    key = watcher.key()

    def at():
        return watcher.session.renderer.last(key).frame.index

    before, played = at(), watcher.frames()
    time.sleep(0.3)
    assert (at(), played) == (before, [])
    watcher.session.step()
    watcher.until(lambda: at() > before)
    time.sleep(0.3)
    assert [frame.index for _, frame in played] == [at()]
    watcher.session.play()
    watcher.until(lambda: at() > before + 3)


def test_a_seek_shows_the_frame_there_also_while_it_is_paused_and_after_the_end(watch, clip):
    watcher = watch()
    watcher.session.open(clip)
    watcher.shown()
    key = watcher.state.slots[0].key
    watcher.session.pause()
    watcher.until(phase_is(watcher, Phase.PAUSED))
    watcher.session.seek(4.0)
    watcher.until(lambda: watcher.pictures[key][0].frame.pts == pytest.approx(4.0, abs=0.11))
    level = int(watcher.pictures[key][0].orig_img.mean())
    assert level == pytest.approx(160, abs=6)
    watcher.session.seek(CLIP_SECONDS - 0.2)
    watcher.session.play()
    watcher.until(phase_is(watcher, Phase.ENDED))
    watcher.session.seek(1.0)
    watcher.until(phase_is(watcher, Phase.PAUSED))
    watcher.until(lambda: watcher.pictures[key][0].frame.pts == pytest.approx(1.0, abs=0.11))
    assert watcher.state.phase is Phase.PAUSED


def test_files_begin_again_at_their_end_where_that_was_chosen(watch):
    watcher = watch(loop=True)
    watcher.session.open(SHORT)
    watcher.until(lambda: (stats := watcher.session.figures().stats) is not None and stats.frames > 32)
    assert watcher.state.run == 1  # without a new run
    watcher.session.set_loop(False)
    watcher.until(phase_is(watcher, Phase.ENDED))


def test_options_change_while_it_plays_and_wrong_ones_are_refused_at_once(watch):
    watcher = watch()
    watcher.session.open(LIVE)
    watcher.shown()
    assert len(watcher.pictures[watcher.key()][0]) == 1
    watcher.session.update(tracker=None, overlay=None)
    watcher.until(lambda: watcher.pictures[watcher.key()][0].boxes.id is None)
    assert len(watcher.pictures[watcher.key()][0]) == 1
    watcher.session.update(conf=0.95)
    assert watcher.state.options.conf == 0.95
    watcher.until(lambda: len(watcher.pictures[watcher.key()][0]) == 0)
    with pytest.raises(OptionError, match="conf=2 is out of range"):
        watcher.session.update(conf=2)
    watcher.session.update(classes=["unicorn"])
    watcher.until(lambda: watcher.texts(Level.ERROR))
    assert "unicorn" in watcher.texts(Level.ERROR)[0]
    watcher.until(lambda: watcher.state.options.classes is None)  # taken back
    watcher.shown()


def test_a_change_of_how_frames_are_read_starts_the_run_anew_where_it_was(watch, clip):
    watcher = watch()
    watcher.session.open(clip)
    key = watcher.until(lambda: watcher.pictures and watcher.state.slots[0].key)
    watcher.session.seek(3.0)
    watcher.until(lambda: watcher.pictures[key][0].frame.pts >= 3.0)
    watcher.session.update(vid_stride=2)
    watcher.until(lambda: watcher.state.run == 2)
    watcher.shown()
    assert watcher.pictures[key][0].frame.pts >= 2.9
    assert watcher.state.slots[0].key == key


def test_the_model_is_changed_while_it_plays_and_a_bad_one_leaves_the_old_in_place(watch, clip, tmp_path):
    watcher = watch(model=None)
    watcher.session.open(clip)
    watcher.shown()
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    watcher.session.use_model(bad)
    watcher.until(lambda: watcher.texts(Level.ERROR))
    assert "bad.onnx" in watcher.texts(Level.ERROR)[0]
    assert watcher.state.model.title == "bundled person detector"
    at = watcher.pictures[watcher.state.slots[0].key][0].frame.pts
    from framehook.inference.load import bundled_model

    watcher.session.use_model(bundled_model())
    watcher.until(lambda: watcher.state.run == 2)
    watcher.shown()
    assert watcher.state.model.title == bundled_model().name
    assert watcher.pictures[watcher.state.slots[0].key][0].frame.pts >= at - 0.1


def test_a_source_that_cannot_be_opened_is_told_and_what_plays_goes_on(watch, tmp_path):
    watcher = watch()
    watcher.session.open(tmp_path / "missing.mp4")
    watcher.until(lambda: watcher.texts(Level.ERROR))
    assert "missing.mp4" in watcher.texts(Level.ERROR)[0]
    assert watcher.state.phase is Phase.IDLE
    watcher.session.open(LIVE)
    watcher.shown()
    watcher.session.open(tmp_path / "missing.mp4")
    watcher.until(lambda: len(watcher.texts(Level.ERROR)) == 2)
    watcher.shown(2)
    assert watcher.state.phase is Phase.PLAYING
    assert [slot.name for slot in watcher.state.slots] == ["testsrc"]


def test_sources_come_and_go_side_by_side(watch, clip):
    watcher = watch()
    watcher.session.open(LIVE)
    watcher.shown()
    watcher.session.open(clip, add=True)
    watcher.until(lambda: len(watcher.state.slots) == 2 and len(watcher.pictures) == 2)
    assert watcher.state.run == 1
    first, second = (slot.key for slot in watcher.state.slots)
    watcher.session.close_slot(first)
    watcher.until(lambda: [slot.key for slot in watcher.state.slots] == [second])
    watcher.shown(2)
    assert watcher.session.renderer.last(first) is None
    watcher.session.close_slot(second)
    watcher.until(phase_is(watcher, Phase.IDLE))


def test_the_frames_of_two_lists_are_told_apart(watch, tmp_path):
    for name, level in (("dark", 10), ("light", 240)):
        (tmp_path / name).mkdir()
        for number in range(3):
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), np.full((48, 64, 3), level, np.uint8))
    watcher = watch()
    watcher.session.open(tmp_path / "dark")
    watcher.until(phase_is(watcher, Phase.ENDED))
    watcher.session.open(tmp_path / "light", add=True)
    watcher.until(lambda: len(watcher.state.slots) == 2 and len(watcher.pictures) == 2)
    watcher.until(phase_is(watcher, Phase.ENDED))
    watcher.until(lambda: all(watcher.session.renderer.last(slot.key) is not None for slot in watcher.state.slots))
    shown = {slot.name: watcher.session.renderer.last(slot.key).orig_img.mean() for slot in watcher.state.slots}
    assert shown == {"dark": 10, "light": 240}


def test_a_stream_that_breaks_off_comes_back_beside_others_that_go_on(watch):
    with MjpegServer(fps=25) as server:
        watcher = watch()
        watcher.session.open(LIVE)
        watcher.session.open(server.url, add=True)
        watcher.until(lambda: len(watcher.pictures) == 2)
        stream = next(slot.key for slot in watcher.state.slots if slot.name != "testsrc")
        server.go_away()
        watcher.until(lambda: str(watcher.state.slot(stream).connection) == "reconnecting")
        steady = next(slot.key for slot in watcher.state.slots if slot.key != stream)
        before = watcher.session.renderer.last(steady).frame.index
        watcher.until(lambda: watcher.session.renderer.last(steady).frame.index > before + 20)
        server.come_back()
        watcher.until(lambda: str(watcher.state.slot(stream).connection) == "connected")
        assert any("reconnecting" in text or "connected again" in text for text in watcher.texts())


def test_zones_count_in_their_own_slot_and_a_line_switches_tracking_on(watch):
    watcher = watch(options={"tracker": None})
    watcher.session.open(LIVE)
    watcher.session.open("testsrc:640x480@30:live", add=True)
    watcher.until(lambda: len(watcher.pictures) == 2)
    one, other = (slot.key for slot in watcher.state.slots)
    watcher.session.set_zones(one, {"door": ((0.5, 0.0), (0.5, 1.0))})
    watcher.session.set_zones(one, {"door": ((0.5, 0.0), (0.5, 1.0)), "all": ((0, 0), (1, 0), (1, 1), (0, 1))})
    watcher.until(lambda: watcher.state.options.tracker == "bytetrack")
    watcher.until(lambda: "zones" in watcher.pictures[one][0].data)
    assert set(watcher.session.zone_counts(one)) == {"door", "all"}
    assert "zones" not in watcher.pictures[other][0].data
    with pytest.raises(OptionError, match="no length"):
        watcher.session.set_zones(one, {"bad": ((0.5, 0.5), (0.5, 0.5))})
    assert set(watcher.session.zone_counts(one)) == {"door", "all"}
    watcher.session.set_zones(one, {})
    watcher.shown(4)
    watcher.until(lambda: "zones" not in watcher.pictures[one][0].data)
    assert not watcher.texts(Level.ERROR)


def is_written(watcher, *kinds):
    """Whether files are being written of all of these."""
    return lambda: all((take := watcher.state.take(kind)) is not None and take.paths for kind in kinds)


def numbers_in(path):
    """The numbers of the frames of a generated scene, as they are read from a video of it."""
    with av.open(str(path)) as container:
        return [frame_number(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def test_it_is_recorded_and_rows_and_pictures_are_saved_while_it_plays(watch, tmp_path):
    watcher = watch()
    watcher.session.folder = tmp_path
    watcher.session.open(LIVE)
    watcher.shown()
    played = watcher.frames()
    watcher.session.record(tmp_path / "seen.mp4")
    watcher.session.save_rows(tmp_path / "rows.csv")
    watcher.session.snapshot(watcher.state.slots[0].key, tmp_path / "shot.png")
    watcher.until(is_written(watcher, "annotated", "rows"))
    begun = len(played)
    watcher.until(lambda: len(played) > begun + 10)
    watcher.session.stop_take("annotated")
    watcher.session.stop_take("rows")
    watcher.until(lambda: sum(text.startswith("Saved") for text in watcher.texts()) == 3)
    numbers = numbers_in(tmp_path / "seen.mp4")
    assert len(numbers) >= 8  # as many can wait for an encoder that has no turn; others may be left out
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= {frame.index for _, frame in played}
    assert cv2.imread(str(tmp_path / "shot.png")).shape == (240, 320, 3)
    assert (tmp_path / "rows.csv").read_text().startswith("source,")
    assert watcher.state.phase is Phase.PLAYING


def test_callbacks_of_a_users_file_are_called_and_one_that_raises_is_switched_off(watch, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "def on_predict_batch_end(predictor):\n"
        "    predictor.frame_results[0].canvas[:] = 77\n"
        "def on_predict_postprocess_end(predictor):\n"
        "    raise ValueError('three eyes')\n"
    )
    watcher = watch()
    watcher.session.load_hooks(file)
    watcher.session.open(LIVE)
    watcher.until(lambda: watcher.pictures and (watcher.pictures[watcher.state.slots[0].key][1][..., :3] == 77).all())
    watcher.until(lambda: any("three eyes" in text for text in watcher.texts(Level.ERROR)))
    assert sum("three eyes" in text for text in watcher.texts()) == 1
    rows = {row.event: row for row in watcher.session.hooks.rows() if "mine.py" in row.origin}
    assert rows["on_predict_batch_end"].on
    assert not rows["on_predict_postprocess_end"].on
    watcher.shown(3)


def test_the_callbacks_of_a_model_that_is_handed_over_are_called_with_every_model(watch):
    model, seen = Model(), []
    model.add_callback("on_predict_batch_end", lambda predictor: seen.append(predictor.model))
    watcher = watch(model=model)
    watcher.session.open(LIVE)
    watcher.shown()
    assert seen[-1] is model
    watcher.session.use_model(None)
    watcher.until(lambda: watcher.state.run == 2)
    watcher.until(lambda: seen[-1] is not model)


def test_what_is_asked_for_while_something_is_opened_wins(watch, clip):
    watcher = watch()
    for spec in (ENDLESS, clip, SHORT, LIVE):
        watcher.session.open(spec)
    watcher.until(lambda: watcher.state.slots and watcher.state.slots[0].source.live)
    watcher.shown(2)
    assert len(watcher.state.slots) == 1


def test_a_camera_is_let_go_before_it_is_opened_again(watch):
    watcher = watch()
    watcher.session.open(LIVE)
    watcher.shown()
    first = watcher.state.slots[0].source.id
    watcher.session.open(LIVE)
    watcher.until(lambda: watcher.state.run == 2 and watcher.state.slots[0].source.id != first)
    watcher.shown()


def test_a_run_that_fails_leaves_the_session_usable(watch, tmp_path):
    broken = tmp_path / "broken.streams"
    broken.write_text("testsrc:320x240@30:live\nnowhere.mp4\n")
    watcher = watch()
    watcher.session.open(broken)
    watcher.until(lambda: watcher.texts(Level.ERROR))
    watcher.session.open(SHORT)
    watcher.until(phase_is(watcher, Phase.ENDED))


def test_closing_while_it_plays_and_records_completes_the_file_and_plays_no_more(watch, tmp_path):
    watcher = watch()
    played = watcher.frames()
    watcher.session.open(LIVE)
    watcher.session.record(tmp_path / "seen.mp4")
    watcher.until(is_written(watcher, "annotated"))
    begun = len(played)
    watcher.until(lambda: len(played) > begun + 8)
    assert watcher.session.close(PATIENCE)
    count = len(played)
    assert len(numbers_in(tmp_path / "seen.mp4")) >= 5
    assert len(played) == count


def test_many_starts_and_switches_leave_no_thread_file_or_memory_behind(watch, clip):
    watcher = watch()

    def around(times):
        for _ in range(times):
            for spec in (clip, LIVE):
                run = watcher.state.run
                watcher.session.open(spec)
                watcher.until(lambda run=run: watcher.state.run > run)
        watcher.session.stop()
        watcher.until(phase_is(watcher, Phase.ENDED))
        gc.collect()
        return threading.active_count(), len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0

    def fewer(than):
        gc.collect()
        now = threading.active_count(), len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
        return now[0] <= than[0] and now[1] <= than[1]

    before = around(3)
    around(8)
    watcher.until(lambda: fewer(before))  # what was opened last may be on its way out


def test_sources_stand_in_the_order_in_which_they_were_opened_whichever_answers_first(watch):
    with MjpegServer(fps=25) as server:
        watcher = watch()
        for spec in (LIVE, server.url, "testsrc:160x120@30:live"):
            watcher.session.open(spec, add=True)
        watcher.until(lambda: len(watcher.pictures) == 3)
        assert [slot.spec for slot in watcher.state.slots] == [LIVE, server.url, "testsrc:160x120@30:live"]


def test_an_option_that_changes_while_a_model_is_taken_stays_changed(watch):
    model, entered, go = Model(), threading.Event(), threading.Event()
    check = model.detector.check

    def held(options):
        entered.set()
        go.wait(PATIENCE)
        check(options)

    model.detector.check = held
    watcher = watch(model=model)
    assert entered.wait(PATIENCE)
    watcher.session.update(conf=0.77)
    go.set()
    watcher.until(lambda: watcher.state.model is not None)
    assert watcher.state.options.conf == 0.77


def test_a_zone_keeps_its_colour_when_it_is_moved_or_renamed_and_gives_it_to_no_other(watch):
    watcher = watch()
    watcher.session.open(LIVE)
    watcher.shown()
    key = watcher.state.slots[0].key
    one, two = ((0.1, 0.1), (0.4, 0.1), (0.4, 0.4)), ((0.5, 0.5), (0.9, 0.5), (0.9, 0.9))
    watcher.session.set_zones(key, {"one": one, "two": two})
    before = watcher.session.zone_colours(key)
    assert before["one"] != before["two"]
    watcher.session.set_zones(key, {"second": two})
    assert watcher.session.zone_colours(key) == {"second": before["two"]}
    watcher.session.set_zones(key, {"second": one, "third": two})
    after = watcher.session.zone_colours(key)
    assert after["second"] != after["third"]


def test_a_source_that_begins_and_ends_is_told(watch):
    watcher = watch()
    watcher.session.open(SHORT)
    watcher.until(phase_is(watcher, Phase.ENDED))
    watcher.look()
    assert "testsrc is open, 320 x 240, 30 frames a second" in watcher.texts(Level.INFO)
    assert "testsrc has ended" in watcher.texts(Level.INFO)


def test_files_of_callbacks_are_run_in_the_order_in_which_they_were_chosen(watch, tmp_path):
    watcher, session = (made := watch()), made.session
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("import time\ntime.sleep(.2)\ndef on_predict_end(predictor): ...\n")
    second.write_text("def on_predict_end(predictor): ...\n")
    session.load_hooks(first)
    session.load_hooks(second)
    session.load_hooks(first)
    session.unload_hooks(second)
    watcher.until(lambda: [file.path.name for file in session.hooks.files] == ["first.py"] and not session.hooks.loading)


def test_a_file_of_callbacks_that_hangs_can_be_corrected_and_holds_up_no_other(watch, tmp_path):
    watcher, session = (made := watch()), made.session
    path, other = tmp_path / "mine.py", tmp_path / "other.py"
    started, release = tmp_path / "started", tmp_path / "release"
    path.write_text(
        f"import time\nfrom pathlib import Path\nPath({str(started)!r}).touch()\n"
        f"while not Path({str(release)!r}).exists():\n    time.sleep(0.01)\n"
        "def on_predict_end(predictor): ...\n"
    )
    other.write_text("def on_predict_end(predictor): ...\n")
    session.load_hooks(path)
    watcher.until(started.exists)  # it was read, so that it can be written anew
    assert session.hooks.loading == (path,)
    session.load_hooks(other)
    path.write_text("def on_predict_start(predictor): ...\n")
    session.load_hooks(path)
    watcher.until(lambda: {file.path for file in session.hooks.files} == {path, other})
    watcher.until(lambda: any("is still being run" in text for text in watcher.texts(Level.WARNING)))
    release.touch()


def test_zones_that_were_moved_about_leave_nothing_behind_in_the_run(watch):
    watcher = watch()
    watcher.session.open(LIVE)
    watcher.shown()
    key = watcher.state.slots[0].key

    def counters():
        gc.collect()
        return sum(issubclass(type(each), ZoneCounter) for each in gc.get_objects())

    for number in range(12):
        watcher.session.set_zones(key, {"yard": ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5 + number / 100))})
        watcher.shown()
    watcher.until(lambda: counters() < 5)
