"""Three ways to train a new head on a frozen ResNet18 without tlearn. N images, H and W pixels.

Each gets the same images, the same weights and the same number of epochs, and returns its seconds and the accuracy on
validation after the last epoch.
"""

from __future__ import annotations

import tempfile
import time
from typing import NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy
from torchvision import transforms
from torchvision.models import ResNet, resnet18

from benchmarks.loops import MEAN, STD, TUTORIAL_BATCH, device

_LEARNING_RATE, _MOMENTUM = 1e-3, 0.9


class Split(NamedTuple):
    """Images, uint8 (N, 3, H, W), and labels (N,)."""

    images: Tensor
    labels: Tensor


class Job(NamedTuple):
    """What is to be done.

    Attributes:
        train: To train on.
        val: To validate on after every epoch.
        weights: State dict of a ResNet18.
        classes: Number of classes.
        size_px: What the network sees; the images are enlarged to it.
        epochs: How often.
    """

    train: Split
    val: Split
    weights: dict[str, Tensor]
    classes: int
    size_px: int
    epochs: int


class Outcome(NamedTuple):
    """Seconds, and right answers over validation images."""

    time_s: float
    accuracy: float


class _PerImage(Dataset[tuple[Tensor, int]]):
    """Images one by one through PIL, Resize, ToTensor and Normalize."""

    def __init__(self, split: Split, size_px: int) -> None:
        self.pixels = np.ascontiguousarray(split.images.permute(0, 2, 3, 1).numpy())
        self.labels = split.labels
        enlarge = [transforms.Resize(size_px)] if size_px != self.pixels.shape[1] else []
        self.transform = transforms.Compose([*enlarge, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


def _loaders(job: Job, num_workers: int) -> list[DataLoader[tuple[Tensor, int]]]:
    splits = ((job.train, True), (job.val, False))
    return [
        DataLoader(_PerImage(s, job.size_px), TUTORIAL_BATCH, shuffle, num_workers=num_workers) for s, shuffle in splits
    ]


def _frozen_network(job: Job) -> ResNet:
    network = resnet18(weights=None)
    network.load_state_dict(job.weights)
    network.requires_grad_(False)
    network.fc = nn.Linear(512, job.classes)
    return network.to(device())


def tutorial_frozen(job: Job, num_workers: int) -> Outcome:
    """The tutorial's loop: per-image transforms, batch 64, fp32, the whole network in every epoch."""
    train, val = _loaders(job, num_workers)
    net, loss_of = _frozen_network(job), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.fc.parameters(), lr=_LEARNING_RATE, momentum=_MOMENTUM)
    start_s, right = time.perf_counter(), 0.0
    for _ in range(job.epochs):
        net.train()
        running = 0.0
        for inputs, targets in train:
            optimizer.zero_grad()
            loss = loss_of(net(inputs.to(device())), targets.to(device()))
            loss.backward()
            optimizer.step()
            running += loss.item()
        net.eval()
        right = 0.0
        with torch.no_grad():
            for inputs, targets in val:
                right += (net(inputs.to(device())).argmax(dim=1) == targets.to(device())).sum().item()
    return Outcome(time.perf_counter() - start_s, right / len(job.val.labels))


class _Plain(LightningModule):
    """The same as most write it in Lightning."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.net = _frozen_network(job)
        self.accuracy = MulticlassAccuracy(job.classes, average="micro")

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.accuracy(self.net(batch[0]), batch[1])
        self.log("val_acc", self.accuracy, on_epoch=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.net.fc.parameters(), lr=_LEARNING_RATE, momentum=_MOMENTUM)


def lightning_frozen(job: Job, num_workers: int) -> Outcome:
    """Plain Lightning with its defaults, logger and checkpoints included."""
    train, val = _loaders(job, num_workers)
    module = _Plain(job)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            max_epochs=job.epochs, default_root_dir=folder, enable_progress_bar=False, enable_model_summary=False
        )
        start_s = time.perf_counter()
        trainer.fit(module, train, val)
        return Outcome(time.perf_counter() - start_s, float(trainer.callback_metrics["val_acc"]))


def hand_written_frozen(job: Job) -> Outcome:
    """The best plain loop: features once, in bf16 and channels_last, then the head on them, nothing logged or saved."""
    start_s = time.perf_counter()
    network = _frozen_network(job).eval().to(memory_format=torch.channels_last)
    head, network.fc = network.fc, nn.Identity()
    (x, y), (val_x, val_y) = ((_features(network, s, job.size_px), s.labels.to(device())) for s in (job.train, job.val))
    optimizer = torch.optim.SGD(head.parameters(), lr=_LEARNING_RATE, momentum=_MOMENTUM)
    right = torch.zeros((), device=device())
    for _ in range(job.epochs):
        for picked in torch.randperm(len(y)).to(device()).split(TUTORIAL_BATCH):
            loss = nn.functional.cross_entropy(head(x[picked]), y[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = (head(val_x).argmax(dim=1) == val_y).float().mean()
    return Outcome(time.perf_counter() - start_s, right.item())


@torch.no_grad()
def _features(network: nn.Module, split: Split, size_px: int) -> Tensor:
    mean, std = (torch.tensor(x, device=device()).view(3, 1, 1) for x in (MEAN, STD))
    found = []
    for images in split.images.split(max(8, 2**18 // size_px**2)):
        pixels = images.to(device())
        if pixels.shape[-1] != size_px:
            pixels = transforms.functional.resize(pixels, [size_px], antialias=True)
        pixels = ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device().type, torch.bfloat16):
            found.append(network(pixels).float())
    return torch.cat(found)
