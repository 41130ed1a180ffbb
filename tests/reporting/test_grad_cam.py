"""Grad-CAM: the shares add up to the logit, lie where the picture's evidence lies, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.vision_transformer import VisionTransformer

from tests.helpers.python_runs import fit
from tlearn import DigitsDataModule, TransferModule
from tlearn.base.errors import TlearnError
from tlearn.models.backbones.live_taps import LiveTapsConv2d, leave_out_padding
from tlearn.reporting.grad_cam import grad_cam, pixel_shares


def network_of(name: str, weights: None = None) -> nn.Module:
    """The library's network, but a ViT of 64 px, 8 x 8 patches and three blocks in place of its smallest, of 224 px."""
    if name.startswith("vit"):
        vit: nn.Module = VisionTransformer(64, 8, num_layers=3, num_heads=4, hidden_dim=64, mlp_dim=128)
        return vit
    if name.startswith("timm/"):
        timm = pytest.importorskip("timm")
        return timm.create_model(name.removeprefix("timm/"))  # type: ignore[no-any-return]
    network: nn.Module = get_model(name, weights=weights)
    return network


@pytest.fixture(autouse=True)
def _small_vit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlearn.models.backbones.backbone.get_model", network_of)


def build(backbone: str, tap: str | list[str] | None = None, **options: Any) -> TransferModule:
    if backbone.startswith("timm/"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    return TransferModule(3, backbone=backbone, weights=None, tap=tap, **options)


def with_statistics(module: TransferModule) -> TransferModule:
    """One batch gives BatchNorm the statistics with which the maps of a deep network do not vanish."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        module.train().features(noise(8, 3, *[module.backbone.fixed_size_px or 64] * 2))
    return module.eval()


def linear(module: TransferModule) -> nn.Linear:
    assert isinstance(module.head, nn.Linear)
    return module.head


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "tap"),
    [
        *(("resnet18", tap) for tap in ("stem", "layer1", "layer2", "layer3", "layer4")),
        ("resnet18", ["layer2", "layer4"]),
        ("resnet18", ["stem", "layer1", "layer3"]),
        ("regnet_y_400mf", ["block2", "block4"]),
        ("efficientnet_b0", None),
        ("mobilenet_v2", ["stage3", "top"]),
        ("mobilenet_v3_small", ["stem", "stage4"]),
        ("convnext_tiny", ["stage1", "stage2"]),
        ("swin_t", None),
        ("swin_t", ["stage1", "stage4"]),
        ("timm/resnet18", ["stage2", "stage4"]),
        ("timm/resnet18", "stage3"),
    ],
)
def test_shares_of_the_pixels_add_up_to_the_logit(backbone: str, tap: str | list[str] | None) -> None:
    module = build(backbone, tap).eval()
    images, outputs = noise(3, 3, 64, 128), torch.tensor([2, 0, 1])
    shares = pixel_shares(module, images, outputs)
    with torch.no_grad():
        logits = module(images)[range(3), outputs] - linear(module).bias[outputs]
    assert shares.shape == (3, 64, 128)
    torch.testing.assert_close(shares.sum(dim=(1, 2)), logits, atol=1e-4, rtol=1e-4)
    assert torch.equal(grad_cam(module, images, outputs), shares.clamp(min=0))
    assert (shares < 0).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "layer", "to_map"),
    [
        ("resnet18", "layer4", lambda x: x),
        ("convnext_tiny", "features.7", lambda x: x),
        ("swin_t", "norm", lambda x: x.permute(0, 3, 1, 2)),
        ("mobilenet_v3_small", "features.12", lambda x: x),
        ("vit_b_16", "encoder.layers.encoder_layer_2.ln_1", lambda x: x[:, 1:].mT.unflatten(2, (8, 8))),
        ("timm/vit_tiny_patch16_224", "blocks.11.norm1", lambda x: x[:, 1:].mT.unflatten(2, (14, 14))),
    ],
)
def test_same_map_as_the_textbook_on_the_librarys_own_network(
    backbone: str, layer: str, to_map: Callable[[Tensor], Tensor]
) -> None:
    module = with_statistics(build(backbone))
    network = network_of(backbone).eval()
    network.load_state_dict(module.backbone.network.state_dict(), strict=False)
    last = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)][-1]
    parent, _, child = last.rpartition(".")
    setattr(network.get_submodule(parent), child, module.head)
    seen: list[Tensor] = []

    def keep(part: nn.Module, given: Any, output: Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    network.get_submodule(layer).register_forward_hook(keep)
    side = module.backbone.fixed_size_px or 64
    images = noise(2, 3, side, side)
    network(module.preprocess(images))[[0, 1], [1, 2]].sum().backward()
    assert seen[0].grad is not None
    maps, gradients = to_map(seen[0].detach()), to_map(seen[0].grad)
    weighted = (gradients.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1, keepdim=True)
    expected = nn.functional.interpolate(weighted, (side, side), mode="bilinear")[:, 0]
    expected *= weighted[0].numel() / side**2
    shares = pixel_shares(module, images, torch.tensor([1, 2]))
    assert expected.abs().max() > 1e-6
    torch.testing.assert_close(shares, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "tap"),
    [
        ("resnet18", "layer2"),
        ("resnet18", ["layer1", "layer3"]),
        ("resnext50_32x4d", "layer2"),
        ("regnet_y_400mf", "block2"),
        ("convnext_tiny", "stage2"),
        ("convnext_tiny", None),
        ("swin_t", "stage2"),
        ("swin_t", None),
        ("efficientnet_b0", "stage3"),
        ("mobilenet_v2", "stage3"),
        ("mobilenet_v3_small", "stage4"),
        ("vit_b_16", "block1"),
        ("vit_b_16", None),
        ("vit_b_16", ["stem", "block1", "block3"]),
        ("timm/resnet18", "stage3"),
        ("timm/mambaout_femto", None),
        ("timm/vit_tiny_patch16_224", "stage2"),
        ("timm/vit_tiny_patch16_224", None),
        ("timm/deit_tiny_distilled_patch16_224", None),
    ],
)
def test_evidence_lies_in_the_quadrant_that_holds_it(backbone: str, tap: str | list[str] | None) -> None:
    height, width = (224, 224) if "patch16_224" in backbone else (64, 64) if "vit" in backbone else (64, 128)
    module = build(backbone, tap).eval()
    images = torch.full((5, 3, height, width), 128, dtype=torch.uint8)
    for number in range(4):
        row, column = divmod(number, 2)
        top, left = row * height // 2, column * width // 2
        image = images[number, :, top : top + height // 2, left : left + width // 2]
        image[:, height // 16 : -height // 16, width // 16 : -width // 16] = noise(3, height * 3 // 8, width * 3 // 8)
    with torch.no_grad():
        features = module.features(images)
        grey = features[4]
        seen = features[:4].mean(dim=0) - grey
        # The logit grows with what sets pictures with a square apart, and a grey picture leaves it alone.
        linear(module).weight[1] = seen - grey * (seen @ grey) / (grey @ grey)
    maps = grad_cam(module, images[:4], torch.ones(4, dtype=torch.int64))
    quadrants = nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1)  # row by row
    assert quadrants.argmax(dim=1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("backbone", "early", "late"),
    [("resnet18", "layer1", "layer3"), ("vit_b_16", "block1", "block3"), ("timm/vit_tiny_patch16_224", "stage1", None)],
)
def test_a_tap_without_weight_in_the_head_has_no_share(backbone: str, early: str, late: str | None) -> None:
    side = 224 if backbone.startswith("timm") else 64
    images, outputs = noise(2, 3, side, side), torch.tensor([0, 2])
    late = late or build(backbone).backbone.stages[-1]
    both = build(backbone, [early, late])
    split = both.backbone.widths[0]
    for tap, used, unused in (
        (early, slice(0, split), slice(split, None)),
        (late, slice(split, None), slice(0, split)),
    ):
        both.load_state_dict(build(backbone, [early, late]).state_dict())
        with torch.no_grad():
            linear(both).weight[:, unused] = 0
        alone = build(backbone, tap)
        state = both.state_dict()
        alone.load_state_dict({name: state[name] for name in alone.state_dict() if not name.startswith("head")}, False)
        linear(alone).load_state_dict({"weight": state["head.weight"][:, used], "bias": state["head.bias"]})
        expected = pixel_shares(alone, images, outputs)
        assert expected.any()
        torch.testing.assert_close(pixel_shares(both, images, outputs), expected, atol=1e-7, rtol=1e-4)


def test_the_class_token_has_read_nothing_at_the_stem_of_a_vit() -> None:
    both, alone = build("vit_b_16", ["stem", "block1"]).eval(), build("vit_b_16", "block1").eval()
    state = both.network_state()
    alone.backbone.load_state_dict(both.backbone.state_dict())
    linear(alone).load_state_dict({"weight": state["head.weight"][:, 64:], "bias": state["head.bias"]})
    images, outputs = noise(2, 3, 64, 64), torch.tensor([0, 1])
    assert not torch.allclose(both(images), alone(images), atol=1e-3)
    torch.testing.assert_close(grad_cam(both, images, outputs), grad_cam(alone, images, outputs))


@pytest.mark.parametrize("name", ["xcit_nano_12_p16_224", "coat_lite_tiny", "convit_tiny"])
def test_networks_without_a_map_say_so(name: str) -> None:
    module = build(f"timm/{name}")
    expected = rf"^timm/{name} gives no map at stage\d+ that could be shown; tap an earlier stage \(stage1, stage2"
    with pytest.raises(TlearnError, match=expected):
        grad_cam(module, noise(1, 3, 224, 224), torch.tensor([0]))


def test_the_map_has_the_size_that_the_network_sees() -> None:
    module = build("resnet18", "layer2", image_size=48)
    images = torch.full((1, 3, 32, 64), 128, dtype=torch.uint8)
    assert grad_cam(module, images, torch.tensor([0])).shape == (1, 48, 48)
    cut_off = images.clone()
    cut_off[..., :12] = 255  # the centre, 32 px wide, begins further in
    for number in range(3):
        outputs = torch.tensor([number])
        assert torch.equal(grad_cam(module, images, outputs), grad_cam(module, cut_off, outputs))


def test_a_regression_is_explained_by_its_one_value() -> None:
    module = build("resnet18", "layer2", task="regression", head_hidden=[4]).eval()
    assert pixel_shares(module, noise(2, 3, 32, 32), torch.tensor([0, 0])).any()


def everything(module: TransferModule) -> dict[str, Any]:
    """What must not change: values and their versions, what trains, modes, hooks and generators."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {
        "values": {name: value.detach().clone() for name, value in tensors},
        "identities": [(name, id(value), value._version) for name, value in tensors],
        "trains": [(name, value.requires_grad, value.grad) for name, value in module.named_parameters()],
        "parts": [
            (name, id(part), part.training, len(part._forward_hooks), len(part._forward_pre_hooks))
            for name, part in module.named_modules()
        ],
        "random": torch.get_rng_state(),
        "grad mode": torch.is_grad_enabled(),
    }


def assert_same(now: dict[str, Any], before: dict[str, Any]) -> None:
    assert torch.equal(now.pop("random"), before.pop("random"))
    values, were = now.pop("values"), before.pop("values")
    assert all(torch.equal(values[name], were[name]) for name in were)
    assert now == before


CONTEXTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "plain": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "bf16": lambda: torch.autocast("cpu", torch.bfloat16),
}


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("resnet18", {"tap": ["layer1", "layer2"], "head_hidden": [8], "head_dropout": 0.5}),
        ("resnet18", {"tap": "layer2", "freeze_backbone": True}),
        ("resnet18", {"tap": "layer2", "freeze_until": "layer1"}),
        ("vit_b_16", {"tap": "block2", "freeze_backbone": True}),
    ],
)
def test_the_same_map_in_every_context_and_nothing_else_changes(
    backbone: str, options: dict[str, Any], context: str
) -> None:
    module = build(backbone, **options)
    outputs = torch.tensor([1, 0])
    expected = grad_cam(module.eval(), noise(2, 3, 64, 64), outputs)
    module.train().requires_grad_(not options.get("freeze_backbone"))
    with CONTEXTS[context]():
        before = everything(module)
        maps = grad_cam(module, noise(2, 3, 64, 64), outputs.clone())  # made in this context, as batches are
        assert_same(everything(module), before)
    assert maps.dtype == torch.float32
    assert expected.any()
    torch.testing.assert_close(maps, expected, atol=0, rtol=0)
    assert not maps.requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_read_as_float32(dtype: torch.dtype) -> None:
    module = build("resnet18", "layer2").to(dtype)
    images, outputs = noise(2, 3, 32, 32), torch.tensor([1, 0])
    maps = grad_cam(module, images, outputs)
    assert torch.equal(maps, grad_cam(module.float(), images, outputs))
    assert maps.dtype == torch.float32


def test_a_module_made_in_inference_mode_is_explained_too() -> None:
    with torch.inference_mode():
        module = build("resnet18", "layer2")
        inside = grad_cam(module, noise(2, 3, 32, 32), torch.tensor([1, 0]))
    assert torch.equal(inside, grad_cam(build("resnet18", "layer2"), noise(2, 3, 32, 32), torch.tensor([1, 0])))


def test_nothing_changes_where_it_fails() -> None:
    module = build("vit_b_16", "block2")
    before = everything(module)
    with pytest.raises(TlearnError, match="takes 64 px pictures alone, got 32 px"):
        grad_cam(module, noise(1, 3, 32, 32), torch.tensor([0]))
    assert_same(everything(module), before)


class Watches:
    """Holds a generator, as a callback holds a loader's processes: it cannot be copied."""

    def __init__(self) -> None:
        self.calls, self.uncopyable = 0, (number for number in range(3))

    def watch(self, *_: Any) -> None:
        self.calls += 1


def test_hooks_of_others_are_neither_copied_nor_called() -> None:
    module, watches = build("resnet18", "layer2").eval(), Watches()
    images, outputs = noise(2, 3, 32, 32), torch.tensor([1, 0])
    expected = grad_cam(module, images, outputs)
    layer = module.backbone.get_submodule("layer1")
    layer.register_forward_hook(watches.watch)
    layer.register_forward_pre_hook(watches.watch)
    layer.register_full_backward_hook(watches.watch)
    assert torch.equal(grad_cam(module, images, outputs), expected)
    assert watches.calls == 0
    module(images)
    assert watches.calls == 2


@pytest.mark.parametrize("tap", ["layer2", ["layer1", "layer2"]])
def test_convolutions_without_what_meets_padding_give_the_same_map(tap: str | list[str]) -> None:
    module = build("resnet18", tap).eval()
    images, outputs = noise(2, 3, 8, 8), torch.tensor([1, 0])
    larger = noise(2, 3, 16, 32)
    expected = [pixel_shares(module, each, outputs) for each in (images, larger)]
    leave_out_padding(module.backbone, torch.zeros(1, 3, 8, 8))
    assert any(isinstance(part, LiveTapsConv2d) for part in module.modules())
    for each, shares in zip((images, larger), expected, strict=True):
        torch.testing.assert_close(pixel_shares(module, each, outputs), shares, atol=1e-7, rtol=1e-4)


class Explains(Callback):
    """Explain each validation batch, as a callback of ours would."""

    def __init__(self) -> None:
        self.in_inference_mode: set[bool] = set()

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        assert not torch.is_grad_enabled()
        self.in_inference_mode.add(torch.is_inference_mode_enabled())
        before = everything(pl_module)
        self.maps = grad_cam(pl_module, batch.images, batch.targets)
        assert_same(everything(pl_module), before)
        self.images, self.targets = batch.images.clone(), batch.targets.clone()
        self.thinned = any(isinstance(part, LiveTapsConv2d) for part in pl_module.modules())


@pytest.mark.parametrize("freeze_backbone", [False, True])
def test_a_callback_explains_in_the_middle_of_a_run(freeze_backbone: bool) -> None:
    module, explains = build("resnet18", "layer2", freeze_backbone=freeze_backbone), Explains()
    data = DigitsDataModule(classes=[0, 1, 2], train_per_class=8, size_px=8, val_fraction=0.05)
    fit(module, data, [explains])
    assert explains.thinned is not freeze_backbone
    Trainer(logger=False, enable_progress_bar=False, callbacks=[explains]).validate(module, data, verbose=False)
    assert explains.in_inference_mode == {False, True}  # Lightning validates in a fit without gradients alone
    after = grad_cam(module, explains.images, explains.targets)
    assert after.any()
    torch.testing.assert_close(explains.maps, after, atol=1e-7, rtol=1e-4)
