"""Weights that meet nothing but padding are left out: same function, no decay, no gradient, no momentum."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import StochasticWeightAveraging
from torch import nn

from tests.conftest import Tlearn
from tests.helpers.python_runs import fit
from tests.helpers.runs import last
from tlearn import DigitsDataModule, TransferModule
from tlearn.models.backbones import live_taps
from tlearn.models.backbones.live_taps import LiveTapsConv2d, leave_out_padding, live_range, put_back

# Digits as they are, 8 px: layer2's maps are a single pixel.
TINY = ("--data.size_px", "8", "--model.tap", "layer2")
DECAY = ("--model.optimizer.weight_decay", "0.1")


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 0, 1), (3, 2, 1)])
def test_live_taps_are_those_that_get_a_gradient(kernel: int, stride: int, padding: int, dilation: int) -> None:
    for size_px in range(1, 8):
        if size_px + 2 * padding < dilation * (kernel - 1) + 1:
            continue
        conv = nn.Conv2d(1, 1, (kernel, 1), (stride, 1), (padding, 0), (dilation, 1))
        conv(torch.ones(1, 1, size_px, 1)).sum().backward()
        assert conv.weight.grad is not None
        live = torch.nonzero(conv.weight.grad.flatten()).flatten().tolist()
        if live:  # a kernel that meets no pixel at all gets no picture worth the name
            assert live_range(size_px, kernel, stride, padding, dilation) == (live[0], live[-1] + 1)


def test_resnet18_at_32_px_is_the_same_function_with_a_third_of_the_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(16, 3, 32, 32, generator=generator).contiguous(memory_format=torch.channels_last)
    plain, lean = (TransferModule(10, weights=None).backbone for _ in range(2))
    lean.load_state_dict(plain.state_dict())
    lean.eval()
    leave_out_padding(lean, torch.zeros(1, 3, 32, 32))
    lean.train()
    assert sum(part.left_out for part in lean.modules() if isinstance(part, LiveTapsConv2d)) == 6_946_816
    for network in (plain, lean):
        network(images).square().mean().backward()
    for name, parameter in plain.named_parameters():
        mine = lean.get_parameter(name)
        owner = lean.get_submodule(name.rpartition(".")[0])
        live = owner.live if isinstance(owner, LiveTapsConv2d) and name.endswith("weight") else ...
        assert parameter.grad is not None
        assert mine.grad is not None
        assert torch.allclose(mine.grad, parameter.grad[live], rtol=1e-4, atol=1e-6), name
        dead = parameter.grad.clone()
        dead[live] = 0
        assert not dead.any()
    for network in (plain, lean):
        network.eval()
    larger = torch.randn(2, 3, 64, 64, generator=generator)
    assert torch.allclose(plain(larger), lean(larger), rtol=0, atol=1e-5)  # there all taps are needed
    before = {name: value.clone() for name, value in lean.state_dict().items()}
    put_back(lean)
    assert not any(isinstance(part, LiveTapsConv2d) for part in lean.modules())
    assert list(lean.state_dict()) == list(plain.state_dict())
    for name, value in before.items():
        assert torch.equal(lean.state_dict()[name], value)


def test_decay_and_momentum_leave_them_alone(
    tlearn: Tlearn, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = tlearn("fit", "-c", small, *TINY, *DECAY)
    assert answer.code == 0, answer.err
    why = "idle: these weights only multiply zero padding at this image size"
    assert f" + 434,176 idle = 683,459 parameters\n{why}\n" in answer.out
    monkeypatch.setattr("tlearn.models.network.leave_out_padding", lambda *_: None)
    assert tlearn("fit", "-c", small, *TINY, *DECAY).code == 0
    assert tlearn("fit", "-c", small, *TINY, "--model.optimizer.lr", "1e-30").code == 0
    lean, plain, start = (last(tmp_path, version) for version in range(3))
    name = "backbone.layer2.1.conv2.weight"
    dead = torch.ones(3, 3, dtype=torch.bool)
    dead[1, 1] = False
    weights = [run["state_dict"][name] for run in (lean, plain, start)]
    assert torch.equal(weights[0][..., dead], weights[2][..., dead])
    assert weights[1][..., dead].norm() < 0.999 * weights[2][..., dead].norm()  # decay ruins them
    assert torch.allclose(weights[0][..., 1, 1], weights[1][..., 1, 1], rtol=0, atol=1e-6)
    momentum = [
        sum(state["momentum_buffer"].numel() for state in run["optimizer_states"][0]["state"].values())
        for run in (lean, plain)
    ]
    assert momentum == [683_459 - 434_176, 683_459]


class Tall(DigitsDataModule):
    """Digits of 8 x 4 pixels."""

    def load_split(self, split: Literal["train", "test"]) -> tuple[torch.Tensor, torch.Tensor]:
        images, targets = super().load_split(split)
        return images[..., 2:6].contiguous(), targets


def test_what_meets_pixels_trains_in_tall_pictures_too() -> None:
    model = TransferModule(3, weights=None, tap="layer2")
    start = model.backbone.get_parameter("layer1.1.conv2.weight").detach().clone()
    fit(model, Tall(classes=[0, 1, 2], train_per_class=4, size_px=8))
    moved = (model.backbone.get_parameter("layer1.1.conv2.weight") != start).flatten(0, 1).any(dim=0)
    assert moved.tolist() == [[False, True, False]] * 3  # its maps are 2 x 1


class Fails(Callback):
    """Fail in the first epoch."""

    def on_train_batch_end(self, *_: Any) -> None:
        raise RuntimeError("on purpose")


def test_lightnings_older_averaging_goes_along() -> None:
    model = TransferModule(3, weights=None, tap="layer2")
    average = StochasticWeightAveraging(swa_lrs=1e-3, swa_epoch_start=1)
    fit(model, DigitsDataModule(classes=[0, 1, 2], train_per_class=8, size_px=8), [average], max_epochs=3)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_after_a_failure_the_next_run_begins_with_the_plain_network() -> None:
    model = TransferModule(3, weights=None, tap="layer2")
    with pytest.raises(RuntimeError, match="on purpose"):
        fit(model, DigitsDataModule(classes=[0, 1, 2], train_per_class=4, size_px=8), callbacks=[Fails()])
    fit(model, DigitsDataModule(classes=[0, 1, 2], train_per_class=4, size_px=32))
    assert sum(parameter.numel() for parameter in model.parameters()) == 683_459
    fresh = model.backbone.get_parameter("layer2.1.conv2.weight")
    assert fresh.shape[-2:] == (3, 3)


@pytest.mark.parametrize(
    "options",
    [
        ["--model.l2_sp", "0.1", "--model.head_init", "probe"],
        ["--trainer.callbacks+=EMAWeightAveraging"],
    ],
)
def test_options_that_know_the_weights_go_along(options: list[str], tlearn: Tlearn, small: str) -> None:
    if "--model.l2_sp" in options:
        assert tlearn("fit", "-c", small, *TINY).code == 0
        options = [*options, "--model.weights", "runs/small/version_0/checkpoints/last.ckpt"]
    answer = tlearn("fit", "-c", small, *TINY, *options)
    assert answer.code == 0, answer.err
    assert tlearn("validate", "--ckpt_path", "last", "-c", small, *TINY).code == 0


@pytest.mark.pictures
def test_resumed_with_the_same_bits(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, *TINY, *DECAY, "--model.unfreeze", "{layer2: 1, layer1: 2}"]
    assert tlearn(*words, "--trainer.max_epochs", "4").code == 0
    assert tlearn(*words, "--trainer.max_epochs", "2").code == 0
    assert tlearn(*words, "--trainer.max_epochs", "4", "--ckpt_path", "last").code == 0
    for name, value in last(tmp_path, 0)["state_dict"].items():
        assert torch.equal(last(tmp_path, 1)["state_dict"][name], value), name


def test_a_plan_counts_them_apart(tlearn: Tlearn, small: str) -> None:
    assert " + 434,176 idle = " in tlearn("plan", "-c", small, *TINY).out
    frozen = tlearn("plan", "-c", small, *TINY, "--model.freeze_backbone", "true").out
    assert "387 trainable + 683,072 frozen = 683,459 parameters" in frozen


def test_after_a_fit_the_network_is_a_plain_one() -> None:
    data = DigitsDataModule(classes=[0, 1, 2], train_per_class=4, size_px=8)
    model = TransferModule(3, weights=None, tap="layer2")
    fit(model, data)
    assert not any(isinstance(part, live_taps.LiveTapsConv2d) for part in model.modules())
    assert sum(parameter.numel() for parameter in model.parameters()) == 683_459
