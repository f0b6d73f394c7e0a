"""Distributions of distances."""

import math

import torch

from framehook.training.losses import distribution_loss, expectation


def test_the_mean_is_that_of_the_bins():
    logits = torch.log(torch.tensor([[0.25, 0.25, 0.5], [1e-9, 1.0, 1e-9]]))
    torch.testing.assert_close(expectation(logits), torch.tensor([1.25, 1.0]))


def test_the_loss_is_the_cross_entropy_with_the_two_nearest_bins():
    logits = torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64))
    wanted = torch.tensor([1.25, 0.0, 2.0, 3.0, 2.9], dtype=torch.float64)
    expected = [-(0.75 * math.log(0.2) + 0.25 * math.log(0.3)), -math.log(0.1), -math.log(0.3), -math.log(0.4)]
    expected.append(-(0.1 * math.log(0.3) + 0.9 * math.log(0.4)))
    torch.testing.assert_close(distribution_loss(logits.expand(5, 4), wanted), torch.tensor(expected, dtype=torch.float64))


def test_distances_beyond_the_bins_count_as_the_outermost():
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    beyond, last = torch.tensor([-5.0, 50.0]), torch.tensor([0.0, 3.0])
    assert torch.equal(distribution_loss(logits, beyond), distribution_loss(logits, last))


def test_the_loss_is_least_where_the_mean_is_right():
    logits = torch.zeros(1, 8, dtype=torch.float64, requires_grad=True)
    wanted = torch.tensor([4.3], dtype=torch.float64)
    optimizer = torch.optim.Adam([logits], lr=0.5)
    for _ in range(150):
        optimizer.zero_grad()
        distribution_loss(logits, wanted).sum().backward()
        optimizer.step()
    assert abs(expectation(logits).item() - 4.3) < 0.02


def test_gradients_are_right():
    logits = torch.randn(3, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    wanted = torch.rand(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 6 - 0.5
    assert torch.autograd.gradcheck(lambda x: distribution_loss(x, wanted), (logits,))
    assert torch.autograd.gradcheck(expectation, (logits,))
