"""Networks of every family: stages, taps, freezing and rules by stage name, the same features as the library's own."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model

from tests.conftest import Tlearn
from tlearn import TransferModule
from tlearn.models.backbones.backbone import TorchvisionBackbone, torchvision_backbones
from tlearn.models.backbones.families import family_of

ONE_PER_FAMILY = {
    "resnet18": ("stem", "layer1", "layer4"),
    "resnext50_32x4d": ("stem", "layer1", "layer4"),
    "wide_resnet50_2": ("stem", "layer1", "layer4"),
    "regnet_y_400mf": ("stem", "block1", "block4"),
    "convnext_tiny": ("stem", "stage1", "stage4"),
    "swin_t": ("stem", "stage1", "stage4"),
    "efficientnet_b0": ("stem", "stage1", "top"),
    "mobilenet_v3_small": ("stem", "stage1", "top"),
    "vit_b_16": ("stem", "block1", "block12"),
}


def penultimate(network: nn.Module, images: Tensor) -> Tensor:
    """What the last linear layer sees."""
    seen: list[Tensor] = []
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    last.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    network(images)
    return seen[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_features_are_those_before_the_librarys_last_layer(name: str) -> None:
    network, backbone = get_model(name).eval(), TorchvisionBackbone(name).eval()
    state = network.state_dict()
    backbone.load_state_dict({key: state[key] for key in backbone.state_dict()})
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), penultimate(network, images), atol=1e-4, rtol=1e-4)
    first, second, last = ONE_PER_FAMILY[name]
    assert (*backbone.stages[:2], backbone.stages[-1]) == (first, second, last)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_stages_freeze_tap_and_scale_by_name(name: str) -> None:
    first, second, last = ONE_PER_FAMILY[name]
    module = TransferModule(2, backbone=name, weights=None, freeze_until=second, lr_scales={last: 0.1})
    frozen = {stage for parameter, stage in module.stages.items() if not module.get_parameter(parameter).requires_grad}
    assert frozen == {first, second}
    rates = {group["name"]: group["lr"] for group in module.configure_optimizers().param_groups}
    assert rates[last] == pytest.approx(0.1 * rates["head" if len(rates) == 2 and "head" in rates else "rest"])
    tapped = TransferModule(2, backbone=name, weights=None, tap=[first, second])
    assert tapped.backbone.stages == (first, second)
    side = 224 if name.startswith("vit") else 32
    assert tapped.eval()(torch.zeros(1, 3, side, side, dtype=torch.uint8)).shape == (1, 2)
    assert sum(p.numel() for p in tapped.parameters()) < 0.5 * sum(p.numel() for p in module.parameters())


@pytest.mark.slow
def test_every_listed_network_has_stages() -> None:
    for name in torchvision_backbones():
        if name.startswith("regnet"):  # RegNets compute their widths, which the meta device cannot
            continue
        with torch.device("meta"):
            family, network = family_of(name), get_model(name)
        assert family
        for path in (path for paths in family.stages(network).values() for path in paths):
            network.get_submodule(path)


@pytest.mark.pictures
def test_another_family_trains(tlearn: Tlearn, small: str) -> None:
    words = ["--model.backbone", "mobilenet_v3_small", "--model.tap", "null", "--trainer.max_epochs", "1"]
    answer = tlearn("fit", "-c", small, *words, "--model.freeze_until", "stage8", "--data.size_px", "32")
    assert answer.code == 0, answer.err
    assert tlearn("test", "-c", small, "--ckpt_path", "best").code == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model.backbone", "help"], "Choices: convnext_base, convnext_large"),
        (["--model.backbone", "resnet19"], "Did you mean 'resnet18'?"),
        (
            ["--model.backbone", "convnext_tiny", "--model.tap", "layer2"],
            "Choices: stem, stage1, stage2, stage3, stage4",
        ),
        (
            ["--model.backbone", "swin_t", "--model.tap", "null", "--model.freeze_until", "layer1"],
            "Choices: stem, stage1",
        ),
        (
            ["--model.backbone", "vit_b_16", "--model.tap", "block1"],
            "takes 224 px pictures alone, got 16 px; set model.image",
        ),
    ],
)
def test_wrong_names_list_the_right_ones(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err
    assert answer.err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "vit_tiny_patch16_224"])
def test_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    network = timm.create_model(name, num_classes=0).eval()
    module = TransferModule(2, backbone=f"timm/{name}", weights=None, freeze_until="stage1")
    assert module.preprocess.mean.tolist() == pytest.approx(network.pretrained_cfg["mean"])
    backbone = module.backbone.eval()
    backbone.network.load_state_dict(network.state_dict())
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), network(images))
    frozen = {stage for parameter, stage in module.stages.items() if not module.get_parameter(parameter).requires_grad}
    assert frozen == {"stem", "stage1"}
    last = backbone.stages[-1]
    for tap in ("stage2", ["stage1", "stage2"], ["stage1", last]):
        tapped = TransferModule(2, backbone=f"timm/{name}", weights=None, tap=tap)
        assert tapped.eval()(torch.zeros(1, 3, 224, 224, dtype=torch.uint8)).shape == (1, 2)
        assert set(tapped.stages.values()) == {*tapped.backbone.stages, "head"}


def test_timm_missing_is_said(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    answer = tlearn("fit", "-c", small, "--model.backbone", "timm/resnet18", "--model.tap", "null")
    assert answer.code == 2
    assert "a timm/ backbone needs timm; run: pip install 'tlearn[timm]'" in answer.err


def test_timm_unknown_network(tlearn: Tlearn, small: str) -> None:
    pytest.importorskip("timm")
    answer = tlearn("fit", "-c", small, "--model.backbone", "timm/resnet19", "--model.tap", "null")
    assert answer.code == 2
    assert "unknown model.backbone timm/ 'resnet19'. Did you mean 'resnet1" in answer.err
