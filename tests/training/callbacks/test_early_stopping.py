import logging
import math

import pytest

from framehook.inference.errors import CallbackError, OptionError
from framehook.training.callbacks.early_stopping import EarlyStopping
from framehook.training.options import TrainOptions

from .driven import Driven, falling


def given(*values, name="metrics/mAP50-95(B)"):
    """Metrics of which one has the values of a list, epoch by epoch."""
    return lambda epoch: {**falling(epoch), name: values[min(epoch, len(values) - 1)]}


def test_training_ends_after_as_many_epochs_without_a_better_fitness(tmp_path, caplog):
    stopping = EarlyStopping(patience=3)
    fixed = {"metrics/mAP50(B)": 0.0}
    trainer = Driven(tmp_path, [stopping], epochs=50, metrics_of=lambda epoch: {**given(0.1, 0.5, 0.2, 0.5)(epoch), **fixed})
    with caplog.at_level(logging.INFO, "framehook"):
        trainer.run()
    assert trainer.epoch == stopping.stopped_epoch == 4
    assert (stopping.best, stopping.best_epoch) == (pytest.approx(0.45), 1)
    assert [record.message for record in caplog.records] == [
        "training ends: fitness has not become better for 3 epochs; the best was 0.45, of epoch 2"
    ]


def test_a_loss_is_better_when_it_is_less(tmp_path):
    stopping = EarlyStopping("val/box_loss", patience=2)
    trainer = Driven(tmp_path, [stopping], epochs=50, metrics_of=given(3, 2, 1, 1.5, 1.2, 0.5, name="val/box_loss")).run()
    assert (trainer.epoch, stopping.best, stopping.best_epoch) == (4, 1, 2)


def test_what_is_better_may_be_said_and_by_how_much(tmp_path):
    stopping = EarlyStopping("metrics/recall(B)", patience=2, mode="min", min_delta=0.1)
    values = given(0.9, 0.85, 0.75, 0.7, 0.7, name="metrics/recall(B)")
    trainer = Driven(tmp_path, [stopping], epochs=50, metrics_of=values).run()
    assert (trainer.epoch, stopping.best, stopping.best_epoch) == (4, 0.75, 2)


def test_a_figure_that_gets_better_ends_nothing_and_nan_is_no_better(tmp_path):
    stopping = EarlyStopping("train/box_loss", patience=1)
    assert Driven(tmp_path, [stopping], epochs=20).run().epoch == 19
    assert stopping.stopped_epoch is None
    stopping = EarlyStopping("metrics/mAP50(B)", patience=2)
    trainer = Driven(tmp_path, [stopping], epochs=20, metrics_of=given(math.nan, name="metrics/mAP50(B)")).run()
    assert (trainer.epoch, stopping.best) == (1, None)


def test_one_object_serves_one_training_after_another_and_a_resumed_one(tmp_path):
    stopping = EarlyStopping("metrics/mAP50(B)", patience=2)
    falls = given(0.9, 0.1, name="metrics/mAP50(B)")
    assert Driven(tmp_path, [stopping], epochs=20, metrics_of=falls).run().epoch == 2
    assert Driven(tmp_path, [stopping], epochs=20, metrics_of=falls).run().epoch == 2
    assert Driven(tmp_path, [stopping], epochs=20, start_epoch=7, metrics_of=falls).run().epoch == 9
    assert stopping.best_epoch == 7


def test_the_fitness_of_a_resumed_training_has_to_be_better_than_it_was(tmp_path):
    stopping = EarlyStopping(patience=2)
    trainer = Driven(tmp_path, [stopping], epochs=20, start_epoch=7)
    trainer.best_fitness = 0.99
    assert trainer.run().epoch == 8
    assert (stopping.best, stopping.best_epoch) == (0.99, 6)


def test_epochs_without_validation_count(tmp_path):
    stopping = EarlyStopping("metrics/mAP50(B)", patience=4)
    trainer = Driven(tmp_path, [stopping], epochs=50, val_period=3, metrics_of=given(0.5, name="metrics/mAP50(B)")).run()
    assert (trainer.epoch, stopping.best_epoch) == (6, 2)


def test_a_name_no_figure_has_is_told_with_the_nearest(tmp_path):
    with pytest.raises(CallbackError, match=r"monitor='metrics/map50' is no figure of this training\. Did you mean") as caught:
        Driven(tmp_path, [EarlyStopping("metrics/map50")]).run()
    assert "'metrics/mAP50(B)'" in str(caught.value)


def test_what_needs_validation_is_told_before_a_training_without(tmp_path):
    args = TrainOptions(data="data.yaml", val=False)
    with pytest.raises(CallbackError, match="'fitness' needs validation, which is off; pass val=True"):
        Driven(tmp_path, [EarlyStopping()], args=args).run()
    Driven(tmp_path, [EarlyStopping("train/box_loss")], args=args).run()


@pytest.mark.parametrize(
    "wrong", [{"monitor": ""}, {"patience": 0}, {"patience": 2.5}, {"min_delta": -1}, {"min_delta": math.nan}, {"mode": "up"}]
)
def test_values_that_are_not_possible_are_told(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        EarlyStopping(**wrong)


class LosingAnEpoch(Driven):
    """No batch of its second epoch can be used."""

    def _train(self):
        super()._train()
        if self.epoch == 1:
            self.tloss = None


def test_an_epoch_without_a_loss_is_no_better_and_ends_nothing_by_itself(tmp_path):
    stopping = EarlyStopping("train/box_loss", patience=2)
    trainer = LosingAnEpoch(tmp_path, [stopping], epochs=4).run()
    assert (trainer.epoch, stopping.best_epoch, stopping.stopped_epoch) == (3, 3, None)
    stopping = EarlyStopping("train/box_loss", patience=1)
    assert LosingAnEpoch(tmp_path, [stopping], epochs=4).run().epoch == stopping.stopped_epoch == 1
    with pytest.raises(CallbackError, match=r"Did you mean 'train/box_loss'"):
        LosingAnEpoch(tmp_path, [EarlyStopping("train/boxloss")], epochs=4, start_epoch=1).run()
