"""Build the backbone and the head of several networks from plain options, which a checkpoint keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from tlearn.models.backbones.timm_backbone import build_backbone
from tlearn.models.ensembles.averaging_head import AveragingHead
from tlearn.models.ensembles.backbone import EnsembleBackbone
from tlearn.models.heads import build_head
from tlearn.models.options import NetworkOptions, Options, options_from


@dataclass(frozen=True)
class Member(Options):
    """One network of several that answer together: what builds it again, without its weights.

    Attributes:
        run: The checkpoint that it came from, which need not be there any more.
        network: The number of its backbone, from 0: members with equal backbones share one.
        backbone: Its name; this and the rest are options of `tlearn.TransferModule`.
    """

    run: str
    network: int
    backbone: str
    image_size: int | None = None
    in_channels: int = 3
    tap: str | list[str] | None = None
    backbone_args: dict[str, Any] | None = None
    head_hidden: list[int] | None = None
    head_dropout: float = 0.0


def members_in(described: Sequence[Mapping[str, Any]]) -> list[Member]:
    """Read members that were stored as plain values."""
    return [options_from(Member, each) for each in described]


def networks_of(members: Sequence[Member]) -> list[Member]:
    """Return the first member of each network: how many there are is how many passes a picture takes."""
    return list({each.network: each for each in reversed(members)}.values())[::-1]


def ensemble_name(members: Sequence[Member]) -> str:
    """Say which networks they are: ``ensemble of 2 x resnet18 and timm/tf_efficientnet_lite0``."""
    names = [
        name if count == 1 else f"{count} x {name}" for name, count in Counter(m.backbone for m in members).items()
    ]
    return "ensemble of " + " and ".join(names)


def build_ensemble(options: NetworkOptions) -> tuple[EnsembleBackbone, nn.Module]:
    """Build all networks side by side, and one head that averages what they answer; the weights are random.

    Args:
        options: Its ``ensemble`` describes the members.

    Raises:
        TlearnError: A network cannot be built.
    """
    members = members_in(options.ensemble or [])
    backbone = EnsembleBackbone(
        [
            build_backbone(each.backbone, each.tap, each.image_size, each.backbone_args, each.in_channels)
            for each in sorted(networks_of(members), key=lambda each: each.network)
        ]
    )
    widths = [int(network.num_features) for network in backbone.each]
    heads = [
        build_head(widths[each.network], options.num_outputs, each.head_hidden or (), each.head_dropout)
        for each in members
    ]
    return backbone, AveragingHead(options.task, heads, widths, [each.network for each in members])
