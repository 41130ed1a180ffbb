"""SqueezeNet 1.1 in four stages, which is none of tlearn's networks. B images, C channels, D features."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import squeezenet1_1

from tlearn.models.preprocess import Preprocess

_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_STARTS = (0, 2, 5, 8)  # of the stages, among the layers: each but the first begins with a pooling


class SqueezeNet(nn.Module):
    """The layers before the head.

    Args:
        weights: State dict of torchvision's ``squeezenet1_1``, as safetensors.
        size_px: Side of what it sees.

    Attributes:
        taps: Names of the stages.
        widths: C of each.
    """

    def __init__(self, weights: Path, size_px: int) -> None:
        super().__init__()
        whole = squeezenet1_1()
        whole.load_state_dict(load_file(weights))
        layers = list(whole.features)
        ends = (*_STARTS[1:], len(layers))
        self.stages = nn.ModuleList(nn.Sequential(*layers[a:b]) for a, b in zip(_STARTS, ends, strict=True))
        self.preprocess = Preprocess(size_px, _MEAN, _STD)
        self.taps = [f"stage{number + 1}" for number in range(len(self.stages))]
        self.widths = [maps.shape[1] for maps in self._maps(torch.zeros(1, 3, 64, 64))]

    def features(self, images: Tensor) -> Tensor:
        """Turn uint8 images (B, 3, H, W) into the means of all stages' maps, (B, D)."""
        return torch.cat([maps.mean(dim=(2, 3)) for maps in self._maps(self.preprocess(images))], dim=1)

    def _maps(self, pixels: Tensor) -> list[Tensor]:
        found = list[Tensor]()
        for stage in self.stages:
            pixels = stage(pixels)
            found.append(pixels)
        return found
