import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from framehook.inference.callbacks import Callback, Callbacks, registry
from framehook.inference.errors import (
    CallbackError,
    FrameError,
    InferenceError,
    OptionError,
    SourceError,
    UnknownLayoutError,
    UnknownOptionError,
)
from framehook.inference.events import PredictEvent
from framehook.inference.feed import DirectFeed
from framehook.inference.ledger import Cause
from framehook.inference.sources import open_source

from .brightness import detector, picture, start, values
from .scripted import PATIENCE, until

EVENTS = list(PredictEvent)
PICTURES = [picture(value) for value in range(1, 41)]


def adds_up(stats):
    return all(
        each.ledger.captured == each.ledger.delivered + sum(each.ledger.dropped.values()) and not each.ledger.pending
        for each in stats.sources.values()
    )


@pytest.fixture
def patient(monkeypatch):
    """At the end of a run, callbacks in the background have time enough for a thread that gets no turn."""
    monkeypatch.setattr(registry, "DRAIN_SECONDS", PATIENCE)


def everything(run):
    with run:
        return list(run)


class Diary(Callback):
    """Writes down every event with what was set."""

    def __init__(self):
        self.entries = []
        self.threads = set()

    def note(self, event, predictor):
        self.threads.add(threading.get_ident())
        self.entries.append((event, None if predictor.frame is None else predictor.frame.index))

    def on_predict_start(self, predictor):
        assert predictor.batch is None
        assert predictor.source.name
        assert predictor.args.conf == 0.001
        assert predictor.device == "cpu"
        assert predictor.model is not None
        self.note("start", predictor)

    def on_predict_postprocess_end(self, predictor):
        assert predictor.results == predictor.frame_results
        assert set(predictor.speed) == {"preprocess", "inference", "postprocess"}
        self.note("postprocess", predictor)

    def on_predict_batch_end(self, predictor):
        paths, images, frames, infos = predictor.batch
        assert len(paths) == len(images) == len(frames) == len(infos) == len(predictor.frame_results)
        assert images[0] is frames[0].image
        self.note("batch_end", predictor)

    def on_predict_end(self, predictor):
        assert predictor.error is None
        assert predictor.stats.frames == len(PICTURES)
        self.note("end", predictor)


class FullDiary(Diary):
    def on_predict_batch_start(self, predictor):
        assert predictor.batch.frames[0] is predictor.frame
        self.note("batch_start", predictor)


def expected_order(per_frame):
    frames = [(event, index) for index in range(len(PICTURES)) for event in per_frame]
    return [("start", None), *frames, ("end", len(PICTURES) - 1)]


def test_events_fire_in_strict_order_in_the_callers_thread_while_frames_overlap():
    callbacks, diary = Callbacks(), Diary()
    callbacks.add(diary)
    net = detector(delay=lambda: random.random() * 0.004)
    results = everything(start(PICTURES, net=net, callbacks=callbacks))
    assert diary.entries == expected_order(["postprocess", "batch_end"])
    assert diary.threads == {threading.get_ident()}
    assert values(results) == list(range(1, 41))
    assert [result.frame.index for result in results] == list(range(40))


def test_the_same_order_with_somebody_listening_to_the_start_of_batches():
    callbacks, diary = Callbacks(), FullDiary()
    callbacks.add(diary)
    assert values(everything(start(PICTURES, callbacks=callbacks))) == list(range(1, 41))
    assert diary.entries == expected_order(["batch_start", "postprocess", "batch_end"])


def test_files_keep_several_frames_in_flight_and_live_sources_one():
    running, most = set(), []
    changed = threading.Condition()

    def network(tensor):
        with changed:
            running.add(threading.get_ident())
            most.append(len(running))
            changed.notify_all()
            changed.wait_for(lambda: max(most) > 1, patience)
        with changed:
            running.discard(threading.get_ident())
        return [np.zeros((len(tensor), 5, 1), np.float32)]

    patience = PATIENCE
    everything(start(PICTURES, net=detector(function=network)))
    assert max(most) >= 2
    most.clear()
    patience = 0.005
    run = start("testsrc:64x48@100:5:live", net=detector(function=network))
    everything(run)
    assert max(most) == 1


def test_results_may_be_replaced_by_any_iterable_which_is_read_once_and_last():
    reads = []

    def pairs(predictor):
        def generate():
            reads.append(predictor.frame.index)
            yield from zip(predictor.frame_results, predictor.batch.images, strict=True)

        predictor.results = generate()

    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", pairs)
    callbacks.add("on_predict_batch_end", lambda predictor: reads.append("callback after"))
    pairs_out = everything(start(PICTURES[:3], callbacks=callbacks))
    assert reads == ["callback after", 0, "callback after", 1, "callback after", 2]
    assert all(result.orig_img is image for result, image in pairs_out)


def test_results_that_cannot_be_iterated_say_so():
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", lambda predictor: setattr(predictor, "results", 3))
    with pytest.raises(
        CallbackError, match=r"predictor\.results, which .* replaced by a int at frame 0 of list, cannot be iterated"
    ):
        everything(start(PICTURES[:3], callbacks=callbacks))


@pytest.mark.parametrize("event", EVENTS)
def test_a_callback_that_raises_ends_the_run_with_its_name_and_the_end_fires_once(event):
    ends = []

    def fails(predictor):
        raise ValueError("broken")

    callbacks = Callbacks()
    callbacks.add("on_predict_end", lambda predictor: ends.append(predictor.error))
    callbacks.add(event, fails)
    run = start(PICTURES, callbacks=callbacks)
    with pytest.raises(CallbackError) as caught:
        list(run)
    assert f"fails' failed in {event}" in str(caught.value)
    assert "ValueError: broken" in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)
    assert len(ends) == 1
    assert ends[0] is (None if event == PredictEvent.END else caught.value)
    assert adds_up(run.stats)
    assert next(run, "over") == "over"


def test_several_errors_leave_as_a_group():
    def fails(predictor):
        raise ValueError("broken")

    callbacks = Callbacks()
    for event in ("on_predict_batch_end", "on_predict_end", "on_predict_end"):
        callbacks.add(event, fails)
    with pytest.raises(ExceptionGroup) as caught:
        everything(start(PICTURES, callbacks=callbacks))
    assert [error.event for error in caught.value.exceptions] == ["on_predict_batch_end", "on_predict_end", "on_predict_end"]


def test_a_network_that_fails_on_a_frame_ends_the_run_after_the_frames_before_it():
    def network(tensor):
        if tensor[0, 0, 0, 0] > 4.5 / 255:
            raise InferenceError("no")
        return [np.zeros((1, 5, 1), np.float32)]

    run = start(PICTURES, net=detector(function=network))
    seen = []
    with pytest.raises(InferenceError):
        seen.extend(run)
    assert adds_up(run.stats)
    assert run.stats.frames == 4
    assert isinstance(run.predictor.error, InferenceError)


def test_a_source_that_fails_ends_the_run_after_the_frames_before_it():
    def pictures():
        yield from PICTURES[:3]
        raise OSError("unplugged")

    run = start(pictures())
    seen = []
    with pytest.raises(SourceError, match="unplugged"):
        seen.extend(run)
    assert values(seen) == [1, 2, 3]
    assert adds_up(run.stats)


def test_a_decoder_that_does_not_fit_names_itself_and_the_shapes():
    run = start(PICTURES[:1], net=detector(function=lambda tensor: [np.zeros((1, 2), np.float32)]))
    with pytest.raises(
        UnknownLayoutError, match=r"outputs of shape 1 x 2 do not fit layout 'yolo' .*; name another with decoder="
    ):
        list(run)


def test_stop_from_a_callback_ends_after_that_frame():
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", lambda predictor: predictor.frame.index == 4 and predictor.stop())
    run = start(PICTURES, callbacks=callbacks)
    assert len(everything(run)) == 5
    assert adds_up(run.stats)
    assert run.predictor.error is None


def test_stop_from_another_thread_ends_a_pending_next_at_once():
    run = start("testsrc:64x48@0.01:live")
    next(run)
    threading.Timer(0.05, run.stop).start()
    began = time.monotonic()
    assert next(run, None) is None
    assert time.monotonic() - began < PATIENCE  # the next frame is a hundred seconds away
    assert adds_up(run.stats)


def test_listening_to_batch_starts_from_the_middle_of_a_run_loses_and_repeats_nothing():
    seen = []
    callbacks = Callbacks()
    run = start(PICTURES, callbacks=callbacks)
    results = [next(run) for _ in range(5)]

    def darken(predictor):
        seen.append(predictor.frame.index)
        predictor.batch.images[0] = picture(200)

    handle = callbacks.add("on_predict_batch_start", darken)
    results += [next(run) for _ in range(5)]
    handle.remove()
    results += list(run)
    assert seen == [5, 6, 7, 8, 9]
    assert values(results) == [*range(1, 6), *[200] * 5, *range(11, 41)]
    assert results[7].orig_img[0, 0, 0] == 8


def test_a_replaced_image_of_another_size_is_refused():
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_start", lambda predictor: predictor.batch.images.__setitem__(0, picture(1, (8, 8))))
    with pytest.raises(FrameError, match=r"holds an image of shape \(8, 8, 3\) and type uint8 for frame 0 of list; replace"):
        everything(start(PICTURES[:3], callbacks=callbacks))


def test_options_change_between_frames_exactly_although_frames_are_in_flight():
    callbacks = Callbacks()

    def raise_conf(predictor):
        if predictor.frame.index == 9:
            predictor.update({"conf": 30.5 / 255})

    callbacks.add("on_predict_batch_end", raise_conf)
    results = everything(start(PICTURES, callbacks=callbacks))
    assert [len(result.boxes) for result in results] == [1] * 10 + [0] * 20 + [1] * 10


def test_wrong_options_change_nothing():
    run = start(PICTURES)
    next(run)
    with pytest.raises(UnknownOptionError) as caught:
        run.update(cnof=0.5)
    assert str(caught.value) == "unknown option 'cnof'. Did you mean 'conf'?"
    with pytest.raises(OptionError, match="conf=7 is out of range; pass a number from 0 to 1"):
        run.update(conf=7)
    with pytest.raises(OptionError, match=r"imgsz=64 does not fit: the model takes 32x32 only; leave imgsz out"):
        run.update(imgsz=64)
    with pytest.raises(OptionError, match=r"classes: the model has no class 'thin'\. Did you mean 'thing'\?"):
        run.update(classes="thin")
    assert run.predictor.args.conf == 0.001
    run.close()


def test_pausing_holds_stepping_lets_through_and_resuming_goes_on():
    run = start(PICTURES)
    taken = []
    next(run)
    run.pause()
    thread = threading.Thread(target=lambda: taken.extend(run))
    thread.start()
    time.sleep(0.05)
    assert taken == []
    assert run.paused
    run.step(2)
    until(lambda: len(taken) == 2)
    time.sleep(0.03)
    assert len(taken) == 2
    run.resume()
    thread.join()
    assert values(taken) == list(range(2, 41))


def test_seeking_continues_at_the_time_asked_for_and_the_ledger_adds_up():
    run = start("testsrc:64x48@10:100")
    for _ in range(3):
        next(run)
    run.seek(8.0)
    frames = [result.frame for result in run]
    assert [round(frame.pts, 1) for frame in frames] == [round(8 + step / 10, 1) for step in range(20)]
    assert {frame.segment for frame in frames} == {1}
    assert adds_up(run.stats)
    ledger = next(iter(run.stats.sources.values())).ledger
    assert ledger.delivered == 23
    assert set(ledger.dropped) <= {Cause.SEEK}


@pytest.mark.parametrize(("fixed", "sizes"), [(None, {4}), (1, {1}), (3, {3})])
def test_batches_are_filled_from_files_and_fed_in_pieces_to_fixed_models(fixed, sizes):
    calls, lengths = [], []
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", lambda predictor: lengths.append(len(predictor.batch.frames)))
    results = everything(start(PICTURES[:10], net=detector(batch=fixed, calls=calls), callbacks=callbacks, batch=4))
    assert lengths == [4, 4, 2]
    assert values(results) == list(range(1, 11))
    assert set(calls) <= sizes | {2}


def test_pictures_of_any_size_mix_in_a_batch_and_boxes_come_back_in_their_own_pixels():
    sizes = [(32, 32), (64, 32), (1, 1), (31, 57), (640, 480)]
    results = everything(start([picture(90, size) for size in sizes], batch=5))
    for (width, height), result in zip(sizes, results, strict=True):
        assert result.orig_shape == (height, width)
        left, top, right, bottom = result.boxes.xyxy[0]
        assert abs((left + right) / 2 - width / 2) <= max(width, height) / 32
        assert abs((top + bottom) / 2 - height / 2) <= max(width, height) / 32


def test_a_single_picture_starts_no_thread():
    before = set(threading.enumerate())
    seen = []
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", lambda predictor: seen.append(set(threading.enumerate()) - before))
    everything(start(PICTURES[0], callbacks=callbacks))
    assert seen == [set()]


def test_the_stats_tell_frames_rate_latency_stages_and_the_ledger():
    run = start(PICTURES)
    everything(run)
    stats = run.stats
    assert (stats.frames, stats.detections) == (40, 40)
    assert stats.fps > 0
    assert stats.fps_recent > 0
    assert 0 < stats.latency.p50 <= stats.latency.p95 <= stats.latency.p99
    assert all(stats.speed[stage] > 0 for stage in ("preprocess", "inference", "postprocess"))
    assert adds_up(stats)
    assert run.stats.elapsed == stats.elapsed


@pytest.mark.usefixtures("patient")
def test_a_slow_background_callback_drops_calls_rather_than_frames_and_sees_snapshots():
    snapshots, errors = [], []

    def slow(predictor):
        snapshots.append(predictor)
        try:
            predictor.results = []
        except AttributeError as error:
            errors.append(error)
        go_on.wait(PATIENCE)

    go_on = threading.Event()
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", lambda predictor: predictor.frame.index == 100 and go_on.set())
    callbacks.add("on_predict_batch_end", slow, background=True)
    callbacks.add("on_predict_end", snapshots.append, background=True)
    run = start([picture(value % 255 + 1) for value in range(200)], callbacks=callbacks)
    results = everything(run)
    assert len(results) == 200
    dropped = run.stats.background_dropped
    assert dropped > 0
    assert len(snapshots) + dropped == 201
    assert len(errors) == len(snapshots) - 1
    batch_ends = snapshots[: len(errors)]
    indices = [snapshot.frame.index for snapshot in batch_ends if snapshot.stats.frames < 200]
    assert indices == sorted(indices)
    assert all(snapshot.frame_results[0] is not results[snapshot.frame.index] for snapshot in batch_ends)
    assert all(snapshot.frame_results[0].frame is snapshot.frame for snapshot in batch_ends)


@pytest.mark.usefixtures("patient")
def test_an_error_in_the_background_reaches_the_run():
    def fails(snapshot):
        raise ValueError("behind the scenes")

    callbacks = Callbacks()
    callbacks.add("on_predict_start", fails, background=True)
    with pytest.raises(CallbackError, match="behind the scenes"):
        everything(start(PICTURES, callbacks=callbacks))


def test_a_source_opened_for_a_run_that_never_starts_is_closed():
    closed = []
    source = open_source(PICTURES)
    source.close = lambda: closed.append(True)
    run = start(source)
    run.close()
    assert closed == [True]


def test_an_error_in_replaced_results_is_told_as_a_callbacks():
    def broken(predictor):
        predictor.results = (1 / 0 for _ in [1])

    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", broken)
    with pytest.raises(CallbackError, match=r"replaced by a generator at frame 0 of list, failed: ZeroDivisionError") as caught:
        everything(start(PICTURES[:3], callbacks=callbacks))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_what_belongs_to_the_start_of_a_run_cannot_change_in_it():
    run = start(PICTURES)
    for name, value in {"batch": 2, "vid_stride": 2, "pace": "realtime", "save": True}.items():
        with pytest.raises(OptionError, match=f"{name} is chosen when a run starts and cannot change in it; start another run"):
            run.update(**{name: value})
    run.close()


def test_options_do_not_change_between_the_events_of_a_frame():
    seen = []
    callbacks = Callbacks()
    callbacks.add("on_predict_postprocess_end", lambda predictor: (seen.append(predictor.args.conf), run.update(conf=0.002)))
    callbacks.add("on_predict_batch_end", lambda predictor: seen.append(predictor.args.conf))
    run = start(PICTURES[:2], callbacks=callbacks)
    everything(run)
    assert seen == [0.001, 0.001, 0.002, 0.002]


@pytest.mark.usefixtures("patient")
def test_the_end_fires_although_interrupts_keep_coming():
    ends = []

    def interrupt(predictor):
        raise KeyboardInterrupt

    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", interrupt)
    callbacks.add("on_predict_end", interrupt)
    callbacks.add("on_predict_end", lambda predictor: ends.append(type(predictor.error)))
    callbacks.add("on_predict_end", lambda snapshot: ends.append("background"), background=True)
    run = start(PICTURES, callbacks=callbacks)
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert ends == [KeyboardInterrupt, "background"]
    assert adds_up(run.stats)


def test_an_interrupt_while_the_source_is_closed_still_fires_the_end():
    ends = []

    def interrupted():
        raise KeyboardInterrupt

    callbacks = Callbacks()
    callbacks.add("on_predict_end", ends.append)
    run = start(PICTURES[0], callbacks=callbacks)
    run.predictor._intake.feeds[0].source.close = interrupted
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert len(ends) == 1


def test_frames_of_a_batch_that_was_being_filled_are_counted():
    class Interrupting(type(open_source(PICTURES))):
        def read(self):
            if self._index == 3:
                raise KeyboardInterrupt
            return super().read()

    run = start(Interrupting(PICTURES[:1] * 9), batch=5)
    feed = DirectFeed(run.predictor._intake.feeds[0].source, run.predictor._ledger, run.predictor._intake.gate, stride=1)
    run.predictor._intake._feeds[:] = run.predictor._intake._turns = [feed]
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert adds_up(run.stats)
    (figures,) = run.stats.sources.values()
    ledger = figures.ledger
    assert (ledger.captured, ledger.dropped) == (3, {Cause.STOPPED: 3})


def test_a_run_goes_on_in_a_thread_after_the_main_thread_is_over(tmp_path):
    program = (
        "import threading\n"
        "from framehook import Model\n"
        "import numpy as np\n"
        "from framehook.inference.backends import FunctionBackend\n"
        "net = FunctionBackend(lambda tensor: [np.zeros((1, 5, 1), np.float32)], output_shapes=[(1, 5, None)])\n"
        "model = Model(net, decoder='yolo')\n"
        "def work():\n"
        "    with model.predict('testsrc:64x48@30:20', stream=True) as run:\n"
        "        next(run)\n"
        "        threading.main_thread().join()\n"
        "        print(1 + sum(1 for _ in run), run.stats.frames)\n"
        "threading.Thread(target=work).start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "20 20\n", "")


@pytest.mark.usefixtures("patient")
def test_snapshots_hold_copies_also_where_a_callback_replaced_the_results():
    snapshots = []
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", lambda predictor: setattr(predictor, "results", [*predictor.results, "extra"]))
    callbacks.add("on_predict_batch_end", snapshots.append, background=True)
    (result, extra) = everything(start(PICTURES[0], callbacks=callbacks))
    (snapshot,) = snapshots
    assert extra == "extra"
    assert snapshot.results[0] is snapshot.frame_results[0]
    assert snapshot.results[0] is not result
    assert snapshot.results[1] == "extra"
    with pytest.raises(AttributeError):
        snapshot.args = None


def test_slow_background_callbacks_share_the_time_at_the_end(monkeypatch):
    monkeypatch.setattr(registry, "DRAIN_SECONDS", 0.6)  # for each it would be longer than is waited for
    over = threading.Event()
    callbacks = Callbacks()
    for _ in range(2 * round(PATIENCE)):
        callbacks.add("on_predict_batch_end", lambda snapshot: over.wait(2 * PATIENCE), background=True)
    run = start(PICTURES[:3], callbacks=callbacks)
    dropped = []
    callbacks.add("on_predict_end", lambda predictor: dropped.append(predictor.stats.background_dropped))
    began = time.monotonic()
    everything(run)
    assert time.monotonic() - began < PATIENCE
    over.set()
    assert dropped == [run.stats.background_dropped]


@pytest.mark.parametrize("paced", [{}, {"pace": "realtime"}])
def test_a_list_of_clips_delivers_every_file(paced):
    run = start(["testsrc:64x48@30:12", "testsrc:64x48@30:12"], **paced)
    frames = [result.frame for result in everything(run)]
    assert len({frame.source.id for frame in frames}) == 2
    assert adds_up(run.stats)
    if paced:
        assert run.stats.elapsed >= 0.7
        ledgers = [each.ledger for each in run.stats.sources.values()]
        assert sum(each.captured for each in ledgers) == 24
        assert {cause for each in ledgers for cause in each.dropped} <= {Cause.PACE}
        assert frames[-1].index == 11
    else:
        assert [frame.index for frame in frames] == [*range(12), *range(12)]
