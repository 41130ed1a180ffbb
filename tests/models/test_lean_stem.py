"""A ResNet's stem keeps less for the backward pass, and gives the same bits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from tlearn.models.backbones.backbone import TorchvisionBackbone


def laid_out(network: nn.Module) -> nn.Module:
    return network.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(("dtype", "size_px"), [(torch.float32, 32), (torch.bfloat16, 64), (torch.bfloat16, 400)])
def test_values_and_gradients_are_torchvisions(dtype: torch.dtype, size_px: int) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, size_px, size_px).contiguous(memory_format=torch.channels_last)
    ours, theirs = laid_out(TorchvisionBackbone("resnet18")), resnet18()
    theirs.fc = nn.Identity()
    laid_out(theirs).load_state_dict(ours.state_dict())
    found: list[list[Tensor]] = []
    for network in (ours, theirs):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
            features = network(images)
        features.float().square().sum().backward()
        gradients = [value.grad for value in network.parameters() if value.grad is not None]
        found.append([features, *gradients, *network.buffers()])
    assert [len(each) for each in found] == [1 + 60 + 60] * 2
    for own, wanted in zip(*found, strict=True):
        assert torch.equal(own, wanted)


def test_less_is_kept() -> None:
    network = laid_out(TorchvisionBackbone("resnet18", "stem"))
    images = torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        network(images)
    numbers = 2 * 64 * 32 * 32  # of the convolution's map
    parameters = sum(value.nbytes for value in network.parameters())
    # Pixels, the convolution's map, a quarter of it behind ReLU, and a quarter of places; the plain stem keeps 16 bytes
    # a number in place of 5.5.
    assert sum(kept.values()) < images.nbytes + 5.5 * numbers + parameters + 4096


def test_watched_parts_run_as_they_stand() -> None:
    network, calls = TorchvisionBackbone("resnet18"), []

    def note(part: nn.Module, given: Any, output: Tensor) -> None:
        calls.append((type(part).__name__, tuple(output.shape)))

    for name in ("relu", "maxpool"):
        network.get_submodule(name).register_forward_hook(note)
    network(torch.randn(2, 3, 64, 64))
    assert calls == [("ReLU", (2, 64, 32, 32)), ("MaxPool2d", (2, 64, 16, 16))]


def test_gradients_of_watched_parts_are_seen_where_they_stand() -> None:
    network, calls = TorchvisionBackbone("resnet18"), []

    def note(part: nn.Module, inward: Any, outward: Any) -> None:
        calls.append((type(part).__name__, tuple(outward[0].shape)))

    relu: Any = network.get_submodule("relu")
    relu.inplace = False  # torch allows no such hook on what writes in place
    for name in ("relu", "maxpool"):
        network.get_submodule(name).register_full_backward_hook(note)
    network(torch.randn(2, 3, 64, 64)).sum().backward()
    assert calls == [("MaxPool2d", (2, 64, 16, 16)), ("ReLU", (2, 64, 32, 32))]
