"""Any network of timm as a backbone: its stages are the ends of timm's own feature list. D features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from tlearn.base.errors import TlearnError
from tlearn.models.backbones.backbone import (
    TIMM,
    Backbone,
    TorchvisionBackbone,
    Watch,
    unwatched,
)
from tlearn.models.backbones.families import check_taps
from tlearn.models.backbones.input_channels import RGB
from tlearn.models.backbones.own_backbone import OwnBackbone, is_own, own_network
from tlearn.models.backbones.patches import size_cost
from tlearn.models.backbones.timm_networks import converted, create_network


class TimmBackbone(Backbone):
    """A timm network without its classifier.

    Stages are ``stem``, then ``stage1``, ``stage2``, ... which end where timm's ``feature_info`` says. The last one
    goes on to the network's own pooled features, whatever layers stand there.

    Args:
        name: ``timm/`` and the network's name.
        tap: Stage or stages whose pooled output is the feature; ``None`` is the end.
        image_size: Side in pixels to build a network for that takes pictures of one size alone; ``None`` is its own.
        arguments: Of the network, as timm names them: ``{"pad_type": "same"}``.
        in_channels: C, the channels of the pictures.

    Raises:
        TlearnError: timm is not installed, or does not know the network, its tag or an argument; an unknown stage; a
            size or a number of channels that the network cannot have.
    """

    def __init__(
        self,
        name: str,
        tap: str | list[str] | None = None,
        image_size: int | None = None,
        arguments: Mapping[str, Any] | None = None,
        in_channels: int = RGB,
    ) -> None:
        super().__init__()
        self.arguments, self.in_channels = dict(arguments or {}), in_channels
        self.network_ = create_network(name.removeprefix(TIMM), image_size, self.arguments, in_channels)
        self._assigned, self._index = _assign_stages(self.network_)
        all_stages = tuple(dict.fromkeys(self._assigned.values()))
        self.taps = check_taps(tap, tuple(self._index))
        self.stages = all_stages[: 1 + all_stages.index(self.taps[-1])]
        self.tappable = tuple(stage for stage in self.stages if stage in self._index)
        self._whole = self.taps[-1] == all_stages[-1]
        if not self._whole:
            indices = [self._index[stage] for stage in self.taps]
            network: Any = self.network_  # the method is not typed
            before = _count(network)
            network.prune_intermediate_layers(indices, prune_norm=True, prune_head=True)
            self.behind_tap = before - _count(network)
        config: Any = self.network_.pretrained_cfg
        self.mean, self.std = tuple(config["mean"]), tuple(config["std"])
        native_px = self.native_size = int(config["input_size"][-1])
        if config.get("fixed_input_size") and not self.arguments.get("dynamic_img_size"):
            self.fixed_size_px = image_size or native_px
            self.built_for = size_cost(name, self.fixed_size_px, native_px)
        self.measure_widths(self.fixed_size_px or native_px)

    @property
    def network(self) -> nn.Module:
        """Return timm's network, with timm's names."""
        return self.network_

    def pooled(self, x: Tensor, watch: Watch = unwatched) -> list[Tensor]:
        """Turn float (B, C, H, W) into the pooled output of each tap, (B, width) each."""
        self.check_size(x)
        network: Any = self.network_
        if len(self.taps) == 1 and self._whole:
            if watch is unwatched:
                return [network(x)]
            return [network.forward_head(watch(self.taps[0], network.forward_features(x)))]
        early = self.taps[:-1] if self._whole else self.taps
        found = network.forward_intermediates(
            x,
            indices=[self._index[stage] for stage in early],
            intermediates_only=not self._whole,
            stop_early=not self._whole,
        )
        last, maps = found if self._whole else (None, found)
        watched = [watch(tap, feature_map) for tap, feature_map in zip(early, maps, strict=True)]
        pooled = [F.adaptive_avg_pool2d(feature_map, 1).flatten(1) for feature_map in watched]
        return pooled if last is None else [*pooled, network.forward_head(watch(self.taps[-1], last))]

    def input_convolutions(self) -> tuple[str, ...]:
        """Name the convolutions that see the pictures: those that timm adapts, of which a network may have two."""
        config: Any = self.network_.pretrained_cfg
        named = config.get("first_conv") or ()
        there = dict(self.network_.named_modules())
        found = tuple(name for name in ([named] if isinstance(named, str) else named) if name in there)
        return found or super().input_convolutions()

    def adapted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Resample position embeddings, and take the names of the authors' own files, as timm does."""
        return converted(self.network_, state)

    def as_map(self, tap: str, x: Tensor, size_px: tuple[int, int]) -> Tensor:
        """Lay out what a tap pools, or its attention gets, as (B, width, h, w) for pictures of H and W pixels.

        Raises:
            TlearnError: It is no map, or a class token is pooled and how it reads the patches is not known.
        """
        network: Any = self.network_
        at_end = self._whole and tap == self.taps[-1]
        if not at_end:
            return x
        if _pools_class_token(network) and not self.attention():
            raise self._no_map(tap)
        if x.ndim == 3:  # tokens
            reduction = network.feature_info[self._index[tap]]["reduction"]
            height, width = (-(-side // reduction) for side in size_px)
            patches = x[:, getattr(network, "num_prefix_tokens", 0) :]
            if patches.shape[1] == height * width:
                return patches.mT.reshape(x.shape[0], -1, height, width)
        maps = x.movedim(-1, 1) if getattr(network, "output_fmt", "NCHW") == "NHWC" else x
        if maps.ndim != 4 or maps.shape[1] != network.num_features:
            raise self._no_map(tap)
        return maps

    def attention(self) -> dict[str, str]:
        """Of each tap whose pooled output is a class token: the path of what lets it read the patches last."""
        network: Any = self.network_
        if not (self._whole and _pools_class_token(network) and _is_plain_vit(network)):
            return {}
        return {self.taps[-1]: f"network_.blocks.{len(network.blocks) - 1}.attn"}

    def _no_map(self, tap: str) -> TlearnError:
        config: Any = self.network_.pretrained_cfg
        earlier = [stage for stage in self.tappable if stage != tap]
        return TlearnError(
            f"timm/{config['architecture']} gives no map at {tap} that could be shown; tap an earlier stage "
            f"({', '.join(earlier) or 'it has none'})"
        )

    def module_at(self, stage: str) -> str | None:
        """Name timm's part that ends a stage; ``None`` for the stem, and where a tap leaves the end out."""
        if not self._whole or stage not in self._index:
            return None
        network: Any = self.network_
        return str(network.feature_info[self._index[stage]]["module"])

    def stage_of(self, parameter: str) -> str:
        """Name the stage that a parameter of this module belongs to."""
        return self._assigned[parameter.removeprefix("network_.")]


def build_backbone(
    name: str,
    tap: str | list[str] | None,
    image_size: int | None,
    arguments: Mapping[str, Any] | None,
    in_channels: int = RGB,
    own: nn.Module | None = None,
) -> Backbone:
    """Build the backbone of a name, torchvision's, timm's or the user's own; see their classes.

    Args:
        name: Of the network.
        tap: Stage or stages whose pooled output is the feature.
        image_size: Side in pixels of the pictures.
        arguments: Of the network.
        in_channels: C, the channels of the pictures.
        own: The user's own network, where it is at hand.

    Raises:
        TlearnError: It cannot be built so.
    """
    if own is not None or is_own(name):
        network = own_network(name, arguments or {}) if own is None else own
        return OwnBackbone(network, name, tap, image_size, in_channels)
    if name.startswith(TIMM):
        return TimmBackbone(name, tap, image_size, arguments, in_channels)
    if arguments:
        raise TlearnError(
            f"model.backbone_args {', '.join(arguments)}: torchvision's {name} takes none; drop it, or take {TIMM}NAME"
        )
    return TorchvisionBackbone(name, tap, image_size, in_channels)


def _count(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def _pools_class_token(network: Any) -> bool:
    return getattr(network, "global_pool", None) == "token"


def _is_plain_vit(network: Any) -> bool:
    """Tell whether the class token reads the patches in the last block's attention, and nowhere after it."""
    from timm.models.beit import Beit
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    return isinstance(network, (VisionTransformer, Eva, Beit)) and hasattr(network.blocks[-1], "attn")


def _assign_stages(network: Any) -> tuple[dict[str, str], dict[str, int]]:
    """Give every parameter its stage by timm's own order of layers, the one that it decays learning rates by.

    Returns:
        Parameter name to stage, shallow to deep, and the place of each stage in timm's feature list.
    """
    from timm.models import group_parameters

    layers = group_parameters(network, network.group_matcher())
    order = {name: layer for layer, names in sorted(layers.items()) for name in names}
    spans: dict[int, tuple[int, int]] = {}  # place in the feature list to first and last layer
    for place, entry in enumerate(network.feature_info):
        inside = [layer for name, layer in order.items() if name.startswith(f"{entry['module']}.")]
        if inside:  # an entry without parameters ends no stage
            spans[place] = (min(inside), max(inside))
    if not spans:
        raise TlearnError(
            f"timm/{network.pretrained_cfg['architecture']} has no stages that could be told; take another"
        )
    first = spans[min(spans)][0]
    index = {f"stage{number}": place for number, place in enumerate(spans, start=1)}
    assigned = {}
    for name, layer in order.items():
        later = [stage for stage, place in index.items() if layer <= spans[place][1]]
        assigned[name] = "stem" if layer < first else later[0] if later else f"stage{len(index)}"
    return assigned, index
