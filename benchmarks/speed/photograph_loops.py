"""The two hand-written loops that fine-tune ResNet18 on a folder of photographs. Nothing of tlearn is imported.

Letters: B images in a batch, S the side in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import cpu_count
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2 import functional as F

from benchmarks.loops import (
    MEAN,
    STD,
    TUTORIAL_BATCH,
    best_precision,
    device,
    hand_written_epochs,
    tutorial_epochs,
)

_SHOWN = 0.875  # of the short side: 224 of 256 px


def tutorial(root: Path, size_px: int, epochs: int, num_workers: int = 0) -> list[float]:
    """Images per second of each epoch of the tutorial's loop on ``root/train``: fp32, random crops and flips.

    The transfer-learning tutorial of torchvision has batches of 4; 64 are faster, and are taken here.
    """
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(size_px),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    images = ImageFolder(str(root / "train"), transform)
    loader = DataLoader(images, batch_size=TUTORIAL_BATCH, shuffle=True, num_workers=num_workers)
    return tutorial_epochs(loader, len(images), len(images.classes), epochs)


def hand_written(root: Path, size_px: int, epochs: int, batch_size: int = TUTORIAL_BATCH) -> list[float]:
    """Images per second of each epoch of the best plain loop: decoding in threads, bf16, channels_last, nothing logged.

    Pictures are framed as tlearn frames them: the centre, 0.875 of the short side.
    """
    images = ImageFolder(str(root / "train"))
    batches = partial(_batches, images, size_px, batch_size)
    return hand_written_epochs(batches, len(images), len(images.classes), epochs, best_precision())


def _batches(images: ImageFolder, size_px: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield uint8 (B, 3, S, S), channels last, and labels (B,), on the device.

    A batch is decoded between two steps: the steps use all cores of a CPU, so that nothing could be decoded beside
    them. On a GPU the next one is decoded while the step runs.
    """
    order = torch.randperm(len(images)).split(batch_size)
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        read = partial(_decoded, size_px=size_px)
        waiting = None
        for number, picked in enumerate(order):
            pictures = waiting or [pool.submit(read, images.samples[row][0]) for row in picked.tolist()]
            pixels = torch.stack([picture.result() for picture in pictures])
            following = order[number + 1].tolist() if device().type == "cuda" and number + 1 < len(order) else []
            waiting = [pool.submit(read, images.samples[row][0]) for row in following]
            labels = torch.tensor([images.samples[row][1] for row in picked.tolist()])
            moved = pixels.to(device(), non_blocking=True).contiguous(memory_format=torch.channels_last)
            yield moved, labels.to(device(), non_blocking=True)


def _decoded(path: str, size_px: int) -> Tensor:
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    side = round(_SHOWN * min(pixels.shape[-2:]))
    square = F.center_crop(pixels, [side])
    resized: Tensor = F.resize(square, [size_px, size_px], antialias=True)
    return resized
