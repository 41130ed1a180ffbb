"""A classifier cut after the last stage that is needed. B images, C channels of them, D features, H and W pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model, list_models
from torchvision.models.vision_transformer import interpolate_embeddings

from tlearn.base.errors import TlearnError, unknown
from tlearn.models.backbones.families import check_taps, family_of, place, place_tokens
from tlearn.models.backbones.input_channels import RGB, first_convolution, see_channels
from tlearn.models.backbones.patches import not_divided, size_cost
from tlearn.models.freezing import hold_frozen_in_eval
from tlearn.models.preprocess import IMAGENET_MEAN, IMAGENET_STD

TIMM = "timm/"
_VIT_SIZE_PX = 224
_POSITIONS = "encoder.pos_embedding"
Watch = Callable[[str, Tensor], Tensor]


def unwatched(tap: str, x: Tensor) -> Tensor:
    """Return what a tap pools as it is."""
    return x


class Backbone(nn.Module, ABC):
    """Features of a network, pooled at one stage or at several side by side.

    Several taps give their pooled features side by side, as in Head2Toe (Evci et al., 2022, arXiv 2201.03529).

    Attributes:
        stages: The stages that were built, shallow to deep.
        tappable: Those of them whose output can be tapped.
        taps: Those whose pooled output is the feature.
        widths: Of each tap's pooled output.
        num_features: D, as timm calls it: the sum of the widths.
        in_channels: C, the channels of the pictures that it sees.
        is_plain: It is torchvision's or timm's, whose parts may be folded or cut for speed and laid out channels last,
            and whose features may be kept on disk.
        batch_norm_follows: Where a stage trains, its BatchNorm follows the batches; else it keeps its statistics.
        mean: Of red, green and blue scaled to [0, 1], that the pretrained weights want to see.
        std: Likewise.
        native_size: Side in pixels that they were trained at, where the name of the network tells.
        fixed_size_px: The only side that the network, as it is built, takes, if it has one.
        behind_tap: Parameters of the stages behind the last tap, which are not built.
        built_for: What to say where it is built for another size than that of its weights.
    """

    stages: tuple[str, ...]
    tappable: tuple[str, ...]
    taps: tuple[str, ...]
    widths: tuple[int, ...]
    num_features: int
    in_channels: int = RGB
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    native_size: int | None = None
    fixed_size_px: int | None = None
    behind_tap: int = 0
    built_for: str = ""
    batch_norm_follows = True
    is_plain = True

    @abstractmethod
    def pooled(self, x: Tensor, watch: Watch = unwatched) -> list[Tensor]:
        """Turn float (B, C, H, W) into the pooled output of each tap, (B, width) each.

        Args:
            x: What the network gets.
            watch: Gets each tap and its output, laid out as the network has it; what it returns is pooled instead.

        Raises:
            TlearnError: The network takes pictures of one size alone, and these have another.
        """

    @abstractmethod
    def as_map(self, tap: str, x: Tensor, size_px: tuple[int, int]) -> Tensor:
        """Lay out as (B, width, h, w) what ``watch``, or this tap's attention, gets for pictures of H and W pixels.

        Raises:
            TlearnError: It is no map.
        """

    @abstractmethod
    def attention(self) -> dict[str, str]:
        """Of each tap whose pooled output is a class token: the path of what lets it read the patches last."""

    def forward(self, x: Tensor) -> Tensor:
        """Turn float (B, C, H, W) into features (B, D)."""
        pooled = self.pooled(x)
        return pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=1)

    @abstractmethod
    def stage_of(self, parameter: str) -> str:
        """Name the stage that a parameter of this module belongs to."""

    def check_size(self, x: Tensor) -> None:
        """Check that pictures (B, C, H, W) have the size that the network takes.

        Raises:
            TlearnError: They have another.
        """
        if self.fixed_size_px and x.shape[-2:] != (self.fixed_size_px, self.fixed_size_px):
            ratio = self.fixed_size_px**2 / (x.shape[-1] * x.shape[-2])
            raise TlearnError(
                f"this backbone takes {self.fixed_size_px} px pictures alone, got {x.shape[-1]} px; set "
                f"model.image_size to {self.fixed_size_px} ({ratio:,.1f} times the pixels and tokens), or to another "
                "side that its patches divide: its position embeddings are then resampled"
            )

    @property
    def network(self) -> nn.Module:
        """Return the module whose tensors bear the names that its library gave them."""
        return self

    def input_convolutions(self) -> tuple[str, ...]:
        """Name the convolutions of the network that see the pictures."""
        return first_convolution(self.network)

    def adapted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring tensors of the network, in its library's names, to the size of its position embeddings.

        Args:
            state: May lack tensors, and have others beside them.
        """
        return state

    def take_over(self, other: Backbone) -> None:
        """Take over the weights of the same network, built for another size of pictures, or with a later tap."""
        theirs, own = other.network.state_dict(), self.network.state_dict()
        if any(theirs[name].shape != value.shape for name, value in own.items()):
            theirs = self.adapted({name: theirs[name] for name in own})
        self.network.load_state_dict({name: theirs[name] for name in own})

    def train(self, mode: bool = True) -> Backbone:
        """Set the mode, but keep what is frozen in eval mode, whoever asks."""
        super().train(mode)
        hold_frozen_in_eval(self)
        if not self.batch_norm_follows:
            for part in self.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()
        return self

    def measure_widths(self, size_px: int) -> None:
        """Learn the widths from a black picture; nothing else changes."""
        self.eval()  # so that no BatchNorm statistic moves
        with torch.no_grad():
            black = torch.zeros(1, self.in_channels, size_px, size_px)
            self.widths = tuple(part.shape[1] for part in self.pooled(black))
        self.num_features = sum(self.widths)
        self.train()


class TorchvisionBackbone(Backbone):
    """A torchvision classifier; stages after the last tap are neither built into the checkpoint nor computed.

    Args:
        name: As torchvision lists it.
        tap: Stage or stages whose pooled output is the feature; ``None`` is the last one, as the tutorial has it.
        image_size: Side in pixels to build a ViT for, which takes pictures of one size alone; ``None`` is 224.
        in_channels: C, the channels of the pictures.

    Raises:
        TlearnError: An unknown network or stage, or a size that its patches do not divide.
    """

    def __init__(
        self,
        name: str = "resnet18",
        tap: str | list[str] | None = None,
        image_size: int | None = None,
        in_channels: int = RGB,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        family = family_of(name) if name in torchvision_backbones() else None
        if family is None:
            raise unknown("model.backbone", name, [*torchvision_backbones(), f"{TIMM}NAME"])
        network = _torchvision_network(name, image_size if family.fixed_size else None)
        see_channels(network, in_channels)
        layout = family.stages(network)
        self.family = family
        self.taps = check_taps(tap, tuple(layout))
        self.stages = self.tappable = tuple(layout)[: 1 + tuple(layout).index(self.taps[-1])]
        self.layout = {stage: layout[stage] for stage in self.stages}
        self.after_pool = family.after_pool if len(self.stages) == len(layout) else ()
        for paths in (*self.layout.values(), self.after_pool):
            for path in paths:
                place(self, path, network.get_submodule(path))
        unused = {path for stage in {*layout} - {*self.layout} for path in (*layout[stage], *family.after_pool)}
        self.behind_tap = sum(value.numel() for path in unused for value in network.get_submodule(path).parameters())
        if family.fixed_size:
            place_tokens(self, network)
        sized: Any = network  # a ViT has an image_size
        self.fixed_size_px = int(sized.image_size) if family.fixed_size else None
        if self.fixed_size_px:
            self.built_for = size_cost(name, self.fixed_size_px, _VIT_SIZE_PX)
        self.measure_widths(self.fixed_size_px or 64)

    def pooled(self, x: Tensor, watch: Watch = unwatched) -> list[Tensor]:
        """Turn float (B, C, H, W) into the pooled output of each tap, (B, width) each.

        Raises:
            TlearnError: The network takes pictures of one size alone, and these have another.
        """
        self.check_size(x)
        return self.pooled_in(self.stages, x, watch)

    def through(self, stage: str, x: Tensor) -> Tensor:
        """Run one stage."""
        if stage == "stem" and self.family.stem:
            return self.family.stem(self, x)
        for path in self.layout[stage]:
            x = self.get_submodule(path)(x)
        return x

    def pooled_in(self, stages: tuple[str, ...], x: Tensor, watch: Watch = unwatched) -> list[Tensor]:
        """Run some stages, up to the last, on what comes before them, and pool as `pooled` does."""
        pooled = []
        for stage in stages:
            x = self.through(stage, x)
            if stage in self.taps:
                pooled.append(self.family.pool(watch(stage, x)))
        for path in self.after_pool:
            pooled[-1] = self.get_submodule(path)(pooled[-1])
        return [vector.flatten(1) for vector in pooled]

    def adapted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Resample a ViT's position embeddings as torchvision does."""
        if not self.fixed_size_px or _POSITIONS not in state:
            return state
        projection: Any = self.get_submodule("conv_proj")
        return dict(interpolate_embeddings(self.fixed_size_px, projection.kernel_size[0], OrderedDict(state)))

    def as_map(self, tap: str, x: Tensor, size_px: tuple[int, int]) -> Tensor:
        """Lay out what a tap pools, or its attention gets, as (B, width, h, w)."""
        return self.family.as_map(x)

    def attention(self) -> dict[str, str]:
        """Of each tap whose pooled output is a class token: the path of what lets it read the patches last."""
        path = self.family.attention
        return {tap: f"{self.layout[tap][0]}.{path}" for tap in self.taps if path and tap != "stem"}

    def stage_of(self, parameter: str) -> str:
        """Name the stage that a parameter of this module belongs to; what follows the pooling is the last one's."""
        for stage, paths in self.layout.items():
            if any(parameter.startswith(f"{path}.") for path in paths):
                return stage
        return self.stages[-1] if parameter.startswith(self.after_pool) else self.stages[0]  # else the tokens of a ViT


def _torchvision_network(name: str, size_px: int | None) -> nn.Module:
    network: nn.Module
    if size_px is None:
        network = get_model(name, weights=None)
        return network
    patch_px = int(name.rpartition("_")[2])  # vit_b_16
    if size_px % patch_px:
        raise not_divided(name, size_px, patch_px)
    network = get_model(name, weights=None, image_size=size_px)
    return network


def torchvision_backbones() -> list[str]:
    """List torchvision's classifiers whose stages can be told."""
    return [name for name in list_models() if "/" not in name and "quantized" not in name and family_of(name)]
