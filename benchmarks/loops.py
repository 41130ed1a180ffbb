"""The two hand-written training loops that tlearn is measured against. N images, B in a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.models import resnet18

from benchmarks.fake_cifar import CLASSES, Labels, Pixels, fake_images

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
TUTORIAL_BATCH = 64


def device() -> torch.device:
    """The accelerator if there is one, as Lightning's ``accelerator: auto`` chooses."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_precision() -> str:
    """Lightning's name of the fastest precision this machine has in hardware."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    found = torch.cpu.get_capabilities()
    return "bf16-mixed" if found.get("avx512_bf16") or found.get("amx_bf16") or found.get("bf16") else "32-true"


class PerImage(Dataset[tuple[Tensor, int]]):
    """CIFAR-shaped images one by one, each through ToTensor and Normalize, as torchvision's CIFAR10 serves them."""

    def __init__(self, images: int) -> None:
        """Make the images, (H, W, 3) as ToTensor wants them."""
        pixels, self.labels = fake_images(images)
        self.pixels: Pixels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def __len__(self) -> int:
        """N."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image through PIL and the transforms, float (3, H, W), and its label."""
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


def tutorial(images: int, epochs: int, num_workers: int) -> list[float]:
    """Images per second of each epoch of the tutorials' loop: fp32, batch 64, contiguous, ``loss.item()`` each step."""
    loader = DataLoader(PerImage(images), batch_size=TUTORIAL_BATCH, shuffle=True, num_workers=num_workers)
    return tutorial_epochs(loader, images, CLASSES, epochs)


def tutorial_epochs(loader: DataLoader[tuple[Tensor, int]], images: int, num_classes: int, epochs: int) -> list[float]:
    """Images per second of each epoch of that loop over a loader of so many images."""
    net, loss_of = resnet18(weights=None, num_classes=num_classes).to(device()), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    rates = []
    for _ in range(epochs):
        start_s, running = perf_counter(), 0.0
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = loss_of(net(inputs.to(device())), targets.to(device()))
            loss.backward()
            optimizer.step()
            running += loss.item()
        rates.append(images / (perf_counter() - start_s))
    return rates


def hand_written(images: int, epochs: int, batch_size: int, precision: str) -> list[float]:
    """Images per second of each epoch of the best plain loop: uint8 batches gathered on the device, channels_last."""
    pixels, labels = _resident(*fake_images(images))

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        return ((pixels[p], labels[p]) for p in torch.randperm(images).to(device()).split(batch_size))

    return hand_written_epochs(batches, images, CLASSES, epochs, precision)


def hand_written_epochs(
    batches: Callable[[], Iterator[tuple[Tensor, Tensor]]], images: int, num_classes: int, epochs: int, precision: str
) -> list[float]:
    """Images per second of each epoch of that loop over uint8 batches, channels last, that lie on the device."""
    net = resnet18(weights=None, num_classes=num_classes).to(device(), memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    rates = []
    for _ in range(epochs):
        start_s, running = perf_counter(), torch.zeros((), device=device())
        for pixels, labels in batches():
            with torch.autocast(device().type, torch.bfloat16, enabled=precision == "bf16-mixed"):
                loss = nn.functional.cross_entropy(net(_normalised(pixels)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.detach()
        running.item()  # waits for the device
        rates.append(images / (perf_counter() - start_s))
    return rates


def _resident(pixels: Pixels, labels: Labels) -> tuple[Tensor, Tensor]:
    """Both on the device, pixels uint8 (N, 3, H, W) in channels_last."""
    return (
        torch.from_numpy(pixels).to(device()).contiguous(memory_format=torch.channels_last),
        torch.from_numpy(labels).to(device()),
    )


def _normalised(pixels: Tensor) -> Tensor:
    """Uint8 (B, 3, H, W) -> float32, scaled and normalised."""
    mean, std = (torch.tensor(x, device=pixels.device).view(3, 1, 1) * 255 for x in (MEAN, STD))
    return pixels.float().sub_(mean).div_(std)
