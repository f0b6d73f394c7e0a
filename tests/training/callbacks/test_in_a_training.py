"""The ready-made callbacks in trainings of a real network."""

import io

import pytest
from rich.console import Console

from framehook.inference.callbacks import Callbacks
from framehook.training.callbacks import EarlyStopping, LearningRateFinder, ProgressBar, SamplePredictions, read_history

torch = pytest.importorskip("torch")
pytest.importorskip("faster_coco_eval")


def trainer(source, *callbacks, **options):
    from framehook.training.trainer import Trainer

    registry = Callbacks()
    for each in callbacks:
        registry.add(each)
    small = {"imgsz": 64, "workers": 0, "device": "cpu", "plots": False}
    return Trainer(source, callbacks=registry, **small, **options)


def test_figures_are_shown_drawn_kept_and_ended_by(tiny_net, example, tmp_path):
    console, samples, stopping = Console(file=io.StringIO(), width=200), SamplePredictions(3, conf=0), EarlyStopping(patience=1)
    callbacks = ProgressBar(console), samples, stopping
    training = trainer(tiny_net, *callbacks, data=example, epochs=4, batch=12, mosaic=0.0, save_dir=tmp_path)
    training.run()
    rows = read_history(training.csv)
    # A network that has learned nothing has a fitness of 0, in the first epoch and in the next.
    assert [row["epoch"] for row in rows] == list(range(1, training.epoch + 2))
    assert (stopping.stopped_epoch, samples.path) == (1, tmp_path / "samples" / "epoch2.jpg")
    assert rows[-1]["train/box_loss"] == pytest.approx(float(training.tloss[0]), rel=1e-5)
    assert rows[-1]["val/dfl_loss"] == pytest.approx(training.metrics["val/dfl_loss"], rel=1e-5)
    assert rows[-1]["lr/pg0"] == pytest.approx(training.lr["lr/pg0"], rel=1e-5)
    lines = console.file.getvalue().splitlines()
    assert [line[:9] for line in lines] == ["epoch 1/4", "epoch 2/4"]
    resumed = trainer(training.last, resume=True, epochs=3)
    resumed.run()
    again = read_history(training.csv)
    assert again[:2] == rows
    assert [row["epoch"] for row in again] == [1, 2, 3]


def test_a_sweep_of_learning_rates_leaves_the_network_as_it_was(tiny_net, example, tmp_path):
    before = {name: value.clone() for name, value in tiny_net.state_dict().items()}
    finder = LearningRateFinder(10, lowest=1e-5, highest=0.1)
    training = trainer(
        tiny_net,
        finder,
        data=example,
        epochs=20,
        batch=2,
        nbs=2,
        fraction=0.5,
        mosaic=0.0,
        val=False,
        save=False,
        save_dir=tmp_path,
    )
    training.run()
    assert training.epoch == 1
    assert finder.rates[-1] == pytest.approx(0.1)
    assert len(set(finder.losses)) == 10
    assert all(torch.equal(value, before[name]) for name, value in training.model.state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in training.ema.net.state_dict().items())
    assert not training.optimizer.state_dict()["state"]
