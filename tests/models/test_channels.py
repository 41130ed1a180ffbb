"""Networks for one, two and five channels: timm's rule, from weights of a library, of a file and of tlearn itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from timm.models import adapt_input_conv
from torch import nn
from torchvision.models import get_model

from tests.models.test_backbones import ONE_PER_FAMILY
from tlearn import TransferModule
from tlearn.base.errors import TlearnError
from tlearn.models.backbones.backbone import TorchvisionBackbone
from tlearn.models.backbones.input_channels import adapted_kernel
from tlearn.models.network import Network
from tlearn.models.options import NetworkOptions

FIVE = [0.1, 0.2, 0.3, 0.4, 0.5]


def network(backbone: str, channels: int, weights: str | None = None, **options: object) -> Network:
    given = {"pixel_mean": FIVE[:channels], "pixel_std": FIVE[:channels]}
    made = NetworkOptions(2, backbone=backbone, in_channels=channels, weights=weights, **given | options)  # type: ignore[arg-type]  # of any kind
    return Network(made).eval()


def pixels(channels: int, side_px: int = 32) -> torch.Tensor:
    shape = (2, channels, side_px, side_px)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_kernel_is_adapted_as_timm_does_bit_for_bit(dtype: torch.dtype) -> None:
    kernel = torch.randn(8, 3, 7, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    for channels in (1, 2, 3, 4, 5, 7, 12):
        ours = adapted_kernel(kernel, channels)
        assert ours.dtype == dtype
        assert torch.equal(ours, adapt_input_conv(channels, kernel.clone()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_every_family_takes_weights_for_three_channels(name: str, tmp_path: Path) -> None:
    library = get_model(name)
    torch.save(library.state_dict(), path := tmp_path / "w.pt")
    first = next(part for part, module in library.named_modules() if isinstance(module, nn.Conv2d))
    for channels in (1, 2, 5):
        found = network(name, channels, str(path)).backbone.state_dict()
        wanted = library.state_dict() | {}
        kernel = wanted.pop(f"{first}.weight")
        assert torch.equal(found.pop(f"{first}.weight"), adapt_input_conv(channels, kernel))
        assert all(torch.equal(value, wanted[key]) for key, value in found.items())


@pytest.mark.parametrize("name", ["resnet18", "test_vit", "repvgg_a0"])  # RepVGG sees pictures in two convolutions
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_timm_network_from_a_file_is_timms_own(
    name: str, channels: int, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    torch.save(timm.create_model(name).state_dict(), path := tmp_path / "w.pt")
    overlay = {"file": str(path), "hf_hub_id": None, "url": "", "custom_load": False}
    theirs = timm.create_model(name, pretrained=True, in_chans=channels, num_classes=0, pretrained_cfg_overlay=overlay)
    side_px = 160 if name == "test_vit" else 32
    ours = network(f"timm/{name}", channels, str(path))
    state = ours.backbone.network.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in theirs.state_dict().items())
    images = pixels(channels, side_px)
    with torch.no_grad():
        wanted = theirs.eval()(ours.preprocess(images))
        torch.testing.assert_close(ours.features(images), wanted, rtol=0, atol=1e-6)
    assert f"the first convolution adapted from 3 to {channels} channel" in said.text
    assert f"timm/{name} without its tag" not in said.text or channels == 3


def test_a_grey_picture_is_answered_as_three_equal_channels(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    torch.save(get_model("resnet18").state_dict(), path := tmp_path / "w.pt")
    same = {"pixel_mean": [0.5] * 3, "pixel_std": [0.2] * 3}
    grey = network("resnet18", 1, str(path), pixel_mean=[0.5], pixel_std=[0.2])
    colour = network("resnet18", 3, str(path), **same)
    images = pixels(1)
    with torch.no_grad():
        torch.testing.assert_close(grey.features(images), colour.features(images.expand(-1, 3, -1, -1)))
    assert "the first convolution adapted from 3 to 1 channel (red, green and blue summed)" in said.text


def test_alike_channels_give_outputs_of_the_same_size(tmp_path: Path) -> None:
    torch.save(get_model("resnet18").state_dict(), path := tmp_path / "w.pt")
    six = network("resnet18", 6, str(path), pixel_mean=[0.5] * 6, pixel_std=[0.2] * 6)
    three = network("resnet18", 3, str(path), pixel_mean=[0.5] * 3, pixel_std=[0.2] * 3)
    images = pixels(3)
    with torch.no_grad():
        torch.testing.assert_close(six.features(images.repeat(1, 2, 1, 1)), three.features(images))


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "vit_b_32"])
def test_random_weights_answer_in_the_same_size_for_any_number(name: str) -> None:
    sizes = []
    for channels in (1, 3, 12):
        torch.manual_seed(0)
        backbone = TorchvisionBackbone(name, in_channels=channels).eval()
        images = torch.randn(2, channels, 224, 224, generator=torch.Generator().manual_seed(1))
        conv = backbone.network.get_submodule(backbone.input_convolutions()[0])
        with torch.no_grad():
            sizes.append(float(conv(images).std()))
    assert sizes == pytest.approx([sizes[1]] * 3, rel=0.25)


def test_the_stem_of_a_vit_can_be_tapped_alone() -> None:
    backbone = TorchvisionBackbone("vit_b_32", "stem", in_channels=5).eval()
    with torch.no_grad():
        assert backbone(torch.zeros(2, 5, 224, 224)).shape == (2, 768)


def test_own_weights_of_as_many_channels_are_taken_as_they_are(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    trained = network("resnet18", 5)
    content = {"state_dict": trained.state_dict(), "tlearn": {"class_names": ["0", "1"], "task": "classification"}}
    torch.save(content, path := tmp_path / "own.ckpt")
    anew = Network(NetworkOptions(2, in_channels=5, weights=str(path)))
    own = trained.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in anew.state_dict().items())
    assert "adapted" not in said.text
    assert "pixels normalised by mean 0.1 0.2 0.3 0.4 0.5 and std 0.1 0.2 0.3 0.4 0.5 (the file's own)" in said.text
    for channels in (3, 2):
        with pytest.raises(TlearnError, match=f"own.ckpt see 5 channels, model.in_channels is {channels}; set it to 5"):
            network("resnet18", channels, str(path))


def test_own_weights_for_three_channels_are_adapted_with_their_head(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    trained = network("timm/test_resnet", 3)
    content = {"state_dict": trained.state_dict(), "tlearn": {"class_names": ["0", "1"], "task": "classification"}}
    torch.save(content, path := tmp_path / "own.ckpt")
    anew = Network(NetworkOptions(2, backbone="timm/test_resnet", in_channels=5, weights=str(path)))
    assert not anew.preprocess.is_known
    assert torch.equal(anew.state_dict()["head.weight"], trained.state_dict()["head.weight"])
    assert "the first convolution adapted from 3 to 5 channels (red, green, blue repeated, times 3 / 5)" in said.text
    assert "mean and std of 5 channels are measured in the training images" in said.text


def test_three_channels_are_what_they_were() -> None:
    torch.manual_seed(0)
    plain = get_model("resnet18", weights=None)
    torch.manual_seed(0)
    ours = TransferModule(2, weights=None)
    state = plain.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in ours.backbone.state_dict().items())
    assert ours.preprocess.mean.tolist() == pytest.approx([0.485, 0.456, 0.406])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 0}, "model.in_channels"),
        ({"in_channels": 2.5}, "model.in_channels"),
        ({"in_channels": 2, "pixel_mean": 0.5}, "model.pixel_mean: expected a list of 2 numbers, got 0.5"),
        (
            {"in_channels": 2, "pixel_mean": [0.5] * 3, "pixel_std": [0.5] * 3},
            "go together, one number for each of 2 channels",
        ),
        ({"in_channels": 5, "backbone": "timm/mixer_s32_224", "weights": "no.pt"}, "no checkpoint at"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, object], message: str) -> None:
    with pytest.raises(TlearnError, match=message):
        TransferModule(2, **{"weights": None} | options)  # type: ignore[arg-type]  # wrong on purpose


def test_pixels_whose_statistics_nobody_knows_are_refused() -> None:
    module = TransferModule(2, backbone="timm/test_resnet", weights=None, in_channels=5)
    with pytest.raises(TlearnError, match="mean and std of the pixels' 5 channels are not known: fit measures them"):
        module(pixels(5))
