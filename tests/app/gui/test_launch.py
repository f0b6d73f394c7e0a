"""The window in a process of its own, as a program of the user's opens it: it closes cleanly, whatever goes on in it."""

import os
import signal
import socket
import subprocess
import sys
import time

import av
import pytest

NOISE = "This plugin does not support "  # of the platform without a screen; no user has it

PROGRAM = """
import sys
from pathlib import Path
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication
from framehook import Model
from framehook.app.gui import show
from framehook.app.gui.launch import application

def window():
    return next(each for each in QApplication.topLevelWidgets() if each.objectName() == "framehook")

def mark(name):
    Path(name).touch()

model = Model()
frames = []

def count(predictor):
    frames.append(predictor.frame.index)
    if len(frames) == 10:
        mark("playing")

model.add_callback("on_predict_batch_end", count)

application()
{more}
print("closed with", show(model, *sys.argv[1:], pace="realtime"))
"""

LIVE = "testsrc:320x240@30:live"


def wait_for(condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def quiet(err):
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith(NOISE))


class Window:
    """A program that opens a window."""

    def __init__(self, folder, sources, more):
        self._folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "Videos").mkdir(exist_ok=True)
        home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "XDG_VIDEOS_DIR": str(folder / "Videos")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(more=more), *sources],
            cwd=folder,
            env={**os.environ, **home, "QT_QPA_PLATFORM": "offscreen"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def saw(self, name):
        """Wait until the program has left a mark."""
        wait_for(lambda: (self._folder / name).exists() or not self.runs())
        assert self.runs(), self.ended()

    def runs(self):
        return self._process.poll() is None

    def end(self, number=signal.SIGINT):
        """Send a signal, and return the exit code and what was printed."""
        self._process.send_signal(number)
        return self.ended()

    def ended(self):
        out, err = self._process.communicate(timeout=60)
        return self._process.returncode, out, quiet(err)

    def kill(self):
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def open_window(tmp_path):
    opened = []

    def open_it(*sources, more="", folder=tmp_path):
        opened.append(Window(folder, sources, more))
        return opened[-1]

    yield open_it
    for window in opened:
        window.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_closes_the_window_as_its_cross_does(open_window, number):
    window = open_window(LIVE)
    window.saw("playing")
    assert window.end(number) == (0, "closed with 0\n", "")


RECORD = """
def begin():
    state = window().bridge.state
    if state.takes and state.takes[0].paths:
        window().bridge.state_changed.disconnect(begin)
        frames.clear()
        mark("recording")
    elif window().actions_by_name["record"].isEnabled() and not state.takes:
        window().actions_by_name["record"].trigger()

QTimer.singleShot(0, lambda: window().bridge.state_changed.connect(begin))
"""


def test_what_is_recorded_is_complete_when_the_window_was_closed(open_window, tmp_path):
    window = open_window(LIVE, more=RECORD)
    window.saw("recording")
    (tmp_path / "playing").unlink(missing_ok=True)
    window.saw("playing")
    assert window.end() == (0, "closed with 0\n", "")
    (video,) = (tmp_path / "Videos" / "Framehook").glob("*.mp4")
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 9


HANG = """
import threading
model.add_callback("on_predict_batch_end", lambda predictor: len(frames) == 10 and threading.Event().wait())
"""


def test_a_callback_that_never_returns_keeps_the_command_from_nothing(start_framehook, tmp_path):
    (tmp_path / "hang.py").write_text(
        "import threading\n"
        "def on_predict_batch_end(predictor):\n"
        "    if predictor.frame.index > 5:\n"
        "        open('playing', 'w').close()\n"
        "        threading.Event().wait()\n"
    )
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    process = start_framehook("gui", LIVE, "--callbacks", "hang.py", **home)
    wait_for((tmp_path / "playing").exists)
    process.interrupt(signal.SIGTERM)
    ended = process.finish()
    assert (ended.code, ended.out, quiet(ended.err)) == (0, "", "")


def test_a_callback_that_never_returns_does_not_end_a_program_of_the_users_own(open_window):
    window = open_window(LIVE, more=HANG)
    window.saw("playing")
    assert window.end() == (0, "closed with 0\n", "")


def test_a_server_that_does_not_answer_keeps_the_window_from_nothing(open_window):
    shown = 'QTimer.singleShot(500, lambda: mark("shown"))\n'
    with socket.create_server(("127.0.0.1", 0)) as silent:
        window = open_window(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live", more=shown)
        window.saw("shown")
        assert window.end() == (0, "closed with 0\n", "")


@pytest.mark.parametrize("action", ["open_source", "export", "load_callbacks", "about"])
def test_a_dialog_that_is_open_is_closed_with_the_window(open_window, action):
    shown = f"""
from PyQt6.QtWidgets import QDialog
def ask():
    if len(frames) < 5:
        return
    timer.stop()
    window().actions_by_name[{action!r}].trigger()
    if any(each.isVisible() for each in window().findChildren(QDialog)):
        mark("asked")
timer = QTimer()
timer.timeout.connect(ask)
timer.start(20)
"""
    window = open_window(LIVE, more=shown)
    window.saw("asked")
    assert window.end() == (0, "closed with 0\n", "")


def test_a_second_window_in_another_process_plays_beside_the_first(open_window, tmp_path):
    windows = [open_window(LIVE, folder=tmp_path / name) for name in ("one", "two")]
    for each in windows:
        each.saw("playing")
    assert windows[0].end() == (0, "closed with 0\n", "")
    assert windows[1].runs()
    assert windows[1].end() == (0, "closed with 0\n", "")


def test_windows_can_be_shown_one_after_another(open_window):
    again = """
QTimer.singleShot(0, lambda: window().close())
print("first", show(model))
"""
    window = open_window(LIVE, more=again)
    window.saw("playing")
    assert window.end() == (0, "first 0\nclosed with 0\n", "")


def test_an_error_in_a_slot_is_told_in_the_log_and_the_window_goes_on(open_window):
    broken = """
from PyQt6.QtWidgets import QTableView, QTreeView
def fail():
    window().bridge.noted.connect(lambda note: "is a bug" in note.text and (print(note.text), mark("told")))
    raise RuntimeError("slot is broken")
QTimer.singleShot(0, fail)
"""
    window = open_window(LIVE, more=broken)
    window.saw("told")
    window.saw("playing")
    assert window.end() == (
        0,
        "unexpected RuntimeError: slot is broken; this is a bug, please report it\nclosed with 0\n",
        "",
    )


def test_an_error_while_the_window_appears_is_told_in_the_log(open_window):
    broken = """
from PyQt6.QtCore import QEvent, QObject
class Broken(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Show and watched.objectName() == "framehook":
            application().removeEventFilter(self)
            watched.bridge.noted.connect(lambda note: "is a bug" in note.text and (print(note.text), mark("told")))
            raise RuntimeError("it cannot appear")
        return False
broken = Broken()
application().installEventFilter(broken)
"""
    window = open_window(LIVE, more=broken)
    window.saw("told")
    window.saw("playing")
    code, out, err = window.end()
    told = "unexpected RuntimeError: it cannot appear; this is a bug, please report it"
    assert (code, out, err) == (0, f"{told}\nclosed with 0\n", "")


def test_an_error_while_the_window_is_taken_apart_is_printed_and_ends_no_program(open_window):
    broken = """
from PyQt6.QtCore import QEvent, QObject
class Broken(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.DeferredDelete and watched.objectName() == "framehook":
            application().removeEventFilter(self)
            raise RuntimeError("it cannot go")
        return False
broken = Broken()
application().installEventFilter(broken)
"""
    window = open_window(LIVE, more=broken)
    window.saw("playing")
    code, out, err = window.end()
    assert (code, out) == (0, "closed with 0\n")
    assert err.rstrip().endswith("RuntimeError: it cannot go")


def test_a_source_that_is_not_there_is_told_in_the_window_which_stays(open_window):
    look = """
from PyQt6.QtWidgets import QWidget
def look():
    bar = window().messages
    texts = [each.accessibleName() for each in bar.findChildren(QWidget) if each.isVisible()]
    if any("nowhere.mp4" in text for text in texts):
        timer.stop()
        mark("told")
timer = QTimer()
timer.timeout.connect(look)
timer.start(50)
"""
    window = open_window("nowhere.mp4", more=look)
    window.saw("told")
    assert window.runs()
    assert window.end() == (0, "closed with 0\n", "")


def test_a_wrong_option_is_raised_and_no_window_is_left(open_window):
    window = open_window(more="try:\n    show(model, conf=7)\nexcept ValueError as error:\n    print(error)\n    sys.exit(5)\n")
    code, out, err = window.ended()
    assert (code, err) == (5, "")
    assert out.startswith("conf=7")
