"""Where in a picture the network sees what speaks for an output: Grad-CAM (Selvaraju et al., 2017, arXiv 1610.02391).

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
from tlearn.training.module import TransferModule

Part = TypeVar("Part", bound=nn.Module)


def grad_cam(module: TransferModule, images: Tensor, outputs: Tensor) -> Tensor:
    """Show what in each image speaks for one of its outputs; what speaks against it is cut off.

    Several taps are summed before the cut, for the logit is a function of them all. Values are not scaled.

    Args:
        module: Whatever its mode, its precision, what of it is frozen, and whether batches hold images at the time; it
            stays as it is, in and out of a run.
        images: uint8 (B, 3, ., .), as batches hold them, on any device.
        outputs: int64 (B,), the number of the logit of each image that is explained; 0 for a regression.

    Returns:
        float32 (B, H, W) on the CPU, at least 0, for the pictures that the network sees: after ``module.preprocess``,
        which may cut off edges.

    Raises:
        TlearnError: The images have another size than the network takes, or the tapped stage of a timm network gives no
            map.
    """
    return pixel_shares(module, images, outputs).relu()


def pixel_shares(module: TransferModule, images: Tensor, outputs: Tensor) -> Tensor:
    """Return `grad_cam` before the cut, float32 (B, H, W): what speaks for an output and, below 0, against it.

    A tapped stage's map is summed over its channels, each weighted by the mean gradient of the logit, through the
    pooled features of that tap alone: what a later tap makes of the map is in its own share. Then it is spread over
    the pixels, bilinearly and keeping the sum. So where the head is linear and maps are mean-pooled, all shares and the
    bias add up to the logit (for sizes that are multiples of the map's). Where a normalisation follows the pooling, as
    in ConvNeXt, they add up to 0: a share is then for or against by comparison with the rest of the picture.

    In a ViT the class token is pooled, which the last block's patches do not reach: the map is what the attention of
    the tapped block gets, without the class token. At the stem the token has read nothing: the map is zero there.

    Args and errors are those of `grad_cam`.
    """
    device = module.preprocess.mean.device
    # Lightning validates in inference mode, whose tensors know no gradient; copied outside of it they are plain ones.
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        pixels = _frozen_copy(module.preprocess)(images.clone().to(device))
        backbone, head = _frozen_copy(module.backbone), _frozen_copy(module.head)
        shares = _tap_shares(backbone, head, pixels, outputs.clone().to(device))
        return torch.stack([_spread(share, pixels.shape) for share in shares]).sum(dim=0).cpu()


def _frozen_copy(part: Part) -> Part:
    """Return a copy that computes in float32, and whose parameters need no graph: hooks and gradients stay in it."""
    # Without hooks: a callback's or a logger's holds on to things that cannot be copied, a loader's processes for one.
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    unhooked: dict[int, Any] = {id(getattr(each, name)): OrderedDict() for each in part.modules() for name in hooks}
    return deepcopy(part, unhooked).float().eval().requires_grad_(False)


def _tap_shares(backbone: Backbone, head: nn.Module, pixels: Tensor, outputs: Tensor) -> list[Tensor]:
    """Return each tap's share of the explained logit, by position (B, h, w).

    Args:
        backbone: A copy, which is left with hooks.
        head: Features (B, D) to logits (B, K).
        pixels: float32 (B, 3, H, W).
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
    """Tap to the map that the gradient is taken by."""

    def hold(self, tap: str, x: Tensor) -> Tensor:
        """Return what stands in for a tap's map; that of a class token was held where it read the patches."""
        if tap in self:
            return x
        self[tap] = x.detach().clone().requires_grad_()
        return self[tap]


def _hold_attention(backbone: Backbone) -> _Held:
    """Hold what the attention gets where a class token is pooled; the rest is for the caller to hold."""
    held = _Held()
    for tap, path in backbone.attention().items():

        def read(part: nn.Module, given: tuple[Any, ...], tap: str = tap) -> tuple[Any, ...]:
            """Give the held tokens wherever the attention gets its first input: as query, key and value."""
            tokens = held.hold(tap, given[0])
            return tuple(tokens if x is given[0] else x for x in given)

        backbone.get_submodule(path).register_forward_pre_hook(read)
    return held


def _spread(share: Tensor, shape: torch.Size) -> Tensor:
    """Spread what positions have (B, h, w) over the pixels of pictures of that shape: (B, H, W) of the same sum."""
    height, width = shape[-2:]
    enlarged = F.interpolate(share[:, None], (height, width), mode="bilinear")[:, 0]
    return enlarged * (share[0].numel() / (height * width))
