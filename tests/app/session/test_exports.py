import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from framehook.app.session.exports import ExportJob, check_installed
from framehook.inference.errors import MissingDependencyError, OptionError, UnknownOptionError
from framehook.model import Model
from tests.export.slow import save_slow

WAIT = 600.0
"""Seconds that anything may take where much else goes on, which exports let go first."""
SCENE = "testsrc:320x240@30:3"  # so few that all are compared, however long it takes


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A model whose comparison takes minutes."""
    return save_slow(tmp_path_factory.mktemp("slow") / "slow.onnx")


def of_slow(folder):
    """Options of its export to `person.onnx`, which soon begins to compare."""
    return {"simplify": False, "data": "testsrc:320x240@30:8", "output": str(folder / "person.onnx")}


class Watch:
    """An export, and every state it was in."""

    def __init__(self, spec, options, **source):
        self._news = threading.Condition()
        self.states = []
        self.job = None
        with self._news:  # so that nothing is told before the job is known here
            self.job = ExportJob(spec, options, self._changed, **source)

    def _changed(self):
        with self._news:
            self.states.append(self.job.state)
            self._news.notify_all()

    def wait_for(self, condition):
        with self._news:
            reached = self._news.wait_for(lambda: any(condition(each) for each in self.states), WAIT)
        if not reached:
            state = self.job.state
            self.job.close(WAIT)
            pytest.fail(f"it did not come so far: {state}")
        return self.job.state

    def end(self):
        self.wait_for(lambda state: not state.going_on)
        assert self.job.close(WAIT)
        return self.job.state


def test_a_model_is_exported_in_another_process_and_told_of_stage_by_stage(tmp_path):
    watch = Watch(None, {"preprocess": True, "data": SCENE, "output": str(tmp_path / "person.onnx")})
    state = watch.end()
    assert (state.error, state.cancelled, state.fraction) == (None, False, 1.0)
    assert state.path == tmp_path / "person.onnx"
    stages = list(dict.fromkeys(each.stage for each in watch.states))
    assert stages[0] == "loading the model"
    assert "comparing with the source" in stages
    assert state.stages == ("starting", *stages[:-1])
    assert stages[-1] == "done"
    told = [each.fraction for each in watch.states if each.fraction is not None]
    assert told == sorted(told)
    assert state.report["options"]["preprocess"] is True
    assert state.report["parity"]["frames"] == 3
    assert state.lines[0].startswith("person320.onnx -> ")
    rows = dict(state.rows)
    assert list(rows)[:3] == ["size", "compared", "network"]
    assert "3 frames of" in rows["compared"]
    assert "same" in rows["network"]
    assert list(tmp_path.iterdir()) == [state.path]
    assert len(list(Model(state.path).predict(SCENE, stream=True))) == 3


def test_what_is_known_of_a_source_that_does_not_say_it_itself_is_handed_on(tmp_path, data_dir):
    options = {"verify": False, "simplify": False, "output": str(tmp_path)}
    state = Watch(data_dir / "models" / "yolox_nano_416.onnx", options, device="cpu", decoder="yolox").end()
    assert state.error is None
    assert state.path.parent == tmp_path
    assert Model(state.path).detector.decoder.name == "yolox"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"half": True, "int8": True, "data": SCENE}, "exclude each other"),
        ({"int8": True}, "pass data, too"),
        ({"opset": 3}, "opset=3 is out of range"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_started(options, message):
    with pytest.raises(OptionError, match=message):
        Watch(None, options)
    with pytest.raises(UnknownOptionError, match="simplify"):
        Watch(None, {"simplfy": True})


def test_a_file_that_is_no_model_is_told_in_one_line(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no model at all" * 100)
    state = Watch(tmp_path / "bad.onnx", {}).end()
    assert "bad.onnx" in state.error
    assert "\n" not in state.error
    assert (state.path, state.cancelled, state.lines) == (None, False, ())
    assert [path.name for path in tmp_path.iterdir()] == ["bad.onnx"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    state = Watch(None, {"verify": False, "output": str(tmp_path / "file" / "person.onnx")}).end()
    assert "file" in state.error


def test_an_export_that_is_called_off_leaves_nothing(tmp_path, slow):
    (tmp_path / "person.onnx").write_bytes(b"what was there")
    watch = Watch(slow, of_slow(tmp_path))
    watch.wait_for(lambda state: state.stage == "comparing with the source")
    assert len(list(tmp_path.iterdir())) == 2  # the unfinished one is hidden
    watch.job.cancel()
    state = watch.end()
    assert (state.cancelled, state.error, state.path, state.going_on) == (True, None, None, False)
    assert [path.name for path in tmp_path.iterdir()] == ["person.onnx"]
    assert (tmp_path / "person.onnx").read_bytes() == b"what was there"


def test_an_export_can_be_called_off_at_once_and_again_after_its_end(tmp_path, slow):
    watch = Watch(slow, of_slow(tmp_path))
    watch.job.cancel()
    assert watch.end().cancelled
    watch.job.cancel()
    assert watch.job.close(0)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals there")
@pytest.mark.parametrize(("number", "said"), [(signal.SIGKILL, "for want of memory"), (signal.SIGSEGV, "died of SIGSEGV")])
def test_a_process_that_dies_is_told_in_one_line_and_leaves_nothing(tmp_path, slow, number, said):
    watch = Watch(slow, of_slow(tmp_path))
    watch.wait_for(lambda state: state.stage == "comparing with the source")
    os.kill(watch.job.pid, number)
    state = watch.end()
    assert said in state.error
    assert not state.cancelled
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc")
def test_an_export_ends_with_the_app_that_wanted_it(tmp_path):
    program = """
import json, os, sys, time
from framehook.app.session.exports import ExportJob

job = ExportJob(sys.argv[1], json.loads(sys.argv[2]), lambda: None)
while not job.state.stage.startswith("comparing"):
    time.sleep(0.01)
print(job.pid, flush=True)
os._exit(0)
"""
    # It is compared for many seconds, in calls that are short: when its time to end is up, a process leaves what it wrote.
    model, folder = save_slow(tmp_path / "slow.onnx", 50), tmp_path / "folder"
    folder.mkdir()
    options = {**of_slow(folder), "data": "testsrc:320x240@30:32"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(model), json.dumps(options)], stdout=subprocess.PIPE, timeout=WAIT, check=True
    )
    child, deadline = int(done.stdout), time.monotonic() + WAIT
    while list(folder.iterdir()) or alive(child):
        assert time.monotonic() < deadline, list(folder.iterdir())
        time.sleep(0.01)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"  # nobody may have asked yet how it ended
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_libraries_print_does_not_get_into_what_is_said(tmp_path):
    options = {"verify": False, "simplify": False, "output": str(tmp_path / "person.onnx")}
    wanted = {"spec": None, "source": {}, "options": options}
    program = "import sys; from framehook.app import export_child; sys.exit(export_child.main())"
    noisy = "import atexit; atexit.register(print, 'printed'); " + program
    process = subprocess.Popen(
        [sys.executable, "-c", noisy], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdin.write(json.dumps(wanted).encode() + b"\n")
    process.stdin.flush()
    said = [json.loads(line) for line in process.stdout]
    printed = process.stderr.read()
    assert process.wait(WAIT) == 0
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    assert said[-1]["report"]["path"] == str(tmp_path / "person.onnx")
    assert b"printed" in printed


def test_missing_packages_are_told_before_anything_is_started(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)  # which is how Python notes that there is no such module
    with pytest.raises(MissingDependencyError, match=r"onnx, which is not installed; .* pip install 'framehook\[export\]'"):
        ExportJob(None, {}, lambda: None)
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "torch", None)
    check_installed(None)
    check_installed("model.onnx")
    with pytest.raises(MissingDependencyError, match=r"checkpoints need torch.*framehook\[torch\]"):
        check_installed("model.PT")
