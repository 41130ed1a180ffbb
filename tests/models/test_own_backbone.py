"""A plain ``torch.nn.Module`` as a backbone: an object from Python, or an import path on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tlearn as library
from tests.conftest import Tlearn
from tlearn.models.backbones.own_backbone import OwnBackbone
from tlearn.training.module import TransferModule

MODULE = '''
import torch
from torch import nn

class Net(nn.Module):
    """A plain convolutional network, as people write it."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = self.pool(self.second(self.first(x)))
        return x.view(x.size(0), -1)

def make_net(width: int = 8):
    return Net(width)

def no_net():
    return 3
'''
NAME = "my_nets.make_net"


@pytest.fixture
def package(own_package: Callable[[str, str], None]) -> Any:
    """Write a package of the user's, and import it."""
    own_package("my_nets", MODULE)
    import my_nets  # type: ignore[import-not-found]  # written above

    return my_nets


class Branched(nn.Module):
    """Parts that do not run one after the other, and an output that is a map."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.left(x), self.right(x)], dim=1)


class Named(nn.Module):
    """Stages by its own names."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3), nn.Conv2d(5, 6, 3)])
        self.stages = {"low": ["layers.0", "layers.1"], "high": "layers.2"}

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def test_children_are_stages_and_the_width_is_found(package: Any) -> None:
    module = TransferModule(3, backbone=package.Net(), weights=None, freeze_until="first")
    assert module.backbone.stages == ("first", "second")
    assert module.backbone.num_features == 16
    frozen = {module.stages[name] for name, parameter in module.named_parameters() if not parameter.requires_grad}
    assert frozen == {"first"}
    assert not module.train().backbone.network.get_submodule("first").training
    assert module(torch.zeros(2, 3, 40, 40, dtype=torch.uint8)).shape == (2, 3)


def test_numbered_children_and_wrappers() -> None:
    wrapped = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Flatten(2)))
    backbone = TransferModule(2, backbone=wrapped, weights=None).backbone
    assert isinstance(backbone, OwnBackbone)
    assert backbone.layout == {"stage1": ("0.0", "0.1"), "stage2": ("0.2", "0.3")}


def test_a_dictionary_names_the_stages_and_they_can_be_tapped() -> None:
    torch.manual_seed(0)
    whole = Named()
    module = TransferModule(2, backbone=whole, weights=None, tap=["low", "high"], unfreeze={"high": 1})
    assert module.backbone.stages == ("low", "high")
    assert module.backbone.num_features == 5 + 6
    tapped = TransferModule(2, backbone=whole, weights=None, tap="low")
    assert tapped.backbone.num_features == 5
    assert not any("layers.2" in name for name in tapped.state_dict())
    assert len(list(whole.layers[2].parameters())) == 2  # the user's own is whole


def test_what_does_not_run_in_a_row_is_not_tapped() -> None:
    module = TransferModule(2, backbone=Branched(), weights=None)
    assert (module.backbone.stages, module.backbone.num_features) == (("left", "right"), 10)
    with pytest.raises(library.TlearnError, match=r"the parts of .*Branched do not run one after the other"):
        TransferModule(2, backbone=Branched(), weights=None, tap="left")


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (nn.Conv2d(1, 4, 3), "takes no pictures of 3 channels and 64, 224, 32 px .*; set model.image_size or model.in"),
        (nn.Flatten(0), r"gives \(12288,\); expected features \(B, D\)"),
    ],
)
def test_a_module_that_takes_or_gives_something_else(network: nn.Module, said: str) -> None:
    with pytest.raises(library.TlearnError, match=said):
        TransferModule(2, backbone=network, weights=None)


def test_weights_are_its_own_or_those_of_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tlearn")
    own = Named()
    before = own.layers[0].state_dict()["weight"].clone()
    module = TransferModule(2, backbone=own)
    assert "Named begins with its own weights; pixels normalised by" in caplog.text
    assert torch.equal(module.state_dict()["backbone.network_.layers.0.weight"], before)
    torch.save({"state_dict": Named().state_dict()}, tmp_path / "named.pth")
    loaded = TransferModule(2, backbone=Named(), weights=str(tmp_path / "named.pth"))
    other = torch.load(tmp_path / "named.pth", weights_only=True)["state_dict"]["layers.0.weight"]
    assert torch.equal(loaded.state_dict()["backbone.network_.layers.0.weight"], other)


def test_a_module_for_one_size_says_which() -> None:
    fixed = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4))
    module = TransferModule(2, backbone=fixed, weights=None)
    with pytest.raises(library.TlearnError, match=r"pictures of 40 x 40 px .*; set model.image_size to 32"):
        module(torch.zeros(1, 3, 40, 40, dtype=torch.uint8))


def test_from_the_command_line_to_load_and_back(tlearn: Tlearn, small: str, package: Any) -> None:
    own = ["--model.backbone", NAME, "--model.tap", "null"]
    words = [*own, "--model.freeze_backbone", "true", "--model.head_init", "probe"]
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 0, answer.err
    assert "the network is your own, whose code may change under its name" in answer.out + answer.err
    assert f"next: tlearn test runs/small/version_0 --model.backbone {NAME}" in answer.out
    assert tlearn("test", "runs/small/version_0", "--model.backbone", NAME).code == 0

    run = "runs/small/version_0"
    refused = tlearn("test", run)
    assert refused.code == 2
    assert f"--model.backbone {NAME} is code that a file names and you have not" in refused.err
    with pytest.raises(library.TlearnError, match="TLEARN_TRUST=my_nets; from Python give the module itself"):
        library.load(run)
    picture = torch.randint(0, 255, (3, 16, 16), dtype=torch.uint8)
    given = library.load(run, backbone=package.make_net()).predict([picture])[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLEARN_TRUST", "my_nets")
        trusted = library.load(run).predict([picture])[0]
    assert given.probabilities == trusted.probabilities


def test_resume_and_export(tlearn: Tlearn, small: str, package: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["--model.backbone", NAME, "--model.backbone_args", "{width: 4}", "--model.tap", "first"]
    assert tlearn("fit", "-c", small, *own).code == 0
    monkeypatch.setenv("TLEARN_TRUST", "my_nets")
    last = "runs/small/version_0/checkpoints/last.ckpt"
    resumed = tlearn("fit", "--ckpt_path", last, "--trainer.max_epochs", "3")
    assert resumed.code == 0, resumed.err
    exported = tlearn("export", "runs/small/version_0", "--out", "net.safetensors")
    assert exported.code == 0, exported.err
    assert library.load("runs/small/version_0").module.backbone.num_features == 4
    again = tlearn("fit", "-c", small, *own, "--model.weights", last)
    assert again.code == 0, again.err


def test_names_that_lead_nowhere(tlearn: Tlearn, small: str, package: Any) -> None:
    for name, said in {
        "my_nets.missing": "my_nets.missing cannot be imported",
        "my_nets.no_net": "expected a torch.nn.Module, got a int",
    }.items():
        answer = tlearn("fit", "-c", small, "--model.tap", "null", "--model.backbone", name)
        assert answer.code == 2
        assert said in answer.err
        assert answer.err.count("\n") == 1
    answer = tlearn("fit", "-c", small, "--model.tap", "null", "--model.backbone", "resnet81")
    assert "did you mean resnet18" in answer.err or "resnet" in answer.err
