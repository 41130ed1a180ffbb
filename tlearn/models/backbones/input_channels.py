"""Networks for pictures of any number of channels: where they see them, and how pretrained kernels are adapted.

Letters: O outputs of a convolution, C channels of the pictures, h and w of a kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from tlearn.models.backbones.live_taps import replace_part

RGB = 3  # channels of photographs, which pretrained weights have seen


def adapted_kernel(kernel: Tensor, channels: int) -> Tensor:
    """Adapt a kernel that sees red, green and blue, (O, 3, h, w), to pictures of C channels, (O, C, h, w).

    The rule and its bits are those of ``timm.models.adapt_input_conv`` (timm 1.0.31). For one channel the parts for
    red, green and blue are summed: a grey picture is answered as if it came as three equal channels. For any other
    number they are repeated (red, green, blue, red, ...), cut to C and multiplied by 3 / C: where channels are alike,
    outputs keep their size. The sum and the product are computed in float32.
    """
    if channels == kernel.shape[1]:
        return kernel
    wide = kernel.float()
    if channels == 1:
        return wide.sum(dim=1, keepdim=True).to(kernel.dtype)
    repeated = wide.repeat(1, -(-channels // RGB), 1, 1)[:, :channels]
    return (repeated * (RGB / channels)).to(kernel.dtype)


def adapted_words(channels: int) -> str:
    """Say in a part of a line what `adapted_kernel` did."""
    how = "red, green and blue summed" if channels == 1 else f"red, green, blue repeated, times 3 / {channels}"
    return f"the first convolution adapted from 3 to {channels} channel{'s' * (channels > 1)} ({how})"


def first_convolution(network: nn.Module) -> tuple[str, ...]:
    """Name the first convolution in the order of a network's parts, which sees the pictures; empty without any."""
    return tuple(name for name, part in network.named_modules() if isinstance(part, nn.Conv2d))[:1]


def see_channels(network: nn.Module, channels: int) -> None:
    """Let a network with random weights see pictures of C channels; it is changed in place, and not at all for three.

    Args:
        network: A classifier for red, green and blue. Its new kernel is drawn from a normal distribution with the
            standard deviation of the old one times the root of 3 / C: outputs keep their size.
        channels: C.
    """
    if channels == RGB:
        return
    (name,) = first_convolution(network)
    old = network.get_submodule(name)
    assert isinstance(old, nn.Conv2d)
    assert not isinstance(old.padding, str)
    new = nn.Conv2d(channels, old.out_channels, _pair(old.kernel_size), _pair(old.stride), _pair(old.padding))
    with torch.no_grad():
        nn.init.normal_(new.weight, std=float(old.weight.std()) * (RGB / channels) ** 0.5)
    new.bias = old.bias
    replace_part(network, name, new)


def adapted_tensors(
    tensors: Mapping[str, Tensor], network: nn.Module, names: Iterable[str], channels: int
) -> dict[str, Tensor]:
    """Adapt those tensors of a file that are a first convolution's kernels for red, green and blue.

    They are found by their shape: in a file they may have any name. Other tensors are the same objects.

    Args:
        tensors: Of the file.
        network: What they are for; it sees pictures of C channels.
        names: Its convolutions that see the pictures.
        channels: C.
    """
    if channels == RGB:
        return dict(tensors)
    shapes = set[tuple[int, ...]]()
    for name in names:
        outputs, inputs, *sides = network.get_submodule(name).get_parameter("weight").shape
        if inputs == channels:
            shapes.add((outputs, RGB, *sides))
    return {
        name: adapted_kernel(value, channels) if tuple(value.shape) in shapes and value.is_floating_point() else value
        for name, value in tensors.items()
    }


def _pair(sides: tuple[int, ...]) -> tuple[int, int]:
    return sides[0], sides[1]
