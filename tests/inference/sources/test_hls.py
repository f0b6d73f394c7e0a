"""HLS: a film or a live stream in pieces, and a list of them; made by FFmpeg, served by a real web server or read from disk."""

import itertools
import threading
import time

import av
import numpy as np
import pytest

from framehook.inference.errors import SourceError, SourceUnavailableError
from framehook.inference.frame import SourceKind
from framehook.inference.sources import frame_number, open_source, open_sources

FPS = 25
PIECE = 10  # frames
PATIENCE = 30  # s, for what should take a moment


class Broadcast:
    """Writes a list and its pieces at the speed of the film, as a camera would, until it is told to stop."""

    def __init__(self, folder, pictures, *, name="live.m3u8"):
        self.sent = 0
        self._folder, self._name, self._pictures = folder, name, pictures
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def _write(self):
        options = {
            "hls_time": str(PIECE / FPS),
            "hls_list_size": "50",  # twenty seconds, so that nobody falls out of it who gets no turn for a while
            "hls_flags": "delete_segments+temp_file",  # whole files only, and no more than a window of them
            "hls_segment_filename": str(self._folder / "piece%05d.ts"),
        }
        with av.open(str(self._folder / self._name), "w", format="hls", options=options) as container:
            stream = add_stream(container, self._pictures)
            begun = 4 * PIECE + 1  # pictures that were sent before anybody looks
            begin = time.monotonic() - begun / FPS
            for number in itertools.count():
                picture = self._pictures[number % len(self._pictures)]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
                self.sent = number + 1
                if self.sent == begun:
                    self._ready.set()
                if self.sent >= begun and self._stop.wait(max(begin + self.sent / FPS - time.monotonic(), 0)):
                    break
            container.mux(stream.encode())

    def stop(self):
        """Write the end of the list."""
        self._stop.set()
        self._thread.join(PATIENCE)


def add_stream(container, pictures):
    stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
    stream.height, stream.width = pictures[0].shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.gop_size = PIECE
    return stream


@pytest.fixture
def broadcast(tmp_path, pictures):
    live = Broadcast(tmp_path, pictures)
    yield live
    live.stop()


@pytest.fixture
def film(tmp_path, pictures):
    """A complete list, of all pictures."""
    options = {"hls_time": str(PIECE / FPS), "hls_playlist_type": "vod", "hls_segment_filename": str(tmp_path / "part%d.ts")}
    with av.open(str(tmp_path / "film.m3u8"), "w", format="hls", options=options) as container:
        stream = add_stream(container, pictures)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return tmp_path / "film.m3u8"


@pytest.fixture(params=["web", "disk"])
def place(request, tmp_path, web_server):
    """Turns the name of a file into what is opened: its web address, or its path."""
    return (lambda name: f"{web_server[0]}/{name}") if request.param == "web" else (lambda name: tmp_path / name)


def test_a_complete_list_is_a_film_of_which_every_frame_is_delivered(film, pictures, place):
    with open_source(place(film.name)) as source:
        info = source.info
        assert (info.kind, info.live, source.endless, source.seekable) == (SourceKind.VIDEO, False, False, True)
        assert (info.size, info.fps, info.frame_count) == ((160, 96), FPS, len(pictures))
        frames = list(source)
        assert [frame_number(frame.image) for frame in frames] == list(range(len(pictures)))
        assert [frame.pts for frame in frames] == pytest.approx([number / FPS for number in range(len(pictures))], abs=1e-3)
    with open_source(place(film.name)) as source:
        source.seek(2.0)
        assert frame_number(source.read().image) == 2 * FPS


def test_a_list_that_is_being_written_is_live_and_ends_for_good_when_it_says_so(broadcast, pictures, place):
    with open_source(place("live.m3u8")) as source:
        info = source.info
        assert (info.kind, info.live, source.endless, source.seekable) == (SourceKind.STREAM, True, True, False)
        assert (info.size, info.name.rpartition("/")[2]) == ((160, 96), "live.m3u8")
        first = frame_number(source.read().image)
        assert first > 0  # not from its beginning
        numbers = [frame_number(source.read().image) for _ in range(2 * PIECE)]
        broadcast.stop()
        numbers += [frame_number(frame.image) for frame in source]  # though it connects again whatever else happens
        assert source.read() is None
    expected = [number % len(pictures) for number in range(first + 1, broadcast.sent)]
    assert numbers == expected


def test_the_frames_of_a_piece_come_at_their_own_pace_not_all_at_once(broadcast, place):
    with open_source(place("live.m3u8")) as source:
        frames = list(itertools.islice(source, 3 * PIECE))
    lasted = frames[-1].captured_at - frames[0].captured_at
    assert lasted > 2 * PIECE / FPS  # they were a second apart, and not one of them was skipped
    assert np.diff([frame_number(frame.image) for frame in frames]).tolist() == [1] * (3 * PIECE - 1)
    assert frames[-1].pts - frames[0].pts == pytest.approx((3 * PIECE - 1) / FPS, abs=1e-3)


def test_closing_does_not_wait_for_a_frame_that_is_not_due_yet(broadcast, place):
    source = open_source(place("live.m3u8"))
    source.read()
    source.close()
    assert source.read() is None
    # that its thread ends in time is watched over by the fixture of all tests


def test_a_list_on_the_web_runs_side_by_side_and_a_complete_one_on_disk_in_turn(film, broadcast, web_server):
    (source,) = open_sources([film, film])
    source.close()
    for spec in ([film, film.with_name("live.m3u8")], [film, f"{web_server[0]}/live.m3u8"]):
        first, second = open_sources(spec)
        assert (first.info.live, second.info.live) == (False, True)
        first.close()
        second.close()


def test_pieces_that_are_missing_are_an_error_in_one_line(film, place):
    for piece in film.parent.glob("part*.ts"):
        piece.unlink()
    with pytest.raises(SourceError) as caught:
        open_source(place(film.name), reconnect=False, open_timeout=5)
    assert "film.m3u8" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_not_there_is_refused(web_server):
    with pytest.raises(SourceUnavailableError, match=r"/none\.m3u8 refuses \(.*404"):
        open_source(f"{web_server[0]}/none.m3u8")
