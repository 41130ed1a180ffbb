"""Grad-CAM: the parts of a picture that raise an output (Selvaraju et al., 2017, arXiv 1610.02391).

B images, C channels, D features, K outputs, H and W pixels as the network sees them, h and w positions of a map.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tlearn.models.backbones.backbone import Backbone
from tlearn.models.network import Network

Part = TypeVar("Part", bound=nn.Module)


def grad_cam(module: Network, images: Tensor, outputs: Tensor) -> Tensor:
    """Return how much each pixel raises one output of its image; pixels that lower it are 0.

    Several taps are summed before negative values are cut off, because the logit depends on all of them. The values are
    not scaled.

    Args:
        module: In any mode and precision, frozen or not, also while batches hold cached features. It does not change.
        images: uint8 (B, C, ., .), as batches hold them, on any device.
        outputs: int64 (B,), for each image the number of the logit that is explained; 0 for a regression.

    Returns:
        float32 (B, H, W) on the CPU, at least 0, for the pictures after ``module.preprocess``, which may cut off edges.

    Raises:
        TlearnError: The network does not take images of this size, or the tapped stage of a timm network has no map.
    """
    return pixel_shares(module, images, outputs).relu()


def pixel_shares(module: Network, images: Tensor, outputs: Tensor) -> Tensor:
    """Return `grad_cam` with its negative values, float32 (B, H, W): below 0 a pixel lowers the output.

    The map of a tapped stage is summed over its channels, each weighted by the mean gradient of the logit. The gradient
    goes through the pooled features of this tap alone; what a later tap makes of the map belongs to that tap. Then the
    map is spread over the pixels, bilinearly and with the same sum. For a linear head on mean-pooled maps, all shares
    and the bias add up to the logit, if the picture's sides are multiples of the map's. If a normalisation follows the
    pooling, as in ConvNeXt, they add up to 0: a share is then relative to the rest of the picture.

    A ViT pools the class token, which the patches of the last block do not reach. Its map is the input of the attention
    of the tapped block, without the class token. At the stem the token has read nothing, so the map is 0.

    Arguments and errors are those of `grad_cam`.
    """
    device = module.preprocess.mean.device
    # Lightning validates in inference mode, whose tensors have no gradient; copies made outside of it do.
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        pixels = _frozen_copy(module.preprocess)(images.clone().to(device))
        backbone, head = _frozen_copy(module.backbone), _frozen_copy(module.head)
        shares = _tap_shares(backbone, head, pixels, outputs.clone().to(device))
        return torch.stack([_spread(share, pixels.shape) for share in shares]).sum(dim=0).cpu()


def _frozen_copy(part: Part) -> Part:
    """Return a copy that computes in float32, with parameters that need no gradient."""
    # Without hooks: those of callbacks and loggers refer to things that cannot be copied, such as a loader's processes.
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    unhooked: dict[int, Any] = {id(getattr(each, name)): OrderedDict() for each in part.modules() for name in hooks}
    return deepcopy(part, unhooked).float().eval().requires_grad_(False)


def _tap_shares(backbone: Backbone, head: nn.Module, pixels: Tensor, outputs: Tensor) -> list[Tensor]:
    """Return each tap's share of the explained logit, by position (B, h, w).

    Args:
        backbone: A copy, on which hooks are left.
        head: Features (B, D) to logits (B, K).
        pixels: float32 (B, C, H, W).
        outputs: int64 (B,).
    """
    held = _hold_attention(backbone)
    pooled = backbone.pooled(pixels, held.hold)
    vectors = [vector.detach().requires_grad_() for vector in pooled]
    logits = head(torch.cat(vectors, dim=1)).gather(1, outputs[:, None])
    slopes = torch.autograd.grad(logits.sum(), vectors)
    size_px = (pixels.shape[-2], pixels.shape[-1])
    shares = []
    for tap, vector, slope in zip(backbone.taps, pooled, slopes, strict=True):
        (gradient,) = torch.autograd.grad(vector, held[tap], slope)
        maps, gradients = (backbone.as_map(tap, x, size_px) for x in (held[tap].detach(), gradient))
        shares.append((maps * gradients.mean(dim=(2, 3), keepdim=True)).sum(dim=1))
    return shares


class _Held(dict[str, Tensor]):
    """Tap to the map with respect to which the gradient is taken."""

    def hold(self, tap: str, x: Tensor) -> Tensor:
        """Replace the map of a tap by a leaf. For a class token `_hold_attention` has done so already."""
        if tap in self:
            return x
        self[tap] = x.detach().clone().requires_grad_()
        return self[tap]


def _hold_attention(backbone: Backbone) -> _Held:
    """Hold the input of the attention for taps that pool a class token; the caller holds the other maps."""
    held = _Held()
    for tap, path in backbone.attention().items():

        def read(part: nn.Module, given: tuple[Any, ...], tap: str = tap) -> tuple[Any, ...]:
            """Use the held tokens as query, key and value."""
            tokens = held.hold(tap, given[0])
            return tuple(tokens if x is given[0] else x for x in given)

        backbone.get_submodule(path).register_forward_pre_hook(read)
    return held


def _spread(share: Tensor, shape: torch.Size) -> Tensor:
    """Spread shares (B, h, w) over the pixels of pictures of that shape, (B, H, W) with the same sum."""
    height, width = shape[-2:]
    enlarged = F.interpolate(share[:, None], (height, width), mode="bilinear")[:, 0]
    return enlarged * (share[0].numel() / (height * width))
