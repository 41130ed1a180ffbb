"""Answer each picture as if it were alone, so that its bits do not depend on the others.

A library of kernels chooses another order of summing for another number of pictures: with oneDNN, the features of
EfficientNet-Lite0 at 224 px differ by up to 1e-5 between a batch of 1 and one of 32, and the logits of a linear head
between 1 and 2. In a batch of one size a picture's features do not depend on its place or its neighbours. So pictures
go through the backbone in batches of one fixed size, the last one filled up, and through the head one by one.

B pictures, C channels, H and W pixels, D features, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.models.network import Network

_PIXELS = 128**2  # of pictures that are computed together on a CPU: more of them are no faster from here on
_MOST = 32


class Answered(NamedTuple):
    """What a network says of B pictures.

    Attributes:
        features: What the head saw, (B, D).
        output: What it gave, logits (B, K) or values (B, K).
        answers: Float32 probabilities (B, K), or values (B, K) in the user's unit.
    """

    features: Tensor
    output: Tensor
    answers: Tensor


def pictures_at_once(network: Network, height_px: int, width_px: int) -> int:
    """Return how many pictures of a size go through the backbone together, which decides their bits.

    On a CPU it is 1 from 128 px on, where larger batches gain little, and up to 32 below: 4 of 64 px, 16 of 32 px. On
    an accelerator it is 32.
    """
    if network.preprocess.mean.device.type != "cpu":
        return _MOST
    side_px = network.options.image_size
    pixels = side_px**2 if side_px else height_px * width_px
    return min(_MOST, max(1, _PIXELS // max(1, pixels)))


def answered_alone(network: Network, images: Tensor) -> Answered:
    """Answer for uint8 images (B, C, H, W) of any number, each with the bits that it has alone.

    The same holds for one machine, precision and version of torch, and below 128 px for one number of threads.

    Args:
        network: In eval mode.
        images: On its device.
    """
    count = pictures_at_once(network, *images.shape[-2:])
    parts = images.split(count)
    if count == 1 and images.device.type == "cpu":
        features = torch.cat(_side_by_side(network.features, parts))
    else:
        features = torch.cat([_features(network, part, count) for part in parts])
    # A clone: kernels may also sum in another order for another alignment of the memory.
    outputs = [network(row.clone()) for row in features.split(1)]
    return Answered(features, torch.cat(outputs), torch.cat([network.answer_of(output) for output in outputs]))


def _side_by_side(work: Callable[[Tensor], Tensor], parts: Sequence[Tensor]) -> list[Tensor]:
    """Compute each part on one core, as many at a time as torch has threads.

    The threads of a kernel wait for each other: EfficientNet-Lite0 took as long for a picture of 224 px on two cores as
    on one, so two pictures side by side are done in half of the time. And one thread sums in one order.
    """
    threads, is_inference = torch.get_num_threads(), torch.is_inference_mode_enabled()
    is_cast, cast_to = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def as_here(part: Tensor) -> Tensor:
        # What is switched on holds in the thread where it was.
        with torch.inference_mode(is_inference), torch.autocast("cpu", cast_to, enabled=is_cast):
            return work(part)

    torch.set_num_threads(1)
    try:
        first = as_here(parts[0])  # which also makes what the network makes once
        with ThreadPoolExecutor(min(threads, max(1, len(parts) - 1))) as workers:
            return [first, *workers.map(as_here, parts[1:])]
    finally:
        torch.set_num_threads(threads)


def _features(network: Network, images: Tensor, count: int) -> Tensor:
    missing = count - len(images)
    filled = torch.cat([images, images.new_zeros(missing, *images.shape[1:])]) if missing else images
    return network.features(filled)[: len(images)]
