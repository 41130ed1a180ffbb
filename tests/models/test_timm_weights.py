"""Weights of timm: position embeddings of another size, tags that want another mean, arguments (N25, P10)."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import vit_b_16

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_flat
from tlearn import TlearnError, TransferModule, load

timm = pytest.importorskip("timm")
TINY_VIT = {"depth": 2, "embed_dim": 24, "num_heads": 2}
TINY_SWIN = {"depths": (1, 1, 1, 1), "embed_dim": 24, "num_heads": (1, 2, 2, 2)}
VIT, DINO, REGISTERS = "vit_tiny_patch16_224", "vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2"
SWIN, MANY_TAGS = "swin_tiny_patch4_window7_224", "mobilenetv4_conv_small"


def made(name: str, **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = timm.create_model(name, num_classes=0, **arguments)
    with torch.no_grad():
        for parameter in network.parameters():  # positions and layer scales begin as nothing
            parameter.normal_(std=0.3)
    return network


@pytest.mark.filterwarnings("ignore:.*searchsorted:UserWarning", "ignore:.*non-tuple sequence:UserWarning")
@pytest.mark.parametrize(
    ("name", "from_px", "to_px", "arguments", "expected"),
    [
        (VIT, 224, 64, TINY_VIT, "(pos_embed of 197 to 17)"),
        (VIT, 96, 224, TINY_VIT, "(pos_embed of 37 to 197)"),
        (DINO, 518, 56, TINY_VIT, "(pos_embed of 1370 to 17)"),
        (REGISTERS, 518, 70, TINY_VIT, "(pos_embed of 1369 to 25)"),
        (SWIN, 224, 96, TINY_SWIN, "relative_position_bias_table of 169 to 121 and"),
    ],
)
def test_position_embeddings_are_resampled_as_timm_does(
    name: str,
    from_px: int,
    to_px: int,
    arguments: dict[str, Any],
    expected: str,
    tmp_path: Path,
    said: pytest.LogCaptureFixture,
) -> None:
    trained, wanted = made(name, img_size=from_px, **arguments), made(name, img_size=to_px, **arguments).eval()
    convert = sys.modules[type(wanted).__module__].checkpoint_filter_fn
    wanted.load_state_dict(convert(trained.state_dict(), wanted))
    torch.save({"model": {f"module.{key}": value for key, value in trained.state_dict().items()}}, tmp_path / "w.pth")
    module = TransferModule(
        2, backbone=f"timm/{name}", weights=str(tmp_path / "w.pth"), image_size=to_px, backbone_args=arguments
    ).eval()
    images = torch.randn(1, 3, to_px, to_px)
    with torch.no_grad():
        assert torch.equal(module.backbone(images), wanted(images))
    log = " ".join(said.messages)
    assert expected in log
    assert "taken from model.module" in log
    if to_px != (native := timm.get_pretrained_cfg(name).input_size[-1]):
        ratio = f"{(to_px / native) ** 2:.2g}"
        assert f"built for {to_px} px in place of {native} px: {ratio} times the pixels and tokens" in log


@pytest.mark.slow
def test_torchvisions_vit_takes_another_size(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    from torchvision.models.vision_transformer import interpolate_embeddings

    torch.manual_seed(0)
    state = vit_b_16().state_dict()
    torch.save(state, tmp_path / "w.pth")
    module = TransferModule(2, backbone="vit_b_16", weights=str(tmp_path / "w.pth"), image_size=64, tap="block1")
    positions = interpolate_embeddings(64, 16, state)["encoder.pos_embedding"]
    assert torch.equal(module.backbone.get_parameter("encoder.pos_embedding"), positions)
    assert "(encoder.pos_embedding of 197 to 17)" in " ".join(said.messages)
    assert module.eval()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape == (1, 2)
    with pytest.raises(TlearnError, match="vit_b_16 sees patches of 16 px, which do not divide"):
        TransferModule(2, backbone="vit_b_16", weights=None, image_size=60)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"backbone": f"timm/{DINO}", "image_size": 60},
            "patches of 14 px, which do not divide model.image_size 60; set it to 56 or 70",
        ),
        (
            {"backbone": "timm/resnet18", "backbone_args": {"foo": 3}},
            "unexpected keyword argument 'foo'); give such as it has",
        ),
        (
            {"backbone": "timm/resnet18", "backbone_args": {"in_chans": 1}},
            "backbone_args in_chans is set by model.in_channels; drop it",
        ),
        (
            {"backbone": f"timm/{VIT}", "backbone_args": {"img_size": 64}},
            "backbone_args img_size is set by model.image_size",
        ),
        ({"pixel_mean": [0.5, 0.5, 0.5]}, "model.pixel_std None go together, three numbers each (red, green, blue)"),
        ({"pixel_mean": [0.5], "pixel_std": [0.5]}, "three numbers each"),
        ({"pixel_mean": ["a", "b", "c"], "pixel_std": [1, 1, 1]}, "three numbers each"),
        (
            {"pixel_mean": [123.7, 116.3, 103.5], "pixel_std": [1, 1, 1]},
            "scaled to 0 to 1; divide those of 0 to 255 by 255",
        ),
        ({"backbone": "resnet18", "backbone_args": {"pad_type": "same"}}, "torchvision's resnet18 takes none; drop it"),
        (
            {"backbone": "timm/efficientnet_b0.ra_in2k"},
            "unknown tag of timm/efficientnet_b0 'ra_in2k'. Did you mean 'ra_in1k'? Choices: ra_in1k, ra4_e3600",
        ),
    ],
)
def test_what_a_network_cannot_have_is_refused(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(TlearnError) as refused:
        TransferModule(2, weights=None, **options)
    assert expected in str(refused.value)


def test_a_network_of_one_size_says_what_another_costs() -> None:
    module = TransferModule(2, backbone=f"timm/{VIT}", weights=None, backbone_args=TINY_VIT)
    with pytest.raises(
        TlearnError, match=r"takes 224 px pictures alone, got 56 px; set model.image_size to 224 \(16.0 times"
    ):
        module(torch.zeros(1, 3, 56, 56, dtype=torch.uint8))
    free = TransferModule(2, backbone=f"timm/{VIT}", weights=None, backbone_args=TINY_VIT | {"dynamic_img_size": True})
    assert free.eval()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape == (1, 2)


def test_sizes_and_arguments_hold_in_every_verb(tlearn: Tlearn, small: str) -> None:
    arguments = {**TINY_VIT, "depth": 3}
    torch.save(made(VIT, **arguments).state_dict(), "w.pth")
    words = ["-c", small, "--model.backbone", f"timm/{VIT}", "--model.weights", "w.pth", "--model.tap", "null"]
    words += ["--model.image_size", "32", "--model.backbone_args", json.dumps(arguments)]
    answer = tlearn("fit", *words)
    assert answer.code == 0, answer.err
    assert "position embeddings resampled (pos_embed of 197 to 5)" in answer.err
    run = "runs/small/version_0"
    module = load(run).module
    assert module.options.backbone_args == arguments
    assert module.backbone.fixed_size_px == 32
    write_flat(Path("photos"), 2)
    assert tlearn("predict", "--ckpt_path", run, "--data", "photos", "--out", "y.csv").code == 0
    with Path("y.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    assert tlearn("validate", "--ckpt_path", run).code == 0
    answer = tlearn("export", "--ckpt_path", run, "--out", "m.safetensors")
    assert answer.code == 0, answer.err
    assert json.loads(Path("m.json").read_text())["network"]["backbone_args"] == arguments
    answer = tlearn("probe", *words, "--image_sizes", "32,64")
    assert answer.code == 0, answer.err
    answer = tlearn("fit", *words, "--model.weights", f"{run}/checkpoints/best.ckpt", "--model.image_size", "64")
    assert answer.code == 0, answer.err
    assert (
        "head loaded too (2 tensors, same classes); position embeddings resampled (pos_embed of 5 to 17)" in answer.err
    )


def test_cached_features_know_the_arguments(tlearn: Tlearn, small: str) -> None:
    words = ["fit", "-c", small, "--model.backbone", "timm/mobilenetv3_small_050", "--model.tap", "null"]
    words += ["--model.freeze_backbone", "true", "--trainer.max_epochs", "1", "--data.size_px", "32"]
    first, again = tlearn(*words), tlearn(*words)
    other = tlearn(*words, "--model.backbone_args", "{pad_type: same}")
    assert (first.code, again.code, other.code) == (0, 0, 0), other.err
    assert ["from the cache" in answer.err for answer in (first, again, other)] == [False, True, False]


def saved(path: Path, name: str = MANY_TAGS) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(timm.create_model(name).state_dict(), path)
    return str(path)


def statistics(said: pytest.LogCaptureFixture, weights: str, name: str = MANY_TAGS) -> tuple[float, str, str]:
    """Return the first channel's mean, what the weights line says of it, and the warnings."""
    said.clear()
    module = TransferModule(2, backbone=f"timm/{name}", weights=weights)
    line = next(r.getMessage() for r in said.records if r.levelname == "INFO")
    doubts = " ".join(r.getMessage() for r in said.records if r.levelname == "WARNING")
    return float(module.preprocess.mean[0]), line.rpartition("; ")[2], doubts


def test_a_file_without_its_tag_is_a_doubt(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    mean, line, doubts = statistics(said, saved(tmp_path / "w.pth"))
    default = timm.get_pretrained_cfg(MANY_TAGS)
    assert mean == pytest.approx(default.mean[0])
    assert line.endswith(f"(tag {default.tag}, the default)")
    assert f"timm/{MANY_TAGS} without its tag: pixels are normalised as its default {default.tag} wants, mean" in doubts
    other = next(n for n in timm.list_pretrained(f"{MANY_TAGS}.*") if timm.get_pretrained_cfg(n).mean != default.mean)
    expected = timm.get_pretrained_cfg(other)
    assert f"{expected.tag} mean " in doubts
    mean, line, doubts = statistics(said, str(tmp_path / "w.pth"), other)
    assert mean == pytest.approx(expected.mean[0])
    assert line.endswith(f"(tag {expected.tag})")
    assert doubts == ""
    mean, line, doubts = statistics(said, saved(tmp_path / f"{other}.safetensors"), MANY_TAGS)
    assert mean == pytest.approx(expected.mean[0])
    assert line.endswith(f"(tag {expected.tag}, by the file's path)")
    assert doubts == ""
    _, _, doubts = statistics(said, str(tmp_path / f"{other}.safetensors"), f"{MANY_TAGS}.{default.tag}")
    assert f"path says tag {expected.tag}, model.backbone timm/{MANY_TAGS}.{default.tag} says {default.tag}" in doubts


def test_the_hubs_config_tells_the_mean(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    weights = saved(tmp_path / "model.safetensors")
    config = {"architecture": MANY_TAGS, "pretrained_cfg": {"tag": "mine", "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    mean, line, doubts = statistics(said, weights)
    assert mean == pytest.approx(0.1)
    assert doubts == ""
    assert line == "pixels normalised by mean 0.1 0.2 0.3 and std 1 1 1 (tag mine, by the config.json beside the file)"
    (tmp_path / "config.json").write_text(json.dumps(config | {"architecture": "resnet18"}))
    assert statistics(said, weights)[0] == pytest.approx(timm.get_pretrained_cfg(MANY_TAGS).mean[0])


def test_the_user_says_the_mean(tlearn: Tlearn, small: str) -> None:
    weights = saved(Path("w.pth"))
    words = ["-c", small, "--model.backbone", f"timm/{MANY_TAGS}", "--model.tap", "null", "--model.weights", weights]
    words += ["--model.pixel_mean", "[0.5,0.4,0.3]", "--model.pixel_std", "[0.2,0.2,0.2]", "--trainer.max_epochs", "1"]
    answer = tlearn("fit", *words, "--data.size_px", "32")
    assert answer.code == 0, answer.err
    assert (
        "pixels normalised by mean 0.5 0.4 0.3 and std 0.2 0.2 0.2 (as model.pixel_mean and pixel_std say)"
        in answer.err
    )
    assert "without its tag" not in answer.err
    module = load("runs/small/version_0").module
    assert module.preprocess.mean.tolist() == pytest.approx([0.5, 0.4, 0.3])
    assert TransferModule(2, weights=None, pixel_mean=[0.5, 0.4, 0.3], pixel_std=[1, 1, 1]).preprocess.std.tolist() == [
        1,
        1,
        1,
    ]


def test_tags_that_agree_raise_no_doubt(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    name = "mobilenetv3_small_050"
    _, line, doubts = statistics(said, saved(tmp_path / "w.pth", name), name)
    assert line.endswith(f"(as all weights of timm/{name})")
    assert doubts == ""


def test_tensorflows_padding_is_a_doubt(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    name, weights = "mobilenetv3_small_050", saved(tmp_path / "mobilenet_tf_in1k.pth", "mobilenetv3_small_050")
    assert "model.backbone_args: {pad_type: same, bn_eps: 0.001}" in statistics(said, weights, name)[2]
    said.clear()
    TransferModule(2, backbone=f"timm/{name}", weights=weights, backbone_args={"pad_type": "same"})
    assert not [r for r in said.records if r.levelname == "WARNING"]


def test_the_arguments_give_tensorflows_answers(tmp_path: Path) -> None:
    network = made("tf_efficientnet_lite0").train()
    images = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        for _ in range(10):
            network(images)  # so that signals have the size that trained weights give them
        wanted = network.eval()(images)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    apart = []
    for arguments in ({}, {"pad_type": "same", "bn_eps": 1e-3}):
        options: dict[str, Any] = {"backbone": "timm/efficientnet_lite0", "backbone_args": arguments}
        module = TransferModule(2, weights=str(tmp_path / "w.pth"), **options).eval()
        with torch.no_grad():
            apart.append(float((module.backbone(images) - wanted).abs().max() / wanted.std()))
    assert apart[0] > 0.1
    assert apart[1] < 1e-4


def folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Do as converters do: BatchNorms that only add."""
    plain = dict(state)
    for name in state:
        if name.endswith("running_mean"):
            norm = name.removesuffix(".running_mean")
            plain |= {name: torch.zeros_like(state[name]), f"{norm}.running_var": torch.ones_like(state[name])}
            plain[f"{norm}.bias"] = torch.full_like(state[name], 0.5)
    return plain


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({}, True),
        ({"batch_norm": "fixed"}, False),
        ({"freeze_backbone": True}, False),
        ({"freeze_until": "stem"}, True),
    ],
)
def test_folded_batch_norms_are_named_before_they_follow(
    options: dict[str, Any], warned: bool, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    state = timm.create_model("resnet18").state_dict()
    for weights in (state, folded(state)):  # a network that was never trained has learned nothing that could break
        said.clear()
        torch.save(weights, tmp_path / "w.pth")
        TransferModule(2, backbone="timm/resnet18", weights=str(tmp_path / "w.pth"), tap="stage2", **options)
        expected = warned and weights is not state
        assert ("were folded into the convolutions" in " ".join(said.messages)) is expected
    count = 9 if options.get("freeze_until") else 10
    assert not warned or f"{count} BatchNorms (first: backbone.network_." in " ".join(said.messages)


def as_its_authors_named_it(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Swin of microsoft/Swin-Transformer halves at the end of a stage; DINOv2 has a position for the class token."""
    if name == SWIN:
        return {
            re.sub(r"layers\.(\d)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", key): value
            for key, value in state.items()
        }
    theirs = {("register_tokens" if key == "reg_token" else key): value for key, value in state.items()}
    nothing = torch.zeros(1, 1, state["cls_token"].shape[-1])
    theirs["pos_embed"] = torch.cat([nothing, state["pos_embed"]], dim=1)
    return theirs | {"mask_token": nothing[0]}


@pytest.mark.parametrize(("name", "arguments"), [(SWIN, TINY_SWIN), (REGISTERS, TINY_VIT)])
def test_the_authors_own_names_are_converted_as_timm_does(
    name: str, arguments: dict[str, Any], tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    network = made(name, **arguments).eval()
    theirs = as_its_authors_named_it(name, dict(network.state_dict()))
    torch.save({"model": theirs}, tmp_path / "w.pth")
    with pytest.raises(TlearnError, match="missing of"):
        TransferModule(2, backbone="timm/resnet18", weights=str(tmp_path / "w.pth"))
    module = TransferModule(2, backbone=f"timm/{name}", weights=str(tmp_path / "w.pth"), backbone_args=arguments)
    assert "converted from other names by timm; taken from model" in " ".join(said.messages)
    for key, value in network.state_dict().items():
        assert torch.equal(module.backbone.network.state_dict()[key], value), key


def test_patches_of_another_size_are_another_network(tmp_path: Path) -> None:
    torch.save(made("vit_tiny_patch16_224", patch_size=8, img_size=112, **TINY_VIT).state_dict(), tmp_path / "w.pth")
    with pytest.raises(TlearnError, match=r"1 of another shape .*patch_embed.proj.weight\); it is 24x3x8x8 there"):
        TransferModule(2, backbone=f"timm/{VIT}", weights=str(tmp_path / "w.pth"), backbone_args=TINY_VIT)


def test_the_librarys_own_weights_take_size_and_arguments(
    monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    create, asked = timm.create_model, []

    def offline(name: str, pretrained: bool = False, **options: Any) -> nn.Module:
        if pretrained:
            asked.append(options)
        network: nn.Module = create(name, **options)
        return network

    monkeypatch.setattr("timm.create_model", offline)
    TransferModule(2, backbone=f"timm/{VIT}", image_size=64, backbone_args=TINY_VIT)
    assert asked == [{"num_classes": 0, "img_size": 64, **TINY_VIT}]
    line = next(each for each in said.messages if each.startswith("weights "))
    tag = timm.get_pretrained_cfg(VIT).tag
    assert line.endswith(f"the head starts new; pixels normalised by mean 0.5 0.5 0.5 and std 0.5 0.5 0.5 (tag {tag})")
