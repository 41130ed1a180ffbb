"""Which pictures are asked for next, on made features whose clusters are known."""

import pytest
import torch
from torch import Tensor

from tlearn.analysis.query.choose import LEFT_OUT, UNLABELLED, Query, next_pictures
from tlearn.analysis.query.few_labels import solve_few


def clusters(count: int, each: int, width: int = 16, spread: float = 0.3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return features (count x each, width) of clusters far apart, and the cluster of each."""
    draws = torch.Generator().manual_seed(seed)
    centres = 10 * torch.eye(width)[:count]
    truth = torch.arange(count).repeat_interleave(each)
    return centres[truth] + spread * torch.randn(len(truth), width, generator=draws), truth


def test_first_pictures_are_one_of_each_cluster() -> None:
    features, truth = clusters(5, 40)
    found = next_pictures(features, torch.full((200,), UNLABELLED), 5, num_classes=0)
    assert sorted(truth[each.position].item() for each in found) == [0, 1, 2, 3, 4]
    assert {each.why([]) for each in found} == {"typical of a cluster without a label"}


def test_second_pictures_are_of_clusters_without_a_label() -> None:
    features, truth = clusters(6, 30)
    labels = torch.full((180,), UNLABELLED)
    for cluster, label in ((0, 0), (1, 1), (2, LEFT_OUT)):
        labels[truth == cluster] = label
        labels[(truth == cluster).nonzero().flatten()[5:]] = UNLABELLED
    found = next_pictures(features, labels, 3, num_classes=4)
    assert sorted(truth[each.position].item() for each in found) == [3, 4, 5]


def test_with_labels_it_asks_between_classes() -> None:
    features, _ = clusters(2, 60)
    draws = torch.Generator().manual_seed(1)
    middle = torch.zeros(30, 16)
    middle[:, :2] = 5
    features = torch.cat([features, middle + 0.3 * torch.randn(30, 16, generator=draws)])
    labels = torch.full((150,), UNLABELLED)
    labels[:10], labels[60:70] = 0, 1
    found = next_pictures(features, labels, 8, num_classes=2)
    assert all(each.position >= 120 for each in found)
    assert {each.why(["cat", "dog"]) for each in found} <= {"between cat and dog", "between dog and cat"}
    assert all(0.5 <= (each.probability or 0) < 0.95 for each in found)


@pytest.mark.parametrize("labelled", [0, 2, 60])
def test_never_the_same_picture_twice_nor_one_that_was_asked(labelled: int) -> None:
    features, truth = clusters(3, 30)
    labels = torch.full((90,), UNLABELLED)
    asked = torch.randperm(90, generator=torch.Generator().manual_seed(2))[: labelled + 5]
    labels[asked] = truth[asked]
    labels[asked[:5]] = LEFT_OUT
    found = [each.position for each in next_pictures(features, labels, 50, num_classes=3)]
    assert len(found) == len(set(found)) == min(50, 85 - labelled)
    assert not set(found) & set(asked.tolist())


def test_same_seed_same_pictures() -> None:
    features, truth = clusters(4, 50, spread=4.0)
    labels = torch.full((200,), UNLABELLED)
    labels[::5] = truth[::5]

    def asked(seed: int) -> list[Query]:
        return next_pictures(features, labels, 12, num_classes=4, seed=seed)

    torch.manual_seed(11)
    first = asked(0)
    torch.manual_seed(12)
    assert asked(0) == first
    assert asked(1) != first


def test_pictures_that_are_all_alike_are_asked_for_all_the_same() -> None:
    found = next_pictures(torch.ones(7, 4), torch.full((7,), UNLABELLED), 3, num_classes=0)
    assert len({each.position for each in found}) == 3
    labels = torch.tensor([0, 1] * 10 + [UNLABELLED] * 7)
    found = next_pictures(torch.ones(27, 4), labels, 3, num_classes=2)
    assert len({each.position for each in found}) == 3
    assert next_pictures(torch.ones(2, 4), torch.zeros(2, dtype=torch.int64), 3, num_classes=1) == []


def test_a_large_pool_is_looked_at_in_part() -> None:
    features = torch.randn(20_100, 4, generator=torch.Generator().manual_seed(3))
    found = next_pictures(features, torch.full((20_100,), UNLABELLED), 10, num_classes=0)
    assert len({each.position for each in found}) == 10


def test_head_of_few_answers_for_each_without_it() -> None:
    draws = torch.Generator().manual_seed(4)
    features = torch.randn(40, 200, generator=draws)  # wider than many: by heart all of it would be right
    labels = torch.randint(0, 2, (40,), generator=draws)
    head = solve_few(features, labels, 2)
    unseen = (head.unseen.argmax(dim=1) == labels).float().mean()
    assert 0.2 < unseen < 0.75
    assert head.probabilities(features).sum(dim=1).allclose(torch.ones(40))
