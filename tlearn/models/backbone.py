"""A torchvision ResNet cut after the last stage that is needed. B images, D features, H and W pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import ResNet, get_model, list_models

from tlearn.errors import TlearnError, unknown
from tlearn.models.freezing import hold_frozen_in_eval

# Stage -> its modules in torchvision's ResNet, in the order of the forward pass. The names are torchvision's own, so
# state dicts fit as they are.
STAGES = {
    "stem": ("conv1", "bn1", "relu", "maxpool"),
    "layer1": ("layer1",),
    "layer2": ("layer2",),
    "layer3": ("layer3",),
    "layer4": ("layer4",),
}
_FAMILIES = ("resnet*", "resnext*", "wide_resnet*")


class Backbone(nn.Module):
    """ResNet features, pooled at one stage or at several side by side.

    Stages after the last tap are neither built into the checkpoint nor computed. Several taps give their pooled
    features side by side, as in Head2Toe (Evci et al., 2022, arXiv 2201.03529).

    Args:
        name: A torchvision ResNet, ResNeXt or Wide ResNet.
        tap: Stage or stages whose pooled output is the feature; ``None`` is the last one, as the tutorial has it.

    Attributes:
        stages: The stages that were built, shallow to deep.
        num_features: D, as timm calls it.

    Raises:
        TlearnError: An unknown network or stage.
    """

    def __init__(self, name: str = "resnet18", tap: str | list[str] | None = None) -> None:
        super().__init__()
        network = _build(name)
        self.taps = _check_taps(tap)
        self.stages = tuple(STAGES)[: 1 + max(tuple(STAGES).index(stage) for stage in self.taps)]
        for stage in self.stages:
            for child in STAGES[stage]:
                self.add_module(child, network.get_submodule(child))
        self.num_features = self._measure_width()

    def forward(self, x: Tensor) -> Tensor:
        """Turn float (B, 3, H, W) into features (B, D)."""
        pooled = []
        for stage in self.stages:
            for child in STAGES[stage]:
                x = self.get_submodule(child)(x)
            if stage in self.taps:
                pooled.append(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return torch.cat(pooled, dim=1)

    def train(self, mode: bool = True) -> Backbone:
        """Set the mode, but keep what is frozen in eval mode, whoever asks."""
        super().train(mode)
        hold_frozen_in_eval(self)
        return self

    def stage_of(self, parameter: str) -> str:
        """Name the stage that a parameter of this module belongs to."""
        child = parameter.split(".")[0]
        return next(stage for stage in self.stages if child in STAGES[stage])

    def _measure_width(self) -> int:
        self.eval()  # so that no BatchNorm statistic moves
        with torch.no_grad():
            width = self(torch.zeros(1, 3, 32, 32)).shape[1]
        self.train()
        return int(width)


def _build(name: str) -> ResNet:
    known = list_models(include=_FAMILIES, exclude="*quantized*")
    known = [model for model in known if "/" not in model]
    if name not in known:
        raise unknown("model.backbone", name, known)
    network = get_model(name, weights=None)
    assert isinstance(network, ResNet)
    return network


def _check_taps(tap: str | list[str] | None) -> tuple[str, ...]:
    taps = [tap] if isinstance(tap, str) else tap
    if taps is None:
        return (tuple(STAGES)[-1],)
    if not taps:
        raise TlearnError(f"model.tap is an empty list; name at least one stage of {', '.join(STAGES)}")
    for stage in taps:
        if stage not in STAGES:
            raise unknown("stage in model.tap", stage, STAGES)
    return tuple(stage for stage in STAGES if stage in taps)
