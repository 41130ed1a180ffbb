from __future__ import annotations

import torch

from tlearn.data.images.keyed_random import key, uniform


def test_the_hash_is_the_published_one() -> None:
    # From state 0 splitmix64 gives 0xE220A8397B1DCDAF first; the next part of a key enters by exclusive or.
    first = 0xE220A8397B1DCDAF
    assert key(0, first) == 0xE220A8397B1DCDAF >> 1


def test_vectorised_draws_equal_the_scalar_hash() -> None:
    indices = torch.tensor([0, 1, 49_999, 2**40])
    scalar = [(key(7, 3, 2, index) >> 39) / 2**24 for index in indices.tolist()]
    assert uniform(7, 3, indices, stream=2).tolist() == scalar


def test_draws_do_not_depend_on_the_batch_around_them() -> None:
    alone = torch.cat([uniform(1, 2, torch.tensor([index]), 0) for index in range(50)])
    assert torch.equal(uniform(1, 2, torch.arange(50), 0), alone)


def test_draws_are_even_and_streams_epochs_and_seeds_are_independent() -> None:
    indices = torch.arange(100_000)
    keys = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    draws = torch.stack([uniform(seed, epoch, indices, stream) for seed, epoch, stream in keys])
    assert draws.dtype == torch.float32
    assert draws.min() >= 0
    assert draws.max() < 1
    assert torch.allclose(draws.mean(1), torch.tensor(0.5), atol=0.005)
    assert torch.histc(draws[0], 10, 0, 1).sub(10_000).abs().max() < 400
    assert (torch.corrcoef(draws) - torch.eye(4)).abs().max() < 0.02


def test_keys_fit_a_generator_also_for_large_and_negative_seeds() -> None:
    for seed in (2**63 - 1, 2**64 - 1, -5):
        assert 0 <= key(seed, 0) < 2**63
        torch.Generator().manual_seed(key(seed, 0))
