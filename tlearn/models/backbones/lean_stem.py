"""A ResNet's stem that keeps less for the backward pass. B images, C channels, H and W pixels of a map.

Its maps are the largest of the network: at 224 px and in bf16, 103 MB each for 64 pictures. The plain stem keeps three
such for the backward pass: what the convolution gives, what ReLU gives, and the places of the maxima, 8 bytes each.
ReLU and the maximum may change places, since neither alters which value is the largest: ReLU then works on a quarter of
the pixels, its map need not be kept, and 2 bytes hold a place. Values and gradients are the same, to the bit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_MOST_INT16 = 2**15 - 1


def resnet_stem(backbone: nn.Module, x: Tensor) -> Tensor:
    """Run pictures (B, C, H, W) through ``conv1``, ``bn1``, ``relu`` and ``maxpool``."""
    conv, norm, relu, pool = (backbone.get_submodule(path) for path in ("conv1", "bn1", "relu", "maxpool"))
    maps: Tensor = norm(conv(x))
    # A GPU has no time to win here, and a graph that is written out should have plain operators alone.
    if maps.requires_grad and maps.device.type == "cpu" and _is_usual(relu, pool) and not torch.compiler.is_compiling():
        rectified: Tensor = relu(_LeanMaxPool.apply(maps, pool))
        return rectified
    pooled: Tensor = pool(relu(maps))
    return pooled


def _is_usual(relu: nn.Module, pool: nn.Module) -> bool:
    """Tell whether these are the modules that torchvision made, which nobody watches."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    watched = any(getattr(part, kind) for part in (relu, pool) for kind in kinds)
    is_usual = type(relu) is nn.ReLU and type(pool) is nn.MaxPool2d and not pool.return_indices
    return is_usual and not watched


class _LeanMaxPool(torch.autograd.Function):
    """The maximum of each window; of its input only the shape is kept, and the places in as few bytes as suffice."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, pool: nn.MaxPool2d) -> Tensor:
        """Pool maps (B, C, H, W)."""
        ctx.window = [_pair(each) for each in (pool.kernel_size, pool.stride, pool.padding, pool.dilation)]
        ctx.ceil_mode, ctx.shape = pool.ceil_mode, maps.shape
        ctx.is_channels_last = maps.is_contiguous(memory_format=torch.channels_last)
        found: tuple[Tensor, Tensor] = torch.ops.aten.max_pool2d_with_indices(maps, *ctx.window, ctx.ceil_mode)
        pooled, places = found
        suffices = maps.shape[-2] * maps.shape[-1] <= _MOST_INT16
        ctx.save_for_backward(places.to(torch.int16 if suffices else torch.int32))
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Bring the gradient to the places of the maxima."""
        (places,) = ctx.saved_tensors
        layout = torch.channels_last if ctx.is_channels_last else torch.contiguous_format
        maps = torch.empty(ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=layout)  # never read
        window = (*ctx.window, ctx.ceil_mode, places.long())
        return torch.ops.aten.max_pool2d_with_indices_backward(gradient, maps, *window), None


def _pair(size: Any) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)
