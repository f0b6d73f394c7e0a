import inspect
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from framehook.inference.errors import OptionError
from framehook.inference.sources import TestSource, frame_number, open_source, open_sources


def test_a_source_is_returned_as_it_is():
    scene = TestSource()
    assert open_source(scene) is scene


@pytest.mark.parametrize(
    ("spec", "begins"),
    [
        (None, "a NoneType is no source of frames; pass a camera number, a file, a folder"),
        (1.5, "a float is no source of frames; pass"),
        (True, "a bool is no source of frames; pass"),
        (b"clip.mp4", "a bytes is no source of frames; pass"),
        ({"a": 1}, "a dict is no source of frames; pass"),
        ([], "an empty list is no source of frames; pass"),
        ("", "an empty text is no source of frames; pass"),
        (-1, "there is no camera -1; cameras count from 0"),
        ([1.5, "a"], "a float in a list is no source of frames; lists hold camera numbers, paths, addresses, arrays, "),
        (["a", None], "a NoneType in a list is no source of frames; lists hold"),
        ("rstp://cam/live", "rstp://cam/live cannot be opened, rstp:// is unknown; use one of http, "),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_line(spec, begins):
    with pytest.raises(OptionError) as caught:
        open_source(spec)
    assert str(caught.value).startswith(begins)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"fps": -1}, {"open_timeout": float("nan")}, {"height": True}, {"fps": "30"}]
)
def test_options_must_be_numbers_above_0(options):
    with pytest.raises(OptionError, match=r"is not possible; pass a number above 0$"):
        open_source("testsrc", **options)


@pytest.mark.parametrize("reconnect", [1, None, "yes"])
def test_whether_to_reconnect_is_yes_or_no(reconnect):
    with pytest.raises(OptionError, match=r"^reconnect=.* is not possible; pass True or False$"):
        open_source("testsrc", reconnect=reconnect)


def test_the_default_of_the_read_timeout_is_that_of_streams():
    from framehook.inference.sources.stream import READ_TIMEOUT

    for function in (open_source, open_sources):
        assert inspect.signature(function).parameters["read_timeout"].default == READ_TIMEOUT


def test_both_ways_to_open_take_the_same_options():
    assert inspect.signature(open_source).parameters == inspect.signature(open_sources).parameters


def test_a_size_is_not_for_files(tmp_path):
    with pytest.raises(OptionError, match=r"^width is for cameras and test scenes; clip\.mp4 is shown as it is$"):
        open_source("clip.mp4", width=640, height=480)
    with pytest.raises(OptionError, match=r"^fps is for cameras, screens and test scenes; clip\.mp4 is shown as it is$"):
        open_source("clip.mp4", fps=30)


def test_what_is_one_source_is_a_list_of_that_one(tmp_path, pictures):
    cv2.imwrite(str(tmp_path / "p.png"), pictures[4])
    scene = TestSource(frames=1)
    for spec in (scene, tmp_path / "p.png", str(tmp_path), pictures[4], "testsrc:160x96:1", iter([pictures[4]])):
        (source,) = open_sources(spec)
        with source:
            assert source is spec or not isinstance(spec, TestSource)
            assert len(list(source)) == 1


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("rtsp:/me:hunter2@cam/live", "cam/live"),
        ("rtsp//me:hunter2@cam/live", "cam/live"),
        ("me:hunter2@cam", "cam"),
        ("rtsp:cam/live?password=hunter2", "rtsp:cam/live?password=***"),
    ],
)
def test_an_address_with_a_slip_is_told_without_its_password(spec, shown):
    with pytest.raises(OptionError) as caught:
        open_source(spec)
    assert str(caught.value) == (
        f"{shown} is no file, and as an address it is incomplete; write rtsp://user:password@host/path"
    )


def test_a_file_may_be_named_like_an_address(tmp_path, pictures, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me:you@home.png").write_bytes(cv2.imencode(".png", pictures[9])[1].tobytes())
    with open_source("me:you@home.png") as source:
        assert frame_number(source.read().image) == 9


def test_file_urls_home_folders_and_single_items_of_lists(tmp_path, pictures, monkeypatch):
    cv2.imwrite(str(tmp_path / "a b.png"), pictures[4])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for spec in ((tmp_path / "a b.png").as_uri(), "~/a b.png", [tmp_path / "a b.png"], (str(tmp_path / "a b.png"),)):
        with open_source(spec) as source:
            frame = source.read()
            assert frame_number(frame.image) == 4
            assert frame.source.path == str(Path(tmp_path / "a b.png"))


def test_pictures_and_scenes_need_neither_av_nor_pil():
    program = (
        "import sys, numpy as np\n"
        "from framehook.inference.sources import open_source\n"
        "open_source(np.zeros((48, 64, 3), np.uint8)).read(); open_source('testsrc').read()\n"
        "assert not {'av', 'PIL', 'mss'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
