"""Lists of sources, in memory and in text files."""

import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import cv2
import pytest

from framehook.inference.errors import (
    FramehookError,
    OptionError,
    SourceError,
    SourceFormatError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from framehook.inference.sources import TestSource, frame_number, open_source, open_sources
from framehook.inference.sources.together import open_together

from ..scripted import until  # noqa: TID252 - what the tests of runs wait with


class Noted(TestSource):
    """A short scene that knows whether it is open."""

    def __init__(self, **options):
        super().__init__(size=(64, 48), frames=3, **options)
        self.open = True

    def close(self):
        super().close()
        self.open = False


@pytest.fixture
def folder(tmp_path, pictures):
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"p{number}.png"), pictures[number])
    return tmp_path


def numbers(source):
    with source:
        return [frame_number(frame.image) for frame in itertools.islice(source, 10)]


def closed(sources):
    for source in sources:
        source.close()
    return sources


def test_files_are_played_in_turn_and_with_a_live_one_side_by_side(folder):
    (source,) = open_sources([folder / "p1.png", str(folder), "testsrc:160x96:2"])
    assert numbers(source) == [1, 1, 2, 0, 1]
    first, second, third, fourth = open_sources([folder / "p2.png", "testsrc:160x96:live", str(folder), TestSource()])
    assert (numbers(first), numbers(third)) == ([2], [1, 2])
    assert (second.info.live, fourth.endless) == (True, True)
    closed([second, fourth])


def test_neighbouring_pictures_in_memory_are_one_source(pictures):
    image = pytest.importorskip("PIL.Image").new("RGB", (160, 96))
    sources = open_sources([pictures[3], image, "testsrc:160x96:1:live", pictures[5], pictures[6]])
    assert [len(numbers(source)) for source in sources] == [2, 1, 2]
    (source,) = open_sources([pictures[3], pictures[4]])
    assert numbers(source) == [3, 4]


@pytest.mark.parametrize(
    ("live", "name"),
    [
        (0, "camera 0"),
        ("rtsp://me:secret@cam.local/live", "rtsp://cam.local/live"),
        ("http://cam.local/live.m3u8", "http://cam.local/live.m3u8"),
        ("screen:2@15", "screen:2@15"),
        ("testsrc:live", "testsrc:live"),
        ("testsrc", "testsrc"),
        (TestSource(live=True), "testsrc"),
    ],
    ids=["camera", "stream", "web stream", "screen", "live scene", "endless scene", "source"],
)
def test_a_list_with_one_that_never_ends_is_not_one_source(folder, live, name):
    with pytest.raises(OptionError) as caught:
        open_source([folder / "p1.png", live])
    assert str(caught.value) == (
        f"the list is 2 sources side by side (it holds {name}, after which nothing else would have its turn); "
        "pass it to predict(), or open it with open_sources()"
    )


def test_a_list_of_one_live_source_is_that_one(pictures):
    for spec in (["testsrc:160x96:live"], ("testsrc:160x96:live",)):
        with open_source(spec) as source:
            assert source.info.live


def test_size_and_rate_go_to_those_that_take_them(folder):
    picture, small, own = open_sources(
        [folder / "p1.png", "testsrc:live", "testsrc:64x48@5:live"], width=320, height=240, fps=9
    )
    assert (small.info.size, small.info.fps) == ((320, 240), 9)
    assert (own.info.size, own.info.fps) == ((64, 48), 5)
    assert numbers(picture) == [1]
    closed([small, own])
    with pytest.raises(OptionError, match=r"^fps is for cameras, screens and test scenes; the list is shown as it is$"):
        open_sources([folder / "p1.png", folder / "p2.png"], fps=9)


def test_what_is_open_already_is_closed_when_one_fails(folder):
    noted = Noted(live=True)
    with pytest.raises(SourceNotFoundError, match=r"p9\.png does not exist"):
        open_sources([noted, folder / "p9.png"])
    assert not noted.open


def test_lists_do_not_nest_and_hold_a_source_once(folder):
    (folder / "inner.txt").write_text("p1.png\n")
    for spec, name in (([[folder], "testsrc"], "a list"), ([folder / "inner.txt", 0], str(folder / "inner.txt"))):
        with pytest.raises(OptionError) as caught:
            open_sources(spec)
        assert str(caught.value) == (
            f"{name} in a list is a list itself; lists do not nest, write its entries into the outer one"
        )
    scene = TestSource(frames=2)
    with pytest.raises(OptionError, match=r"^testsrc is in the list twice; "):
        open_sources([scene, folder, scene])


# Text files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_text_file_is_a_list(folder, pictures, monkeypatch, encoding, end):
    cv2.imwrite(str(folder / "söhne.png"), pictures[7])
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    cv2.imwrite("p8.png", pictures[8])
    cv2.imwrite("p1.png", pictures[9])  # the one beside the list comes first
    lines = ["# first", "", "  p1.png ", "söhne.png", "p8.png", "p*.png", str(folder / "p2.png"), "testsrc:160x96:1", "#p2.png"]
    (folder / "list.TXT").write_bytes(end.join(lines).encode(encoding))
    for spec in (folder / "list.TXT", "../list.TXT"):
        with open_source(spec) as source:
            assert source.info.name == "list.TXT"
            frames = list(source)
        assert [frame_number(frame.image) for frame in frames] == [1, 7, 8, 1, 2, 2, 0]
    assert len(open_sources("../list.TXT")) == 1


def test_a_text_file_with_a_live_source_runs_side_by_side(folder):
    (folder / "list.txt").write_text("p1.png\ntestsrc:160x96:live\n")
    picture, scene = open_sources(folder / "list.txt")
    assert numbers(picture) == [1]
    closed([scene])
    with pytest.raises(OptionError, match=r"list\.txt is 2 sources side by side \(it holds testsrc:160x96:live, after which"):
        open_source(folder / "list.txt")


def test_the_lines_of_a_streams_file_run_side_by_side_whatever_they_are(folder):
    (folder / "cams.streams").write_text("p1.png\np2.png\n")
    assert [numbers(source) for source in open_sources(str(folder / "cams.streams"))] == [[1], [2]]
    with pytest.raises(OptionError) as caught:
        open_source(folder / "cams.streams")
    assert str(caught.value) == (
        f"{folder / 'cams.streams'} is 2 sources side by side (each line of such a file is one); "
        "pass it to predict(), or open it with open_sources()"
    )
    (folder / "one.streams").write_text("p2.png\n")
    assert numbers(open_source(folder / "one.streams")) == [2]


def test_in_a_text_file_unreadable_files_are_logged_and_passed_over(folder, caplog):
    (folder / "p0.png").write_text("no picture")
    (folder / "list.txt").write_text("p0.png\np1.png\n")
    with caplog.at_level(logging.WARNING, "framehook"):
        assert numbers(open_source(folder / "list.txt")) == [1]
    assert "passed over: " in caplog.text
    (folder / "list.txt").write_text("p0.png\np0.png\n")
    with (
        open_source(folder / "list.txt") as source,
        pytest.raises(SourceFormatError, match=r"nothing in .*list\.txt can be read"),
    ):
        source.read()


@pytest.mark.parametrize("name", ["list.txt", "list.streams"])
@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("p9.png", SourceNotFoundError, "{folder}/p9.png does not exist."),
        ("p9*.png", SourceNotFoundError, "no image or video matches {folder}/p9*.png; check the folder and the extension"),
        ("rstp://me:hunter2@cam/live", OptionError, "rstp://cam/live cannot be opened, rstp:// is unknown; use one of "),
        ("rtsp:/me:hunter2@cam/live", OptionError, "cam/live is no file, and as an address it is incomplete; write rtsp://"),
        ("testsrc:huge", OptionError, "'testsrc:huge' is no test scene; write testsrc["),
        ("inner.txt", OptionError, "{folder}/inner.txt in a list is a list itself; lists do not nest"),
    ],
)
def test_a_wrong_line_is_named_and_shows_no_password(folder, name, line, kind, message):
    (folder / "inner.txt").write_text("p1.png\n")
    (folder / name).write_text(f"# cameras\np1.png\n{line}\n")
    with pytest.raises(kind) as caught:
        open_sources(folder / name)
    assert str(caught.value).startswith(f"{folder / name}, line 3: " + message.format(folder=folder))
    error = caught.value
    while error is not None:
        assert "hunter2" not in f"{error!r}{error}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("name", ["list.txt", "list.streams"])
def test_a_text_file_of_nothing_and_one_that_is_no_text(folder, name):
    for content, message in (
        (b"\n# rtsp://cam\n", "names no source; write one on each line"),
        (b"\xff\xfe\x00", "is no text in UTF-8"),
    ):
        (folder / name).write_bytes(content)
        with pytest.raises(SourceFormatError) as caught:
            open_sources(folder / name)
        assert str(caught.value).startswith(f"{folder / name} {message}")


def test_a_hash_in_an_address_is_no_comment(folder):
    (folder / "list.streams").write_text("rstp://cam/live#1\n")
    with pytest.raises(OptionError, match=r"rstp://cam/live#1 cannot be opened"):
        open_sources(folder / "list.streams")


def test_a_text_file_that_is_not_there_is_told_as_any_file(folder):
    with pytest.raises(SourceNotFoundError, match=r"cams\.streams does not exist"):
        open_source(folder / "cams.streams")


def test_in_folders_and_patterns_text_files_are_no_media(folder):
    (folder / "list.txt").write_text("p1.png\n")
    (folder / "list.streams").write_text("p1.png\n")
    assert numbers(open_source(folder)) == [1, 2]
    assert numbers(open_source(str(folder / "*"))) == [1, 2]
    with pytest.raises(SourceNotFoundError, match="no image or video matches"):
        open_source(str(folder / "*.txt"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_text_file_that_may_not_be_read(folder):
    (folder / "list.txt").write_text("p1.png\n")
    (folder / "list.txt").chmod(0)
    with pytest.raises(SourceError, match=r"list\.txt cannot be read \(Permission denied\)"):
        open_source(folder / "list.txt")


# Opening at the same time


def test_servers_are_connected_to_at_the_same_time(web_server, write_clip):
    address, handlers = web_server
    write_clip("film.ts", [number * 40 for number in range(60)])
    together = threading.Barrier(3, timeout=30)
    film = (write_clip("film.ts", [number * 40 for number in range(60)])).read_bytes()

    def handle(request):
        together.wait()  # nobody is answered before all have asked
        request.send_response(200)
        request.end_headers()
        request.wfile.write(film)

    paths = ("/a", "/b", "/c")
    handlers.update(dict.fromkeys(paths, handle))
    sources = open_sources([address + path for path in paths], reconnect=False)
    assert [source.info.path for source in sources] == [address + path for path in paths]
    assert [numbers(source) for source in sources] == [list(range(10))] * 3


def test_however_many_servers_there_are_all_are_asked_at_once():
    together = threading.Barrier(64, timeout=30)

    def open_slowly():
        together.wait()  # nobody answers before all are asked
        return Noted()

    opened = open_together([(open_slowly, True)] * 64)
    assert len({id(source) for source in opened}) == 64
    closed(opened)


def test_of_many_sources_to_be_closed_all_are_interrupted_first():
    order = []

    class Told(Noted):
        def interrupt(self):
            order.append("interrupt")

        def close(self):
            order.append("close")
            super().close()

    def fail():
        raise SourceUnavailableError("cam is away")

    with pytest.raises(SourceUnavailableError, match="cam is away"):
        open_together([(Told, False), (Told, False), (fail, False)])
    assert order == ["interrupt"] * 2 + ["close"] * 2


def test_a_server_that_refuses_for_good_fails_the_list_and_nothing_is_left_open(web_server, folder):
    address, _ = web_server
    noted = Noted(live=True)
    with pytest.raises(SourceUnavailableError, match=r"^http://127\.0\.0\.1:\d+/nothing refuses \(.*404"):
        open_sources([noted, f"{address.replace('//', '//me:hunter2@')}/nothing", "testsrc:live"])
    assert not noted.open


def test_what_opens_after_another_failed_is_closed():
    go_on, late = threading.Event(), Noted()

    def open_late():
        assert go_on.wait(30)
        return late

    def fail():
        raise SourceUnavailableError("cam is away")

    first = Noted()
    with pytest.raises(SourceUnavailableError, match="cam is away"):
        open_together([(open_late, True), (fail, True), (lambda: first, False)])
    assert not first.open
    go_on.set()
    until(lambda: not late.open)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_from_the_keyboard_does_not_wait_for_servers():
    program = (
        "import sys\n"
        "from framehook.inference.sources import open_sources\n"
        "print('ready', flush=True)\n"
        "try: open_sources([sys.argv[1], sys.argv[1]], open_timeout=60, read_timeout=60)\n"
        "except KeyboardInterrupt: print('interrupted', flush=True)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(300)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/live"
        process = subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True)
        with process:
            clients = [server.accept()[0], server.accept()[0]]  # both wait for an answer that never comes
            begin = time.monotonic()
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=50)
        for client in clients:
            client.close()
    assert (output, process.returncode) == ("ready\ninterrupted\n", 0)
    assert time.monotonic() - begin < 30  # seconds, where the servers would have taken a minute


def test_errors_of_lists_are_all_of_one_tree(folder):
    for spec in (["testsrc", -1], [folder / "nothing.png", "testsrc"], ["testsrc", "rstp://cam"]):
        with pytest.raises(FramehookError):
            open_sources(spec)
