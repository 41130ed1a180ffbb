"""Leave out the weights of a convolution that only ever meet padding. H and W pixels of a map, k of a kernel.

In a 32 px picture the last maps of a ResNet are a single pixel: eight of the nine taps of each 3 x 3 kernel lie outside
it, 62 % of ResNet18's weights. They can get no gradient, yet weight decay shrinks them, and gradients and momentum take
memory for them. Here the parameter holds the live taps alone; the state dict is that of the plain network.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tlearn.models.backbones.observing import observe


def live_range(size_px: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[int, int]:
    """Return the first tap along one axis that meets a pixel at some position, and one past the last."""
    positions = range(-padding, size_px + padding - dilation * (kernel - 1), stride)
    live = [tap for tap in range(kernel) if any(0 <= at + tap * dilation < size_px for at in positions)]
    return (live[0], live[-1] + 1) if live else (0, kernel)


class LiveTapsConv2d(nn.Conv2d):
    """A convolution whose ``weight`` holds the taps that meet pixels in maps of one size.

    The function is the same, and for ResNet18 at 32 px so are its bits (batches of 16 and more). Maps of another size
    are answered by the whole kernel, so that the network stays right for every picture.

    Args:
        conv: The plain convolution; its other weights stay as they are.
        map_px: H and W of the maps it gets.
        rows: First live row of the kernel, and one past the last.
        columns: Likewise.
    """

    def __init__(
        self, conv: nn.Conv2d, map_px: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
    ) -> None:
        super().__init__(**_shape_of(conv), device="meta")  # the kernel is not made, it comes from the plain one
        self.map_px, self.live = map_px, (..., slice(*rows), slice(*columns))
        self._dead = [columns[0], self.kernel_size[1] - columns[1], rows[0], self.kernel_size[0] - rows[1]]
        around = zip(self.kernel_size, _padding_of(conv), self.dilation, strict=True)
        self._is_one_pixel = map_px == (1, 1) and all(2 * p == d * (k - 1) for k, p, d in around)
        self._whole = conv.weight.detach()
        live = self._whole[self.live].clone(memory_format=torch.channels_last)
        self.weight = nn.Parameter(live, requires_grad=conv.weight.requires_grad)
        self.bias = conv.bias
        self.training = conv.training

    @property
    def left_out(self) -> int:
        """Count the weights that are no parameter."""
        return self._whole.numel() - self.weight.numel()

    def whole_weight(self) -> Tensor:
        """Return the kernel of the plain convolution, as it is now; gradients reach the live taps."""
        whole: Tensor = self._whole.clone()
        whole[self.live] = self.weight
        return whole

    def forward(self, input: Tensor) -> Tensor:
        """Convolve maps (B, C, H, W)."""
        if input.shape[-2:] != self.map_px:
            return self._convolve(input, self.whole_weight())
        if self._is_one_pixel:
            # A pixel by itself: its tap alone is exact, and twice as fast.
            return F.conv2d(input, self.weight, self.bias, groups=self.groups)
        return self._convolve(input, F.pad(self.weight, self._dead))

    def _convolve(self, maps: Tensor, weight: Tensor) -> Tensor:
        output: Tensor = self._conv_forward(maps, weight, self.bias)
        return output

    def plain(self) -> nn.Conv2d:
        """Return a plain convolution with the kernel as it is now."""
        conv = nn.Conv2d(**_shape_of(self), device="meta")
        conv.weight = nn.Parameter(self.whole_weight().detach(), requires_grad=self.weight.requires_grad)
        conv.bias = self.bias
        conv.training = self.training
        return conv

    def _apply(self, fn: Any, recurse: bool = True) -> LiveTapsConv2d:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._whole = fn(self._whole)  # not a buffer: weight averaging would round it
        return self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight"] = self.whole_weight().detach()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        key = prefix + "weight"
        whole = state_dict.get(key)
        if whole is not None and whole.shape == self._whole.shape:
            self._whole = torch.empty_like(self._whole).copy_(whole)
            state_dict[key] = whole[self.live]
        super()._load_from_state_dict(state_dict, prefix, *args)
        if whole is not None:
            state_dict[key] = whole


def leave_out_padding(network: nn.Module, images: Tensor) -> None:
    """Replace every convolution some of whose taps meet nothing but padding.

    Args:
        network: Changed in place; its state dict stays what it was.
        images: What it gets, float (1, C, H, W).
    """
    for name, map_px in _map_sizes(network, images).items():
        conv = network.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        along = zip(map_px, conv.kernel_size, conv.stride, _padding_of(conv), conv.dilation, strict=True)
        rows, columns = (live_range(*axis) for axis in along)
        if (rows[1] - rows[0], columns[1] - columns[0]) != conv.kernel_size:
            replace_part(network, name, LiveTapsConv2d(conv, map_px, rows, columns))


def put_back(network: nn.Module) -> None:
    """Undo `leave_out_padding`: the network has plain convolutions again, with what was learned."""
    for name, part in list(network.named_modules()):
        if isinstance(part, LiveTapsConv2d):
            replace_part(network, name, part.plain())


def _map_sizes(network: nn.Module, images: Tensor) -> dict[str, tuple[int, int]]:
    """Run once, and note what each plain convolution gets that is not called with maps of several sizes."""
    sizes: dict[str, set[tuple[int, int]]] = {}
    for name, part, given, _ in observe(network, images, nn.Conv2d):
        assert isinstance(part, nn.Conv2d)
        if part.padding_mode == "zeros" and not isinstance(part.padding, str):
            sizes.setdefault(name, set()).add((given.shape[-2], given.shape[-1]))
    return {name: next(iter(noted)) for name, noted in sizes.items() if len(noted) == 1}


def replace_part(network: nn.Module, name: str, part: nn.Module) -> None:
    """Put a part in the place of the one of that name."""
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, part)


def _padding_of(conv: nn.Conv2d) -> tuple[int, int]:
    assert not isinstance(conv.padding, str)  # those are not replaced
    return conv.padding[0], conv.padding[1]


def _shape_of(conv: nn.Conv2d) -> dict[str, Any]:
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    return {name: getattr(conv, name) for name in names} | {"bias": conv.bias is not None}
