"""Which modules of a torchvision classifier make its stages, and how its last feature map becomes a vector.

Names are torchvision's own, so that state dicts fit as they are. All functions have names, so that networks can be
pickled. B images, C channels, H and W pixels, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tlearn.base.errors import TlearnError, unknown
from tlearn.models.backbones.lean_stem import resnet_stem

Stages = dict[str, tuple[str, ...]]


def _pool_maps(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


def _pool_once_more(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, 1)


def _pool_channels_last(x: Tensor) -> Tensor:
    return x.mean(dim=(1, 2))


def _channels_first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def _class_token(x: Tensor) -> Tensor:
    return x[:, 0]


def _as_it_is(x: Tensor) -> Tensor:
    return x


@dataclass(frozen=True)
class Family:
    """One way of building networks.

    Attributes:
        patterns: Names of the networks, as torchvision lists them.
        stages: Stage name to the paths of its modules, in the order of the forward pass, for a given network.
        pool: Feature map to (B, C) or (B, C, 1, 1).
        after_pool: Paths of what follows the pooling of the last stage, before the last linear layer.
        stem: Replaces the plain run through the first stage's modules.
        fixed_size: The network takes pictures of its ``image_size`` alone.
        as_map: What a tap pools to (B, C, h, w).
        attention: Where a class token is pooled: the path, in a tapped block, of what lets it read the patches.
    """

    patterns: tuple[str, ...]
    stages: Callable[[nn.Module], Stages]
    pool: Callable[[Tensor], Tensor] = _pool_maps
    after_pool: tuple[str, ...] = ()
    stem: Callable[[nn.Module, Tensor], Tensor] | None = None
    fixed_size: bool = False
    as_map: Callable[[Tensor], Tensor] = _as_it_is
    attention: str | None = None


def _without_class_token(x: Tensor) -> Tensor:
    """Lay out tokens (B, 1 + h * h, C), the class token first, as (B, C, h, h)."""
    side = math.isqrt(x.shape[1] - 1)
    return x[:, 1:].mT.reshape(x.shape[0], -1, side, side)


def _resnet(network: nn.Module) -> Stages:
    return {"stem": ("conv1", "bn1", "relu", "maxpool"), **{f"layer{n}": (f"layer{n}",) for n in range(1, 5)}}


def _regnet(network: nn.Module) -> Stages:
    return {"stem": ("stem",), **{f"block{n}": (f"trunk_output.block{n}",) for n in range(1, 5)}}


def _downsampled(network: nn.Module) -> Stages:
    """ConvNeXt and Swin: from the second stage on, each begins with the layer that halves the picture."""
    stages: Stages = {"stem": ("features.0",), "stage1": ("features.1",)}
    return stages | {f"stage{n}": (f"features.{2 * n - 2}", f"features.{2 * n - 1}") for n in range(2, 5)}


def _swin(network: nn.Module) -> Stages:
    stages = _downsampled(network)
    return stages | {"stage4": (*stages["stage4"], "norm")}


def _mobile(network: nn.Module) -> Stages:
    """EfficientNet and MobileNet: a stem, one stage for each entry of ``features``, and a last convolution."""
    count = len(list(network.get_submodule("features").children()))
    middle = {f"stage{n}": (f"features.{n}",) for n in range(1, count - 1)}
    return {"stem": ("features.0",), **middle, "top": (f"features.{count - 1}",)}


def _vit(network: nn.Module) -> Stages:
    blocks = [name for name, _ in network.get_submodule("encoder.layers").named_children()]
    stages: Stages = {"stem": ("conv_proj",)}
    stages |= {f"block{n}": (f"encoder.layers.{name}",) for n, name in enumerate(blocks, start=1)}
    last = f"block{len(blocks)}"
    return stages | {last: (*stages[last], "encoder.ln")}


def _vit_stem(backbone: nn.Module, x: Tensor) -> Tensor:
    """Cut the picture into patches (B, T, C), with the class token first and the positions added."""
    patches = backbone.get_submodule("conv_proj")(x).flatten(2).transpose(1, 2)
    token = backbone.get_parameter("class_token").expand(x.shape[0], -1, -1)
    positions: Tensor = backbone.get_parameter("encoder.pos_embedding")
    return torch.cat([token, patches], dim=1) + positions


FAMILIES = (
    Family(("resnet*", "resnext*", "wide_resnet*"), _resnet, stem=resnet_stem),
    Family(("regnet_*",), _regnet),
    Family(("convnext_*",), _downsampled, pool=_pool_once_more, after_pool=("classifier.0",)),
    Family(("swin_*",), _swin, pool=_pool_channels_last, as_map=_channels_first),
    Family(("efficientnet_*", "mobilenet_v2"), _mobile),
    Family(("mobilenet_v3_*",), _mobile, after_pool=("classifier.0", "classifier.1")),
    Family(
        ("vit_*",),
        _vit,
        pool=_class_token,
        stem=_vit_stem,
        fixed_size=True,
        as_map=_without_class_token,
        attention="self_attention",
    ),
)


def family_of(name: str) -> Family | None:
    """Return the family of a torchvision network, or ``None`` where it belongs to none of them."""
    return next((family for family in FAMILIES if any(fnmatchcase(name, p) for p in family.patterns)), None)


def check_taps(tap: str | list[str] | None, stages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the taps in the order of the stages; ``None`` is the last stage.

    Raises:
        TlearnError: None is named, or one that does not exist.
    """
    taps = [tap] if isinstance(tap, str) else tap
    if taps is None:
        return (stages[-1],)
    if not taps:
        raise TlearnError(f"model.tap is an empty list; name at least one stage of {', '.join(stages)}")
    for stage in taps:
        if stage not in stages:
            raise unknown("stage in model.tap", stage, stages)
    return tuple(stage for stage in stages if stage in taps)


def place(root: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module at the same path as in the network it comes from."""
    *parents, name = path.split(".")
    for parent in parents:
        if parent not in dict(root.named_children()):
            root.add_module(parent, nn.Module())
        root = root.get_submodule(parent)
    root.add_module(name, module)


def place_tokens(root: nn.Module, network: nn.Module) -> None:
    """Put a ViT's class token and position embeddings where they are in its network."""
    root.register_parameter("class_token", network.get_parameter("class_token"))
    if "encoder" not in dict(root.named_children()):  # the stem alone is tapped
        root.add_module("encoder", nn.Module())
    root.get_submodule("encoder").register_parameter("pos_embedding", network.get_parameter("encoder.pos_embedding"))
