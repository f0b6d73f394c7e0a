"""Ctrl-C: everything is saved and told, whatever the source."""

import signal
import subprocess
import sys
import time

import pytest

from framehook.app.interrupt import stopping_signals


def wait_for(condition, timeout=180):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


MARK = """
from framehook.inference.callbacks import Recorder

seen = []

def on_predict_end(predictor):
    with open("left_out", "w") as file:
        file.write(str(sum(each.dropped for each in predictor.callbacks.objects(Recorder))))

def on_predict_batch_end(predictor):
    seen.append(predictor.frame.index)
    if len(seen) == 6:
        open("running", "w").close()
"""


@pytest.fixture
def mark(tmp_path):
    """A callback file that tells when a run is under way, and a function that waits for it."""
    (tmp_path / "mark.py").write_text(MARK)
    return lambda: wait_for((tmp_path / "running").exists)


@pytest.mark.parametrize(
    ("source", "number", "code"),
    [
        ("testsrc:320x240@30:live", signal.SIGINT, 0),
        ("testsrc:320x240@30:live", signal.SIGTERM, 0),
        ("testsrc:320x240@30:100000", signal.SIGINT, 130),
    ],
)
def test_it_ends_a_run_and_leaves_a_playable_recording(start_framehook, mark, frames_in, tmp_path, source, number, code):
    process = start_framehook("predict", source, "--save", "--callbacks", "mark.py")
    mark()
    process.interrupt(number)
    told = process.finish()
    assert told.code == code
    assert told.err == ""
    said = told.out.splitlines()
    frames = int(said[0].split()[1].replace(",", ""))
    saved = next(line for line in said if line.strip().startswith("saved")).split()[1]
    assert frames >= 6
    # Of something live those are left out for which encoding has no time.
    assert frames_in(tmp_path / saved) == frames - int((tmp_path / "left_out").read_text())


STUCK = (
    MARK
    + """
        import signal, threading, time
        while signal.getsignal(signal.SIGINT).__self__.received is None:
            time.sleep(0.01)
        open("interrupted", "w").close()
        threading.Event().wait()
"""
)


def test_a_second_one_ends_a_callback_that_hangs(start_framehook, tmp_path, frames_in):
    (tmp_path / "mark.py").write_text(STUCK)
    process = start_framehook("predict", "testsrc:320x240@30", "--save", "--callbacks", "mark.py")
    wait_for((tmp_path / "running").exists)
    process.interrupt()
    wait_for((tmp_path / "interrupted").exists)  # two at once would be one
    process.interrupt()
    told = process.finish()
    assert told.code == 130
    assert "Traceback" not in told.err
    (recording,) = (tmp_path / "runs" / "predict").glob("*.mp4")
    assert frames_in(recording) >= 5


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="closing a console is told in another way here")
def test_a_closed_terminal_leaves_a_playable_recording_unless_nohup_says_to_go_on(start_framehook, mark, frames_in, tmp_path):
    process = start_framehook("predict", "testsrc:320x240@30:live", "--save", "--callbacks", "mark.py")
    mark()
    process.interrupt(signal.SIGHUP)
    assert process.finish().code == 0
    (recording,) = (tmp_path / "runs" / "predict").glob("*.mp4")
    assert frames_in(recording) >= 6
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in stopping_signals()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("module", "raised"),
    [
        ("typer", "KeyboardInterrupt"),
        ("rich.console", "KeyboardInterrupt"),
        ("framehook.model", "KeyboardInterrupt"),
        ("framehook.model", "ImportError('initialization failed') from KeyboardInterrupt()"),
    ],
)
def test_it_is_quiet_while_modules_are_still_being_imported(tmp_path, module, raised):
    """As Ctrl-C comes out of the import of a module, one written in C included."""
    if module != "framehook.model" and raised != "KeyboardInterrupt":
        pytest.skip("written in Python")
    program = f"""
import builtins, sys
plain = builtins.__import__
def interrupted(name, *rest):
    if name == {module!r}:
        raise {raised}
    return plain(name, *rest)
builtins.__import__ = interrupted
from framehook.app.cli import main
main(["predict", "testsrc:64x48:1"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
