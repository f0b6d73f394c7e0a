"""Screens, read from a virtual one: Xvfb, whose root window shows a pattern of two colours."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from framehook.inference.errors import OptionError, SourceNotFoundError, SourceUnavailableError
from framehook.inference.frame import SourceKind
from framehook.inference.sources import Screen, list_screens, open_source

from ..scripted import PATIENCE  # noqa: TID252 - what the tests of runs wait with

WIDTH, HEIGHT = 320, 200
RED, BLUE = (0, 0, 255), (255, 0, 0)  # BGR

needs_display = pytest.mark.skipif(
    not all(map(shutil.which, ("Xvfb", "xsetroot", "xrandr"))),
    reason="no virtual screen here; on Debian: apt-get install xvfb x11-xserver-utils",
)


def show(left, right, picture):
    """Fill the left and right half of the screen with colours such as `red`."""
    row = "0xff, " * (WIDTH // 16) + "\n" + "0x00, " * (WIDTH // 16) + "\n"
    size = f"#define p_width {WIDTH}\n#define p_height {HEIGHT}\n"
    picture.write_text(f"{size}static unsigned char p_bits[] = {{\n{row * HEIGHT}}};\n")
    subprocess.run(["xsetroot", "-bitmap", picture, "-fg", left, "-bg", right], check=True, timeout=300)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """An X server of its own, on a display number that it finds itself, red on the left and blue on the right."""
    pytest.importorskip("mss", reason="screens need mss; pip install 'framehook[screen]'")
    ready, number = os.pipe()
    command = ["Xvfb", "-displayfd", str(number), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp"]
    # -noreset: else the root window loses its pattern when the program that drew it disconnects
    process = subprocess.Popen([*command, "-noreset"], pass_fds=[number], stderr=subprocess.DEVNULL)
    os.close(number)
    with os.fdopen(ready) as told:
        monkeypatch.setenv("DISPLAY", ":" + told.readline().strip())
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("XDG_SESSION_TYPE", raising=False)
    try:
        show("red", "blue", tmp_path / "pattern.xbm")
        yield process
    finally:
        process.kill()
        process.wait(10)


@needs_display
def test_a_screen_is_live_and_shows_what_is_on_it(server, tmp_path):
    with open_source("screen@60") as source:
        info = source.info
        assert (info.name, info.path, info.kind, info.live) == ("screen 1", "screen:1@60", SourceKind.SCREEN, True)
        assert (info.size, info.fps, source.endless, source.seekable) == ((WIDTH, HEIGHT), 60.0, True, False)
        first = source.read()
        show("white", "black", tmp_path / "other.xbm")
        assert source.skip() is info
        third = source.read()
    np.testing.assert_array_equal(first.image[:, : WIDTH // 2], np.full((HEIGHT, WIDTH // 2, 3), RED, np.uint8))
    np.testing.assert_array_equal(first.image[:, WIDTH // 2 :], np.full((HEIGHT, WIDTH // 2, 3), BLUE, np.uint8))
    assert third.image[5, 5].tolist() == [255] * 3
    assert third.image[5, -5].tolist() == [0] * 3
    assert [frame.index for frame in (first, third)] == [0, 2]
    assert first.pts == 0
    assert first.captured_at < third.captured_at
    assert not first.image.flags.writeable


@needs_display
def test_it_keeps_to_its_rate_and_gives_a_late_reader_no_burst(server):
    with open_source("screen@50") as source:
        begin = time.monotonic()
        frames = list(itertools.islice(source, 16))
        steps = np.diff([frame.pts for frame in frames]) * 50
        np.testing.assert_allclose(steps, np.maximum(np.round(steps), 1), atol=1e-4)
        time.sleep(0.3)
        late = [source.read() for _ in range(4)]
    assert late[0].pts - frames[-1].pts > 0.25
    assert np.diff([frame.pts for frame in late]).min() > 0.019  # what was missed would have come at once
    assert all(frame.captured_at - begin >= frame.pts for frame in frames + late)  # none comes before it is due


@needs_display
def test_monitors_are_told_apart(server):
    for name, left, output in (("west", 0, "screen"), ("east", WIDTH // 2, "none")):
        area = f"{WIDTH // 2}/40x{HEIGHT}/50+{left}+0"
        subprocess.run(["xrandr", "--setmonitor", name, area, output], check=True, timeout=300)
    every, west, east = list_screens()
    assert every == Screen(0, (WIDTH, HEIGHT), (0, 0), "")
    assert (west.number, west.size, west.place) == (1, (WIDTH // 2, HEIGHT), (0, 0))
    assert (east.number, east.size, east.place) == (2, (WIDTH // 2, HEIGHT), (WIDTH // 2, 0))
    for spec, size, color in (("screen", west.size, RED), ("SCREEN:2", east.size, BLUE), ("screen:0@10", every.size, RED)):
        with open_source(spec) as source:
            frame = source.read()
            assert (frame.size, source.info.size) == (size, size)
            assert tuple(frame.image[0, 0].tolist()) == color
    with pytest.raises(SourceNotFoundError) as caught:
        open_source("screen:3")
    assert str(caught.value) == "there is no screen 3; there are 0 (all together, 320 x 200), 1 (160 x 200), 2 (160 x 200)"


@needs_display
def test_the_rate_is_an_option_and_the_size_is_not(server):
    with open_source("screen", fps=12) as source:
        assert source.info.fps == 12
    with pytest.raises(OptionError, match=r"^width is for cameras and test scenes; screen is shown as it is$"):
        open_source("screen", width=320)


@needs_display
def test_a_screen_that_changes_its_size_goes_on_as_a_new_segment(server):
    with open_source("screen:0@100") as source:
        before = source.read()
        subprocess.run(["xrandr", "--output", "screen", "--off", "--fb", "160x100"], check=True, timeout=300)
        after = source.read()
    assert (before.size, before.segment) == ((WIDTH, HEIGHT), 0)
    assert (after.size, after.segment, after.index) == ((160, 100), 1, 1)


@needs_display
def test_a_desktop_that_ends_is_an_error_in_one_line(server):
    with open_source("screen@100") as source:
        source.read()
        server.kill()
        server.wait(PATIENCE)
        with pytest.raises(SourceUnavailableError, match=r"^the screen of DISPLAY=:\d+ cannot be read \(") as caught:
            source.read()
        assert "\n" not in str(caught.value)


@needs_display
def test_interrupt_wakes_a_reader_that_waits_for_the_next_picture(server):
    source = open_source("screen@0.02")
    source.read()
    results = []
    reader = threading.Thread(target=lambda: results.append(source.read()))
    reader.start()
    source.interrupt()
    reader.join(PATIENCE)
    assert results == [None]
    source.close()
    source.close()
    assert source.read() is None
    assert source.skip() is None


@needs_display
def test_nothing_is_left_open_whoever_closes_it(server):
    def files():
        return len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc to count open files in")
    with open_source("screen@200") as source:
        source.read()
    before = files()
    for _ in range(5):
        source = open_source("screen@200")
        reader = threading.Thread(target=lambda source=source: list(source))
        reader.start()
        time.sleep(0.02)
        source.close()  # in the middle of it all
        reader.join(PATIENCE)
        assert not reader.is_alive()
    assert files() <= before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a screen needs no DISPLAY")
@pytest.mark.parametrize(
    ("display", "wayland", "message"),
    [
        (None, None, r"there is no screen: DISPLAY is not set; .*"),
        (None, "wayland-0", r"the screen cannot be read: this is a Wayland session, .*; log in with Xorg instead"),
        (":1234", None, r"the screen of DISPLAY=:1234 cannot be read \(.*\); name that of a desktop .*"),
    ],
)
def test_without_a_screen_it_is_told_why(monkeypatch, display, wayland, message):
    pytest.importorskip("mss", reason="screens need mss; pip install 'framehook[screen]'")
    for name, value in (("DISPLAY", display), ("WAYLAND_DISPLAY", wayland)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    for call in (lambda: open_source("screen"), list_screens):
        with pytest.raises(SourceUnavailableError) as caught:
            call()
        assert re.fullmatch(message, str(caught.value))
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("spec", ["screen:", "screen:1x2", "screen@", "screen:-1", "screen@fast"])
def test_other_forms_are_refused(spec):
    with pytest.raises(OptionError) as caught:
        open_source(spec)
    assert str(caught.value).startswith(f"'{spec}' is no screen; write screen[:NUMBER][@FPS], such as ")


def test_without_mss_the_command_that_installs_it_is_named():
    program = (
        "import sys; sys.modules['mss'] = None\n"
        "from framehook.inference.errors import MissingDependencyError\n"
        "from framehook.inference.sources import open_source\n"
        "try: open_source('screen')\n"
        "except MissingDependencyError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300).stdout
    assert told == "screens are read with mss 10.2 or newer, which is not installed; pip install 'framehook[screen]'\n"
