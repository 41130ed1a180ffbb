"""A picture's answer has the same bits whatever other pictures are asked about with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from tlearn.models.alone import answered_alone, pictures_at_once
from tlearn.models.network import Network
from tlearn.models.options import NetworkOptions

COUNT = 64


def network_of(backbone: str, image_size: int | None = None, **options: Any) -> Network:
    torch.manual_seed(0)
    made = Network(NetworkOptions(num_classes=7, backbone=backbone, image_size=image_size, **options))
    for part in made.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return made.eval().requires_grad_(False)


def noise(count: int, size_px: int, seed: int = 1) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size_px, size_px), dtype=torch.uint8, generator=draws)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def check_alone(network: Network, images: Tensor, counts: tuple[int, ...]) -> None:
    with torch.inference_mode():
        alone = [answered_alone(network, image[None]) for image in images]
        for count in counts:
            for start in range(0, len(images) - count + 1, max(1, count - 1)):
                together = answered_alone(network, images[start : start + count])
                for name in ("features", "output", "answers"):
                    wanted = torch.cat([getattr(each, name) for each in alone[start : start + count]])
                    assert torch.equal(getattr(together, name), wanted), (name, count, start)


@pytest.mark.parametrize(("side_px", "at_once"), [(8, 32), (32, 16), (64, 4), (128, 1), (224, 1)])
def test_how_many_go_together_depends_on_their_size_alone(side_px: int, at_once: int) -> None:
    network = network_of("resnet18", side_px)
    assert pictures_at_once(network, 999, 999) == at_once
    network.options = NetworkOptions(num_classes=7)
    assert pictures_at_once(network, side_px, side_px) == at_once


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_any_company_gives_the_same_bits(threads: int, task: str) -> None:
    names = [f"column {number}" for number in range(7)]
    check_alone(network_of("resnet18", task=task, class_names=names), noise(20, 32), (1, 2, 15, 16, 17, 20))


def test_from_128_px_on_the_number_of_threads_changes_nothing() -> None:
    network, images, before = network_of("resnet18", 128), noise(5, 128), torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            with torch.inference_mode():
                found.append(answered_alone(network, images).answers)
                assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_what_is_switched_on_holds_on_every_core() -> None:
    network, images = network_of("resnet18", 128), noise(4, 128)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        cast = answered_alone(network, images).features
        assert torch.equal(cast, torch.cat([answered_alone(network, image[None]).features for image in images]))
    with torch.inference_mode():
        assert not torch.equal(cast.float(), answered_alone(network, images).features)
    assert not answered_alone(network.requires_grad_(False), images).features.requires_grad


def test_a_batch_computed_at_once_has_other_bits() -> None:
    """What the module is for: were it not so, it could go."""
    network, images = network_of("resnet18"), noise(8, 64)
    with torch.inference_mode():
        alone = torch.cat([network.answer(image[None]) for image in images])
        assert not torch.equal(network.answer(images), alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "image_size"),
    [("resnet18", 64), ("resnet18", 224), ("timm/tf_efficientnet_lite0", 128), ("timm/vit_tiny_patch16_224", 224)],
)
def test_any_company_of_1_to_64_gives_the_same_bits(threads: int, backbone: str, image_size: int) -> None:
    check_alone(network_of(backbone, image_size), noise(COUNT, image_size), (1, 2, 3, 5, 8, 31, 32, 33, 64))
