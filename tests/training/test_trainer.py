"""Trainings of a network in miniature, as callbacks see them."""

from __future__ import annotations

import csv
import dataclasses
import errno
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from framehook.inference.checkpoints import read_checkpoint
from framehook.inference.errors import CallbackError, ModelFormatError, OptionError, RunError, TrainingError, UnknownOptionError
from framehook.inference.events import EVENTS, TrainEvent, ValEvent

torch = pytest.importorskip("torch")

from framehook.inference.nets import save  # noqa: E402
from framehook.inference.nets.load import load_network  # noqa: E402
from framehook.inference.nets.net import DetectionNet  # noqa: E402
from framehook.training.trainer import Trainer  # noqa: E402

ALL = (*TrainEvent, *ValEvent)
QUICK: dict[str, Any] = {"epochs": 2, "imgsz": 64, "batch": 8, "workers": 0, "plots": False}
"""Three batches an epoch, and a step for each."""


@pytest.fixture
def make(tiny_net: DetectionNet, example: Path, tmp_path: Path) -> Callable[..., Trainer]:
    """Makes a trainer of the miniature, with quick options unless told otherwise."""

    def made(source: Any = None, **options: Any) -> Trainer:
        given = {"data": example, "save_dir": tmp_path / "run", **QUICK, **options}
        return Trainer(tiny_net if source is None else source, **given)

    return made


def recorded(trainer: Trainer) -> list[str]:
    """The events of a training, as they fire."""
    fired: list[str] = []
    for event in ALL:
        trainer.callbacks.add(event, lambda engine, event=event: fired.append(str(event)))
    return fired


BATCH = ["on_train_batch_start", "on_train_batch_end"]
STEP = [
    "on_train_batch_start",
    "optimizer_step",
    "on_params_update",
    "on_before_zero_grad",
    "on_train_batch_end",
]
VALIDATION = ["on_val_start", "on_val_batch_start", "on_val_batch_end", "on_val_end"]
AFTER = ["on_train_epoch_end", *VALIDATION, "on_model_save", "on_fit_epoch_end"]
BEGIN = ["on_pretrain_routine_start", "on_pretrain_routine_end", "on_train_start"]
END = ["on_train_end", "teardown"]


def test_all_eighteen_events_fire_in_their_order(make):
    trainer = make(warmup_epochs=0, batch=1, nbs=2, fraction=21 / 24)
    fired = recorded(trainer)
    trainer.run()
    # Gradients of two pictures make a step, and what is left at the end of an epoch makes one.
    after = [*AFTER[:1], *VALIDATION[:1], *(VALIDATION[1:3] * 8), *VALIDATION[3:], *AFTER[5:]]
    epoch = ["on_train_epoch_start", *([*BATCH, *STEP] * 10), *STEP, *after]
    assert fired == [*BEGIN, *epoch, *epoch, *END]
    assert set(fired) == set(ALL)


def test_what_is_documented_is_there_when_it_is_documented_to_be(make):
    trainer = make(epochs=2)
    seen: dict[str, dict[str, Any]] = {}
    always = ("args", "data", "device", "rank", "world", "epoch", "epochs", "start_epoch", "stop", "save_dir", "wdir", "last")
    always += ("best", "csv", "loss_names", "metrics", "fitness", "best_fitness", "batch_size", "amp", "error", "model")
    later = ("ema", "optimizer", "scheduler", "lr", "train_loader", "test_loader", "validator", "accumulate", "tloss", "loss")
    later += ("loss_items", "epoch_time")
    for event in TrainEvent:
        names = always if event is TrainEvent.PRETRAIN_ROUTINE_START else always + later

        def look(engine: Trainer, event: TrainEvent = event, names: tuple[str, ...] = names) -> None:
            seen.setdefault(event, {name: getattr(engine, name) for name in names})

        trainer.callbacks.add(event, look)
    trainer.run()
    assert len(seen) == len(TrainEvent)
    first = seen["on_pretrain_routine_end"]
    assert (first["fitness"], first["metrics"], first["epoch"], first["start_epoch"]) == (None, {}, 0, 0)
    assert (len(first["train_loader"]), len(first["test_loader"]), first["loss"]) == (3, 1, None)
    batch = seen["on_train_batch_end"]
    assert batch["loss"].ndim == 0
    assert tuple(batch["loss_items"].shape) == (3,)
    assert torch.equal(batch["tloss"], batch["loss_items"])  # the mean of one
    assert batch["loss_names"] == ("box_loss", "cls_loss", "dfl_loss")
    assert set(batch["lr"]) == {"lr/pg0", "lr/pg1", "lr/pg2"}
    fit = seen["on_fit_epoch_end"]
    assert set(fit["metrics"]) == {
        *(f"metrics/{name}(B)" for name in ("precision", "recall", "mAP50", "mAP50-95")),
        *(f"val/{name}" for name in fit["loss_names"]),
    }
    assert 0 <= fit["fitness"] <= 1
    assert seen["on_model_save"]["last"].is_file()
    assert fit["epoch_time"] > 0
    assert trainer.error is None
    assert trainer.report is not None


def test_losses_have_names(make):
    trainer = make()
    assert trainer.label_loss_items() == ["train/box_loss", "train/cls_loss", "train/dfl_loss"]
    assert trainer.label_loss_items([1, 2, 3], prefix="val") == {"val/box_loss": 1.0, "val/cls_loss": 2.0, "val/dfl_loss": 3.0}


def test_the_gradients_that_a_callback_sees_are_clipped_and_make_the_step(make):
    trainer = make(epochs=1, clip=0.05, warmup_epochs=0)
    norms, before, moved = [], {}, []

    def look(trainer: Trainer) -> None:
        grads = [each.grad.norm() for each in trainer.model.parameters() if each.grad is not None]
        norms.append(float(torch.stack(grads).norm()))
        before.update({name: each.detach().clone() for name, each in trainer.model.named_parameters()})

    def compare(trainer: Trainer) -> None:
        moved.append(any(not torch.equal(before[name], each) for name, each in trainer.model.named_parameters()))
        assert all(each.grad is not None for each in trainer.model.parameters() if each.requires_grad)

    trainer.callbacks.add("optimizer_step", look)
    trainer.callbacks.add("on_params_update", compare)
    trainer.callbacks.add("on_train_batch_end", lambda trainer: norms.append(0.0))
    trainer.run()
    assert moved
    assert all(moved)
    assert all(norm <= 0.05 * 1.001 for norm in norms)
    assert max(norms) > 0.049


@pytest.mark.parametrize("event", [each for each in ALL if each != "teardown"])
def test_a_callback_that_raises_ends_the_training_and_teardown_still_fires(make, event):
    trainer = make(epochs=2, warmup_epochs=0, fraction=1 / 3)
    fired = recorded(trainer)
    count = itertools.count()
    in_second_epoch = event not in ("on_pretrain_routine_start", "on_pretrain_routine_end", "on_train_start", "on_train_end")

    def fail(engine: Any) -> None:
        if not in_second_epoch or trainer.epoch == 1:
            next(count)
            raise ValueError("my mistake")

    trainer.callbacks.add(event, fail)
    with pytest.raises(CallbackError, match=rf"failed in {event}.*my mistake") as raised:
        trainer.run()
    assert next(count) == 1  # it was called no more
    assert fired[-1] == "teardown"
    assert fired.count("teardown") == 1
    assert isinstance(raised.value.__cause__, ValueError)
    assert trainer.error is raised.value
    for start, end in (("on_train_start", "on_train_end"), ("on_val_start", "on_val_end")):
        assert fired.count(end) == fired.count(start)
    if in_second_epoch:
        checkpoint = read_checkpoint(trainer.last)  # the one of the first epoch is whole, or that of the second
        assert checkpoint.epoch in (0, 1)


def test_an_error_in_teardown_is_told_after_everything_was_done(make):
    trainer = make(epochs=1)
    trainer.callbacks.add("teardown", lambda trainer: 1 / 0)
    with pytest.raises(CallbackError, match="teardown"):
        trainer.run()
    assert trainer.report is not None
    assert trainer.best.is_file()


def test_errors_of_the_end_come_with_what_ended_it(make):
    trainer = make(epochs=1)
    for event in ("on_train_batch_end", "on_train_end", "teardown"):
        trainer.callbacks.add(event, lambda trainer, event=event: {}[event])
    with pytest.raises(ExceptionGroup) as raised:
        trainer.run()
    told = str(_leaves(raised.value))
    assert all(event in told for event in ("on_train_batch_end", "on_train_end", "teardown"))


def _leaves(error: BaseException) -> list[BaseException]:
    return [leaf for each in error.exceptions for leaf in _leaves(each)] if isinstance(error, ExceptionGroup) else [error]


def test_a_callback_that_is_logged_or_disabled_does_not_end_the_training(make, caplog):
    trainer = make(epochs=2)
    calls: list[int] = []

    def fail(trainer: Trainer) -> None:
        calls.append(trainer.epoch)
        raise ValueError

    trainer.callbacks.add("on_fit_epoch_end", lambda trainer: 1 / 0, on_error="log")
    trainer.callbacks.add("on_train_epoch_end", fail, on_error="disable")
    trainer.run()
    assert calls == [0]
    assert caplog.text.count("on_fit_epoch_end") == 2


@pytest.mark.parametrize(
    ("event", "batches", "epochs"),
    [
        ("on_pretrain_routine_end", 0, 0),
        ("on_train_start", 0, 0),
        ("on_train_epoch_start", 0, 0),
        ("on_train_batch_start", 1, 1),
        ("on_train_batch_end", 1, 1),
        ("on_val_batch_end", 3, 1),
        ("on_fit_epoch_end", 3, 1),
    ],
)
def test_stop_ends_the_training_after_the_batch(make, event, batches, epochs):
    trainer = make(epochs=5)
    fired = recorded(trainer)
    trainer.callbacks.add(event, lambda engine: setattr(trainer, "stop", True))
    report = trainer.run()
    assert fired.count("on_train_batch_end") == batches
    assert fired.count("on_fit_epoch_end") == fired.count("on_model_save") == epochs
    assert fired[-2:] == END
    assert (report.why, report.epochs) == ("stop", epochs)
    assert trainer.last.is_file() == bool(epochs)


def test_figures_without_checkpoints_are_another_training_too(make):
    make(epochs=1, val=False, save=False).run()
    with pytest.raises(OptionError, match=r"holds another training; name another folder, or pass exist_ok=True"):
        make(epochs=1).run()


def test_no_gradient_of_a_batch_before_the_stop_is_lost(make):
    trainer = make(epochs=1, warmup_epochs=0, batch=1, nbs=2)
    trainer.callbacks.add("on_train_batch_start", lambda trainer: setattr(trainer, "stop", True))
    fired = recorded(trainer)
    trainer.run()
    assert fired.count("on_params_update") == 1


def test_nor_is_one_of_a_batch_at_whose_end_it_was_stopped(make):
    trainer = make(epochs=1, warmup_epochs=0, batch=1, nbs=2)
    trainer.callbacks.add("on_train_batch_end", lambda trainer: setattr(trainer, "stop", True))
    fired = recorded(trainer)
    trainer.run()
    assert fired.count("on_params_update") == 1


def test_the_same_seed_gives_the_same_weights(make, tmp_path, example):
    weights = []
    for name, seed in (("first", 3), ("second", 3), ("third", 4)):
        trainer = make(save_dir=tmp_path / name, seed=seed, epochs=2, mosaic=1.0, mixup=0.3, val=False)
        trainer.run()
        weights.append({key: value.clone() for key, value in trainer.model.state_dict().items()})
    first, second, third = weights
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], third[key]) for key in first)


def test_it_learns(make):
    trainer = make(epochs=8, lr0=0.01, mosaic=0.0, val_period=30, save=False, warmup_epochs=1)
    losses = []
    trainer.callbacks.add("on_train_epoch_end", lambda trainer: losses.append(float(trainer.tloss.sum())))
    trainer.run()
    assert losses[-1] < 0.75 * losses[0]


def test_the_files_of_a_training(make):
    trainer = make(epochs=3, save_period=2, plots=True)
    report = trainer.run()
    folder = trainer.save_dir
    there = {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}
    assert there >= {"weights/last.pt", "weights/best.pt", "weights/epoch2.pt", "results.csv", "args.yaml", "results.png"}
    assert there >= {"train_batch0.jpg", "train_batch2.jpg", "val_batch0_labels.jpg", "val_batch0_pred.jpg"}
    assert there >= {"PR_curve.png", "F1_curve.png", "confusion_matrix.png"}
    assert not [each for each in there if each.endswith(".partial")]
    args = yaml.safe_load((folder / "args.yaml").read_text())
    assert (args["epochs"], args["imgsz"], args["optimizer"]) == (3, 64, "AdamW")
    with trainer.csv.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["metrics/mAP50(B)"]) == pytest.approx(trainer.metrics["metrics/mAP50(B)"], abs=1e-5)
    checkpoint = read_checkpoint(trainer.best)
    assert checkpoint.names == trainer.data.names
    assert checkpoint.figures == pytest.approx(report.metrics)
    assert not checkpoint.mid_training
    assert read_checkpoint(trainer.last).mid_training
    assert load_network(trainer.last).network.metadata["imgsz"] == "[64, 64]"


def test_the_last_checkpoint_holds_the_average_and_its_weights_are_those_that_were_validated(make):
    trainer = make(epochs=1)
    trainer.run()
    tensors = read_checkpoint(trainer.last).tensors
    for key, value in trainer.ema.net.state_dict().items():
        assert torch.equal(torch.from_numpy(tensors[key].copy()), value), key
    state = torch.load(trainer.last, weights_only=True)["training"]
    assert all(torch.equal(state["model"][key], value) for key, value in trainer.model.state_dict().items())


def test_without_validation_there_is_no_best(make):
    trainer = make(epochs=1, val=False)
    fired = recorded(trainer)
    report = trainer.run()
    assert not [each for each in fired if each in set(ValEvent)]
    assert (report.best, report.fitness, trainer.validator, trainer.metrics) == (None, None, None, {})
    assert report.last == trainer.last
    assert not trainer.best.exists()


def test_a_network_whose_gradients_were_switched_off_can_be_trained(make, tiny_net):
    trainer = make(tiny_net.eval().requires_grad_(False), epochs=1)
    trainer.run()
    learning = {name for name, each in trainer.model.named_parameters() if each.requires_grad}
    assert {name for name, _ in trainer.model.named_parameters()} - learning == {"model.6.dfl.conv.weight"}


def test_frozen_layers_learn_nothing_and_keep_their_statistics(make):
    trainer = make(epochs=1, freeze=3)
    before = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    trainer.run()
    frozen = tuple(f"model.{number}." for number in range(3))
    moved = {key for key, value in trainer.model.state_dict().items() if not torch.equal(before[key], value)}
    assert not [key for key in moved if key.startswith(frozen)]
    assert [key for key in moved if key.startswith("model.3.")]


def test_fine_tuning_takes_over_what_fits_of_a_network_with_other_classes(make, tiny_net, tmp_path, example):
    other = DetectionNet(dataclasses.replace(tiny_net.architecture, nc=5), names=dict(enumerate("abcde")))
    trainer = make(other)
    assert trainer.model.names == {0: "circle", 1: "square", 2: "triangle"}
    own, given = trainer.model.state_dict(), other.state_dict()
    alike = [key for key in own if own[key].shape == given[key].shape]
    assert all(torch.equal(own[key], given[key]) for key in alike)
    assert len(alike) > 0.9 * len(own)
    assert other.state_dict()["model.0.conv.weight"].data_ptr() != own["model.0.conv.weight"].data_ptr()


def test_a_class_keeps_what_was_learned_of_it_under_another_number(make, tiny_net):
    other = dict(enumerate(("triangle", "circle", "star")))
    before = DetectionNet(tiny_net.architecture, names=other)
    for number in range(3):
        torch.nn.init.constant_(before.detect.cv3[0][-1].weight[number].detach(), number + 1.0)
    rows = make(before).model.detect.cv3[0][-1].weight.flatten(1)  # circle, square, triangle
    assert torch.equal(rows[0], torch.full_like(rows[0], 2.0))
    assert torch.equal(rows[2], torch.full_like(rows[2], 1.0))
    assert not torch.equal(rows[1], torch.full_like(rows[1], 3.0))


def test_yolo26_learns_with_both_heads(example, tiny_net26, tmp_path):
    trainer = Trainer(tiny_net26, data=example, save_dir=tmp_path / "run", **QUICK)
    assert trainer.loss_names == ("box_loss", "cls_loss", "l1_loss")
    before = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    trainer.run()
    moved = {key for key, value in trainer.model.state_dict().items() if not torch.equal(before[key], value)}
    for branch in ("cv2", "cv3", "one2one_cv2", "one2one_cv3"):
        assert [key for key in moved if f".{branch}." in key], branch


def measuring(trainer: Trainer, *values: float) -> None:
    """Let validations come to these figures, one after the other."""
    coming = iter(values)

    def measured(validator: Any) -> None:
        value = next(coming)
        validator.metrics = dataclasses.replace(validator.metrics, map=value, map50=value)

    trainer.callbacks.add("on_val_end", measured)


def test_patience_ends_a_training_that_becomes_no_better(make):
    trainer = make(epochs=20, patience=2)
    measuring(trainer, 0.5, 0.6, 0.4, 0.3, 0.2, 0.1)
    report = trainer.run()
    assert (report.why, report.epochs, report.best_epoch) == ("patience", 4, 1)
    assert report.fitness == pytest.approx(0.6)


def test_a_time_limit_ends_a_training_with_the_epoch_under_way(make):
    trainer = make(epochs=50, time=1e-7, val_period=10)
    report = trainer.run()
    assert (report.why, report.epochs) == ("time", 1)
    assert report.best == trainer.best  # the last epoch is validated, whenever it comes


def test_a_best_that_cannot_be_written_is_not_the_best(make, monkeypatch):
    trainer = make(epochs=3)
    measuring(trainer, 0.1, 0.5, 0.3)
    real = torch.save

    def full(*given: Any, **named: Any) -> None:
        if trainer.epoch == 1 and "training" not in given[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*given, **named)

    monkeypatch.setattr(save.torch, "save", full)
    report = trainer.run()
    assert (report.best_epoch, report.fitness) == (2, pytest.approx(0.3))
    assert read_checkpoint(trainer.best).epoch == 2


def test_another_training_in_the_folder_is_neither_replaced_nor_gone_on_with(make):
    first = make(epochs=1, val=False)
    first.run()
    before = first.last.read_bytes()
    with pytest.raises(OptionError, match=r"holds another training.*resume=.*exist_ok=True"):
        make(epochs=1).run()
    assert first.last.read_bytes() == before
    failed = make(epochs=1, exist_ok=True)
    failed.callbacks.add("on_pretrain_routine_start", lambda trainer: 1 / 0)
    with pytest.raises(CallbackError):
        failed.run()
    assert first.last.read_bytes() == before  # nothing came to take its place
    again = make(epochs=1, exist_ok=True)
    again.callbacks.add("on_train_start", lambda trainer: setattr(trainer, "stop", True))
    report = again.run()
    assert (report.best, report.last, report.epochs) == (None, None, 0)
    assert not again.last.exists()


@pytest.mark.usefixtures("patient_end")
def test_a_background_callback_sees_a_snapshot_on_which_nothing_can_be_set(make):
    trainer = make(epochs=2)
    seen: list[Any] = []
    trainer.callbacks.add("on_fit_epoch_end", seen.append, background=True)
    trainer.run()
    assert [each.epoch for each in seen] == [0, 1]
    assert all(isinstance(each.tloss, tuple) and math.isfinite(each.loss) for each in seen)
    assert seen[0].label_loss_items(seen[0].tloss)["train/box_loss"] > 0
    with pytest.raises(AttributeError):
        seen[0].stop = True


def spoil_outputs(trainer: Trainer, when: Callable[[], bool]) -> None:
    """Let the network under training give what is no number, where `when` says so."""

    def spoil(module: Any, inputs: Any, heads: Any) -> Any:
        raw = heads.one2many
        return heads._replace(one2many=raw._replace(scores=raw.scores * math.nan)) if when() else heads

    trainer.model.register_forward_hook(spoil)


def test_a_batch_whose_loss_is_no_number_is_left_out(make, caplog):
    trainer = make(epochs=1)
    spoil_outputs(trainer, lambda: trainer.batch_i == 1)
    report = trainer.run()
    assert report.skipped == 1
    assert "at epoch 1, batch 2 the loss was no number; the batch is left out" in caplog.text
    assert all(bool(each.isfinite().all()) for each in trainer.model.parameters())


def test_now_and_then_a_batch_without_a_loss_is_no_reason_to_go_back(make):
    trainer = make(epochs=1, batch=1, nbs=16)
    spoil_outputs(trainer, lambda: trainer.batch_i % 2 == 0)
    assert trainer.run().skipped == 12


def test_a_batch_that_is_left_out_leaves_nothing_in_the_statistics(make):
    trainer = make(epochs=1)

    def spoil(module: Any, inputs: Any) -> Any:
        return (inputs[0] * math.inf,) if trainer.batch_i == 1 else None

    trainer.model.register_forward_pre_hook(spoil)
    report = trainer.run()
    assert (report.skipped, report.epochs) == (1, 1)
    assert not trainer.ema.broken()


def test_gradients_that_are_no_numbers_make_no_step(make):
    trainer = make(epochs=1)
    trainer.model.model[0].conv.weight.register_hook(lambda gradient: gradient * math.nan if trainer.batch_i == 0 else gradient)
    fired = recorded(trainer)
    report = trainer.run()
    assert (report.skipped, fired.count("optimizer_step"), trainer.ema.updates) == (1, 2, 2)


def test_weights_that_broke_are_taken_from_the_last_checkpoint(make, caplog):
    trainer = make(epochs=3, batch=2)
    broken = []

    def spoil(trainer: Trainer) -> None:
        if trainer.epoch == 1 and not broken:
            broken.append(True)
            with torch.no_grad():
                trainer.model.model[0].conv.weight.fill_(math.nan)

    trainer.callbacks.add("on_train_epoch_start", spoil)
    report = trainer.run()
    assert "going back to the weights of the last checkpoint" in caplog.text
    assert report.epochs == 3
    assert all(bool(each.isfinite().all()) for each in trainer.ema.net.parameters())


def test_a_training_that_breaks_down_again_and_again_ends_with_what_to_do(make):
    trainer = make(epochs=1, batch=1)
    spoil_outputs(trainer, lambda: True)
    with pytest.raises(TrainingError, match=r"broke down at epoch 1.*no number 10 times.*lr0=.*framehook data check"):
        trainer.run()


def test_memory_that_is_too_short_halves_the_batch(make, caplog):
    trainer = make(epochs=2)

    def exhaust(module: Any, inputs: Any) -> None:
        if len(inputs[0]) > 4:
            raise torch.OutOfMemoryError("not enough for this")

    trainer.model.register_forward_pre_hook(exhaust)
    fired = recorded(trainer)
    report = trainer.run()
    assert trainer.batch_size == 4
    assert report.epochs == 2
    assert fired.count("on_train_epoch_start") == 3  # the first began again
    assert fired.count("on_train_epoch_end") == 2
    assert "begins again with 4" in caplog.text


def test_memory_that_is_too_short_for_the_optimizer_halves_the_batch_too(make):
    trainer = make(epochs=1)
    whole = torch.optim.AdamW.step

    def exhaust(trainer: Trainer) -> None:
        parameter = trainer.optimizer.param_groups[0]["params"][0]

        def step(*given: Any, **named: Any) -> None:
            if trainer.batch_size == 8:
                trainer.optimizer.state[parameter]["step"] = torch.tensor(1.0)  # as far as it came
                raise torch.OutOfMemoryError("not enough for this")
            whole(trainer.optimizer, *given, **named)

        trainer.optimizer.step = step

    trainer.callbacks.add("on_train_start", exhaust)
    assert trainer.run().epochs == 1
    assert trainer.batch_size == 4


def test_memory_that_is_too_short_for_anything_ends_the_training_in_one_line(make):
    trainer = make(epochs=1)
    trainer.model.register_forward_pre_hook(lambda module, inputs: (_ for _ in ()).throw(torch.OutOfMemoryError("none left")))
    with pytest.raises(TrainingError, match="not enough memory for batches of 1 at 64 pixels"):
        trainer.run()


def test_a_full_disk_at_a_checkpoint_keeps_the_one_before_and_goes_on(make, monkeypatch, caplog):
    trainer = make(epochs=3)
    real = torch.save

    def full(*given: Any, **named: Any) -> None:
        if trainer.epoch == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*given, **named)

    monkeypatch.setattr(save.torch, "save", full)
    fired = recorded(trainer)
    trainer.run()
    assert fired.count("on_model_save") == 2
    assert "last.pt of epoch 2 cannot be written: No space left on device; last.pt is that of an earlier epoch" in caplog.text
    assert "free some space" in caplog.text
    assert read_checkpoint(trainer.last).epoch == 2


def test_a_last_checkpoint_that_cannot_be_written_is_an_error(make, monkeypatch):
    trainer = make(epochs=2)
    real = torch.save

    def full(*given: Any, **named: Any) -> None:
        if trainer.epoch == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*given, **named)

    monkeypatch.setattr(save.torch, "save", full)
    with pytest.raises(TrainingError, match=r"the last checkpoint is missing: .*last\.pt is that of an earlier epoch"):
        trainer.run()
    assert read_checkpoint(trainer.last).epoch == 0


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"epoch": 3}, UnknownOptionError, "Did you mean 'epochs'"),
        ({"imgsz": 100}, OptionError, "imgsz=100 is no multiple of 32, or too small; pass 128"),
        ({"imgsz": 32}, OptionError, "pass 64"),
        ({"resume": 3}, OptionError, "resume=3 is no path"),
        ({"save_dir": 5}, OptionError, "save_dir=5 is no path"),
        ({"data": None}, OptionError, "needs data"),
        ({"optimizer": "adam"}, OptionError, "SGD, AdamW"),
        ({"freeze": 99}, OptionError, "the network has the layers 0 to"),
        ({"lr0": -1}, OptionError, "lr0=-1"),
        ({"device": "cuda:77"}, OptionError, "device='cuda:77' is not available"),
    ],
)
def test_wrong_options_are_told_before_anything_is_written(make, tmp_path, options, error, told):
    with pytest.raises(error, match=told):
        make(**options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("source", [None, "person320", "model.onnx"])
def test_what_cannot_be_trained_says_what_can(example, source):
    with pytest.raises(ModelFormatError, match=r"cannot be trained; start from a \.pt checkpoint"):
        Trainer(source, data=example)


def test_a_trainer_is_used_once(make):
    trainer = make(epochs=1, val=False)
    trainer.run()
    with pytest.raises(RunError, match="used once"):
        trainer.run()


def test_every_event_of_training_is_known_by_the_registry():
    assert {name for name, engine in EVENTS.items() if engine in ("train", "val")} == set(map(str, ALL))
