"""Several backbones as one: each sees the same pixels, and their features stand side by side. B images, D features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from tlearn.models.backbones.backbone import Backbone, Watch, unwatched


class EnsembleBackbone(Backbone):
    """Runs several networks on the same pictures.

    Its stages are ``network1``, ``network2``, ...; its taps are those of the networks, as ``network1.layer4``.

    Args:
        networks: Of the same channels, size of pictures and pixel statistics.
    """

    def __init__(self, networks: Sequence[Backbone]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        first = networks[0]
        self.stages = self.tappable = tuple(_stage(number) for number in range(len(networks)))
        self.taps = tuple(f"{_stage(number)}.{tap}" for number, each in enumerate(networks) for tap in each.taps)
        self.widths = tuple(width for each in networks for width in each.widths)
        self.num_features = sum(self.widths)
        self.in_channels, self.mean, self.std = first.in_channels, first.mean, first.std
        self.fixed_size_px = next((each.fixed_size_px for each in networks if each.fixed_size_px), None)
        self.behind_tap = sum(each.behind_tap for each in networks)
        self.is_plain = all(each.is_plain for each in networks)

    def pooled(self, x: Tensor, watch: Watch = unwatched) -> list[Tensor]:
        """Turn float (B, C, H, W) into the pooled output of each tap of each network, (B, width) each."""
        pooled: list[Tensor] = []
        for number, network in enumerate(self.each):
            pooled += network.pooled(x, watch if watch is unwatched else _renamed(watch, _stage(number)))
        return pooled

    def as_map(self, tap: str, x: Tensor, size_px: tuple[int, int]) -> Tensor:
        """Lay out as (B, width, h, w) what the tap of one of the networks pools, or its attention gets."""
        stage, _, own = tap.partition(".")
        return self.each[self.stages.index(stage)].as_map(own, x, size_px)

    def attention(self) -> dict[str, str]:
        """Of each tap whose pooled output is a class token: the path of what lets it read the patches last."""
        return {
            f"{_stage(number)}.{tap}": f"networks.{number}.{path}"
            for number, network in enumerate(self.each)
            for tap, path in network.attention().items()
        }

    def stage_of(self, parameter: str) -> str:
        """Name the network that a parameter belongs to."""
        return _stage(int(parameter.split(".")[1]))

    @property
    def each(self) -> list[Backbone]:
        """Return the networks."""
        return [cast(Backbone, network) for network in self.networks]


def _stage(number: int) -> str:
    return f"network{number + 1}"


def _renamed(watch: Watch, stage: str) -> Watch:
    return lambda tap, x: watch(f"{stage}.{tap}", x)
