"""The whole window under strain: nothing of a freed buffer is seen, nothing piles up, nothing is left behind.

How quick it is, `benchmarks/app.py` measures.
"""

import gc
import os
import threading
import time
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from PyQt6.QtGui import QImage

from framehook.app.gui.window import MainWindow
from framehook.app.session.buffers import POISON
from framehook.app.session.state import Phase
from framehook.inference.connection import SourceState
from framehook.inference.sources import open_source
from tests.servers.mjpeg import MjpegServer

from .panel_scenes import FILE, LIVE, quick_model
from .view_scenes import until
from .window_scenes import hold

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", extend=True)


@pytest.fixture
def make_window(qtbot, store):
    """Show windows whose files are played as fast as can be; they must end when they are closed."""
    made = []

    def make(**options):
        window = MainWindow(store, model=quick_model(), **{"options": {"pace": "max"}, "loop": True, **options})
        window.bridge.session.folder = store.settings().save_dir
        qtbot.addWidget(window)
        with qtbot.waitExposed(window):
            window.show()
        made.append(window)
        return window

    yield make
    for window in made:
        window.close()
        assert window.ended


@pytest.fixture
def window(make_window):
    return make_window()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds of the test scene in a file."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    with av.open(str(path), "w") as container, open_source("testsrc:320x240@30:60") as scene:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height = 320, 240
        for frame in scene:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.array(frame.image), format="bgr24")))
        container.mux(stream.encode())
    return path


class Watcher:
    """Counts the pictures that come for each slot."""

    def __init__(self, window):
        self._window = window
        self.pictures = Counter()
        self.runs = set()
        window.bridge.picture_ready.connect(self._take)

    def _take(self, picture):
        self.pictures[picture.key] += 1
        self.runs.add(picture.run)

    def open(self, spec):
        """Open a source in place of what is open, and wait for a picture of it."""
        run = self._window.bridge.state.run
        self._window.handlers.open_spec(spec)
        until(lambda: max(self.runs, default=0) > run and self._window.bridge.state.phase is Phase.PLAYING)

    def more(self, keys, count=5):
        """Wait for so many more pictures of each of these slots."""
        wanted = {key: self.pictures[key] + count for key in keys}
        until(lambda: all(self.pictures[key] >= number for key, number in wanted.items()))

    def end(self):
        self._window.actions_by_name["stop"].trigger()
        until(lambda: self._window.bridge.state.phase is Phase.ENDED)


@pytest.fixture
def watcher(window):
    return Watcher(window)


def pixels(widget):
    """What a widget shows, H x W x 4 uint8, B G R and the fourth."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bits, np.uint8).reshape(image.height(), image.width(), 4).copy()


def shows_poison(widget):
    """Whether a widget that has a ground of its own shows any: on others poison is transparent, as its fourth byte is 0."""
    return bool((pixels(widget)[..., :3] == POISON[:3]).all(-1).any())


def test_no_picture_of_dozens_shows_a_buffer_that_was_given_back(qtbot, make_window):
    # Not as fast as can be: a buffer that was given back would be filled with the next frame before anybody could see it.
    window = make_window(poison=True, options={"pace": "realtime"})
    watcher = Watcher(window)
    watcher.open("testsrc:320x240@50:6000")
    looked = 0
    while looked < 50 or sum(watcher.pictures.values()) < 50:
        looked += 1
        if looked % 10 == 0:
            window.resize(900 + looked % 7 * 40, 620 + looked % 5 * 30)
        assert not shows_poison(window.grid.current_view)
        qtbot.wait(1)
    watcher.end()
    assert not shows_poison(window)


def counts(window):
    """Frames that were delivered, shown and skipped."""
    figures = window.bridge.session.figures()
    painting = figures.painting
    return np.array((figures.stats.frames, painting.shown, painting.skipped))


def test_a_window_that_paints_slowly_counts_every_frame_it_skips_and_nothing_piles_up(make_window):
    window = make_window(options={"pace": "realtime"})
    watcher = Watcher(window)
    watcher.open(FILE)
    watcher.more(list(watcher.pictures))
    view = hold(window)
    pixels(view)  # it is painted now, if it was not before
    before = counts(window)
    newest_of = window.bridge.session.renderer.last
    paint_over = view.paint_over
    painted, newest = [], []

    def slowly(painter, mapping, picture):
        """Paint for as long as half a dozen frames take to come."""
        begin, index = time.monotonic(), newest_of(view.key).frame.index
        while newest_of(view.key).frame.index < index + 6 and time.monotonic() - begin < 10:
            time.sleep(0.005)
        if picture is not None and picture.result.frame.index not in painted:
            painted.append(picture.result.frame.index)
            newest.append(newest_of(view.key).frame.index)
        paint_over(painter, mapping, picture)

    view.paint_over = slowly  # in the middle of `paintEvent`
    window.actions_by_name["play_pause"].trigger()
    until(lambda: len(painted) >= 8)
    view.paint_over = paint_over
    watcher.end()

    def every_frame_is_counted():
        delivered, shown, skipped = counts(window) - before
        return shown + skipped == delivered

    until(every_frame_is_counted)
    _, shown, skipped = counts(window) - before
    assert skipped > shown > 0
    # What is painted is behind by the one painting before it and its own, also at the end.
    assert all(now >= then for now, then in zip(painted[2:], newest, strict=False)), (painted, newest)


def test_twenty_switches_of_the_source_leave_no_thread_and_no_file_handle(window, watcher, clip):
    def around(times):
        for _ in range(times):
            for spec in (clip, LIVE):
                watcher.open(spec)
            watcher.end()

    def held():
        gc.collect()
        # Threads of libraries as well, which Python does not know of.
        tasks, handles = (Path("/proc/self") / name for name in ("task", "fd"))
        libraries = (len(os.listdir(tasks)), len(os.listdir(handles))) if tasks.exists() else ()
        return threading.active_count(), *libraries

    around(2)
    before = held()
    around(10)
    # What was stopped last may take a moment to go.
    until(lambda: all(now <= then for now, then in zip(held(), before, strict=True)))


def test_one_of_four_sources_that_goes_and_comes_back_does_not_hold_up_the_others(window, watcher, clip):
    with MjpegServer(size=(320, 240), fps=15) as one, MjpegServer(size=(320, 240), fps=15) as other:
        for number, spec in enumerate((clip, "testsrc:320x240@30:60000", one.url, other.url)):
            window.handlers.open_spec(spec, beside=number > 0)
        until(lambda: len(window.bridge.state.slots) == 4)
        slots = window.bridge.state.slots
        (lost,) = (each.key for each in slots if each.spec == other.url)
        others = [each.key for each in slots if each.key != lost]
        keys = [*others, lost]
        watcher.more(keys)
        places = [window.grid.view(key).geometry() for key in keys]
        assert not any(a.intersects(b) for a in places for b in places if a is not b)

        def connection():
            return window.bridge.state.slot(lost).connection

        other.go_away()
        until(lambda: connection() is not SourceState.CONNECTED)
        at_loss = watcher.pictures[lost]
        before = [pixels(window.grid.view(key)) for key in others]
        watcher.more(others, 10)
        assert connection() is not SourceState.CONNECTED
        assert watcher.pictures[lost] <= at_loss + 3
        until(
            lambda: not any(np.array_equal(pixels(window.grid.view(key)), old) for key, old in zip(others, before, strict=True))
        )
        other.come_back()
        until(lambda: connection() is SourceState.CONNECTED)
        watcher.more(keys)
        watcher.end()


def test_closing_while_it_plays_and_records_leaves_a_file_that_plays(window, watcher, store):
    watcher.open(LIVE)
    window.actions_by_name["record"].trigger()
    until(lambda: window.bridge.state.take("annotated") is not None)
    watcher.more(list(watcher.pictures), 20)
    assert window.close()
    assert window.ended
    (film,) = store.settings().save_dir.iterdir()
    with av.open(str(film)) as container:
        pictures = list(container.decode(video=0))
    assert len(pictures) >= 10
    assert (pictures[0].width, pictures[0].height) == (320, 240)
