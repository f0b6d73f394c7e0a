"""Ctrl-C: everything is saved and told, whatever the source."""

import signal
import time

import pytest


def wait_for(condition, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


MARK = """
seen = []

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
    process = start_framehook("track", source, "--save", "--callbacks", "mark.py")
    mark()
    process.interrupt(number)
    told = process.finish(timeout=10)
    assert told.code == code
    assert told.err == ""
    said = told.out.splitlines()
    frames = int(said[0].split()[1].replace(",", ""))
    saved = next(line for line in said if line.strip().startswith("saved")).split()[1]
    assert frames >= 6
    assert frames_in(tmp_path / saved) == frames


STUCK = (
    MARK
    + """
        import threading
        threading.Event().wait()
"""
)


def test_a_second_one_ends_a_callback_that_hangs(start_framehook, tmp_path, frames_in):
    (tmp_path / "mark.py").write_text(STUCK)
    process = start_framehook("predict", "testsrc:320x240@30", "--save", "--callbacks", "mark.py")
    wait_for((tmp_path / "running").exists)
    process.interrupt()
    time.sleep(0.3)
    process.interrupt()
    told = process.finish(timeout=10)
    assert told.code == 130
    assert "Traceback" not in told.err
    (recording,) = (tmp_path / "runs" / "predict").glob("*.mp4")
    assert frames_in(recording) >= 5
