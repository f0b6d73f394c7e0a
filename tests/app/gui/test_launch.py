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
import os, signal, sys
from pathlib import Path
from PyQt6.QtCore import QEvent, QObject, QTimer
from PyQt6.QtWidgets import QApplication, QDialog, QWidget
from framehook import Model
from framehook.app.gui import show
from framehook.app.gui.launch import application

def windows():
    return [each for each in QApplication.topLevelWidgets() if each.objectName() == "framehook"]

def window():
    return windows()[0]

def mark(name):
    Path(name).touch()

model = Model()
frames = []
turns = []

def count(predictor):
    frames.append(predictor.frame.index)
    if len(frames) == 10:
        mark(f"playing {len(turns)}")

model.add_callback("on_predict_batch_end", count)

def play(*sources):
    frames.clear()
    turns.append(sources)
    # What follows and draws takes long to import, and is not what this is about.
    print("closed with", show(model, *sources, pace="realtime", tracker=None, overlay=None), flush=True)

application()
"""

LIVE = "testsrc:160x120@15:live"
PLAY = f"play({LIVE!r})\n"
LIMIT = 180
"""Seconds in which a program must have come so far, on a machine that does much else."""


def wait_for(condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def quiet(err):
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith(NOISE))


class Window:
    """A program that opens windows."""

    def __init__(self, folder, does):
        self._folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "Videos").mkdir(exist_ok=True)
        home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "XDG_VIDEOS_DIR": str(folder / "Videos")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM + does],
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

    def send(self, number):
        self._process.send_signal(number)

    def end(self):
        """Send a signal, and return the exit code and what was printed."""
        self.send(signal.SIGINT)
        return self.ended()

    def ended(self):
        out, err = self._process.communicate(timeout=LIMIT)
        return self._process.returncode, out, quiet(err)

    def kill(self):
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def open_window(tmp_path):
    opened = []

    def open_it(does=PLAY, folder=tmp_path):
        opened.append(Window(folder, does))
        return opened[-1]

    yield open_it
    for window in opened:
        window.kill()


def test_windows_can_be_shown_one_after_another_and_a_signal_closes_each_as_its_cross_does(open_window):
    first = "QTimer.singleShot(0, lambda: window().close())\nplay()\n"
    window = open_window(first + 3 * PLAY)
    for turn, number in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), 2):
        window.saw(f"playing {turn}")
        window.send(number)
    assert window.ended() == (0, 4 * "closed with 0\n", "")


RECORD = """
def begin():
    state = window().bridge.state
    if state.takes and state.takes[0].paths:
        window().bridge.state_changed.disconnect(begin)
        turns.append("recording")
        frames.clear()
    elif window().actions_by_name["record"].isEnabled() and not state.takes:
        window().actions_by_name["record"].trigger()

QTimer.singleShot(0, lambda: window().bridge.state_changed.connect(begin))
"""


def test_what_is_recorded_is_complete_when_the_window_was_closed(open_window, tmp_path):
    window = open_window(RECORD + PLAY)
    window.saw("playing 2")
    assert window.end() == (0, "closed with 0\n", "")
    (video,) = (tmp_path / "Videos" / "Framehook").glob("*.mp4")
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 9


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
    ended = process.finish(LIMIT)
    assert (ended.code, ended.out, quiet(ended.err)) == (0, "", "")


HANG = """
import threading
model.add_callback("on_predict_batch_end", lambda predictor: len(frames) == 10 and threading.Event().wait())
"""


def test_a_callback_that_never_returns_does_not_end_a_program_of_the_users_own(open_window):
    window = open_window(HANG + PLAY)
    window.saw("playing 1")
    assert window.end() == (0, "closed with 0\n", "")


def test_a_server_that_does_not_answer_keeps_the_window_from_nothing(open_window):
    shown = 'QTimer.singleShot(500, lambda: mark("shown"))\n'
    with socket.create_server(("127.0.0.1", 0)) as silent:
        window = open_window(f'{shown}play("rtsp://127.0.0.1:{silent.getsockname()[1]}/live")\n')
        window.saw("shown")
        assert window.end() == (0, "closed with 0\n", "")


DIALOGS = """
def ask(name):
    def look():
        if len(frames) < 5:
            return
        timer.stop()
        window().actions_by_name[name].trigger()
        print(name, any(each.isVisible() for each in window().findChildren(QDialog)), flush=True)
        os.kill(os.getpid(), signal.SIGINT)

    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(20)
    return timer

"""


def test_a_dialog_that_is_open_is_closed_with_the_window(open_window):
    actions = ("open_source", "export", "load_callbacks", "about")
    asked = DIALOGS + "".join(f"timer = ask({action!r})\n{PLAY}" for action in actions)
    printed = "".join(f"{action} True\nclosed with 0\n" for action in actions)
    assert open_window(asked).ended() == (0, printed, "")


def test_a_second_window_in_another_process_plays_beside_the_first(open_window, tmp_path):
    windows = [open_window(folder=tmp_path / name) for name in ("one", "two")]
    for each in windows:
        each.saw("playing 1")
    assert windows[0].end() == (0, "closed with 0\n", "")
    assert windows[1].runs()
    assert windows[1].end() == (0, "closed with 0\n", "")


ERRORS = """
def listen():
    turn = len(turns)
    window().bridge.noted.connect(lambda note: "is a bug" in note.text and (print(note.text), mark(f"told {turn}")))

def fail():
    listen()
    raise RuntimeError("slot is broken")

class Broken(QObject):
    def __init__(self, kind, text):
        super().__init__()
        self.kind, self.text = kind, text
        application().installEventFilter(self)

    def eventFilter(self, watched, event):
        if event.type() == self.kind and watched.objectName() == "framehook":
            application().removeEventFilter(self)
            if self.kind == QEvent.Type.Show:
                listen()
            raise RuntimeError(self.text)
        return False

"""


def test_errors_in_the_window_are_told_in_its_log_and_it_goes_on(open_window):
    slot = f"QTimer.singleShot(0, fail)\n{PLAY}"
    appears = f'broken = Broken(QEvent.Type.Show, "it cannot appear")\n{PLAY}'
    goes = f'broken = Broken(QEvent.Type.DeferredDelete, "it cannot go")\n{PLAY}print("the program goes on")\n'
    window = open_window(ERRORS + slot + appears + goes)
    for turn in (1, 2, 3):
        if turn < 3:
            window.saw(f"told {turn}")
        window.saw(f"playing {turn}")
        window.send(signal.SIGINT)
    code, out, err = window.ended()
    told = "".join(
        f"unexpected RuntimeError: {text}; this is a bug, please report it\nclosed with 0\n"
        for text in ("slot is broken", "it cannot appear")
    )
    assert (code, out) == (0, f"{told}closed with 0\nthe program goes on\n")
    # While a window is taken apart there is none to tell of it.
    assert err.count("Traceback") == 1
    assert err.rstrip().endswith("RuntimeError: it cannot go")


WRONG = """
try:
    show(model, conf=7)
except ValueError as error:
    print(error, flush=True)
assert not windows()

def look():
    bar = window().messages
    texts = [each.accessibleName() for each in bar.findChildren(QWidget) if each.isVisible()]
    if any("nowhere.mp4" in text for text in texts):
        timer.stop()
        mark("told")

timer = QTimer()
timer.timeout.connect(look)
timer.start(50)
play("nowhere.mp4")
sys.exit(5)
"""


def test_a_wrong_option_is_raised_without_a_window_and_a_source_that_is_not_there_is_told_in_one_that_stays(open_window):
    window = open_window(WRONG)
    window.saw("told")
    assert window.runs()
    code, out, err = window.end()
    assert (code, err) == (5, "")
    assert out.startswith("conf=7")
    assert out.endswith("\nclosed with 0\n")
