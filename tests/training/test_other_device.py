"""What a GPU asks of a run, held on a CPU: the device "meta", another type or a recorded move stands for the GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.optim.swa_utils import AveragedModel

import tlearn as package
from tlearn import DigitsDataModule, TransferModule
from tlearn.base.errors import TlearnError
from tlearn.training.lean_lightning import place_averages
from tlearn.training.strategies import features

META = torch.device("meta")


def test_copies_that_compute_fast_go_along_when_the_network_moves() -> None:
    module = TransferModule(3, weights=None, tap="layer1", freeze_backbone=True).eval()
    module.setup("test")
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        first = module.features(images)
        module.double()  # as far as a copy is concerned, this is a move
        assert module.features(images).dtype == torch.float64
        assert torch.allclose(module.features(images).float(), first, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("given", "expected"), [(None, META), ("cpu", torch.device("cpu"))])
def test_averaged_weights_lie_where_the_network_does(given: str | None, expected: torch.device) -> None:
    module = TransferModule(3, weights=None, tap="layer1")
    callback = EMAWeightAveraging(device=given)
    callback._average_model = AveragedModel(module)  # as Lightning makes it: before the network is moved
    place_averages([callback], module.to(META))
    assert {each.device for each in callback._average_model.parameters()} == {expected}


def test_the_last_pass_of_a_race_and_of_a_comparison_is_where_the_run_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, places = TransferModule(3, weights=None, tap="layer1"), list[str]()
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu", 0)))
    monkeypatch.setattr(module, "to", lambda device: places.append(str(device)))
    with features.on_device_of_run(trainer, module):
        assert places == ["cpu:0"]
    assert places == ["cpu:0", "cpu"]  # and back, as Lightning left it


@pytest.mark.parametrize(("accelerator", "pins"), [("cpu", False), (None, True)])
def test_memory_is_pinned_for_a_gpu_alone(accelerator: str | None, pins: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DigitsDataModule(classes=[0, 1, 2], size_px=16)
    data.setup("fit")
    if accelerator:
        data.trainer = Trainer(accelerator=accelerator, logger=False, enable_checkpointing=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    loader: Any = data.val_dataloader()
    assert loader.pin_memory is pins


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_one_line_before_anything_is_read(name: str) -> None:
    with pytest.raises(TlearnError, match=f"^expected a device that torch can compute on here.* got {name}: "):
        package.load("runs/nothing", device=name)
