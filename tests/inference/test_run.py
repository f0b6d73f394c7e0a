import gc
import itertools
import subprocess
import sys
import threading
import time

import pytest

from framehook.inference.callbacks import Callbacks

from .brightness import picture, start, values
from .scripted import PATIENCE

PICTURES = [picture(value) for value in range(1, 31)]


def ends(callbacks):
    seen = []
    callbacks.add("on_predict_end", lambda predictor: seen.append(predictor.error))
    return seen


def test_leaving_the_block_ends_the_run():
    callbacks = Callbacks()
    seen = ends(callbacks)
    with start(PICTURES, callbacks=callbacks) as run:
        for _, _result in zip(range(3), run, strict=False):
            pass
    assert seen == [None]
    assert next(run, None) is None
    run.close()
    assert seen == [None]


def test_a_dropped_run_ends_with_a_warning_and_leaves_no_thread():
    before = set(threading.enumerate())
    callbacks = Callbacks()
    seen = ends(callbacks)
    run = start(PICTURES, callbacks=callbacks)
    next(run)
    holder = [run]
    del run
    with pytest.warns(ResourceWarning, match="was dropped before its end; close it, or use `with`"):
        holder.clear()
    assert seen == [None]
    assert set(threading.enumerate()) <= before


def test_a_run_that_was_never_advanced_is_dropped_in_silence_and_fires_nothing():
    callbacks = Callbacks()
    seen = ends(callbacks)
    run = start(PICTURES, callbacks=callbacks)
    del run
    gc.collect()
    assert seen == []


def test_closing_from_another_thread_waits_for_the_frame_under_way():
    callbacks = Callbacks()
    log = []
    under_way = threading.Event()
    callbacks.add("on_predict_batch_end", lambda predictor: (under_way.set(), time.sleep(0.05), log.append("batch")))
    callbacks.add("on_predict_end", lambda predictor: log.append("end"))
    run = start(PICTURES, callbacks=callbacks)
    thread = threading.Thread(target=lambda: list(run))
    thread.start()
    assert under_way.wait(PATIENCE)
    run.close()
    assert log[-1] == "end"
    thread.join()
    assert log.count("end") == 1


def test_closing_from_a_callback_is_stopping():
    callbacks = Callbacks()
    seen = ends(callbacks)
    runs = []
    callbacks.add("on_predict_batch_end", lambda predictor: runs[0].close())
    runs.append(start(PICTURES, callbacks=callbacks))
    assert values(list(runs[0])) == [1]
    assert seen == [None]


def test_several_threads_may_share_a_run():
    run = start(PICTURES)
    taken = []
    threads = [threading.Thread(target=lambda: taken.extend(run)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(values(taken)) == list(range(1, 31))


def test_a_run_left_open_is_closed_when_the_interpreter_exits(tmp_path):
    program = (
        "from framehook import Model\n"
        "import numpy as np\n"
        "from framehook.inference.backends import FunctionBackend\n"
        "net = FunctionBackend(lambda tensor: [np.zeros((1, 5, 1), np.float32)], output_shapes=[(1, 5, None)])\n"
        "model = Model(net, decoder='yolo')\n"
        "model.add_callback('on_predict_end', lambda predictor: print('ended', predictor.stats.frames))\n"
        "run = model.predict('testsrc:64x64@30', stream=True)\n"
        "next(run)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended 1\n", "")


def test_a_callback_cannot_advance_its_own_run_and_the_run_survives_the_attempt(caplog):
    callbacks = Callbacks()
    seen = ends(callbacks)
    runs = []
    callbacks.add("on_predict_batch_end", lambda predictor: next(runs[0]), on_error="log")
    runs.append(start(PICTURES[:3], callbacks=callbacks))
    assert values(list(runs[0])) == [1, 2, 3]
    assert seen == [None]
    assert "a callback asked its own run for the next result; only who iterates the run can" in caplog.text


def wait_for(ended):
    deadline = time.monotonic() + PATIENCE
    while not ended and time.monotonic() < deadline:
        time.sleep(0.01)
        gc.collect()


def test_an_abandoned_run_may_be_collected_in_one_of_its_own_threads():
    class Owner:
        """Keeps its run in a cycle, so that it is collected by whatever thread happens to."""

        def __init__(self):
            self.ended = []
            self.callbacks = Callbacks()
            self.callbacks.add("on_predict_end", self.on_end)
            self.run = start(itertools.chain(PICTURES, [CollectsGarbage()]), callbacks=self.callbacks)

        def on_end(self, predictor):
            ended.append(predictor.error)

    class CollectsGarbage:
        def __array__(self, dtype=None, copy=None):
            gc.collect()
            return picture(1)

    ended = []
    gc.disable()
    try:
        owner = Owner()
        next(owner.run)
        del owner
        with pytest.warns(ResourceWarning):
            wait_for(ended)
    finally:
        gc.enable()
    assert ended == [None]
