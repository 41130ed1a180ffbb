"""What a GPU decides, in one go of under eight minutes: `make bench-gpu`. It was never run on a GPU.

    python -m benchmarks.table --gpu

No machine with one could be had so far. What does not need one, the loops, the commands and the comparison of
checkpoints, runs on the CPU in tests at tiny sizes; no figure of it was ever published.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.transforms.v2 import functional as F

from benchmarks.command import epoch_rates, run_command
from benchmarks.fake_cifar import CLASSES, fake_images, write_fake_cifar10
from benchmarks.frozen import elsewhere
from benchmarks.loops import MEAN, STD, best_precision, device
from benchmarks.machine import Figure
from benchmarks.speed import fine_tuning
from tlearn import CIFAR10DataModule, TransferModule
from tlearn.base.errors import TlearnError
from tlearn.training.strategies.features import iterate_over_split


class Size(NamedTuple):
    """How much is measured.

    Attributes:
        images: In memory, of 32 px, enlarged on the device.
        photographs: In files, of 500 x 375 px.
        size_px: What the network sees.
        batch: Images of a step.
        epochs: Of each run; the first does not count.
        rounds: In which the sides take turns.
    """

    images: int = 10_000
    photographs: int = 1_024
    size_px: int = 224
    batch: int = 256
    epochs: int = 3
    rounds: int = 3


def fine_tuned(root: Path, size: Size) -> list[Figure]:
    """Fine-tuning of images in memory against a bare bf16 channels_last loop."""
    ours, bare = list[float](), list[float]()
    for _ in range(size.rounds):
        ours += epoch_rates(_words(root, size))[1:]
        bare += _bare_training(size)[1:]
    return [_ratio(f"fine-tuning at {size.size_px} px: tlearn over a bare loop", ours, bare, ">= 0.98")]


def extracted(root: Path, size: Size) -> list[Figure]:
    """Features of a frozen ResNet18 against a bare forward pass."""
    from lightning.pytorch import Trainer

    data = CIFAR10DataModule(root=str(root), batch_size=size.batch)
    module = TransferModule(CLASSES, weights=None, freeze_backbone=True, image_size=size.size_px)
    trainer = Trainer(precision=best_precision(), logger=False, enable_model_summary=False)  # type: ignore[arg-type]
    data.setup("fit")
    trainer.datamodule = data  # type: ignore[attr-defined]
    module.trainer = trainer
    module.to(device()).setup("fit")
    ours, bare = list[float](), list[float]()
    for _ in range(size.rounds + 1):
        start_s = perf_counter()
        seen = sum(len(rows) for rows in iterate_over_split(trainer, module, "train", module.features))
        _wait()
        ours.append(seen / (perf_counter() - start_s))
        bare.append(_bare_features(size))
    return [_ratio(f"features at {size.size_px} px: tlearn over a bare loop", ours[1:], bare[1:], ">= 0.98")]


def decoded(size: Size) -> list[Figure]:
    """A folder of photographs, whose decoding takes the time on a GPU, against the loops that decode in threads."""
    n = (size.epochs - 1) * 2
    return fine_tuning.measure(images=size.photographs, n=n, sizes_px=(size.size_px,), former=False)


def distributed(root: Path, size: Size) -> list[Figure]:
    """Fine-tuning in a process group of one, NCCL on a GPU, against none."""
    alone, grouped = list[float](), list[float]()
    for _ in range(size.rounds):
        alone += epoch_rates(_words(root, size))[1:]
        with patch.dict(os.environ):  # which Lightning tells what is of this group alone
            grouped += epoch_rates([*_words(root, size), "--trainer.strategy", "ddp", "--trainer.devices", "1"])[1:]
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return [_ratio("fine-tuning in a process group of one over none", grouped, alone, "")]


def resumed(root: Path, size: Size) -> list[Figure]:
    """Whether a run that was resumed has the weights of one that was not, with deterministic algorithms."""
    words = ["fit", *_words(root, size), "--trainer.deterministic", "true"]
    with elsewhere():
        run_command([*words, "--trainer.max_epochs", "2"])
        run_command([*words, "--trainer.max_epochs", "1"])
        run_command([*words, "--trainer.max_epochs", "2", "--ckpt_path", "last"])
        whole, *parts = sorted(Path("runs").rglob("last.ckpt"), key=lambda path: path.stat().st_mtime)
        differing = differences(whole, parts[-1])
    detail: dict[str, object] = {"tensors that differ": differing}
    return [Figure("tensors that differ after a resume, deterministic", float(len(differing)), "", "0", 1, detail)]


def differences(one: Path, other: Path) -> list[str]:
    """Name the tensors of two checkpoints' networks that are not the same to the bit."""
    states: list[dict[str, Tensor]] = [
        torch.load(path, map_location="cpu", weights_only=False)["state_dict"] for path in (one, other)
    ]
    names = sorted({*states[0], *states[1]})
    return [name for name in names if not _same(states[0].get(name), states[1].get(name))]


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is not None and other is not None and torch.equal(one, other)


def _words(root: Path, size: Size) -> list[str]:
    words = ["--config", "finetune.yaml", "--data.root", str(root), "--model.weights", "null"]
    words += ["--model.image_size", str(size.size_px), "--data.batch_size", str(size.batch)]
    return [*words, "--trainer.max_epochs", str(size.epochs)]


def _bare_training(size: Size) -> list[float]:
    """Images per second of each epoch of the loop that does nothing else."""
    pixels, labels = _resident(size.images)
    net = resnet18(weights=None, num_classes=CLASSES).to(device(), memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    rates = []
    for _ in range(size.epochs):
        start_s, seen = perf_counter(), 0
        for picked in _shuffled(size):
            with torch.autocast(device().type, torch.bfloat16, enabled=best_precision() == "bf16-mixed"):
                loss = nn.functional.cross_entropy(net(_prepared(pixels[picked], size.size_px)), labels[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += len(picked)
        _wait()
        rates.append(seen / (perf_counter() - start_s))
    return rates


def _bare_features(size: Size) -> float:
    """Images per second of the forward pass that does nothing else."""
    pixels, _ = _resident(size.images)
    net = resnet18(weights=None, num_classes=CLASSES).to(device(), memory_format=torch.channels_last).eval()
    start_s, seen = perf_counter(), 0
    with torch.inference_mode(), torch.autocast(device().type, enabled=best_precision() == "bf16-mixed"):
        for picked in _shuffled(size):
            seen += len(net(_prepared(pixels[picked], size.size_px)))
    _wait()
    return seen / (perf_counter() - start_s)


def _shuffled(size: Size) -> Iterator[Tensor]:
    yield from torch.randperm(size.images).to(device()).split(size.batch)


def _resident(images: int) -> tuple[Tensor, Tensor]:
    pixels, labels = fake_images(images)
    return torch.from_numpy(pixels).to(device()), torch.from_numpy(labels).to(device())


def _prepared(pixels: Tensor, size_px: int) -> Tensor:
    """Enlarge uint8 (B, 3, H, W), scale and normalise: float32 (B, 3, S, S), channels last."""
    mean, std = (torch.tensor(x, device=pixels.device).view(3, 1, 1) * 255 for x in (MEAN, STD))
    large: Tensor = F.resize(pixels, [size_px], antialias=True).contiguous(memory_format=torch.channels_last)
    return large.float().sub_(mean).div_(std)


def _wait() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


def _ratio(name: str, ours: list[float], theirs: list[float], wanted: str) -> Figure:
    detail: dict[str, object] = {"images/s": median(ours), "other, images/s": median(theirs)}
    return Figure(name, median(ours) / median(theirs), "x", wanted, len(ours), detail)


def measure(size: Size | None = None) -> list[Figure]:
    """Measure all of it; what fails is told, and the rest goes on: a machine with a GPU is lent but for minutes."""
    size, figures = size or Size(), list[Figure]()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_fake_cifar10(root, size.images)
        parts: list[tuple[Any, tuple[Any, ...]]] = [
            (fine_tuned, (root, size)),
            (extracted, (root, size)),
            (resumed, (root, size)),
            (distributed, (root, size)),
            (decoded, (size,)),
        ]
        for part, given in parts:
            start_s = perf_counter()
            try:
                with elsewhere():
                    figures += part(*given)
            except (RuntimeError, TlearnError, AssertionError, OSError) as error:
                print(f"{part.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
            print(f"{part.__name__}: {perf_counter() - start_s:.0f} s", file=sys.stderr, flush=True)
    return figures
