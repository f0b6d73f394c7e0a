"""Which optimizer is taken, and how its learning rate goes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from framehook.training.optimizers import Chosen, Schedule, batches_a_step, choose_optimizer, make_optimizer  # noqa: E402
from framehook.training.options import TrainOptions  # noqa: E402


def test_auto_takes_adamw_for_short_trainings_and_sgd_for_long_ones():
    options = TrainOptions()
    assert choose_optimizer(options, steps=9_999) == Chosen("AdamW", 0.001)
    assert choose_optimizer(options, steps=10_000) == Chosen("SGD", 0.01)
    assert choose_optimizer(TrainOptions(optimizer="SGD", lr0=0.3), steps=1) == Chosen("SGD", 0.3)


def test_weights_of_convolutions_alone_decay(tiny_net):
    optimizer = make_optimizer(tiny_net, Chosen("AdamW", 0.001), momentum=0.9, weight_decay=0.1)
    weights, norms, biases = optimizer.param_groups
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0, 0.0]
    assert {each.ndim for each in weights["params"]} == {4}
    assert {each.ndim for each in norms["params"]} == {1}
    counted = sum(len(group["params"]) for group in optimizer.param_groups)
    assert counted == sum(each.requires_grad for each in tiny_net.parameters())
    head = tiny_net.detect.cv3[0][-1].bias
    assert any(each is head for each in biases["params"])


def test_gradients_are_accumulated_to_the_nominal_batch_where_an_epoch_still_has_ten_steps():
    options = TrainOptions(nbs=64)
    assert batches_a_step(options, batch=16, batches=1000) == 4
    assert batches_a_step(options, batch=16, batches=25) == 2
    assert batches_a_step(options, batch=16, batches=4) == 1
    assert batches_a_step(options, batch=128, batches=1000) == 1


@pytest.mark.parametrize("cosine", [False, True])
def test_the_learning_rate_falls_to_its_last_share(tiny_net, cosine):
    options = TrainOptions(epochs=10, warmup_epochs=0, lr0=0.5, lrf=0.1, cos_lr=cosine)
    optimizer = make_optimizer(tiny_net, Chosen("SGD", 0.5), momentum=0.9, weight_decay=0)
    schedule = Schedule(optimizer, options, batches=4)
    rates = []
    for epoch in range(10):
        schedule.begin_batch(4 * epoch, epoch)
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.begin_epoch(epoch + 1)
    assert rates[0] == 0.5
    assert schedule.scheduler.get_last_lr()[0] == pytest.approx(0.05)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    assert rates == sorted(rates, reverse=True)
    assert rates[5] == pytest.approx(0.275)
    assert (rates[1] == pytest.approx(0.455)) is not cosine


def test_a_warm_up_begins_at_nothing_with_biases_at_their_own_rate(tiny_net):
    options = TrainOptions(epochs=100, warmup_epochs=3, lr0=0.01)
    optimizer = make_optimizer(tiny_net, Chosen("SGD", 0.01), momentum=options.momentum, weight_decay=0)
    schedule = Schedule(optimizer, options, batches=50)
    assert schedule.warmup == 150
    schedule.begin_batch(0, 0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.0, 0.1]
    assert {group["momentum"] for group in optimizer.param_groups} == {0.8}
    assert schedule.accumulate(0, 8) == 1
    schedule.begin_batch(75, 1)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.00495, 0.00495, 0.05495], rel=1e-3)
    assert schedule.accumulate(75, 8) == 4
    schedule.begin_batch(1000, 20)  # as after a resume with fewer epochs, whose warm-up is shorter
    assert {group["momentum"] for group in optimizer.param_groups} == {0.937}
    assert schedule.accumulate(150, 8) == 8


def test_a_warm_up_takes_half_of_a_short_training_at_most(tiny_net):
    optimizer = make_optimizer(tiny_net, Chosen("AdamW", 0.01), momentum=0.9, weight_decay=0)
    assert Schedule(optimizer, TrainOptions(epochs=2), batches=10).warmup == 10
    assert Schedule(optimizer, TrainOptions(epochs=100), batches=10).warmup == 100
    assert Schedule(optimizer, TrainOptions(epochs=100, warmup_epochs=0), batches=10).warmup == 0


def test_the_average_is_the_papers(tiny_net):
    from framehook.training.ema import ModelEMA

    ema = ModelEMA(tiny_net)
    name = "model.0.conv.weight"
    expected = tiny_net.state_dict()[name].double()
    for update in range(1, 4):
        with torch.no_grad():
            tiny_net.model[0].conv.weight += update
            tiny_net.model[0].bn.num_batches_tracked += 1
        decay = 0.9999 * (1 - torch.exp(torch.tensor(-update / 2000.0, dtype=torch.float64)))
        expected = decay * expected + (1 - decay) * tiny_net.state_dict()[name].double()
        ema.update(tiny_net)
    assert torch.allclose(ema.net.state_dict()[name].double(), expected, atol=1e-6)
    assert int(ema.net.model[0].bn.num_batches_tracked) == 3
    assert not ema.broken()
    assert not any(each.requires_grad for each in ema.net.parameters())
