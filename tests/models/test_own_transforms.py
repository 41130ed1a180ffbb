"""tlearn's mean, std and size against what torchvision and timm say of the weights of much used networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model, get_model_weights

from benchmarks.transform_table import NETWORKS, table, wanted_by
from tlearn import TransferModule
from tlearn.data import Framing
from tlearn.data.files.reading import read_image
from tlearn.models.backbones.backbone import TorchvisionBackbone
from tlearn.models.preprocess import Preprocess
from tlearn.models.weights.statistics import statistics_of_file

timm = pytest.importorskip("timm")
SLOW = ("convnext_tiny", "vit_b_16", "swin_t", "efficientnet_v2_s", "resnet50", "timm/vit_small_patch16_224")
EACH = [pytest.param(*each, marks=pytest.mark.slow if each[0] in SLOW else ()) for each in NETWORKS]


def library_transform(name: str, weights: str) -> Any:
    if name.startswith("timm/"):
        config = timm.get_pretrained_cfg(f"{name.removeprefix('timm/')}.{weights}").to_dict()
        return timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=config))
    return get_model_weights(name)[weights].transforms()


@pytest.mark.parametrize(("name", "weights"), EACH)
def test_pixels_are_normalised_and_sized_as_the_weights_want(
    name: str, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(self: WeightsEnum, *_: Any, **__: Any) -> dict[str, Tensor]:
        assert self.name == weights
        network: nn.Module = get_model(name, weights=None)
        return network.state_dict()

    create = timm.create_model

    def created(full: str, pretrained: bool = False, **options: Any) -> nn.Module:
        assert full == f"{name.removeprefix('timm/')}.{weights}"
        network: nn.Module = create(full, pretrained=False, **options)
        return network

    monkeypatch.setattr(WeightsEnum, "get_state_dict", state)
    monkeypatch.setattr(timm, "create_model", created)
    is_timm = name.startswith("timm/")
    backbone, wanted = (f"{name}.{weights}", "DEFAULT") if is_timm else (name, weights)
    module = TransferModule(2, backbone=backbone, weights=wanted)
    if is_timm:
        config = timm.get_pretrained_cfg(f"{name.removeprefix('timm/')}.{weights}")
        mean, std, size_px = config.mean, config.std, config.input_size[-1]
    else:
        preset = library_transform(name, weights)
        mean, std, size_px = preset.mean, preset.std, preset.crop_size[0]
    assert module.preprocess.mean.tolist() == pytest.approx(list(mean))
    assert module.preprocess.std.tolist() == pytest.approx(list(std))
    assert module.native_size == size_px


@pytest.mark.parametrize(("name", "weights"), NETWORKS)
def test_with_their_size_and_share_the_picture_is_theirs(name: str, weights: str, tmp_path: Path) -> None:
    """With bicubic in place of bilinear, and the centre up to half a pixel aside, nothing else may differ."""
    y, x = np.mgrid[0:420, 0:600]
    waves = [127 + 120 * np.sin(x / 23 + shift) * np.cos(y / 31) for shift in (0, 2, 4)]
    Image.fromarray(np.stack(waves, axis=2).astype(np.uint8)).save(tmp_path / "x.png")
    wanted = wanted_by(name, weights)
    pixels = read_image(tmp_path / "x.png", Framing(wanted.size_px, "center", wanted.crop_pct))
    ours = Preprocess(None, wanted.mean, wanted.std)(pixels[None])[0]
    theirs = library_transform(name, weights)(Image.open(tmp_path / "x.png"))
    assert ours.shape == theirs.shape
    away = (ours - theirs).abs().mean() * torch.tensor(wanted.std).mean() * 255
    assert away < 3  # of 255; a share of 0.95 in place of 0.966 is 5.8, 0.875 is 27.9


def test_a_file_for_efficientnet_v2_l_is_read_as_torchvision_says() -> None:
    """Its weights are the only ones of torchvision that want another mean and std than ImageNet's."""
    resnet = TorchvisionBackbone("resnet18")
    found = statistics_of_file("efficientnet_v2_l-59c71312.pth", "efficientnet_v2_l", resnet)
    assert (found.mean, found.std) == ((0.5,) * 3, (0.5,) * 3)
    assert str(found).endswith("(as all torchvision's weights of efficientnet_v2_l, the file names none)")
    assert statistics_of_file("resnet50.pth", "resnet50", resnet).source == "ImageNet's, the file names none"


def test_the_document_has_the_table() -> None:
    document = Path(__file__).parents[2] / "docs/transforms.md"
    assert table() in document.read_text("utf-8")
