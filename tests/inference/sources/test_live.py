import contextlib
import logging
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from framehook.inference.connection import SourceState
from framehook.inference.errors import SourceFormatError, SourceUnavailableError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources import live
from framehook.inference.sources.base import Source
from framehook.inference.sources.live import Backoff, LiveSource
from framehook.inference.sources.stream import StreamConnection, open_url

from ...servers.mjpeg import Fault, MjpegServer  # noqa: TID252 - servers that several folders of tests share
from ...servers.mpegts import MpegTsServer  # noqa: TID252
from ...servers.stamps import read_stamp  # noqa: TID252
from ..scripted import PATIENCE, until  # noqa: TID252

CONNECTED, STALLED, RECONNECTING = SourceState.CONNECTED, SourceState.STALLED, SourceState.RECONNECTING
SMALL = (192, 96)
QUICK = Backoff(first=0.002, soon=0.02, later=0.02)
INFO = SourceInfo("cam#1", "cam", "cam", SourceKind.STREAM, live=True)


class Script(Source):
    """A connection that gives frames of some size and time, and then ends, fails, or hangs until it is let go."""

    endless = True

    def __init__(self, frames=(), *, error=None, hang=None, size=(8, 6), fps=None):
        self.info = SourceInfo("script#1", "script", "script", SourceKind.STREAM, live=True, size=size, fps=fps)
        self.frames = iter(frames)
        self.error = error
        self.hang = hang
        self.closed = 0
        self.interrupted = 0

    def read(self):
        for given in self.frames:
            pts, size = given if isinstance(given, tuple) else (given, self.info.size)
            pixels = np.zeros((size[1], size[0], 3), np.uint8)
            return Frame.of(pixels, index=77, source=self.info, pts=pts, captured_at=time.monotonic(), segment=7)
        if self.hang is not None:
            self.hang.wait(2 * PATIENCE)
        if self.error is not None:
            raise self.error
        return None

    def interrupt(self):
        self.interrupted += 1

    def close(self):
        self.closed += 1


@dataclass(frozen=True, slots=True)
class Noted(Backoff):
    """Waits, and writes down before which attempt and for how long."""

    waits: list[tuple[int, float]] = field(default_factory=list)

    def wait(self, attempts, outage):
        seconds = Backoff.wait(self, attempts, outage)
        self.waits.append((attempts, seconds))
        return seconds


def scripted(*connections, **options):
    """A live source over these connections in turn; an exception among them is a failed attempt."""
    left = iter(connections)

    def connect():
        made = next(left)
        if isinstance(made, Exception):
            raise made
        return made

    return LiveSource(INFO, connect, **{"backoff": QUICK, "open_timeout": PATIENCE, "read_timeout": PATIENCE} | options)


def watched(source):
    """The list that its changes are added to."""
    changes = []
    source.watch(lambda state, reason: changes.append((state, reason)))
    return changes


def stream(server, **options):
    """A quick live source over the network."""
    timeouts = {name: options.pop(name, PATIENCE) for name in ("open_timeout", "read_timeout")}
    name = f"127.0.0.1:{server.port}"
    return LiveSource(
        SourceInfo(name, name, server.url, SourceKind.STREAM, live=True),
        lambda: StreamConnection(server.url, **timeouts),
        **timeouts,
        **{"backoff": QUICK} | options,
    )


def numbers(source, count):
    return [read_stamp(source.read().image)[0] for _ in range(count)]


def read_past(source, connection):
    """Read until a frame of a later connection than that one."""
    while True:
        frame = source.read()
        if source.connections > connection:
            return frame


def test_frames_are_counted_over_all_connections_and_segments_tell_them_apart():
    source = scripted(Script([0.0, 0.1, 0.2]), Script([0.0, 0.1]), Script([5.0]), reconnect=True)
    with source:
        frames = [source.read() for _ in range(6)]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert [frame.segment for frame in frames] == [0, 0, 0, 1, 1, 2]
    assert {frame.source.id for frame in frames} == {"cam#1"}


def test_media_time_rises_over_connections_by_the_time_between_their_first_frames():
    gate = threading.Event()
    with scripted(Script([3.0, 3.1], hang=gate), Script([0.0, 0.1]), Script([None])) as source:
        first = [source.read(), source.read()]
        time.sleep(0.1)
        gate.set()
        later = [source.read(), source.read()]
        untold = source.read()
    assert [frame.pts for frame in first] == pytest.approx([0.0, 0.1])
    gap = later[0].captured_at - first[0].captured_at
    assert gap >= 0.1
    assert [frame.pts for frame in later] == pytest.approx([gap, gap + 0.1])
    assert untold.pts is None


def test_media_time_rises_even_where_a_connection_ran_ahead_of_the_clock():
    with scripted(Script([0.0, 60.0 - 55.0]), Script([0.0])) as source:
        times = [source.read().pts for _ in range(3)]
    assert times[1] == pytest.approx(5.0)
    assert times[1] < times[2] < times[1] + 1


@pytest.mark.parametrize("jump", [-4.0, 5000.0], ids=["back", "ahead"])
def test_a_sender_whose_clock_jumps_begins_a_new_segment(jump):
    with scripted(Script([10.0, 10.1, 10.1 + jump, 10.2 + jump])) as source:
        frames = [source.read() for _ in range(4)]
    assert [frame.segment for frame in frames] == [0, 0, 1, 1]
    times = [frame.pts for frame in frames]
    assert times == sorted(times)
    assert times[3] - times[2] == pytest.approx(0.1)
    assert times[3] < 5


def test_size_and_rate_are_renewed_with_the_frames_and_begin_a_segment():
    with scripted(
        Script([(0.0, (8, 6)), (0.1, (16, 6)), (0.2, (16, 6))], fps=25.0), Script([(0.0, (4, 4))], fps=30.0)
    ) as source:
        frames = [source.read() for _ in range(4)]
    assert [frame.source.size for frame in frames] == [(8, 6), (16, 6), (16, 6), (4, 4)]
    assert [frame.source.size for frame in frames] == [frame.size for frame in frames]
    assert [frame.segment for frame in frames] == [0, 1, 1, 2]
    assert [frame.source.fps for frame in frames] == [25.0, 25.0, 25.0, 30.0]
    assert frames[1].source is frames[2].source


def test_skipped_frames_are_counted_like_the_others():
    with scripted(Script([0.0, 0.1, (0.2, (4, 4)), 0.3])) as source:
        source.read()
        source.skip()
        assert source.skip().size == (4, 4)
        frame = source.read()
    assert (frame.index, frame.segment, frame.pts) == (3, 2, pytest.approx(0.3))


def test_an_outage_is_told_once_with_its_reason_and_again_when_the_reason_changes():
    refused = [SourceUnavailableError("cam cannot be reached (Connection refused); check it") for _ in range(3)]
    with scripted(Script([0.0]), *refused, OSError("No route"), Script([0.0, 0.1])) as source:
        changes = watched(source)
        source.read()
        assert changes == [(CONNECTED, "")]
        assert source.failures == 0
        second = source.read()
        assert (source.failures, source.connections, second.segment) == (0, 2, 1)
    assert changes == [
        (CONNECTED, ""),
        (RECONNECTING, "ended"),
        (RECONNECTING, "cannot be reached (Connection refused)"),
        (RECONNECTING, "failed: OSError: No route"),
        (CONNECTED, ""),
    ]


def test_failed_attempts_are_counted_until_a_frame_comes():
    seen = []

    def connect():
        seen.append(source.failures)
        if len(seen) < 5:
            raise SourceUnavailableError("cam cannot be reached; check it")
        return Script([0.0]) if len(seen) > 5 else Script()  # at last it answers, and sends nothing

    with LiveSource(INFO, connect, backoff=QUICK) as source:
        assert source.read().index == 0
        assert source.failures == 0
    assert seen == [0, 1, 2, 3, 4, 5]


def test_a_watcher_that_comes_late_learns_that_it_is_connected():
    with scripted(Script([0.0, 0.1])) as source:
        assert watched(source) == []
        source.read()
        assert watched(source) == [(CONNECTED, "")]
        assert watched(source) == [(CONNECTED, "")]


def test_a_watcher_may_interrupt_the_source_and_use_its_locks():
    with scripted(Script([0.0])) as source:

        def end(state, _):
            if state is RECONNECTING:
                stopper = threading.Thread(target=source.interrupt)
                stopper.start()
                stopper.join(PATIENCE)
                assert not stopper.is_alive()

        source.watch(end)
        assert source.read() is not None
        assert source.read() is None


def test_a_connection_that_falls_silent_is_given_up_on_and_closed_when_it_returns():
    hang = threading.Event()
    silent = Script([0.0], hang=hang)
    with scripted(silent, Script([0.0]), read_timeout=0.5) as source:
        changes = watched(source)
        begin = time.monotonic()
        assert [source.read().segment, source.read().segment] == [0, 1]
        assert 0.4 < time.monotonic() - begin < PATIENCE
        assert (silent.interrupted, silent.closed) == (1, 0)
        hang.set()
        until(lambda: silent.closed)
        assert silent.closed == 1
    assert changes == [
        (CONNECTED, ""),
        (STALLED, "sent nothing for 0.5 s"),
        (RECONNECTING, "sent nothing for 0.5 s"),
        (CONNECTED, ""),
    ]


def test_connecting_that_hangs_is_abandoned_but_only_so_often():
    hang = threading.Event()
    asked, opened = [], []

    def connect():
        asked.append(threading.current_thread())
        if len(asked) > 4:
            return Script([0.0])
        hang.wait(2 * PATIENCE)
        opened.append(Script())
        return opened[-1]

    source = LiveSource(INFO, connect, open_timeout=0.05, backoff=QUICK)
    changes = watched(source)
    frames = []
    reader = threading.Thread(target=lambda: frames.append(source.read()))
    reader.start()
    until(lambda: source.failures == 4)
    reader.join(0.3)
    assert reader.is_alive()
    assert len(asked) == 4  # no fifth while these hang
    assert source.failures == 4
    hang.set()
    reader.join(PATIENCE)
    assert frames[0].index == 0
    for thread in asked[:4]:
        thread.join(PATIENCE)
    assert [each.closed for each in opened] == [1, 1, 1, 1]
    source.close()
    reason = "did not answer in time (open_timeout is 0.05 s)"
    assert changes == [
        (STALLED, reason),
        (RECONNECTING, reason),
        (RECONNECTING, "4 attempts hang, and until one of them ends there is no other"),
        (CONNECTED, ""),
    ]


@pytest.mark.parametrize("state", ["connecting", "reading", "backing off"])
def test_interrupt_and_close_do_not_wait_for_what_hangs(state):
    hang = threading.Event()
    asked, results = [], []
    make = {
        "connecting": lambda: hang.wait(3 * PATIENCE) and Script(),
        "reading": lambda: Script([0.0], hang=hang),
        "backing off": lambda: Script([0.0]),
    }[state]

    def connect():
        asked.append(True)
        return make()

    source = LiveSource(INFO, connect, read_timeout=3 * PATIENCE, backoff=Backoff(first=3 * PATIENCE, soon=3 * PATIENCE))
    changes = watched(source)
    reader = threading.Thread(target=lambda: results.extend(iter(source)))
    reader.start()
    until(lambda: {"connecting": asked, "reading": results, "backing off": len(changes) == 2}[state])
    time.sleep(0.05)
    begin = time.monotonic()
    source.interrupt()
    reader.join(2 * PATIENCE)
    assert not reader.is_alive()
    assert len(results) == (state != "connecting")
    source.close()
    source.close()
    assert time.monotonic() - begin < PATIENCE
    assert source.read() is None
    hang.set()


def test_a_source_that_nobody_closes_lets_go_of_its_connection():
    connection = Script([0.0, 0.1, 0.2])
    source = scripted(connection)
    source.read()
    del source
    until(lambda: connection.closed)
    assert connection.closed == 1


def test_without_reconnecting_an_end_is_the_end_and_a_failure_is_raised():
    with scripted(Script([0.0, 0.1]), reconnect=False) as source:
        assert [frame.index for frame in source] == [0, 1]
        assert source.read() is None
    with scripted(Script([0.0], error=SourceFormatError("cam is odd; look")), reconnect=False) as source:
        source.read()
        with pytest.raises(SourceFormatError, match=r"^cam is odd; look$"):
            source.read()
        assert source.read() is None
    with scripted(Script([0.0], error=ZeroDivisionError("by zero")), reconnect=False) as source:
        source.read()
        with pytest.raises(SourceUnavailableError, match=r"^cam failed: ZeroDivisionError: by zero$"):
            source.read()


def test_a_connection_may_say_that_its_end_is_the_end_of_the_source():
    last = Script([0.0])
    last.final_end = True
    with scripted(Script([0.0]), last) as source:
        assert [frame.segment for frame in source] == [0, 1]


def test_errors_that_are_final_end_a_source_as_long_as_it_gave_no_frame():
    wrong = SourceFormatError("cam is no stream; open it otherwise")
    with scripted(SourceUnavailableError("cam is away; wait"), wrong, final=(SourceFormatError,)) as source:
        with pytest.raises(SourceFormatError, match=r"^cam is no stream; open it otherwise$"):
            source.read()
        assert source.read() is None
    with scripted(Script([0.0]), wrong, Script([0.0]), final=(SourceFormatError,)) as source:
        assert [source.read().segment, source.read().segment] == [0, 1]


def test_many_sources_that_hang_are_closed_together(monkeypatch):
    monkeypatch.setattr(live, "_CLOSE_SECONDS", 0.6)
    hang = threading.Event()
    sources = [LiveSource(INFO, lambda: hang.wait(3 * PATIENCE) and Script()) for _ in range(80)]
    for source in sources:
        source.begin(0.001)
    begin = time.monotonic()
    for source in sources:
        source.interrupt()
    for source in sources:
        source.close()
    assert time.monotonic() - begin < PATIENCE  # 0.6 s each would be longer
    hang.set()


def test_frames_that_are_no_pictures_are_a_reason_to_connect_again():
    class Odd(Script):
        def read(self):
            return Frame.of(np.zeros(3), index=0, source=self.info, pts=None, captured_at=0.0)

    with scripted(Odd(), Script([0.0])) as source:
        changes = watched(source)
        assert source.read().index == 0
    assert changes[0][0] is RECONNECTING
    assert "dtype float64" in changes[0][1]


def test_credentials_in_the_errors_of_a_connection_are_told_to_nobody():
    leak = OSError("cannot open rtsp://me:'\"hunter2@cam/live?token=hunter3 today")
    with scripted(leak, Script([0.0])) as source:
        changes = watched(source)
        source.read()
    assert changes[0] == (RECONNECTING, "failed: OSError: cannot open rtsp://cam/live?token=*** today")
    with scripted(leak, reconnect=False) as source, pytest.raises(SourceUnavailableError) as caught:
        source.read()
    assert "hunter" not in repr(caught.getrepr(chain=True, showlocals=True).reprcrash)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_waits_double_up_to_a_limit_that_grows_with_the_outage():
    backoff = Backoff()
    for attempts, outage, middle in [(0, 0, 0.1), (1, 1, 0.2), (2, 1, 0.4), (9, 9, 0.5), (20, 11, 5.0), (10_000, 1e6, 5.0)]:
        waits = [backoff.wait(attempts, outage) for _ in range(200)]
        assert middle * 0.8 <= min(waits) < middle < max(waits) <= middle * 1.2


def test_connections_that_break_after_a_frame_do_not_make_it_spin():
    made = []

    def connect():
        made.append(time.monotonic())
        return Script([0.0])

    with LiveSource(INFO, connect, backoff=Backoff(first=0.05, soon=10)) as source:
        for _ in range(4):
            source.read()
    waits = np.diff(made)
    assert all(wait >= limit for wait, limit in zip(waits, [0.04, 0.08, 0.16], strict=True))


def test_a_connection_that_worked_for_a_while_resets_the_waits():
    made = []

    def connect():
        made.append(True)
        return Slow([0.0] * 13) if len(made) == 4 else Script([0.0])

    class Slow(Script):
        def read(self):
            time.sleep(0.1)
            return super().read()

    backoff = Noted(first=0.005, soon=60)
    with LiveSource(INFO, connect, backoff=backoff) as source:
        read_past(source, 4)
    assert [attempts for attempts, _ in backoff.waits] == [0, 1, 2, 0]


def test_a_server_that_comes_and_goes_is_told_of_once_and_not_asked_more_and_more(monkeypatch):
    monkeypatch.setattr(live, "_PROVEN_SECONDS", PATIENCE)
    refused = SourceUnavailableError("cam cannot be reached (Connection refused); check it")
    made = []

    def connect():
        made.append(time.monotonic())
        return Script([0.0] * 20)

    with LiveSource(INFO, connect, backoff=Backoff(first=0.02, soon=10)) as source:
        changes = watched(source)
        while source.connections < 6:
            source.read()
    assert changes == [(CONNECTED, ""), (RECONNECTING, "ended"), (CONNECTED, "")]
    assert np.diff(made)[4] >= 0.02 * 16 * 0.8
    with scripted(*(Script([0.0]) for _ in range(4)), Script(), refused, Script([0.0])) as source:
        changes = watched(source)
        for _ in range(5):
            source.read()
    assert changes[3:] == [  # it was said to be connected; when it stays away, that is said, too
        (RECONNECTING, "ended"),
        (RECONNECTING, "cannot be reached (Connection refused)"),
        (CONNECTED, ""),
    ]


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.END, Fault.HALF])
def test_a_connection_that_breaks_is_made_again(fault):
    with MjpegServer(size=SMALL, fps=100) as server, stream(server) as source:
        changes = watched(source)
        before = numbers(source, 5)
        server.inject(fault)
        after = read_stamp(read_past(source, 1).image)[0]
        assert before == list(range(5))
        assert after > before[-1]
        assert source.read().segment == 1
    assert [state for state, _ in changes] == [CONNECTED, RECONNECTING, CONNECTED]


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.DRIP, Fault.NOISE])
def test_a_connection_that_brings_no_pictures_is_given_up_on(fault):
    with MjpegServer(size=SMALL, fps=100) as server, stream(server, read_timeout=1) as source:
        changes = watched(source)
        numbers(source, 5)
        before, connection = len(changes), source.connections
        server.inject(fault)
        begin = time.monotonic()
        read_past(source, connection)
        assert 0.4 < time.monotonic() - begin < PATIENCE
    assert changes[before : before + 2] == [(STALLED, "sent nothing for 1 s"), (RECONNECTING, "sent nothing for 1 s")]
    assert changes[-1] == (CONNECTED, "")


def test_garbage_between_frames_is_passed_over():
    with MjpegServer(size=SMALL, fps=100) as server, stream(server) as source:
        numbers(source, 5)
        server.inject(Fault.GARBAGE)
        seen = numbers(source, 30)
        assert (source.connections, seen) == (1, sorted(set(seen)))
        assert source.read().segment == 0


def test_a_server_that_is_gone_for_a_while_is_back_at_once():
    backoff = Noted()
    with MjpegServer(size=SMALL, fps=100) as server, stream(server, backoff=backoff) as source:
        numbers(source, 3)
        server.go_away()
        returns = threading.Thread(target=lambda: (until(lambda: len(backoff.waits) > 3), server.come_back()))
        returns.start()
        frame = read_past(source, 1)
        assert frame.segment == 1
        assert source.failures == 0
        returns.join(PATIENCE)
    assert all(seconds <= 0.6 for _, seconds in backoff.waits)  # it is asked so often


def test_a_server_that_is_down_at_the_start_joins_when_it_comes_up(caplog):
    with MjpegServer(size=SMALL, fps=100, listening=False) as server:
        address = server.url.replace("//", "//me:hunter2@")
        with caplog.at_level(logging.DEBUG), open_url(address) as source:
            changes = watched(source)
            assert (source.info.size, source.info.live, source.info.path) == (None, True, server.url)
            server.come_back()
            frame = source.read()
        assert frame.size == SMALL
        assert (frame.source.size, source.info.size) == (SMALL, SMALL)
    assert [record.getMessage().partition("; check")[0] for record in caplog.records if record.name == "framehook"] == [
        f"{server.url} cannot be reached (Connection refused)"
    ]
    assert "hunter2" not in caplog.text
    assert changes == [(RECONNECTING, "cannot be reached (Connection refused)"), (CONNECTED, "")]


def test_a_server_that_accepts_and_says_nothing_stalls_and_is_interrupted_at_once(caplog):
    with MjpegServer(size=SMALL) as server:
        server.inject(Fault.MUTE, lasting=True)
        begin = time.monotonic()
        open_url(server.url, open_timeout=2 * PATIENCE, patience=0.1).close()
        assert time.monotonic() - begin < PATIENCE
        caplog.clear()
        with caplog.at_level(logging.WARNING, "framehook"), open_url(server.url, open_timeout=0.8, patience=0.1) as source:
            changes = watched(source)
            reader = threading.Thread(target=source.read)
            reader.start()
            until(lambda: len(changes) == 2)
            source.interrupt()
            reader.join(PATIENCE)
            assert not reader.is_alive()
    reason = "did not answer in time (open_timeout is 0.8 s)"
    assert changes == [(STALLED, reason), (RECONNECTING, reason)]
    assert [each.getMessage() for each in caplog.records] == [
        f"{server.url} does not answer yet; it is tried until it comes up"
    ]


def test_what_a_server_refuses_is_said_at_once_but_is_tried_again_once_it_has_worked():
    with MjpegServer(size=SMALL, fps=100) as server:
        server.inject(Fault.MISSING, lasting=True)
        with pytest.raises(SourceUnavailableError, match=r"refuses \(.*404"):
            open_url(server.url)
        server.clear()
        with open_url(server.url) as source:
            changes = []

            def note(state, reason):
                changes.append(reason)
                if "refuses (" in reason:
                    server.clear()

            source.watch(note)
            numbers(source, 3)
            server.inject(Fault.MISSING, lasting=True)
            server.inject(Fault.CUT)
            assert read_past(source, 1).segment == 1
        assert "refuses (" in "".join(changes)


def test_a_picture_that_changes_its_size_in_mid_stream_begins_a_segment():
    with MjpegServer(size=SMALL, fps=100) as server, stream(server) as source:
        numbers(source, 3)
        server.resize((320, 240))
        while (frame := source.read()).size == SMALL:
            assert frame.segment == 0
        assert (frame.size, frame.source.size, frame.segment, source.connections) == ((320, 240), (320, 240), 1, 1)
        server.resize((160, 128))
        server.inject(Fault.CUT)
        while (frame := source.read()).size != (160, 128):
            pass
        assert (frame.source.size, frame.segment) == ((160, 128), 2)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_mpeg_ts_comes_back_after_an_outage(transport):
    silence = {"tcp": PATIENCE, "udp": 1.5}[transport]  # that a sender over UDP has gone is told by silence alone
    with MpegTsServer(transport, size=SMALL, fps=50) as server, stream(server, read_timeout=silence) as source:
        first = source.read()
        assert numbers(source, 10) == list(range(read_stamp(first.image)[0] + 1, read_stamp(first.image)[0] + 11))
        lost = threading.Event()
        source.watch(lambda state, _: state is RECONNECTING and lost.set())
        returns = threading.Thread(target=lambda: lost.wait(PATIENCE) and (time.sleep(0.3), server.come_back()))
        returns.start()
        server.go_away()
        back = read_past(source, 1)
        returns.join(PATIENCE)
        assert back.segment == 1
        assert back.pts >= 0.3
        assert back.pts == pytest.approx(back.captured_at - first.captured_at, abs=0.01)


def test_noise_in_mpeg_ts_is_survived():
    with MpegTsServer(size=SMALL, fps=50) as server, stream(server, read_timeout=0.6) as source:
        numbers(source, 10)
        server.noise()
        time.sleep(0.3)
        server.noise(False)
        sent = server.sent
        while True:
            try:
                number = read_stamp(source.read().image)[0]
            except ValueError:
                continue  # a picture that the noise went into
            if number > sent + 20:
                break


def test_a_new_program_of_the_same_kind_goes_on_and_one_of_another_kind_is_connected_to_anew():
    with MpegTsServer(size=SMALL, fps=50) as server, stream(server, read_timeout=2 * PATIENCE) as source:
        numbers(source, 5)
        server.film(size=(320, 240))
        while (frame := source.read()).size == SMALL:
            pass
        assert (frame.source.size, source.connections) == ((320, 240), 1)
        server.film(codec="mpeg2video")
        begin = time.monotonic()
        read_past(source, 1)
        assert time.monotonic() - begin < PATIENCE  # sooner than the time-out


def test_a_reader_that_cannot_keep_up_with_motion_jpeg_passes_over_what_waits(caplog):
    with MjpegServer(size=(320, 240), fps=150) as server, caplog.at_level(logging.WARNING, "framehook"):
        connection = StreamConnection(server.url, open_timeout=PATIENCE, read_timeout=PATIENCE)
        seen = []
        deadline = time.monotonic() + PATIENCE
        with connection:
            # It falls behind, and then has caught up.
            while not (connection.skipped and server.sent - seen[-1] < 60):
                assert time.monotonic() < deadline
                seen.append(read_stamp(connection.read().image)[0])
                time.sleep(0.05)
        assert seen == sorted(set(seen))
    assert [record.getMessage() for record in caplog.records] == [
        f"{server.url} sends more than can be decoded here; pictures are skipped to keep up"
    ]


def test_frames_that_waited_to_be_read_are_told_to_be_as_old_as_they_are():
    with (
        MpegTsServer(size=SMALL, fps=50) as server,
        StreamConnection(server.url, open_timeout=PATIENCE, read_timeout=PATIENCE) as connection,
    ):
        for _ in range(25):
            connection.read()
        time.sleep(2)
        late = []
        for _ in range(50):
            frame = connection.read()
            late.append(frame.captured_at - read_stamp(frame.image)[1])
        assert sorted(late)[40] < 1.2  # the first of these were sent 2 s before; one or the other may have been held up


def leftovers():
    """Our threads, and the open files of this process, each by its number and what it leads to."""
    threads = {thread for thread in threading.enumerate() if thread.name.startswith("framehook-receive")}
    files = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            files.add((number, os.readlink(f"/proc/self/fd/{number}")))
    return threads | files


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files where the system lists them")
def test_two_hundred_faults_in_a_row_leave_nothing_behind():
    chance = random.Random(5)
    faults = [Fault.CUT] * 6 + [Fault.END] * 6 + [Fault.HALF] * 6 + [Fault.GARBAGE, Fault.STALL]
    before = leftovers()
    with MjpegServer(size=SMALL, fps=300) as server, stream(server, read_timeout=0.2, open_timeout=2) as source:
        last = -1
        for _ in range(200):
            for number in numbers(source, chance.randrange(1, 4)):
                assert number > last
                last = number
            server.inject(chance.choice(faults))
        assert source.read().index > 200
        assert source.connections > 50
    until(lambda: leftovers() <= before)


def test_a_process_ends_though_connections_hang():
    program = """
import threading, time
from framehook.inference.frame import SourceInfo, SourceKind
from framehook.inference.sources.live import LiveSource
info = SourceInfo("cam#1", "cam", "cam", SourceKind.STREAM, live=True)
source = LiveSource(info, threading.Event().wait, open_timeout=0.05)

def end():
    while not source.failures:
        time.sleep(0.01)
    source.interrupt()

threading.Thread(target=end).start()
assert source.read() is None
print(source.failures)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= 1
