import threading
import time

import pytest

from framehook.inference import intake
from framehook.inference.connection import SourceChange
from framehook.inference.errors import SeekError, SourceError, SourceUnavailableError
from framehook.inference.feed import DirectFeed, ThreadedFeed
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.gate import Gate
from framehook.inference.intake import Intake
from framehook.inference.ledger import Cause, LedgerBook

from .scripted import PATIENCE, Scripted, until


def item(intake):
    """What is taken next; changes of the source are left out, its failure is raised."""
    while isinstance(taken := intake.next(1), SourceChange):
        pass
    if taken is None and intake.failures:
        raise intake.failures[0]
    return None if taken is None else taken[0]


def take(intake):
    taken = item(intake)
    return None if taken is None else taken.frame


def frames_of(intake):
    while (frame := take(intake)) is not None:
        yield frame


def make(source, **options):
    book, gate = LedgerBook(), Gate()
    options = {"stride": 1, "depth": 3, "newest_only": None, **options}
    return Intake(gate, [ThreadedFeed(source, book, gate, **options)]), book


def direct(source, book=None, *, stride=1):
    gate = Gate()
    return Intake(gate, [DirectFeed(source, book or LedgerBook(), gate, stride=stride)])


def ledger(book):
    read = book.read()
    return read["s"] if read else None


def test_a_file_delivers_every_frame_in_order_however_slow_the_taker():
    feed, book = make(Scripted(20))
    taken = []
    while (frame := take(feed)) is not None:
        taken.append(frame.index)
        time.sleep(0.002)
    feed.close()
    assert taken == list(range(20))
    assert ledger(book).captured == 20
    assert not ledger(book).dropped


def test_a_file_is_read_ahead_by_its_depth_and_no_further():
    source = Scripted(100)
    feed, book = make(source, depth=3)
    take(feed)
    until(lambda: ledger(book).captured == 4)
    time.sleep(0.02)
    assert source.index == 4
    feed.close()
    assert (ledger(book).captured, ledger(book).dropped) == (4, {Cause.STOPPED: 3})
    assert source.closed == 1


def test_a_live_source_gives_the_newest_and_counts_what_it_overwrites():
    source = Scripted(live=True, stepwise=True)
    feed, book = make(source, newest_only=Cause.OVERWRITTEN)
    source.allowed.release()
    assert take(feed).index == 0
    for _ in range(5):
        source.allowed.release()
    until(lambda: ledger(book).captured == 6)
    assert take(feed).index == 5
    feed.close()
    assert ledger(book).dropped == {Cause.OVERWRITTEN: 4}


def test_stride_passes_over_frames_and_counts_them():
    for kind in (lambda source, book: direct(source, book, stride=3), lambda source, book: make(source, stride=3)[0]):
        source, book = Scripted(10), LedgerBook()
        feed = kind(source, book)
        indices = [frame.index for frame in frames_of(feed)]
        feed.close()
        assert indices == [0, 3, 6, 9]


def test_stop_ends_a_take_that_waits_for_a_silent_camera():
    feed, _ = make(Scripted(live=True, stepwise=True), newest_only=Cause.OVERWRITTEN)
    threading.Timer(0.05, feed.stop).start()
    began = time.monotonic()
    assert take(feed) is None
    feed.close()
    assert time.monotonic() - began < PATIENCE


def test_a_read_that_never_returns_is_left_behind(monkeypatch):
    monkeypatch.setattr(intake, "FILE_SECONDS", 2 * PATIENCE)  # what it must not be waited for

    class Stuck(Scripted):
        free = threading.Event()

        def read(self):
            self.free.wait()

        def interrupt(self): ...

    source = Stuck(live=True)
    feed, _ = make(source, newest_only=Cause.OVERWRITTEN)
    threading.Timer(0.02, feed.stop).start()
    began = time.monotonic()
    assert take(feed) is None
    feed.close()
    assert time.monotonic() - began < PATIENCE
    assert source.closed == 0
    source.free.set()
    until(lambda: source.closed == 1)


def test_the_error_of_the_source_comes_after_the_frames_before_it():
    feed, _ = make(Scripted(10, fail_at=2))
    assert [take(feed).index, take(feed).index] == [0, 1]
    with pytest.raises(SourceUnavailableError, match="s went away"):
        take(feed)
    assert feed.next(1) is None
    feed.close()


@pytest.mark.parametrize("threaded", [True, False])
def test_whatever_a_users_iterable_raises_becomes_a_source_error(threaded):
    class Broken(Scripted):
        def read(self):
            raise ZeroDivisionError("division by zero")

    feed = make(Broken(3))[0] if threaded else direct(Broken(3))
    with pytest.raises(SourceError, match="s failed: ZeroDivisionError: division by zero") as caught:
        take(feed)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    feed.close()


def test_a_seek_drops_what_was_read_ahead_and_works_after_the_end_was_read():
    feed, book = make(Scripted(5), depth=10)
    assert take(feed).pts == 0
    until(lambda: ledger(book).captured == 5)
    feed.seek(0.3)
    frames = list(frames_of(feed))
    feed.close()
    assert [round(frame.pts, 1) for frame in frames] == [0.3, 0.4]
    assert [frame.index for frame in frames] == [5, 6]
    assert all(frame.segment == 1 for frame in frames)
    assert ledger(book).dropped == {Cause.SEEK: 4}


def test_what_cannot_seek_says_so_in_the_callers_thread():
    feed, _ = make(Scripted(live=True), newest_only=Cause.OVERWRITTEN)
    with pytest.raises(SeekError, match="s cannot seek"):
        feed.seek(1)
    feed.close()


def test_the_gate_holds_while_paused_lets_steps_through_and_opens_on_stop():
    feed, _ = make(Scripted(10))
    assert feed.gate.enter()
    feed.pause()
    passed = []
    thread = threading.Thread(target=lambda: [passed.append(feed.gate.enter()) for _ in range(4)])
    thread.start()
    time.sleep(0.03)
    assert passed == []
    feed.gate.step(2)
    until(lambda: len(passed) == 2)
    time.sleep(0.02)
    assert len(passed) == 2
    feed.stop()
    thread.join()
    assert passed == [True, True, False, False]
    feed.close()


def test_frames_of_a_paused_camera_are_counted_and_the_next_is_fresh():
    source = Scripted(live=True, stepwise=True)
    feed, book = make(source, newest_only=Cause.OVERWRITTEN)
    source.allowed.release()
    take(feed)
    source.allowed.release()
    until(lambda: ledger(book).captured == 2)
    feed.pause()
    for _ in range(3):
        source.allowed.release()
    until(lambda: sum(ledger(book).dropped.values()) == 4)
    assert ledger(book).dropped == {Cause.PAUSED: 4}
    feed.gate.resume()
    source.allowed.release()
    assert take(feed).index == 5
    feed.close()


def test_a_file_in_real_time_keeps_its_pace_and_drops_what_is_late():
    feed, book = make(Scripted(12, fps=100.0), newest_only=Cause.PACE)
    began = time.monotonic()
    first = take(feed)
    until(lambda: ledger(book).dropped.get(Cause.PACE, 0) >= 3)  # nobody takes them
    rest = list(frames_of(feed))
    elapsed = time.monotonic() - began
    feed.close()
    assert elapsed >= 0.109
    assert first.index == 0
    assert rest[-1].index == 11
    assert 1 + len(rest) + ledger(book).dropped[Cause.PACE] == 12


def test_a_paused_file_in_real_time_stands_still():
    source = Scripted(50, fps=100.0)
    feed, book = make(source, newest_only=Cause.PACE)
    take(feed)
    feed.pause()
    time.sleep(0.03)
    read = source.index
    time.sleep(0.08)
    assert source.index <= read + 1
    resumed = time.monotonic()
    feed.gate.resume()
    frame = take(feed)
    assert frame.index <= read + 2 + (time.monotonic() - resumed) * 100  # whoever takes it may be late
    feed.close()
    assert Cause.PAUSED not in ledger(book).dropped


def test_closing_before_anything_was_read_closes_the_source_and_starts_no_thread():
    source = Scripted(3)
    feed, _ = make(source)
    before = set(threading.enumerate())
    feed.close()
    feed.close()
    assert source.closed == 1
    assert set(threading.enumerate()) <= before


def test_an_error_while_passing_over_frames_is_told_like_one_while_reading():
    class Broken(Scripted):
        def skip(self):
            raise ValueError("bad\nthing")

    for feed in (make(Broken(9), stride=2)[0], direct(Broken(9), stride=2)):
        assert take(feed).index == 0
        with pytest.raises(SourceError) as caught:
            take(feed)
        assert str(caught.value) == "s failed: ValueError: bad thing"
        feed.seek(0)  # nothing is left to read it; waiting for it would be for ever
        with pytest.raises(SourceError):
            take(feed)
        feed.close()


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_seek_to_no_time_at_all_changes_nothing(seconds):
    feed, _ = make(Scripted(5))
    with pytest.raises(SeekError, match=f"{seconds} is no position; pass seconds from the start of s"):
        feed.seek(seconds)
    assert take(feed).index == 0
    feed.close()


def test_a_seek_the_source_refuses_leaves_it_where_it_is(caplog):
    class Refuses(Scripted):
        def seek(self, seconds):
            raise SeekError("no index there")

    feed, _ = make(Refuses(5))
    assert take(feed).index == 0
    feed.seek(3)
    assert take(feed) is not None
    feed.close()
    assert "no index there" in caplog.text


def test_a_frame_read_before_a_seek_is_known_by_its_generation():
    feed, _ = make(Scripted(50))
    before = item(feed)
    feed.seek(2)
    assert before.outdated is Cause.SEEK
    after = item(feed)
    assert (after.outdated, round(after.frame.pts)) == (None, 2)
    feed.close()


class TwoClips(Scripted):
    """Two files one after another, each with its own times from 0."""

    def __init__(self, count, fps):
        super().__init__(2 * count, fps=fps, stepwise=True)
        self.each = count

    def read(self):
        frame = super().read()
        if frame is None:
            return None
        number, index = divmod(frame.index, self.each)
        info = SourceInfo(id=f"s{number}", name="s", path="s", kind=SourceKind.VIDEO, fps=self.info.fps)
        return Frame(frame.image, index, info, index / self.info.fps, frame.captured_at)


def test_every_file_of_a_list_is_played_at_its_own_pace():
    source = TwoClips(10, fps=25.0)
    feed, book = make(source, newest_only=Cause.PACE)
    began = time.monotonic()
    source.allowed.release()
    frames = []
    for frame in frames_of(feed):
        frames.append(frame)
        source.allowed.release()  # none is read before the one ahead of it is taken, and so none is late
    elapsed = time.monotonic() - began
    feed.close()
    assert elapsed >= 0.7
    assert [(frame.source.id, frame.index) for frame in frames] == [
        (clip, index) for clip in ("s0", "s1") for index in range(10)
    ]
    assert not any(each.dropped for each in book.read().values())


def test_a_file_without_times_or_a_rate_is_not_dropped_when_played_in_real_time():
    class Timeless(Scripted):
        def read(self):
            frame = super().read()
            info = SourceInfo(id="s", name="s", path="s", kind=SourceKind.VIDEO)
            return None if frame is None else Frame(frame.image, frame.index, info, None, frame.captured_at)

    feed, book = make(Timeless(8), newest_only=Cause.PACE)
    frames = []
    while (frame := take(feed)) is not None:
        frames.append(frame.index)
        time.sleep(0.005)
    feed.close()
    assert frames == list(range(8))
    assert not ledger(book).dropped


def test_a_pause_holds_a_run_that_already_waits_for_a_frame():
    source = Scripted(live=True, stepwise=True)
    feed, book = make(source, newest_only=Cause.OVERWRITTEN)
    got = []
    assert feed.gate.enter()
    thread = threading.Thread(target=lambda: got.append(take(feed)))
    thread.start()
    until(lambda: feed.gate.waiting)
    feed.pause()
    source.allowed.release()
    until(lambda: ledger(book) is not None and ledger(book).dropped)
    time.sleep(0.02)
    assert got == []
    assert ledger(book).dropped == {Cause.PAUSED: 1}
    feed.gate.resume()
    source.allowed.release()
    thread.join()
    assert got[0].index == 1
    feed.close()


def test_a_source_that_cannot_be_closed_is_a_warning(caplog):
    class Stubborn(Scripted):
        def close(self):
            raise RuntimeError("stuck")

    for feed in (make(Stubborn(3))[0], direct(Stubborn(3))):
        take(feed)
        feed.close()
    assert caplog.text.count("s could not be closed: stuck") == 2


def test_the_books_are_closed_with_the_feed():
    class Slow(Scripted):
        may_read = threading.Event()

        def read(self):
            self.may_read.wait()
            return super().read()

        def interrupt(self): ...

    source = Slow(live=True)
    feed, book = make(source, newest_only=Cause.OVERWRITTEN)
    feed.ready()
    feed.close()
    source.may_read.set()
    until(lambda: source.closed == 1)
    assert book.read() == {}
