"""What leaves the project as one graph: pictures in, probabilities out. Letters: N images, K classes, S pixels."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from tlearn.deploy.fixed_point import FixedPointResize
from tlearn.deploy.loading import framing_of
from tlearn.models.losses import answers_of
from tlearn.models.target_unit import AS_IT_IS, change_unit
from tlearn.training.module import TransferModule


class ExportedNetwork(nn.Module):
    """A copy of a network, in eval mode and float32, whose answer for an image depends on that image alone.

    Args:
        module: Left as it is, modes included.

    Attributes:
        size_px: Side S of the pictures it takes: what the data delivered.
        output_name: ``probabilities``, or ``values`` for a regression.

    Raises:
        TlearnError: The network does not say how its pictures were read.
    """

    def __init__(self, module: TransferModule) -> None:
        super().__init__()
        self.size_px = int(framing_of(module).size_px)
        self.task, self.temperature = module.task, float(module.temperature)
        self.output_name = "values" if module.task == "regression" else "probabilities"
        to_px = module.preprocess.image_size
        self.resize = nn.Identity() if to_px in (None, self.size_px) else FixedPointResize(self.size_px, to_px)
        self.preprocess, self.backbone, self.head = (
            _plain(p) for p in (module.preprocess, module.backbone, module.head)
        )
        change_unit(self.head, module.unit, AS_IT_IS)  # values in the user's unit need nothing beside the weights
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Turn uint8 (N, 3, S, S) into probabilities (N, K), or values (N, K)."""
        return answers_of(self.task, self.head(self.backbone(self.preprocess(self.resize(images)))), self.temperature)

    def example(self) -> Tensor:
        """Return black pictures, uint8 (2, 3, S, S): two, for a batch of one would fix the batch's size."""
        return torch.zeros(2, 3, self.size_px, self.size_px, dtype=torch.uint8)


def _plain(part: nn.Module) -> nn.Module:
    copy = deepcopy(part).cpu().float().requires_grad_(False)
    return copy.to(memory_format=torch.contiguous_format)  # files hold weights in the order of their indices
