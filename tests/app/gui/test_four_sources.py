"""Two files and two streams side by side: what becomes of one of them is nothing to the others."""

import time

import av
import pytest
from PyQt6.QtTest import QTest

from framehook.inference.connection import SourceState
from framehook.inference.sources import TestSource
from tests.servers.mjpeg import MjpegServer

from .view_scenes import seen, until
from .window_scenes import message, open_source, press, troubles, views

SPELL_MS = 1500
"""How long is counted."""


@pytest.fixture
def clips(tmp_path):
    """Two short files, of 2 s each."""
    paths = [tmp_path / f"{name}.mp4" for name in ("left", "right")]
    for path in paths:
        with TestSource(size=(160, 120), fps=15, frames=30) as scene, av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=15)
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
            for frame in scene:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
            container.mux(stream.encode())
    return paths


@pytest.fixture
def servers():
    with MjpegServer(size=(160, 120), fps=15) as one, MjpegServer(size=(160, 120), fps=15) as other:
        yield one, other


def delivered(window):
    """Frames of each slot that came out of the model so far."""
    figures = window.bridge.session.figures()
    return {key: figures.stats.sources[group].ledger.delivered for key, group in figures.groups.items()}


def rates(window):
    """Frames a second of each slot, over a spell."""
    before, begin = delivered(window), time.monotonic()
    QTest.qWait(SPELL_MS)
    now, past = delivered(window), time.monotonic() - begin
    return {key: (now[key] - count) / past for key, count in before.items()}


def test_one_of_four_is_lost_and_comes_back_while_the_others_go_on(window, clips, servers):
    press(window, "loop")
    lost, kept = servers
    open_source(window, clips[0], lost.url, clips[1], kept.url)
    keys = [slot.key for slot in window.bridge.state.slots]
    assert len(views(window)) == 4
    until(lambda: all(count >= 10 for count in delivered(window).values()))
    before = rates(window)
    assert set(before) == set(keys)
    assert all(rate > 1 for rate in before.values()), before

    lost.go_away()
    until(lambda: window.bridge.state.slot(keys[1]).connection is SourceState.RECONNECTING)
    assert f"127.0.0.1:{lost.port}/live: reconnecting" in message(window)
    meanwhile = rates(window)
    assert meanwhile[keys[1]] == 0
    for key in (keys[0], keys[2], keys[3]):
        assert meanwhile[key] > before[key] / 2, (before, meanwhile)
        assert window.bridge.state.slot(key).connection is SourceState.CONNECTED

    lost.come_back()
    until(lambda: window.bridge.state.slot(keys[1]).connection is SourceState.CONNECTED)
    count = delivered(window)[keys[1]]
    until(lambda: delivered(window)[keys[1]] > count + 10)
    view = window.grid.view(keys[1])
    picture = seen(view)
    until(lambda: (seen(view)[60:] != picture[60:]).any())
    after = rates(window)
    for key in keys:
        assert after[key] > before[key] / 2, (before, after)
    assert not any(text.startswith("error") for text in troubles(window))
    assert len(views(window)) == 4
