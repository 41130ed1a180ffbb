"""The mean of weights, and BatchNorm measured anew for it."""

from __future__ import annotations

import torch
from torch import nn

from tlearn.models.soups.batch_norm import NormStatistics, norms_apart
from tlearn.models.soups.weights import uniform_soup


def test_mean_of_linear_heads_answers_their_mean() -> None:
    torch.manual_seed(0)
    heads = [nn.Linear(5, 3) for _ in range(4)]
    mean = nn.Linear(5, 3)
    mean.load_state_dict(uniform_soup([head.state_dict() for head in heads]))
    features = torch.randn(7, 5)
    torch.testing.assert_close(mean(features), torch.stack([head(features) for head in heads]).mean(dim=0))


def test_mean_of_equal_weights_is_the_same_bits() -> None:
    state = {"weight": torch.randn(4, 3), "count": torch.tensor(7)}
    mean = uniform_soup([state] * 3)
    assert torch.equal(mean["weight"], state["weight"])
    assert mean["count"] == 7


def _network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 4), nn.BatchNorm1d(4))


def test_statistics_that_differ_are_measured_anew_and_others_stay() -> None:
    torch.manual_seed(1)
    network = _network().eval()
    states = [{name: value.clone() for name, value in network.state_dict().items()} for _ in range(2)]
    for state in states:  # a stage that was frozen at what it had learned before
        state["1.running_mean"] += 0.5
    states[1]["4.running_var"] *= 3
    assert norms_apart(network, states) == ["4"]

    network.load_state_dict(uniform_soup(states))
    batches = [torch.randn(16, 3) for _ in range(3)]
    measured = NormStatistics(network, ["4"])
    with torch.no_grad():
        for batch in batches:
            measured.listen()
            network(batch)
    measured.finish()
    with torch.no_grad():
        seen = [network[:4](batch) for batch in batches]
    torch.testing.assert_close(network[4].running_mean, torch.stack([each.mean(dim=0) for each in seen]).mean(dim=0))
    torch.testing.assert_close(network[4].running_var, torch.stack([each.var(dim=0) for each in seen]).mean(dim=0))
    torch.testing.assert_close(network[1].running_mean, torch.full((4,), 0.5), rtol=0, atol=0)
    assert network[4].momentum == 0.1
    assert not network[4].training
