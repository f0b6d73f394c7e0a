"""Two files and two streams side by side: what becomes of one of them is nothing to the others."""

import time

import av
import pytest

from framehook.inference.connection import SourceState
from framehook.inference.sources import TestSource
from tests.servers.mjpeg import MjpegServer

from .view_scenes import seen, until
from .window_scenes import message, open_source, press, troubles, views


@pytest.fixture
def clips(tmp_path):
    """Two short files, of 2 s each."""
    paths = [tmp_path / f"{name}.mp4" for name in ("left", "right")]
    for path in paths:
        with TestSource(size=(160, 120), fps=30, frames=60) as scene, av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
            for frame in scene:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
            container.mux(stream.encode())
    return paths


@pytest.fixture
def servers():
    with MjpegServer(size=(160, 120), fps=30) as one, MjpegServer(size=(160, 120), fps=30) as other:
        yield one, other


def delivered(window):
    """Frames of each slot that came out of the model so far."""
    figures = window.bridge.session.figures()
    return {key: figures.stats.sources[group].ledger.delivered for key, group in figures.groups.items()}


def takes(window, keys):
    """Seconds in which each of these slots gets some more frames."""
    before, begin = delivered(window), time.monotonic()
    until(lambda: all(delivered(window)[key] >= before[key] + 15 for key in keys))
    return time.monotonic() - begin


def test_one_of_four_is_lost_and_comes_back_while_the_others_go_on(window, clips, servers):
    press(window, "loop")
    lost, kept = servers
    open_source(window, clips[0], lost.url, clips[1], kept.url)
    keys = [slot.key for slot in window.bridge.state.slots]
    assert len(views(window)) == 4
    assert set(delivered(window)) == set(keys)
    until(lambda: all(count >= 10 for count in delivered(window).values()))
    usual = takes(window, keys)

    lost.go_away()
    until(lambda: window.bridge.state.slot(keys[1]).connection is SourceState.RECONNECTING)
    assert f"127.0.0.1:{lost.port}/live: reconnecting" in message(window)
    others = [keys[0], keys[2], keys[3]]
    until(lambda: takes(window, others) < 2 * usual)  # a machine that does much else may hold them up for a spell
    stands = delivered(window)[keys[1]]
    takes(window, others)
    assert delivered(window)[keys[1]] == stands
    assert window.bridge.state.slot(keys[1]).connection is SourceState.RECONNECTING
    assert all(window.bridge.state.slot(key).connection is SourceState.CONNECTED for key in others)

    lost.come_back()
    until(lambda: window.bridge.state.slot(keys[1]).connection is SourceState.CONNECTED)
    count = delivered(window)[keys[1]]
    until(lambda: delivered(window)[keys[1]] > count + 10)
    view = window.grid.view(keys[1])
    picture = seen(view)
    until(lambda: (seen(view)[60:] != picture[60:]).any())
    until(lambda: takes(window, keys) < 2 * usual)
    assert not any(text.startswith("error") for text in troubles(window))
    assert len(views(window)) == 4
