"""What is asked for while something else is under way: whichever comes first, what happens is what the user meant."""

import shutil
import threading

import av
import numpy as np
import pytest

from framehook.app.session import ending, opening
from framehook.app.session.state import Level, Phase
from framehook.inference.sources import TestSource

LIVE = "testsrc:320x240@30:live"
OTHER = "testsrc:160x120@30:live"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """Half a minute at 10 frames a second, whose grey tells the second."""
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 120, "yuv420p", 5
        for number in range(300):
            image = np.full((120, 160, 3), number * 8 // 10, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def clip(long_clip, tmp_path):
    """A copy that can be taken away."""
    return shutil.copy(long_clip, tmp_path / "clip.mp4")


@pytest.fixture
def slow(monkeypatch):
    """Sources whose names are in it are opened when `answer` is set, as from a server that takes its time."""

    class Slow(set):
        answer = threading.Event()

    slow, really = Slow(), opening.open_sources
    slow.answer.clear()

    def open_sources(spec):
        if str(spec) in slow:
            assert slow.answer.wait(PATIENCE)
        return really(spec)

    monkeypatch.setattr(opening, "open_sources", open_sources)
    yield slow
    slow.answer.set()


@pytest.fixture
def watch(watch, cat_model):
    """Make sessions as others do; what finds boxes is quick, unless a test has a model of its own."""
    return lambda **options: watch(**{"model": cat_model, **options})


def playing(watcher, *specs):
    for number, spec in enumerate(specs):
        watcher.session.open(spec, add=number > 0)
    watcher.until(lambda: len(watcher.pictures) == len(specs))
    return [slot.key for slot in watcher.state.slots]


def phase_is(watcher, *phases):
    return lambda: watcher.state.phase in phases


def is_written(watcher):
    """Whether a video is being recorded, and has begun."""
    return lambda: (take := watcher.state.take("annotated")) is not None and take.paths


def specs(watcher):
    return [str(slot.spec) for slot in watcher.state.slots]


def at(watcher, key):
    return watcher.pictures[key][0].frame.pts


def test_a_file_that_has_gone_when_it_is_to_start_anew_is_told_and_can_be_tried_again(watch, clip, tmp_path):
    watcher = watch()
    playing(watcher, clip)
    away = clip.rename(tmp_path / "away.mp4")
    watcher.session.update(vid_stride=2)
    watcher.until(phase_is(watcher, Phase.FAILED))
    watcher.until(lambda: watcher.texts(Level.ERROR))
    assert str(watcher.state.slots[0].connection) == "ended"
    assert "clip.mp4" in watcher.state.slots[0].reason
    away.rename(clip)
    watcher.session.play()
    watcher.until(phase_is(watcher, Phase.PLAYING))
    watcher.shown()


def test_one_source_that_cannot_be_opened_again_leaves_the_others_alone(watch, clip):
    watcher = watch()
    live, file = playing(watcher, LIVE, clip)
    clip.unlink()
    watcher.session.use_model(None)
    watcher.until(lambda: watcher.state.run == 2)
    watcher.shown(3)
    assert [slot.key for slot in watcher.state.slots] == [live, file]
    assert "clip.mp4" in watcher.state.slot(file).reason
    assert watcher.state.phase is Phase.PLAYING


def test_what_is_being_opened_comes_although_a_model_is_loaded_meanwhile(watch, slow):
    watcher = watch()
    playing(watcher, LIVE)
    slow.add(OTHER)
    watcher.session.open(OTHER)
    watcher.session.use_model(None)
    watcher.until(lambda: not any("loading" in busy for busy in watcher.state.busy) and watcher.state.busy)
    slow.answer.set()
    watcher.until(lambda: specs(watcher) == [OTHER])
    watcher.shown(2)


def test_nothing_plays_after_a_stop_however_late_it_was_opened(watch, slow):
    watcher = watch()
    playing(watcher, LIVE)
    slow.add(OTHER)
    watcher.session.open(OTHER, add=True)
    watcher.session.stop()
    watcher.until(phase_is(watcher, Phase.ENDED))
    slow.answer.set()
    watcher.until(lambda: not watcher.state.busy)
    assert watcher.state.phase is Phase.ENDED
    assert specs(watcher) == [LIVE]
    assert watcher.state.run == 1


def test_what_was_to_be_beside_another_source_does_not_come_beside_the_next(watch, slow):
    watcher = watch()
    playing(watcher, LIVE)
    slow.add(OTHER)
    watcher.session.open(OTHER, add=True)
    watcher.session.open("testsrc:200x100@30:live")
    watcher.until(lambda: specs(watcher) == ["testsrc:200x100@30:live"])
    slow.answer.set()
    watcher.until(lambda: not watcher.state.busy)
    watcher.shown(2)
    assert specs(watcher) == ["testsrc:200x100@30:live"]


def test_a_slow_source_does_not_hold_up_being_stopped_or_closed(watch, slow):
    watcher = watch()
    slow.add(LIVE)
    watcher.session.open(LIVE)
    watcher.until(phase_is(watcher, Phase.OPENING))
    watcher.session.stop()
    watcher.until(phase_is(watcher, Phase.IDLE))
    slow.answer.set()


def test_pausing_seeking_and_playing_count_while_it_starts_anew(watch, clip, slow):
    watcher = watch()
    (key,) = playing(watcher, clip)
    slow.add(str(clip))
    watcher.session.update(vid_stride=2)
    watcher.until(phase_is(watcher, Phase.OPENING))
    watcher.session.seek(20.0)
    watcher.session.pause()
    slow.answer.set()
    watcher.until(phase_is(watcher, Phase.PAUSED))
    watcher.until(lambda: at(watcher, key) == pytest.approx(20.0, abs=0.11))
    slow.answer.clear()
    played = watcher.frames()
    watcher.session.update(vid_stride=1)
    watcher.until(phase_is(watcher, Phase.OPENING))
    watcher.session.play()
    slow.answer.set()
    watcher.until(phase_is(watcher, Phase.PLAYING))
    watcher.until(lambda: at(watcher, key) > 20.3)
    assert played[0][1].pts == pytest.approx(20.0, abs=0.11)


def test_closing_the_last_source_and_stopping_leaves_nothing_open(watch):
    watcher = watch()
    (key,) = playing(watcher, LIVE)
    watcher.session.close_slot(key)
    watcher.session.stop()
    watcher.until(phase_is(watcher, Phase.IDLE))
    watcher.until(lambda: not watcher.state.slots)


def test_seeking_often_while_it_is_paused_ends_where_it_was_sought_last(watch, clip):
    watcher = watch()
    (key,) = playing(watcher, clip)
    watcher.session.pause()
    watcher.until(phase_is(watcher, Phase.PAUSED))
    for number in range(40):
        watcher.session.seek(5.0 + number / 10)
    watcher.until(lambda: at(watcher, key) == pytest.approx(8.9, abs=0.11))
    for _ in range(5):
        watcher._woken.wait(0.1)
        watcher.look()
    assert at(watcher, key) == pytest.approx(8.9, abs=0.11)


def test_all_sources_are_renewed_where_a_paused_run_is_sought_or_started_anew(watch, clip, long_clip):
    watcher = watch()
    one, other = playing(watcher, clip, long_clip)
    watcher.session.pause()
    watcher.until(phase_is(watcher, Phase.PAUSED))
    watcher.session.seek(20.0)
    for key in (one, other):
        watcher.until(lambda key=key: at(watcher, key) == pytest.approx(20.0, abs=0.11))
    watcher.pictures.clear()
    watcher.session.update(vid_stride=2)
    watcher.until(lambda: watcher.state.run == 2)
    for key in (one, other):
        watcher.until(lambda key=key: key in watcher.pictures and at(watcher, key) == pytest.approx(20.0, abs=0.11))
    watcher.session.open(LIVE, add=True)
    watcher.until(lambda: len(watcher.pictures) == 3)  # one picture of it, although it is paused
    assert watcher.state.phase is Phase.PAUSED


def test_a_camera_that_is_shown_is_not_opened_beside_itself(watch):
    watcher = watch()
    playing(watcher, LIVE)
    watcher.session.open(LIVE, add=True)
    watcher.until(lambda: watcher.texts(Level.WARNING))
    assert watcher.texts(Level.WARNING) == [f"{LIVE} is open already"]
    assert len(watcher.state.slots) == 1


def test_an_option_that_is_refused_takes_back_itself_alone_and_is_told_once(watch):
    watcher = watch()
    playing(watcher, LIVE)
    watcher.session.update(classes=[0])
    watcher.session.update(classes=[9999])
    watcher.session.update(conf=0.6)
    assert watcher.state.options.conf == 0.6
    watcher.until(lambda: watcher.texts(Level.ERROR) and watcher.state.options.classes == (0,))
    watcher.shown(2)
    assert watcher.state.options.conf == 0.6
    assert len(watcher.texts(Level.ERROR)) == 1


def test_a_wrong_tracker_is_taken_back_before_there_is_a_model(watch):
    watcher = watch(model=None)
    watcher.session.update(tracker="nope")
    watcher.until(lambda: watcher.texts(Level.ERROR))
    assert watcher.state.options.tracker == "bytetrack"
    playing(watcher, LIVE)
    assert len(watcher.texts(Level.ERROR)) == 1


def test_passwords_are_not_shown_while_something_is_opened(watch, slow):
    watcher = watch()
    for spec in ("rtsp:/me:secret@127.0.0.1/1", "me:secret@127.0.0.1/live", ["rtsp:/me:secret@127.0.0.1/1"]):
        slow.answer.clear()
        slow.add(str(spec))
        watcher.session.open(spec)
        watcher.until(lambda: watcher.state.busy)
        assert "secret" not in " ".join(watcher.state.busy)
        slow.answer.set()
        watcher.until(lambda: not watcher.state.busy)
    assert "secret" not in " ".join(watcher.texts())


def test_a_file_that_begins_again_is_one_recording_and_is_not_told_each_time(watch, tmp_path):
    path = tmp_path / "short.mp4"
    with av.open(str(path), "w") as container, TestSource(size=(160, 120), fps=40, frames=10) as scene:
        stream = container.add_stream("mpeg4", rate=40)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for frame in scene:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
        container.mux(stream.encode())
    watcher = watch(loop=True)
    playing(watcher, path)
    watcher.session.record(tmp_path / "seen.mp4")
    watcher.until(is_written(watcher))
    played = watcher.frames()
    watcher.until(lambda: len(played) > 25)
    watcher.session.stop_take("annotated")
    watcher.until(lambda: any(text.startswith("Saved") for text in watcher.texts()))
    assert not (tmp_path / "seen_2.mp4").exists()
    with av.open(str(tmp_path / "seen.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 20
    assert sum("is open" in text for text in watcher.texts()) == 1
    assert not any("has ended" in text for text in watcher.texts())


def test_sources_that_are_opened_after_the_end_are_closed(watch, slow, monkeypatch):
    closed = threading.Event()
    monkeypatch.setattr(TestSource, "close", lambda source: closed.set())
    watcher = watch()
    slow.add(LIVE)
    watcher.session.open(LIVE)
    watcher.until(lambda: any("opening" in busy for busy in watcher.state.busy))
    assert not watcher.session.close(0.2)
    slow.answer.set()
    assert closed.wait(PATIENCE)


def test_a_painter_that_hangs_or_exits_holds_up_neither_the_end_nor_the_others(watch):
    watcher = watch()
    playing(watcher, LIVE)
    go = threading.Event()

    def paint(result, canvas):
        raise SystemExit(3)

    handle = watcher.session.callbacks.add(
        "on_predict_postprocess_end", lambda predictor: predictor.frame_results[0].add_painter(paint)
    )
    watcher.until(lambda: any("SystemExit" in text for text in watcher.texts()))
    handle.remove()
    watcher.shown(3)
    entered = threading.Event()

    def hang(result, canvas):
        entered.set()
        go.wait(PATIENCE)

    watcher.session.callbacks.add("on_predict_postprocess_end", lambda predictor: predictor.frame_results[0].add_painter(hang))
    watcher.until(entered.is_set)
    assert not watcher.session.close(0.5)
    go.set()


def test_a_callback_that_does_not_return_keeps_no_recording_from_being_completed(watch, tmp_path):
    watcher = watch()
    playing(watcher, LIVE)
    watcher.session.record(tmp_path / "seen.mp4")
    watcher.until(is_written(watcher))
    watcher.shown(5)
    go, entered = threading.Event(), threading.Event()

    def hang(predictor):
        entered.set()
        go.wait(PATIENCE)

    watcher.session.callbacks.add("on_predict_batch_end", hang, order=500)
    watcher.until(entered.is_set)
    assert not watcher.session.close(0.2)
    watcher.until(lambda: is_complete(tmp_path / "seen.mp4"))
    go.set()


def is_complete(path):
    """Whether an MP4 has its index in front, and is not in fragments."""
    content = path.read_bytes()
    return 0 < content.find(b"moov") < content.find(b"mdat") and b"moof" not in content


# Chosen while something else is under way ---------------------------------------------------------------------------------


def is_opening(watcher):
    return lambda: any("opening" in busy for busy in watcher.state.busy)


def test_a_model_chosen_while_something_is_opened_is_used_although_that_fails(watch, clip, slow, tmp_path):
    watcher = watch()
    (key,) = playing(watcher, clip)
    slow.add(str(tmp_path / "gone.mp4"))
    watcher.session.open(tmp_path / "gone.mp4")
    watcher.until(is_opening(watcher))
    watcher.session.use_model(None)
    watcher.until(lambda: watcher.state.model.title == "bundled person detector")
    assert watcher.state.run == 1
    before = at(watcher, key)
    slow.answer.set()
    watcher.until(lambda: watcher.texts(Level.ERROR))
    watcher.until(lambda: watcher.pictures[key][0].names == watcher.state.model.names)
    assert at(watcher, key) >= before - 0.1  # where it was
    assert specs(watcher) == [str(clip)]


def test_options_chosen_while_something_is_opened_are_in_force_although_that_fails(watch, clip, slow, tmp_path):
    watcher = watch(options={"tracker": None})
    (key,) = playing(watcher, clip)
    slow.add(str(tmp_path / "gone.mp4"))
    watcher.session.open(tmp_path / "gone.mp4")
    watcher.until(is_opening(watcher))
    assert len(watcher.pictures[key][0]) == 1
    watcher.session.update(vid_stride=5, conf=0.95)
    watcher.until(lambda: len(watcher.pictures[key][0]) == 0)  # what needs no new run is in force at once
    assert watcher.state.run == 1
    played = watcher.frames()
    slow.answer.set()
    watcher.until(lambda: watcher.state.run == 2)

    def of_the_new_run():
        return [frame.pts for predictor, frame in played if predictor.args.vid_stride == 5]

    watcher.until(lambda: len(of_the_new_run()) > 1)
    first, second = of_the_new_run()[:2]
    assert second - first > 0.45  # every fifth of ten frames a second


def test_what_is_changed_while_paused_shows_although_something_is_being_opened(watch, slow):
    watcher = watch(options={"tracker": None})
    (key,) = playing(watcher, LIVE)
    watcher.session.pause()
    watcher.until(phase_is(watcher, Phase.PAUSED))
    slow.add(OTHER)
    watcher.session.open(OTHER)
    watcher.until(is_opening(watcher))
    watcher.session.update(conf=0.95)
    watcher.until(lambda: len(watcher.pictures[key][0]) == 0)


@pytest.mark.parametrize("how", ["options", "model", "replay"])
def test_what_is_opened_beside_another_comes_although_that_starts_anew_meanwhile(watch, slow, how):
    watcher = watch()
    first = "testsrc:320x240@30:20" if how == "replay" else LIVE
    slow.add(OTHER)
    watcher.hold(first)
    watcher.session.open(OTHER, add=True)
    watcher.until(is_opening(watcher))
    watcher.session.play()
    if how == "options":
        watcher.session.update(vid_stride=2)
    elif how == "model":
        watcher.session.use_model(None)
    else:
        watcher.until(phase_is(watcher, Phase.ENDED))
        watcher.session.play()
    watcher.until(lambda: watcher.state.run == 2)
    slow.answer.set()
    watcher.until(lambda: specs(watcher) == [first, OTHER])
    watcher.until(lambda: len(watcher.pictures) == 2)


def test_what_is_opened_beside_another_joins_what_is_still_being_opened_anew(watch, clip, slow):
    watcher = watch()
    playing(watcher, clip)
    slow.update((OTHER, str(clip)))
    watcher.session.open(OTHER, add=True)
    watcher.until(is_opening(watcher))
    watcher.session.update(vid_stride=2)
    watcher.until(phase_is(watcher, Phase.OPENING))
    slow.answer.set()
    watcher.until(lambda: specs(watcher) == [str(clip), OTHER])
    watcher.until(lambda: len(watcher.pictures) == 2)


def test_what_is_opened_beside_another_comes_although_that_is_closed_meanwhile(watch, slow):
    watcher = watch()
    (key,) = playing(watcher, LIVE)
    slow.add(OTHER)
    watcher.session.open(OTHER, add=True)
    watcher.until(is_opening(watcher))
    watcher.session.close_slot(key)
    watcher.until(phase_is(watcher, Phase.OPENING))
    slow.answer.set()
    watcher.until(lambda: specs(watcher) == [OTHER])
    watcher.shown(2)


def test_a_live_source_that_is_being_opened_is_not_opened_beside_itself(watch, slow):
    watcher = watch()
    playing(watcher, LIVE)
    slow.add(OTHER)
    watcher.session.open(OTHER, add=True)
    watcher.session.open(OTHER, add=True)
    watcher.until(lambda: watcher.texts(Level.WARNING) == [f"{OTHER} is open already"])
    slow.answer.set()
    watcher.until(lambda: len(watcher.pictures) == 2 and not watcher.state.busy)
    assert specs(watcher) == [LIVE, OTHER]


def test_a_run_begins_with_options_that_were_checked_and_those_that_were_not_end_nothing(watch, cat_model, slow):
    free, entered = threading.Event(), threading.Event()
    free.set()
    check = cat_model.detector.check

    def held(options):
        entered.set()
        free.wait(PATIENCE)
        check(options)

    cat_model.detector.check = held
    watcher = watch()
    slow.add(LIVE)
    watcher.session.open(LIVE)
    watcher.until(lambda: watcher.state.model is not None and is_opening(watcher)())
    free.clear()
    entered.clear()
    watcher.session.update(conf=0.3)
    assert entered.wait(PATIENCE)
    slow.answer.set()
    watcher.until(lambda: not any(thread.name == "framehook-open" for thread in threading.enumerate()))
    watcher.session.update(classes=["dog"])  # after the source is there, before anybody has looked at either
    free.set()
    watcher.until(lambda: watcher.texts(Level.ERROR))
    watcher.shown(2)
    assert watcher.state.phase is Phase.PLAYING
    assert watcher.state.options.classes is None
    assert watcher.state.options.conf == 0.3
    assert len(watcher.texts(Level.ERROR)) == 1


def test_a_callback_that_does_not_return_is_named_where_something_else_is_to_play(watch, monkeypatch):
    monkeypatch.setattr(ending, "SOON", 0.2)
    watcher = watch()
    playing(watcher, LIVE)
    go, entered = threading.Event(), threading.Event()

    def count_sheep(predictor):
        entered.set()
        go.wait(PATIENCE)

    watcher.session.callbacks.add("on_predict_batch_end", count_sheep)
    watcher.until(entered.is_set)
    watcher.session.stop()
    watcher.session.open(OTHER)
    watcher.until(lambda: "waiting for what played to end" in watcher.state.busy)
    (warning,) = watcher.until(lambda: watcher.texts(Level.WARNING))
    assert "count_sheep (test_director.py line " in warning
    assert "on_predict_batch_end" in warning
    go.set()
    watcher.until(lambda: specs(watcher) == [OTHER])
    watcher.until(lambda: not watcher.state.busy)
    watcher.shown(2)


# Decided when its turn comes ----------------------------------------------------------------------------------------------


def test_presses_that_come_fast_take_turns(watch, clip):
    watcher = watch()
    (key,) = playing(watcher, clip)
    for _ in range(3):
        watcher.session.toggle_play()
    watcher.until(phase_is(watcher, Phase.PAUSED))
    watcher.session.toggle_play()
    watcher.session.toggle_play()
    watcher.session.step()
    watcher.until(phase_is(watcher, Phase.PAUSED))
    watcher.session.toggle_play()
    watcher.until(phase_is(watcher, Phase.PLAYING))
    watcher.session.seek(29.0)
    watcher.until(phase_is(watcher, Phase.ENDED))
    watcher.session.toggle_play()
    watcher.until(phase_is(watcher, Phase.PLAYING))
    assert watcher.state.run == 2
    watcher.until(lambda: at(watcher, key) < 20)


def test_what_is_saved_begins_and_ends_in_turns(watch, tmp_path):
    watcher = watch()
    playing(watcher, LIVE)
    path = tmp_path / "seen.jsonl"

    def toggle(times):
        """Press, and look until all presses were obeyed."""
        for _ in range(times):
            watcher.session.toggle_take("rows", path)
        watcher.session.pause()
        watcher.until(phase_is(watcher, Phase.PAUSED))
        watcher.session.play()
        watcher.until(phase_is(watcher, Phase.PLAYING))

    toggle(3)
    assert watcher.state.take("rows") is not None
    watcher.until(lambda: watcher.state.take("rows").paths)
    watcher.shown(2)
    toggle(1)
    assert watcher.state.take("rows") is None
    watcher.until(lambda: any(text.startswith("Saved") and "seen.jsonl" in text for text in watcher.texts()))
    assert not watcher.texts(Level.ERROR)
