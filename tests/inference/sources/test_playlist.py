import logging
import threading

import cv2
import numpy as np
import pytest

from framehook.inference.errors import OptionError, SourceFormatError, SourceNotFoundError
from framehook.inference.frame import SourceKind
from framehook.inference.sources import TestSource, frame_number, open_source
from framehook.inference.sources.image import ImageSource
from framehook.inference.sources.playlist import PlaylistSource


@pytest.fixture
def folder(tmp_path, pictures):
    for number in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"p{number}.png"), pictures[number])
    return tmp_path


def test_a_folder_plays_file_by_file(folder, write_clip):
    write_clip("q.mp4", [0, 40, 80])
    with open_source(folder) as source:
        assert (source.info.name, source.info.path, source.info.frame_count) == (folder.name, str(folder), None)
        frames = list(source)
    assert [frame_number(frame.image) for frame in frames] == [1, 2, 10, 0, 1, 2]
    assert [frame.index for frame in frames] == [0, 0, 0, 0, 1, 2]
    assert [frame.source.name for frame in frames] == ["p1.png", "p2.png", "p10.png", "q.mp4", "q.mp4", "q.mp4"]
    assert len({frame.source.id for frame in frames}) == 4
    assert frames[0].source.path == str(folder / "p1.png")


def test_a_folder_of_stills_knows_its_length_and_opens_nothing_ahead(folder, monkeypatch):
    opened = []
    plain = ImageSource.__init__
    monkeypatch.setattr(ImageSource, "__init__", lambda self, path, **more: (opened.append(path), plain(self, path, **more))[1])
    with open_source(folder) as source:
        assert (source.info.frame_count, source.info.kind) == (3, SourceKind.IMAGE)
        assert not opened
        assert source.skip().name == "p1.png"
        assert source.read().source.name == "p2.png"
        assert len(opened) == 2


def test_a_pattern_plays_what_matches(folder):
    with open_source(str(folder / "p1*.png")) as source:
        assert [frame_number(frame.image) for frame in source] == [1, 10]


def test_a_list_mixes_paths_arrays_folders_and_scenes(folder, pictures):
    items = [folder / "p2.png", pictures[5], pictures[6], str(folder), "testsrc:160x96:2", str(folder / "p1[0].png")]
    with open_source(items) as source:
        frames = list(source)
    assert [frame_number(frame.image) for frame in frames] == [2, 5, 6, 1, 2, 10, 0, 1, 10]
    assert [frame.index for frame in frames] == [0, 0, 1, 0, 0, 0, 0, 1, 0]


def test_in_a_folder_unreadable_files_are_logged_and_passed_over(folder, caplog):
    (folder / "p0.png").write_text("no picture")
    (folder / "p3.mp4").write_text("no film")
    with caplog.at_level(logging.WARNING, "framehook"), open_source(folder) as source:
        assert [frame_number(frame.image) for frame in source] == [1, 2, 10]
    assert [record.getMessage().partition(" is no ")[0] for record in caplog.records] == [
        f"passed over: {folder / 'p0.png'}",
        f"passed over: {folder / 'p3.mp4'}",
    ]


def test_a_folder_of_nothing_readable_fails(tmp_path):
    (tmp_path / "p0.png").write_text("no picture")
    with open_source(tmp_path) as source:
        with pytest.raises(SourceFormatError, match=r"^nothing in .* can be read; the last: .*p0\.png is no image"):
            source.read()
        assert source.read() is None


def test_in_a_list_unreadable_files_are_logged_and_passed_over(folder, caplog):
    (folder / "p0.png").write_text("no picture")
    with caplog.at_level(logging.WARNING, "framehook"), open_source([folder / "p0.png", folder / "p1.png"]) as source:
        assert [frame_number(frame.image) for frame in source] == [1]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"passed over: {folder / 'p0.png'} is no image")


def test_a_file_that_may_not_be_read_or_goes_away_is_passed_over_too(folder, caplog, monkeypatch):
    plain = np.fromfile

    def forbidden(path, *rest):
        if path.name == "p2.png":
            raise PermissionError(13, "Permission denied")
        return plain(path, *rest)

    monkeypatch.setattr(np, "fromfile", forbidden)
    with caplog.at_level(logging.WARNING, "framehook"), open_source(folder) as source:
        (folder / "p10.png").unlink()
        assert [frame_number(frame.image) for frame in source] == [1]
    assert [record.getMessage() for record in caplog.records] == [
        f"passed over: {folder / 'p2.png'} cannot be read (Permission denied)",
        f"passed over: {folder / 'p10.png'} does not exist. Did you mean 'p1.png'?",
    ]


def test_a_list_of_one_file_or_of_nothing_readable_fails(folder):
    (folder / "p0.png").write_text("no picture")
    with open_source([folder / "p0.png"]) as source, pytest.raises(SourceFormatError, match=r"^[^;]*p0\.png is no image"):
        source.read()
    with (
        open_source([folder / "p0.png"] * 2) as source,
        pytest.raises(SourceFormatError, match=r"^nothing in the list can be read; the last: .*p0\.png is no image"),
    ):
        source.read()


def test_a_missing_file_of_a_list_is_reported_at_once(folder):
    with pytest.raises(SourceNotFoundError, match=r"p7\.png does not exist"):
        open_source([folder / "p1.png", folder / "p7.png"])


def test_what_turns_out_to_be_live_in_its_turn_is_refused(folder, pictures):
    playlist = PlaylistSource(
        "list", "the list", [(lambda: open_source(folder / "p1.png"), False), (lambda: TestSource(live=True), False)]
    )
    assert frame_number(playlist.read().image) == 1
    with pytest.raises(OptionError, match=r"^testsrc is live, so that what comes after it in a list would never be shown; "):
        playlist.read()
    playlist.close()


def test_interrupt_and_close_end_it(folder):
    source = open_source(folder)
    source.read()
    source.interrupt()
    assert source.read() is None
    source.close()
    source.close()
    assert source.skip() is None


def test_a_picture_that_is_none_in_a_list_of_arrays_is_named(pictures):
    from framehook.inference.errors import FrameError

    with open_source([pictures[0], np.zeros((0, 4, 3), np.uint8)]) as source:
        source.read()
        with pytest.raises(FrameError, match=r"^picture 1 of list: an image of shape \(0, 4, 3\) has no pixels$"):
            source.read()


def test_an_interrupt_while_an_entry_opens_is_not_lost():
    opening, go_on, opened, seen = threading.Event(), threading.Event(), [], []

    class Slow(TestSource):
        def read(self):
            seen.append("read")
            return super().read()

        def close(self):
            seen.append("close")
            super().close()

    def open_slowly():
        opening.set()
        assert go_on.wait(30)
        opened.append(Slow(size=(64, 48), frames=3))
        return opened[0]

    playlist = PlaylistSource("list", "the list", [(open_slowly, True)])
    results = []
    reader = threading.Thread(target=lambda: results.append(playlist.read()))
    reader.start()
    assert opening.wait(30)
    assert playlist.may_block  # a server is waited for
    playlist.interrupt()
    go_on.set()
    reader.join(30)
    assert (results, seen) == ([None], ["close"])
    playlist.close()
