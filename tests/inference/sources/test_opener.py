import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from framehook.inference.errors import OptionError
from framehook.inference.sources import TestSource, frame_number, open_source


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
        ([1.5, "a"], "a float in a list is no source of frames; lists hold paths, arrays and PIL images"),
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


def test_a_size_is_not_for_files(tmp_path):
    with pytest.raises(OptionError, match=r"^width is for cameras and test scenes; clip\.mp4 is shown as it is$"):
        open_source("clip.mp4", width=640, height=480)


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
        "assert not {'av', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
