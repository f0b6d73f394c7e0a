"""Runs over several sources: fair, independent of each other, and open to more."""

import gc
import threading
import time

import av
import pytest

from framehook.inference import intake, ledger
from framehook.inference.callbacks import Callbacks, Recorder
from framehook.inference.connection import SourceState
from framehook.inference.errors import OptionError, RunError, SeekError, SourceError, SourceUnavailableError
from framehook.inference.ledger import Cause
from framehook.inference.sources import TestSource
from framehook.inference.stats import RECENT

from .brightness import SIDE, detector, picture, start, values
from .scripted import PATIENCE, Scripted, until


class Silent(Scripted):
    """Gives a few frames, then nothing, and cannot be woken."""

    def __init__(self, name, frames=0):
        super().__init__(live=True, name=name, pixels=picture(9))
        self.frames = frames
        self.released = threading.Event()

    def read(self):
        if self.index >= self.frames:
            self.released.wait()
            return None
        return super().read()

    def interrupt(self): ...


def scene(frames=None, *, live=False, fps=100.0):
    return TestSource(size=(64, 48), fps=fps, frames=frames, live=live)


def clip(name, count, **options):
    return Scripted(count, name=name, pixels=picture(options.pop("value", 9)), **options)


def run_of(*sources, **options):
    return start(sources, **options)


def changes(callbacks):
    """What is told of sources: (name, state, reason)."""
    told = []
    callbacks.add(
        "on_source_change",
        lambda predictor: told.append((predictor.change.source.name, predictor.change.state, predictor.change.reason)),
    )
    return told


def ledger_of(run, name):
    return next(each.ledger for each in run.stats.sources.values() if each.source.name == name)


def all_wait(run):
    """Whether a frame of each source waits to be taken, where none is computed ahead; not every reader has had a turn."""
    return all(each.ledger.pending for each in run.stats.sources.values())


def by_source(results):
    sorted_out = {}
    for result in results:
        sorted_out.setdefault(result.frame.source.name, []).append(result)
    return sorted_out


def indices(results):
    return [result.frame.index for result in results]


def adds_up(stats):
    return all(
        each.ledger.captured == each.ledger.delivered + sum(each.ledger.dropped.values()) and not each.ledger.pending
        for each in stats.sources.values()
    )


def test_files_side_by_side_take_turns_and_each_is_delivered_whole_and_in_order():
    callbacks = Callbacks()
    run = run_of(clip("a", 30, value=10), clip("b", 20, value=20), clip("c", 10, value=30), callbacks=callbacks)
    handle = callbacks.add("on_predict_batch_start", lambda predictor: None)  # so that none is computed ahead
    results = [next(run)]
    while len(results) < 24:
        until(lambda: all_wait(run))
        results.append(next(run))
    handle.remove()
    results += run
    sorted_out = by_source(results)
    assert {name: indices(each) for name, each in sorted_out.items()} == {
        "a": list(range(30)),
        "b": list(range(20)),
        "c": list(range(10)),
    }
    assert set(values(sorted_out["a"])) == {10}
    assert set(values(sorted_out["c"])) == {30}
    first = [result.frame.source.name for result in results[:24]]
    assert all(set(first[at : at + 3]) == set("abc") for at in range(22))


def test_slow_consumers_serve_live_sources_equally():
    run = run_of(*(scene(live=True, fps=200.0) for _ in range(3)))
    taken = []

    def each_has_lost(count):
        return all(each.ledger.dropped.get(Cause.OVERWRITTEN, 0) >= count for each in run.stats.sources.values())

    with run:
        for result in run:
            taken.append(result.frame.source.id)
            if len(taken) == 30:
                break
            until(lambda: all_wait(run) and each_has_lost(len(taken)))
    assert {taken.count(name) for name in taken} == {10}
    assert all(len(set(taken[at : at + 3])) == 3 for at in range(28))
    assert adds_up(run.stats)


def test_a_file_loses_nothing_beside_a_live_source_and_does_not_keep_it_waiting():
    live = scene(live=True, fps=100.0)
    run = run_of(clip("film", None), live, net=detector(delay=lambda: 0.002))
    film, shown, kept_waiting = [], [], 0
    with run:
        waits = False
        for result in run:
            ours = result.frame.source.name == "film"
            (film if ours else shown).append(result)
            kept_waiting += waits and ours
            if len(film) >= 100 and len(shown) >= 10:
                break
            waits = ours and run.stats.sources[live.info.id].ledger.pending > 0
    assert indices(film) == list(range(len(film)))
    assert not kept_waiting
    assert set(run.stats.sources[live.info.id].ledger.dropped) <= {Cause.OVERWRITTEN, Cause.STOPPED}


def test_files_beside_a_live_source_are_computed_ahead_again_once_that_has_ended():
    threads = []
    callbacks = Callbacks()
    callbacks.add(
        "on_predict_batch_end",
        lambda predictor: threads.append(any(each.name.startswith("framehook-infer") for each in threading.enumerate())),
    )
    live = Scripted(3, live=True, stepwise=True, name="live", pixels=picture(9))
    run = run_of(clip("film", None), live, callbacks=callbacks, net=detector(delay=lambda: 0.001))
    results = []
    with run:
        for result in run:
            results.append(result)
            if len(results) == 20:
                assert not any(threads)
                live.allowed.release(4)
            if threads[-1] and len(results) > 50:
                break
    assert run.stats.sources["live"].ledger.captured == 3
    film = indices(by_source(results)["film"])
    assert film == list(range(len(film)))


@pytest.mark.leaves_threads
def test_one_that_raises_ends_or_stalls_leaves_the_others_as_they_are(caplog):
    callbacks = Callbacks()
    told = changes(callbacks)
    silent = Silent("silent", frames=2)
    lasting = Scripted(live=True, stepwise=True, name="lasts", pixels=picture(9))
    run = run_of(clip("fails", 50, fail_at=3), clip("ends", 4), silent, lasting, callbacks=callbacks)
    lasting.allowed.release()
    waits = []
    with run:
        for result in run:
            if result.frame.source.name == "lasts":
                waits.append(result.latency_ms)
                over = {name for name, state, _ in told if state is SourceState.ENDED}
                if len(waits) >= 40 and over == {"fails", "ends"}:
                    break
                lasting.allowed.release()
    silent.released.set()
    figures = {each.source.name: each for each in run.stats.sources.values()}
    assert {name: each.ledger.delivered for name, each in figures.items()} == {
        "fails": 3,
        "ends": 4,
        "silent": figures["silent"].ledger.delivered,
        "lasts": len(waits),
    }
    assert not figures["lasts"].ledger.dropped
    assert figures["fails"].reason == "fails went away"
    assert ("ends", SourceState.ENDED, "") in told
    assert ("fails", SourceState.ENDED, "fails went away") in told
    assert "fails went away" in caplog.text
    assert min(waits) < 50
    assert adds_up(run.stats)


def test_a_run_whose_every_source_failed_raises_all_of_it():
    with pytest.raises(ExceptionGroup, match="all 2 sources failed") as caught:
        list(run_of(clip("a", 9, fail_at=1), clip("b", 9, fail_at=2)))
    assert sorted(map(str, caught.value.exceptions)) == ["a went away", "b went away"]
    with pytest.raises(SourceUnavailableError, match="a went away"):
        list(run_of(clip("a", 9, fail_at=1)))


def test_a_failure_beside_a_success_is_logged_and_the_run_ends_well(caplog):
    results = list(run_of(clip("a", 9, fail_at=8), clip("b", 2)))
    assert len(results) == 10
    assert caplog.text.count("a went away") == 1


def test_the_changes_of_a_file_are_told_around_its_frames_although_they_are_computed_ahead():
    callbacks = Callbacks()
    told = []
    callbacks.add("on_source_change", lambda predictor: told.append(str(predictor.change.state)))
    callbacks.add("on_predict_batch_end", lambda predictor: told.append(predictor.frame.index))
    callbacks.add("on_predict_end", lambda predictor: told.append("end"))
    list(run_of(clip("a", 5), callbacks=callbacks))
    assert told == ["connected", 0, 1, 2, 3, 4, "ended", "end"]


def test_sources_come_and_go_while_a_run_goes_on():
    callbacks = Callbacks()
    told = changes(callbacks)
    first = scene(live=True)
    run = run_of(first, callbacks=callbacks)
    names = []
    after = None
    with run:
        for number, result in enumerate(run):
            names.append(result.frame.source.id)
            if number == 5:
                added = run.add_source("testsrc:64x48@100:live")
                assert run.predictor.sources == (first.info, added)
            if number > 5 and after is None and added.id in names:
                run.remove_source(first.info)
                after = number + 1
            if after is not None and number > after + 20:
                break
    assert set(names[:6]) == {first.info.id}
    assert set(names[after:]) == {added.id}
    assert ("testsrc", SourceState.ENDED, "removed") in told
    assert [state for _, state, _ in told].count(SourceState.CONNECTED) == 2
    assert adds_up(run.stats)
    assert run.stats.sources[first.info.id].state is SourceState.ENDED


def test_frames_of_a_removed_source_that_are_under_way_are_not_delivered():
    run = run_of(clip("a", 100), clip("b", 100))
    seen = []
    for result in run:
        seen.append(result.frame.source.name)
        if len(seen) == 10:
            until(lambda: ledger_of(run, "a").pending)  # its reader may not have had a turn for a while
            run.remove_source("a")
    assert "a" not in seen[10:]
    assert seen.count("b") == 100
    assert set(ledger_of(run, "a").dropped) == {Cause.STOPPED}
    assert adds_up(run.stats)


def test_a_run_ends_when_its_last_source_is_removed():
    run = run_of(scene(live=True))
    seen = 0
    for _ in run:
        seen += 1
        if seen == 3:
            run.remove_source("testsrc")
    assert seen == 3


def test_a_source_is_added_from_another_thread_to_a_run_that_waits():
    silent = Scripted(live=True, stepwise=True, name="silent", pixels=picture(9))
    run = run_of(silent)
    got = []
    thread = threading.Thread(target=lambda: got.append(next(run)))
    thread.start()
    time.sleep(0.05)
    run.add_source(picture(77))
    thread.join(PATIENCE)
    assert values(got) == [77]
    run.close()


def test_names_that_fit_none_or_several_sources_are_refused():
    run = run_of(clip("a", 9), scene(9), scene(9))
    with pytest.raises(OptionError, match=r"no source of this run is called 'b'.*a, testsrc#"):
        run.remove_source("b")
    with pytest.raises(OptionError, match="several sources of this run are called 'testsrc'; name one by its id"):
        run.remove_source("testsrc")
    run.close()


def test_nothing_is_added_to_a_run_that_is_over():
    run = run_of(clip("a", 1))
    list(run)
    source = clip("b", 1)
    with pytest.raises(RunError, match="b cannot be added to a run that is over"):
        run.add_source(source)
    assert source.closed == 1


def test_one_of_several_is_moved_by_name_and_all_of_them_without():
    run = run_of(clip("a", 20), clip("b", 20))
    with run:
        next(run)
        run.seek(1.5, "b")
        rest = by_source(list(run))
    assert [round(each.frame.pts, 1) for each in rest["b"]][-5:] == [1.5, 1.6, 1.7, 1.8, 1.9]
    assert len(rest["b"]) <= 6
    assert len(rest["a"]) >= 19
    run = run_of(scene(live=True), scene(live=True))
    with run, pytest.raises(SeekError, match="none of the sources can seek"):
        run.seek(1)


def test_a_step_is_a_batch_and_not_a_change_of_a_source():
    callbacks = Callbacks()
    told = changes(callbacks)
    run = run_of(clip("a", 3), clip("b", 3), callbacks=callbacks)
    run.step(2)
    got = [next(run), next(run)]
    assert len(told) == 2
    thread = threading.Thread(target=lambda: got.extend(run))
    thread.start()
    time.sleep(0.05)
    assert len(got) == 2
    run.resume()
    thread.join(PATIENCE)
    assert len(got) == 6


@pytest.mark.leaves_threads
def test_four_sources_that_hang_hold_up_neither_stop_nor_close(monkeypatch):
    monkeypatch.setattr(intake, "FILE_SECONDS", 2 * PATIENCE)  # what they must not be waited for
    monkeypatch.setattr(intake, "ABANDON_SECONDS", PATIENCE / 2)  # all of them together, and not each
    silent = [Silent(f"s{number}") for number in range(4)]
    run = run_of(*silent)
    threading.Timer(0.05, run.stop).start()
    began = time.monotonic()
    with pytest.raises(StopIteration):
        next(run)
    assert time.monotonic() - began < PATIENCE
    for each in silent:
        each.released.set()
    until(lambda: all(each.closed for each in silent))


def test_batches_are_made_of_what_is_ready_of_several_sources():
    sizes = []
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", lambda predictor: sizes.append(len({f.source.id for f in predictor.batch.frames})))
    sources = clip("a", 20, stepwise=True), clip("b", 20, stepwise=True)
    run = run_of(*sources, callbacks=callbacks, batch=4)
    for each in sources:
        each.allowed.release(2)  # the first batch takes all four
    got = [next(run)]
    for each in sources:
        each.allowed.release(20)
    got += run
    assert len(got) == 40
    assert sizes[0] == 2


def test_the_stats_tell_how_each_source_stands():
    run = run_of(clip("a", 30), scene(live=True, fps=50.0))
    with run:
        shown = []  # when each frame was asked for and when it was there
        while len(shown) <= 20 or run.predictor.change.state is not SourceState.ENDED:
            asked = time.monotonic()
            if next(run).frame.source.name == "testsrc":
                shown.append((asked, time.monotonic()))
        figures = {each.source.name: each for each in run.stats.sources.values()}
        read = time.monotonic()
        assert figures["a"].state is SourceState.ENDED
        live = figures["testsrc"]
        assert (live.state, live.connections, live.failures, live.reason) == (SourceState.CONNECTED, 1, 0, "")
        assert live.source.size == (64, 48)
        recent = shown[-RECENT - 1 :]
        spans = read - recent[0][0], recent[-1][0] - recent[0][1]  # the longest and the shortest they can have taken
        assert (len(recent) - 1) / spans[0] <= live.fps <= (len(recent) - 1) / spans[1]
        assert live.silence < PATIENCE
        assert live.latency.p50 <= live.latency.p99
    assert run.stats.sources[live.source.id].state is SourceState.ENDED
    assert run.stats.sources[live.source.id].reason == "stopped"


def test_the_rate_of_a_source_that_stalls_sinks():
    source = Scripted(live=True, stepwise=True, name="s", pixels=picture(9))
    run = run_of(source)
    with run:
        for _ in range(5):
            source.allowed.release()
            next(run)
            time.sleep(0.01)
        busy = run.stats.fps_recent
        began = time.monotonic()
        until(lambda: run.stats.fps_recent < busy / 3)
        assert run.stats.sources["s"].silence >= time.monotonic() - began


def test_a_model_that_raises_on_a_frame_ends_the_run_of_all_sources_with_that_error():
    def network(tensor):
        if round(float(tensor[0, 0, SIDE // 2, SIDE // 2]) * 255) == 66:
            raise ValueError("a bad frame")
        return detector().backend.infer(tensor)

    sources = clip("a", 30), clip("b", 3, value=66)
    run = run_of(*sources, net=detector(function=network))
    with pytest.raises(Exception, match="a bad frame"):
        list(run)
    assert str(run.predictor.error).endswith("a bad frame")
    until(lambda: all(source.closed for source in sources))
    assert adds_up(run.stats)


def test_what_cannot_be_opened_is_not_added(tmp_path):
    run = run_of(clip("a", 5))
    with run, pytest.raises(FileNotFoundError):
        run.add_source(tmp_path / "none.mp4")
    assert len(run.predictor.sources) == 1


def test_a_camera_that_ended_and_whose_last_frame_a_pause_discards_ends_the_run():
    camera = Scripted(2, live=True, stepwise=True, name="s", pixels=picture(9))
    run = run_of(camera)
    for _ in range(3):
        camera.allowed.release()
    next(run)
    until(lambda: run.stats.sources["s"].ledger.captured == 2)
    time.sleep(0.05)  # its reader comes to the end
    run.pause()
    run.resume()
    assert len(list(run)) <= 1
    assert adds_up(run.stats)


def test_results_may_be_thinned_out_in_place():
    callbacks = Callbacks()

    def thin(predictor):
        predictor.results[:] = [result for result in predictor.results if result.frame.index % 2]

    callbacks.add("on_predict_batch_end", thin)
    run = run_of(clip("a", 10), callbacks=callbacks)
    assert indices(list(run)) == [1, 3, 5, 7, 9]
    assert run.stats.sources["a"].ledger.delivered == 10


def test_what_callbacks_keep_for_a_run_is_there_when_the_collector_takes_it(tmp_path):
    def leave_behind():
        callbacks = Callbacks()
        callbacks.add(Recorder(tmp_path / "film.mp4"))
        run = run_of(scene(200), callbacks=callbacks)
        callbacks.add("on_predict_end", lambda predictor: predictor is run)  # a cycle, as closures over a run make
        for _ in range(30):
            next(run)

    with pytest.warns(ResourceWarning):  # noqa: PT031 - either may do it
        leave_behind()
        gc.collect()
    with av.open(str(tmp_path / "film.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 30


def test_figures_of_sources_that_came_and_went_do_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr(ledger, "REMEMBERED", 40)
    monkeypatch.setattr(intake, "FORMER", 20)
    run = run_of(clip("first", None))
    with run:
        next(run)
        for number in range(70):
            added = run.add_source(clip(f"s{number}", None))
            while next(run).frame.source.id != added.id:
                pass
            run.remove_source(added)
        stats = run.stats
    assert len(stats.sources) <= 42
    assert stats.sources["earlier"].ledger.delivered >= 29
    assert sum(each.ledger.delivered for each in stats.sources.values()) == stats.frames
    assert adds_up(run.stats)


def test_a_removed_source_keeps_how_it_stood():
    run = run_of(scene(live=True), clip("a", None))
    with run:
        next(run)
        run.remove_source("a")
        figures = {each.source.name: each for each in run.stats.sources.values()}
    assert (figures["a"].state, figures["a"].reason, figures["a"].connections) == (SourceState.ENDED, "removed", 1)


def test_a_failure_is_told_although_another_source_takes_over(caplog):
    callbacks = Callbacks()
    run = run_of(clip("a", 9, fail_at=2), callbacks=callbacks)

    def replace(predictor):
        if predictor.change.reason:
            run.add_source(clip("b", 3))

    callbacks.add("on_source_change", replace)
    assert len(list(run)) == 5
    assert caplog.text.count("a went away") == 1


def test_an_exit_in_a_users_iterable_does_not_pass_for_its_end():
    def pictures():
        yield picture(1)
        raise SystemExit(3)

    run = start(pictures())
    with pytest.raises(SourceError, match="iterable failed: SystemExit: 3"):
        list(run)


def test_stepping_through_a_file_in_real_time_skips_nothing():
    run = run_of(clip("a", 200, fps=500.0), pace="realtime")
    with run:
        run.pause()
        got = []
        for _ in range(20):
            run.step()
            got.append(next(run).frame.index)
            time.sleep(0.005)
        assert got == list(range(20))
        time.sleep(0.2)
        resumed = time.monotonic()
        run.resume()
        index = next(run).frame.index
        assert index - 19 <= 2 + (time.monotonic() - resumed) * 500  # the clock stood still meanwhile


def test_a_step_of_a_run_that_waits_lets_one_batch_through():
    camera = Scripted(live=True, stepwise=True, name="s", pixels=picture(9))
    run = run_of(camera)
    got = []
    thread = threading.Thread(target=lambda: got.extend(run))
    thread.start()
    time.sleep(0.05)
    run.step()

    def comes_through():
        camera.allowed.release()
        return got

    until(comes_through)
    for _ in range(5):
        camera.allowed.release()
        time.sleep(0.02)
    assert len(got) == 1
    run.close()
    thread.join(PATIENCE)


def test_a_long_stride_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr(intake, "FILE_SECONDS", 2 * PATIENCE)

    class Slow(Scripted):
        def skip(self):
            time.sleep(0.01)
            return super().skip()

    run = run_of(Slow(100_000, name="a", pixels=picture(9)), vid_stride=10_000)
    next(run)
    began = time.monotonic()
    run.close()
    assert time.monotonic() - began < PATIENCE  # the whole stride takes more than three times as long


def test_an_interrupted_read_that_fails_is_no_failure_of_the_source():
    class Touchy(Scripted):
        def read(self):
            if self.index == 2:
                self.interrupted.wait()
                raise OSError("immediate exit requested")
            return super().read()

    run = run_of(Touchy(live=True, name="s", pixels=picture(9)))
    with run:
        next(run)
    assert run.stats.sources["s"].reason == "stopped"
