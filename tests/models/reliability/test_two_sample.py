"""The permutation test: exact level, power, the same bits each time."""

import torch

from tlearn.models.reliability.two_sample import kernel_of, properties_test, squared_mmd, two_sample


def draw(count: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 16, generator=torch.Generator().manual_seed(seed)) + shift


def test_rejects_one_in_twenty_where_nothing_changed() -> None:
    rejected = sum(two_sample(draw(40, seed), draw(15, seed + 10_000), 99)[0].p <= 0.05 for seed in range(300))
    assert 5 <= rejected <= 27, "the binomial 99.8 % band of 5 % in 300 draws"


def test_sees_a_shift_and_repeats_itself() -> None:
    first, again = (two_sample(draw(200, 1), draw(50, 2, shift=0.5))[0] for _ in range(2))
    assert first == again
    assert (first.p, first.reference, first.new, first.permutations) == (0.001, 200, 50, 999)
    assert first.distance > 0.01
    assert two_sample(draw(200, 1), draw(50, 2))[0].p > 0.05


def test_distance_is_the_unbiased_one_of_the_textbook() -> None:
    new, reference = draw(7, 1), draw(11, 2, shift=1.0)
    kernel = kernel_of(torch.cat([new, reference]))
    k_new, k_ref, across = kernel[:7, :7], kernel[7:, 7:], kernel[:7, 7:]
    expected = (k_new.sum() - 7) / 42 + (k_ref.sum() - 11) / 110 - 2 * across.mean()
    is_new = (torch.arange(18) < 7).double()[None]
    torch.testing.assert_close(squared_mmd(kernel, is_new), expected[None])


def test_many_pictures_are_drawn_from_and_equal_ones_are_alike() -> None:
    found, _ = two_sample(draw(3_000, 1), draw(2_000, 2))
    assert (found.reference, found.new) == (1_000, 500)
    assert two_sample(torch.ones(20, 4), torch.ones(9, 4))[0].p == 1.0


def test_groups_are_compared_with_one_another() -> None:
    sites = [draw(20, seed, shift=0.3 * seed) for seed in range(4)]
    groups = torch.arange(4).repeat_interleave(20)
    groups[0] = 9  # of this group there is one picture: nobody knows how far it is
    _, distances = two_sample(torch.cat(sites), draw(20, 7), 9, groups)
    assert len(distances) == 4
    assert distances.argmax() == 3
    assert not len(two_sample(torch.cat(sites[:2]), draw(20, 7), 9, groups[:40])[1])


def test_properties_have_their_level_and_see_one_of_many_move() -> None:
    rejected = sum(properties_test(draw(40, seed), draw(15, seed + 10_000), 99) <= 0.05 for seed in range(300))
    assert 5 <= rejected <= 27, "the binomial 99.8 % band of 5 % in 300 draws"
    one_moved = draw(50, 2)
    one_moved[:, 3] += 1
    assert properties_test(draw(200, 1), one_moved) == 0.001
    assert properties_test(torch.ones(20, 3), torch.ones(9, 3)) == 1.0
