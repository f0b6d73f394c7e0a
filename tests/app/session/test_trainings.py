import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
import yaml

from framehook.app.session.state import Level
from framehook.app.session.trainings import MAP, MAP50, ExampleSet, TrainingJob, check_installed, free_folder
from framehook.inference.errors import MissingDependencyError, OptionError, UnknownOptionError
from framehook.inference.nets.architecture import Scale, architecture_of
from framehook.model import Model
from framehook.training.data.example import write_example

from .training_child import COMMAND as STAND_IN

WAIT = 300.0


def epoch(number, box, **metrics):
    return {"ended": {"epoch": number, "figures": {"train/box_loss": box, **metrics}}}


def batch(number, of_epoch, box, left):
    return {"epoch": of_epoch, "batch": number, "losses": {"train/box_loss": box}, "left": left}


BEGIN = {"stage": "training", "epoch": 1, "epochs": 3, "batch": 0, "batches": 2, "device": "cpu", "losses": {}}


class Watch:
    """A training, and every state it was in."""

    def __init__(self, source, options, **how):
        self._news = threading.Condition()
        self.states = []
        self.notes = []
        self.job = None
        with self._news:  # so that nothing is told before the job is known here
            self.job = TrainingJob(source, options, self._changed, note=lambda *note: self.notes.append(note), **how)

    def _changed(self):
        with self._news:
            self.states.append(self.job.state)
            self._news.notify_all()

    def wait_for(self, condition):
        with self._news:
            assert self._news.wait_for(lambda: any(condition(each) for each in self.states), WAIT), self.job.state
        return self.job.state

    def end(self):
        self.wait_for(lambda state: not state.going_on)
        assert self.job.close(WAIT)
        return self.job.state


@pytest.fixture
def play(tmp_path):
    """Begin a training that is not one, but speaks as one."""

    def begin(*said, **how):
        (tmp_path / "said.json").write_text(json.dumps(said))
        options = {"data": str(tmp_path / "said.json"), "save_dir": str(tmp_path / "train")}
        return Watch("yolo11n.yaml", options, command=STAND_IN, **how)

    return begin


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return write_example(tmp_path_factory.mktemp("data") / "shapes", train=6, val=3, size=(64, 64))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A file that describes YOLO11 in miniature."""
    path = tmp_path_factory.mktemp("nets") / "tiny.yaml"
    small = dataclasses.replace(architecture_of("yolo11n", nc=3), scale=Scale(0.33, 0.0625, 1024))
    path.write_text(yaml.safe_dump(small.as_dict()))
    return path


# A training that is not one --------------------------------------------------------------------------------------------------


def test_a_training_is_told_of_batch_by_batch_and_epoch_by_epoch(play, tmp_path):
    cv2.imwrite(str(tmp_path / "blue.png"), np.full((20, 30, 3), (255, 0, 0), np.uint8))
    watch = play(
        BEGIN,
        batch(1, 1, 2.0, 30.0),
        batch(2, 1, 1.5, 20.0),
        epoch(1, 1.5, **{MAP50: 0.5, MAP: 0.25}),
        {"write": "last.pt"},
        {"write": "best.pt"},
        {"best": "best.pt", "last": "last.pt"},
        {"copy": str(tmp_path / "blue.png"), "write": "found.png"},
        {"picture": "found.png"},
        batch(1, 2, 1.0, 10.0),
        epoch(2, 1.0, **{MAP50: 0.4, MAP: 0.2}),
        {"done": {"why": "patience", "epochs": 2}},
    )
    state = watch.end()
    stages = list(dict.fromkeys(each.stage for each in watch.states))
    assert stages == ["reading the data", "training", "done"]
    fractions = [each.fraction for each in watch.states if each.fraction is not None]
    assert fractions[0] == 0
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(0.5)
    assert next(each.left for each in watch.states if each.left is not None) == 30.0
    assert [each.losses["train/box_loss"] for each in watch.states if each.batch == 1 and each.losses][:1] == [2.0]
    assert [(each.epoch, each.figures["train/box_loss"]) for each in state.history] == [(1, 1.5), (2, 1.0)]
    assert state.best_epoch.epoch == 1
    assert (state.folder, state.best) == (tmp_path / "train", tmp_path / "train" / "best.pt")
    assert state.sample.pixels.shape == (20, 30, 3)
    assert state.sample.pixels[0, 0].tolist() == [0, 0, 255]
    assert (state.going_on, state.error, state.left, state.device) == (False, None, None, "cpu")
    assert state.report["why"] == "patience"


def test_a_training_that_is_told_to_stop_ends_as_one_does(play):
    watch = play(BEGIN, {"wait": "stop"}, epoch(1, 1.0), {"done": {"why": "stop"}})
    watch.wait_for(lambda state: state.epoch == 1)
    watch.job.stop()
    assert watch.job.state.stopping
    watch.job.stop()
    state = watch.end()
    assert (state.error, state.report["why"], len(state.history)) == (None, "stop", 1)
    watch.job.stop()
    assert not watch.job.state.going_on


def test_a_training_can_be_told_to_stop_before_its_process_is_there(play):
    watch = play({"wait": "stop"}, {"done": {"why": "stop"}})
    watch.job.stop()
    assert watch.end().report["why"] == "stop"


def test_a_training_can_be_ended_at_once_and_what_it_wrote_stays(play, tmp_path):
    watch = play(BEGIN, {"write": "last.pt"}, {"last": "last.pt"}, {"wait": "for ever"})
    watch.wait_for(lambda state: state.last is not None)
    assert watch.job.close(WAIT)
    state = watch.job.state
    assert (state.going_on, state.error, state.stage) == (False, None, "ended")
    assert state.last.is_file()


def test_what_the_library_logs_is_handed_on(play):
    watch = play(
        {"note": "3 labels were left out", "level": "WARNING"},
        {"note": "all is well", "level": "INFO"},
        {"note": "the disk is full", "level": "ERROR"},
        {"done": {}},
    )
    watch.end()
    assert watch.notes == [
        (Level.WARNING, "3 labels were left out", ""),
        (Level.INFO, "all is well", ""),
        (Level.ERROR, "the disk is full", ""),
    ]


def test_what_libraries_print_is_the_detail_of_a_failure_and_nothing_else(play):
    state = play({"print": "a library says\n"}, {"error": "the data is empty"}, {"end": 1}).end()
    assert state.error == "the data is empty"
    assert state.detail == "a library says\na library says"
    assert "ended with code 3" in play({"end": 3}).end().error


@pytest.mark.parametrize("said", [{"ended": {"epoch": 1}}, {"note": "without a level"}, {"folder": 5}])
def test_a_training_that_says_what_is_not_understood_is_ended_with_an_error(play, said):
    state = play(BEGIN, said, {"wait": "for ever"}).end()
    assert state.error.startswith("the training was ended, as it said what is not understood: {'")
    assert next(iter(said)) in state.error


def test_a_picture_that_cannot_be_read_is_passed_over(play):
    state = play(BEGIN, {"write": "found.jpg"}, {"picture": "found.jpg"}, {"picture": "none.jpg"}, {"done": {}}).end()
    assert (state.sample, state.error) == (None, None)


def test_an_epoch_that_begins_again_takes_the_place_of_the_one_before(play):
    state = play(epoch(1, 3.0), epoch(2, 2.0), epoch(2, 1.0), {"done": {}}).end()
    assert [(each.epoch, each.figures["train/box_loss"]) for each in state.history] == [(1, 3.0), (2, 1.0)]


def test_a_training_that_is_gone_on_with_keeps_what_there_was(play):
    before = play(BEGIN, epoch(1, 3.0), {"write": "last.pt"}, {"last": "last.pt"}, {"done": {}}).end()
    watch = play({"wait": "stop"}, epoch(2, 0.5), {"done": {}}, before=before)
    assert watch.job.state.last == before.last
    watch.job.stop()
    state = watch.end()
    assert [(each.epoch, each.figures["train/box_loss"]) for each in state.history] == [(1, 3.0), (2, 0.5)]
    assert (state.last, state.folder, state.epochs) == (before.last, before.folder, 3)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [({"epochs": 0}, OptionError, "epochs=0 is out of range"), ({"epoch": 3}, UnknownOptionError, "epochs")],
)
def test_options_that_cannot_be_are_refused_before_anything_is_started(options, kind, message):
    with pytest.raises(kind, match=message):
        TrainingJob("yolo11n.yaml", options, lambda: None)


def test_missing_packages_are_told_in_a_line_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # which is how Python notes that there is no such module
    with pytest.raises(
        MissingDependencyError, match=r"^trainings need torch, which is not .* pip install 'framehook\[train\]'$"
    ):
        check_installed()
    with pytest.raises(MissingDependencyError):
        TrainingJob("yolo11n.yaml", {}, lambda: None)


def test_a_process_that_cannot_be_started_is_told(tmp_path):
    state = Watch("yolo11n.yaml", {"data": "data.yaml"}, command=[str(tmp_path / "none")]).end()
    assert state.error.startswith("the training cannot be started: ")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals there")
@pytest.mark.parametrize(("number", "said"), [(signal.SIGKILL, "for want of memory"), (signal.SIGSEGV, "died of SIGSEGV")])
def test_a_process_that_dies_is_told_in_one_line(play, number, said):
    watch = play(BEGIN, {"wait": "for ever"})
    watch.wait_for(lambda state: state.epoch == 1)
    os.kill(watch.job.pid, number)
    state = watch.end()
    assert said in state.error
    assert "\n" not in state.error


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc")
def test_a_training_ends_with_the_app_that_wanted_it(tmp_path):
    program = """
import os, sys, threading
from framehook.app.session.trainings import TrainingJob

begun = threading.Event()
options = {"data": sys.argv[1], "save_dir": sys.argv[2]}
job = TrainingJob("yolo11n.yaml", options, lambda: job.state.epoch and begun.set(), command=sys.argv[3:])
begun.wait(300)
print(job.pid, flush=True)
os._exit(0)
"""
    (tmp_path / "said.json").write_text(json.dumps([BEGIN, {"wait": "for ever"}]))
    arguments = [str(tmp_path / "said.json"), str(tmp_path / "train"), *STAND_IN]
    done = subprocess.run([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, timeout=WAIT, check=True)
    child, deadline = int(done.stdout), time.monotonic() + WAIT
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:  # nobody may have asked yet how it ended
        return stat.read().rpartition(")")[2].split()[0] != "Z"


# A real one ------------------------------------------------------------------------------------------------------------------


def test_a_network_is_trained_in_another_process_and_can_be_run_then(example, tiny, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for so small a network threads are a waste
    options = {"data": str(example), "epochs": 2, "imgsz": 64, "batch": 3, "workers": 0, "device": "cpu", "plots": False}
    options |= {"val_period": 2}
    watch = Watch(tiny, {**options, "save_dir": str(tmp_path / "train")})
    state = watch.end()
    assert state.error is None, state.detail
    assert [each.epoch for each in state.history] == [1, 2]
    # Not once more where they are those of another epoch.
    assert [MAP in each.figures for each in state.history] == [False, True]
    assert {"train/box_loss", "train/cls_loss", "train/dfl_loss", "val/box_loss", MAP50, MAP, "lr/pg0"} <= set(
        state.history[-1].figures
    )
    assert (state.epochs, state.batches, state.device, state.fraction) == (2, 2, "cpu", 1.0)
    assert {"loading PyTorch", "reading the data", "training", "validating"} <= {each.stage for each in watch.states}
    assert state.best == tmp_path / "train" / "weights" / "best.pt"
    assert state.last.is_file()
    assert state.report["epochs"] == 2
    assert state.sample.pixels.ndim == 3
    assert any("6 pictures" in text for _, text, _ in watch.notes)
    assert Model(state.best).names == {0: "circle", 1: "square", 2: "triangle"}


def test_data_that_is_not_there_is_told_in_one_line(tmp_path):
    pytest.importorskip("torch")
    options = {"data": str(tmp_path / "none.yaml"), "save_dir": str(tmp_path / "train"), "device": "cpu"}
    state = Watch("yolo11n.yaml", options).end()
    assert "none.yaml" in state.error
    assert "\n" not in state.error
    assert not list(tmp_path.iterdir())


# What is around it -----------------------------------------------------------------------------------------------------------


def test_each_training_has_a_folder_of_its_own(tmp_path):
    for expected in ("train", "train2", "train3"):
        folder = free_folder(tmp_path)
        assert folder == tmp_path / expected
        folder.mkdir()


def test_the_example_set_is_drawn_once(tmp_path):
    told = threading.Event()
    first = ExampleSet(tmp_path / "shapes", told.set)
    assert told.wait(WAIT)
    assert first.close(WAIT)
    assert (first.path, first.error) == (tmp_path / "shapes" / "data.yaml", None)
    (tmp_path / "shapes" / "images" / "mine.txt").write_text("stays")
    again = ExampleSet(tmp_path / "shapes", lambda: None)
    assert again.close(WAIT)
    assert again.path == first.path
    (tmp_path / "file").write_text("in the way")
    failed = ExampleSet(tmp_path / "file" / "shapes", lambda: None)
    assert failed.close(WAIT)
    assert failed.path is None
    assert "file" in failed.error
