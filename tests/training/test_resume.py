"""Trainings that are interrupted, and gone on with."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from framehook.inference.errors import DatasetError, ModelNotFoundError, OptionError, TrainingError  # noqa: E402
from framehook.training.data.example import write_example  # noqa: E402
from framehook.training.trainer import Trainer  # noqa: E402

OPTIONS: dict[str, Any] = {"epochs": 4, "imgsz": 64, "batch": 8, "nbs": 16, "workers": 0, "plots": False, "mixup": 0.2}
SCRIPT = """
import sys, os, signal
from framehook.training.trainer import Trainer

start, data, folder, workers = sys.argv[1:]
options = dict(epochs=4, imgsz=64, batch=8, nbs=16, workers=int(workers), plots=False, mixup=0.2)
trainer = Trainer(start, data=data, save_dir=folder, **options)

def die(trainer):
    if trainer.epoch == 2 and trainer.batch_i == 1:
        os.kill(os.getpid(), signal.SIGKILL)

trainer.callbacks.add("on_train_batch_end", die)
trainer.run()
"""


@pytest.fixture(scope="module")
def whole(tiny_checkpoint, example, tmp_path_factory) -> Trainer:
    """A training that nothing interrupted."""
    trainer = Trainer(tiny_checkpoint, data=example, save_dir=tmp_path_factory.mktemp("whole"), **OPTIONS)
    trainer.run()
    return trainer


@pytest.fixture(scope="module")
def killed(tiny_checkpoint, example, tmp_path_factory) -> Path:
    """Folder of the same training, with worker processes, that was killed in its third epoch; to be copied."""
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tiny_checkpoint), str(example), str(folder), "2"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        timeout=900,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(whole, killed, tmp_path, workers):
    folder = shutil.copytree(killed, tmp_path / "killed")
    again = Trainer(folder / "weights" / "last.pt", resume=True, **({} if workers == 2 else {"workers": workers}))
    assert (again.start_epoch, again.args.workers) == (2, workers)
    report = again.run()
    assert report.epochs == 4
    for kind in ("model", "ema"):
        wanted, found = ((each.model if kind == "model" else each.ema.net).state_dict() for each in (whole, again))
        assert all(torch.allclose(wanted[key], found[key], rtol=0, atol=1e-6) for key in wanted), kind
    assert again.fitness == pytest.approx(whole.fitness, abs=1e-6)
    with again.csv.open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


@pytest.fixture(scope="module")
def first(tiny_checkpoint, example, tmp_path_factory) -> Trainer:
    """A training that was stopped in its second epoch; its folder is to be copied."""
    trainer = Trainer(tiny_checkpoint, data=example, save_dir=tmp_path_factory.mktemp("first"), **OPTIONS)
    trainer.callbacks.add("on_fit_epoch_end", lambda trainer: setattr(trainer, "stop", trainer.epoch == 1))
    trainer.run()
    return trainer


@pytest.fixture
def stopped(first, tmp_path) -> SimpleNamespace:
    """A copy of `first` that can be gone on with."""
    folder = shutil.copytree(first.save_dir, tmp_path / "run")
    figures = {name: getattr(first, name) for name in ("metrics", "fitness", "best_fitness")}
    return SimpleNamespace(
        save_dir=folder, last=folder / "weights" / first.last.name, best=folder / "weights" / first.best.name, **figures
    )


def test_it_goes_on_in_the_folder_and_with_the_options_it_had(stopped):
    again = Trainer(stopped.last, resume=True)
    assert (again.start_epoch, again.epochs, again.args.imgsz, again.args.mixup) == (2, 4, 64, 0.2)
    assert again.best_fitness == stopped.best_fitness
    fired = []
    for event in ("on_pretrain_routine_start", "on_train_start", "on_train_epoch_start", "on_train_end", "teardown"):
        again.callbacks.add(event, lambda trainer, event=event: fired.append((event, trainer.epoch)))
    report = again.run()
    assert again.save_dir == stopped.save_dir.absolute()
    assert report.epochs == 4
    assert fired == [
        ("on_pretrain_routine_start", 2),
        ("on_train_start", 2),
        ("on_train_epoch_start", 2),
        ("on_train_epoch_start", 3),
        ("on_train_end", 3),
        ("teardown", 3),
    ]


def test_a_finished_training_goes_on_to_more_epochs(stopped):
    Trainer(stopped.last, resume=True).run()
    with pytest.raises(TrainingError, match="has gone through 4 epochs already, and epochs=4 asks for no more"):
        Trainer(stopped.last, resume=True).run()
    assert Trainer(stopped.last, resume=True, epochs=5, patience=3).run().epochs == 5


def test_an_epoch_that_was_cut_short_is_begun_again(tiny_checkpoint, example, tmp_path):
    trainer = Trainer(tiny_checkpoint, data=example, save_dir=tmp_path / "run", **OPTIONS)
    trainer.callbacks.add("on_train_batch_end", lambda trainer: setattr(trainer, "stop", trainer.epoch == 1))
    report = trainer.run()
    assert (report.epochs, report.is_cut) == (2, True)
    assert "2 epochs, the last one in part, " in report.lines()[0]
    again = Trainer("yolo11n.yaml", resume=tmp_path / "run")
    assert again.start_epoch == 1
    assert (again.run().epochs, again.report.is_cut) == (4, False)
    with again.csv.open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_it_keeps_its_optimizer_however_many_epochs_are_to_come(stopped):
    again = Trainer(stopped.last, resume=True, epochs=9_000)
    again.callbacks.add("on_train_start", lambda trainer: setattr(trainer, "stop", True))
    again.run()
    assert type(again.optimizer) is torch.optim.AdamW


def test_a_resume_knows_the_figures_from_before(stopped):
    again = Trainer(stopped.last, resume=True)
    assert (again.metrics, again.fitness) == (stopped.metrics, stopped.fitness)


def test_what_came_before_cannot_be_changed(stopped):
    with pytest.raises(OptionError, match="imgsz=128 cannot change while a training goes on"):
        Trainer(stopped.last, resume=True, imgsz=128)
    assert Trainer(stopped.last, resume=stopped.last, imgsz=64, workers=0).args.imgsz == 64


def test_data_with_other_classes_is_refused(stopped, tmp_path):
    other = write_example(tmp_path / "other", train=8, val=2, size=(96, 72), classes=("circle", "square", "star"))
    with pytest.raises(
        DatasetError, match="for the classes circle, square, triangle, and the data now has circle, square, star"
    ):
        Trainer(stopped.last, resume=True, data=other)


def test_weights_alone_are_no_training(stopped, tiny_checkpoint):
    for file in (stopped.best, tiny_checkpoint):
        with pytest.raises(TrainingError, match="holds weights alone"):
            Trainer(file, resume=True)


def test_a_model_that_is_from_no_checkpoint_says_what_to_pass(example):
    with pytest.raises(OptionError, match=r"load its last\.pt, or pass resume="):
        Trainer("yolo11n.yaml", data=example, resume=True)
    with pytest.raises(ModelNotFoundError, match=r"no checkpoint at nothing\.pt"):
        Trainer("yolo11n.yaml", data=example, resume="nothing.pt")


def test_a_damaged_state_is_told_in_a_line(stopped):
    content = torch.load(stopped.last, weights_only=True)
    del content["training"]["optimizer"]
    torch.save(content, stopped.last)
    with pytest.raises(TrainingError, match=r"last\.pt cannot be gone on from"):
        Trainer(stopped.last, resume=True)
