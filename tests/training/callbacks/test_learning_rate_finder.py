import logging
import math
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from framehook.inference.errors import CallbackError, OptionError
from framehook.training.callbacks.learning_rate_finder import LearningRateFinder, smoothed, suggested

from .driven import Driven

torch = pytest.importorskip("torch")

BEST = 0.1
"""The rate at which plain gradient descent on the bowl below is quickest; at twice as much it diverges."""


class Descending(Driven):
    """A trainer of one parameter, in a bowl of curvature `1 / BEST`, by gradient descent with momentum."""

    def __post_init__(self):
        super().__post_init__()
        self.model = torch.nn.Linear(4, 1, bias=False, dtype=torch.float64)
        torch.nn.init.constant_(self.model.weight, 3.0)
        average = torch.nn.Linear(4, 1, bias=False, dtype=torch.float64)
        average.load_state_dict(self.model.state_dict())
        self.ema = SimpleNamespace(net=average, updates=5)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.rates = []

    def fire(self, event):
        if event == "on_train_batch_start":
            for group in self.optimizer.param_groups:
                group["lr"] = 0.01  # as a schedule would have it
        elif event == "optimizer_step":
            loss = (self.model.weight**2).sum() / BEST / 2
            loss.backward()
            self.loss_items = loss.detach().reshape(1)
            super().fire(event)
            self.rates.append(self.optimizer.param_groups[0]["lr"])
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.ema.net.load_state_dict(self.model.state_dict())
            self.ema.updates += 1
            return
        super().fire(event)


def test_the_rate_at_which_the_loss_falls_most_steeply_is_suggested_and_all_is_as_before(tmp_path):
    finder = LearningRateFinder(60, lowest=1e-4, highest=10.0)
    trainer = Descending(tmp_path, [finder], epochs=9, batches=100).run()
    assert BEST / 30 < finder.suggestion < 2 * BEST
    assert trainer.rates == pytest.approx(finder.rates)
    assert finder.rates[0] == pytest.approx(1e-4)
    assert np.diff(np.log(finder.rates)) == pytest.approx(np.log(1e5) / 59)
    assert len(finder.rates) < 60  # what came after it had diverged would tell nothing
    assert (trainer.epoch, trainer.batch_i) == (0, len(finder.rates) - 1)
    for net in (trainer.model, trainer.ema.net):
        assert (net.weight == 3.0).all()
    assert trainer.ema.updates == 5
    assert trainer.optimizer.param_groups[0]["lr"] == 0.01
    assert finder.path == tmp_path / "learning_rates.png"
    assert cv2.imread(str(finder.path)) is not None


def test_the_training_may_go_on_with_its_own_rates(tmp_path):
    finder = LearningRateFinder(10, lowest=1e-4, highest=1e-2, stop=False)
    trainer = Descending(tmp_path, [finder], epochs=2, batches=20).run()
    assert (trainer.epoch, len(finder.rates)) == (1, 10)
    assert trainer.rates[10:] == [0.01] * 30
    assert float(trainer.model.weight.detach()[0, 0]) == pytest.approx(3 * (1 - 0.01 / BEST) ** 30)


def test_a_training_that_ends_before_the_sweep_leaves_all_as_before(tmp_path, caplog):
    finder = LearningRateFinder(500)
    with caplog.at_level(logging.WARNING, "framehook"):
        trainer = Descending(tmp_path, [finder], epochs=1, batches=5).run()
    assert (trainer.model.weight == 3.0).all()
    assert finder.suggestion is None
    assert [record.message for record in caplog.records] == ["no learning rate from 1e-06 to 1 made the loss fall; try others"]


def test_a_loss_that_is_no_number_ends_the_sweep():
    finder = LearningRateFinder(50)
    assert suggested([1.0] * 5, [1.0] * 5) is None
    falling = [*np.linspace(9, 5, 20), math.nan]
    assert suggested(list(np.geomspace(1e-4, 1, 21)), falling) is not None
    assert finder.suggestion is None


def test_smoothing_forgets_that_it_began_with_nothing():
    assert smoothed([4.0, 4.0, 4.0]) == pytest.approx([4, 4, 4])
    assert smoothed([1.0, 2.0])[1] == pytest.approx((0.9 * 0.1 + 0.1 * 2) / 0.19)


def test_a_training_of_several_processes_is_refused(tmp_path):
    trainer = Descending(tmp_path, [LearningRateFinder()])
    trainer.world = 2
    with pytest.raises(CallbackError, match="works in one process"):
        trainer.run()


@pytest.mark.parametrize("wrong", [{"steps": 5}, {"lowest": 0}, {"highest": 1e-9}, {"highest": math.inf}])
def test_values_out_of_range_are_told(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        LearningRateFinder(**wrong)
