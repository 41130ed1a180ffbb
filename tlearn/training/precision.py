"""The precision in which a run is fastest on its device."""

from __future__ import annotations

from torch import nn

from tlearn.base.machine import FULL_PRECISION, best_precision, uses_cpu
from tlearn.training.module import TransferModule


def fastest_precision(accelerator: str, module: TransferModule) -> str:
    """Return what `best_precision` says of the device, but ``32-true`` for what a CPU trains slower in bfloat16.

    oneDNN takes 20 times as long in bfloat16 as in float32 for the gradient of a strided depthwise convolution by its
    input (findings/torch_bf16_strided_depthwise.sh). So a step of EfficientNet, MobileNet and their like takes 1.1 to
    2 times as long. Where these layers stay frozen, as for a head on a fixed network, bfloat16 is faster.

    Args:
        accelerator: What ``--trainer.accelerator`` says.
        module: The network, with the rules of what trains, now or later.
    """
    if uses_cpu(accelerator) and _trains_slower_in_bf16(module):
        return FULL_PRECISION
    return best_precision(accelerator)


def _trains_slower_in_bf16(module: TransferModule) -> bool:
    """Tell whether gradients go through a strided depthwise convolution: one behind the first parameter that trains."""
    trains = False
    for path, part in module.backbone.named_modules(prefix="backbone"):
        names = (f"{path}.{name}" for name, _ in part.named_parameters(recurse=False))
        trains = trains or any(module.rules[name].lr_scale is not None for name in names)
        if trains and isinstance(part, nn.Conv2d) and _is_strided_depthwise(part):
            return True
    return False


def _is_strided_depthwise(conv: nn.Conv2d) -> bool:
    return conv.groups == conv.in_channels > 1 and max(conv.stride) > 1
