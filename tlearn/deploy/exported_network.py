"""The network as it is exported: preprocessing, network and answer in one module that can be traced."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from tlearn.deploy.loading import framing_of
from tlearn.deploy.reliability.exported import WorthOutputs
from tlearn.models.losses import answers_of
from tlearn.models.network import Network
from tlearn.models.target_unit import AS_IT_IS, change_unit


class ExportedNetwork(nn.Module):
    """A copy of a network, in eval mode and float32, whose answer for an image depends on that image alone.

    Args:
        module: Left as it is, modes included.
        worth: Gives further outputs; without it there are none.

    Attributes:
        size_px: Side S of the pictures it takes: what the data delivered.
        in_channels: C of them.
        output_names: ``probabilities``, or ``values`` for a regression, and behind it those of `worth`.

    Raises:
        TlearnError: The network does not say how its pictures were read.
    """

    def __init__(self, module: Network, worth: WorthOutputs | None = None) -> None:
        super().__init__()
        self.size_px, self.in_channels = int(framing_of(module).size_px), module.options.in_channels
        self.task, self.calibration = module.task, module.calibration
        first = "values" if module.task == "regression" else "probabilities"
        self.worth, self.output_names = worth, [first, *(worth.names if worth is not None else ())]
        to_px = module.preprocess.image_size
        self.resize = nn.Identity() if to_px in (None, self.size_px) else FixedPointResize(self.size_px, to_px)
        self.preprocess, self.backbone, self.head = (
            _plain(p) for p in (module.preprocess, module.backbone, module.head)
        )
        change_unit(self.head, module.unit, AS_IT_IS)  # values in the user's unit need nothing beside the weights
        self.eval()

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Turn uint8 (N, C, S, S) into probabilities (N, K), or values (N, K), and the further outputs if there are."""
        features = self.backbone(self.preprocess(self.resize(images)))
        output = self.head(features)
        answers = answers_of(self.task, output, self.calibration)
        return answers if self.worth is None else (answers, *self.worth(features, output, answers))

    def example(self) -> Tensor:
        """Return black pictures, uint8 (2, C, S, S): two, for a batch of one would fix the batch's size."""
        return torch.zeros(2, self.in_channels, self.size_px, self.size_px, dtype=torch.uint8)


def _plain(part: nn.Module) -> nn.Module:
    copy = deepcopy(part).cpu().float().requires_grad_(False)
    return copy.to(memory_format=torch.contiguous_format)  # files hold weights in the order of their indices


_MOST_BITS = 22  # of p, in torch
_EXACT_BITS = 16  # up to here 255 * 2^p and a half fit float32's 24 bits


class FixedPointResize(nn.Module):
    """Square uint8 pictures to squares of another side: bilinear with antialias, bit for bit torchvision's.

    Args:
        from_px: Side of the pictures that come.
        to_px: Side wanted.
    """

    weights: Tensor

    def __init__(self, from_px: int, to_px: int) -> None:
        super().__init__()
        weights, bits = integer_weights(from_px, to_px)
        dtype = torch.float32 if bits <= _EXACT_BITS else torch.float64
        self.register_buffer("weights", torch.from_numpy(weights / 2.0**bits).to(dtype))

    def forward(self, images: Tensor) -> Tensor:
        """Turn uint8 (N, C, H, H) into whole numbers from 0 to 255, float32 (N, C, S, S)."""
        wide = torch.floor(images.to(self.weights.dtype) @ self.weights.T + 0.5)
        high = torch.floor(self.weights @ wide + 0.5)
        return high.clamp(0, 255).float()


def integer_weights(from_px: int, to_px: int) -> tuple[NDArray[np.float64], int]:
    """Return the weights along one axis as whole numbers (S, H), and p: they are meant in units of 2^-p."""
    scale = from_px / to_px
    reach = max(scale, 1.0)
    centres = scale * (np.arange(to_px) + 0.5)
    pixels = np.arange(from_px)
    first = np.maximum((centres - reach + 0.5).astype(int), 0)[:, None]
    end = np.minimum((centres + reach + 0.5).astype(int), from_px)[:, None]
    weights = np.maximum(0.0, 1 - np.abs(pixels - centres[:, None] + 0.5) / reach) * (
        (first <= pixels) & (pixels < end)
    )
    weights /= weights.sum(axis=1, keepdims=True)
    fitting = (p for p in range(_MOST_BITS) if int(0.5 + weights.max() * 2 ** (p + 1)) >= 2**15)
    bits = next(fitting, _MOST_BITS)
    return np.floor(0.5 + weights * 2**bits), bits


def traced(network: ExportedNetwork) -> ExportedProgram:
    """Return the graph of a network, its only input uint8 (N, C, S, S) with any N, without this machine's paths."""
    example = network.example()
    with torch.no_grad():
        network(example)  # timm's LeViT fills a cache in its first eval pass; a graph must find it filled
    program = torch.export.export(network, (example,), dynamic_shapes=({0: Dim("N")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program
