"""The parts of tlearn one by one, each against what limits it. B images in a batch, N images, D features, K classes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.profilers import Profiler
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.command import epoch_rates
from benchmarks.frozen import elsewhere, save_weights
from benchmarks.loops import best_precision, device
from benchmarks.machine import Figure, peak_gflop_s
from tlearn import CIFAR10DataModule, TransferModule
from tlearn.data.images.augment import Augment, BatchAugment
from tlearn.data.images.sampling import EpochBatchSampler
from tlearn.models.metrics import EpochMetrics
from tlearn.training.strategies.features import iterate_over_split
from tlearn.training.strategies.head_solver import solve_head

_EXTRACTION_S = 12.0  # measured at each size
_RATE_GUESS = {32: 5000, 64: 1000, 128: 270, 224: 80}  # images/s, to choose how many


def extraction(root: Path) -> list[Figure]:
    """Features of a frozen ResNet18 against the time that the machine's matrix product takes for as many operations."""
    found = []
    for size_px, rate in _RATE_GUESS.items():
        per_class = min(4000, int(rate * _EXTRACTION_S / 10))
        data = CIFAR10DataModule(root=str(root), train_per_class=per_class)
        module = TransferModule(10, weights=None, freeze_backbone=True, image_size=None if size_px == 32 else size_px)
        trainer = _set_up(data, module)
        operations = _operations(module, size_px)
        peaks = [peak_gflop_s()]
        start_s = time.perf_counter()
        images = sum(len(rows) for rows in iterate_over_split(trainer, module, "train", module.features))
        time_s = time.perf_counter() - start_s
        peaks.append(peak_gflop_s())
        reached, peak = images * operations / time_s / 1e9, sum(peaks) / 2
        found.append(
            Figure(
                f"features at {size_px} px against the matrix product",
                reached / peak,
                "of the peak",
                ">= 0.75" if size_px == 32 else ">= 0.85",
                detail={
                    "images": images,
                    "images/s": images / time_s,
                    "GFLOP an image": operations / 1e9,
                    "peak GFLOP/s": peak,
                    "60,000 images, s": 60_000 * time_s / images,
                },
            )
        )
    return found


def _set_up(data: CIFAR10DataModule, module: TransferModule) -> Trainer:
    """Bring both to where a fit begins."""
    trainer = Trainer(precision=best_precision(), logger=False, enable_model_summary=False)  # type: ignore[arg-type]
    data.setup("fit")
    trainer.datamodule = data  # type: ignore[attr-defined]
    module.trainer = trainer
    module.to(device()).setup("fit")
    return trainer


def _operations(module: TransferModule, size_px: int) -> int:
    """Floating-point operations of the plain network for one image, those on padding included."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.backbone(torch.zeros(1, 3, size_px, size_px, device=module.device))
    return int(counter.get_total_flops())


def serving(root: Path) -> list[Figure]:
    """Images/s of whole uint8 batches with flip and crop, on one core."""
    data = CIFAR10DataModule(root=str(root))
    data.setup("fit")
    images = data.dataset("train")
    batches = images.on(torch.device("cpu"), BatchAugment(Augment(flip=True, crop_padding_px=4), 10, seed=0))
    threads, rates = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for epoch in range(5):
            sampler = EpochBatchSampler(len(images), 64, True, False, seed=0)
            sampler.set_epoch(epoch)
            start_s = time.perf_counter()
            served = sum(len(batches[batch_key].images) for batch_key in sampler)
            rates.append(served / (time.perf_counter() - start_s))
    finally:
        torch.set_num_threads(threads)
    return [Figure("serving 32 px, flip and crop, one core", median(rates), "images/s", ">= 100,000", len(rates))]


def head_path(root: Path) -> list[Figure]:
    """Seconds of nine penalties to their optimum, on 50,000 x 512 features of real images."""
    features, labels = _all_features(root)
    times = []
    for _ in range(3):
        start_s = time.perf_counter()
        solved = solve_head("classification", (features, labels), (features[:5000], labels[:5000]), 10)
        times.append(time.perf_counter() - start_s)
    detail: dict[str, object] = {"features": list(features.shape), "penalty": solved.strength, "loss": solved.val_loss}
    return [Figure("head by L-BFGS, nine penalties, 50,000 x 512", median(times), "s", "<= 5", len(times), detail)]


def _all_features(root: Path) -> tuple[Tensor, Tensor]:
    images, labels = CIFAR10DataModule(root=str(root)).load_split("train")
    module = TransferModule(10, weights=None, freeze_backbone=True).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=best_precision() == "bf16-mixed"):
        return torch.cat([module.features(part).float() for part in images.split(256)]), labels


def memory(root: Path) -> list[Figure]:
    """How much less memory gradient and momentum of a 32 px fine-tuning take."""
    module, plain = (TransferModule(10, weights=None) for _ in range(2))
    data = CIFAR10DataModule(root=str(root), train_per_class=10)
    _set_up(data, module)
    lean, whole = (sum(p.numel() for p in m.parameters() if p.requires_grad) for m in (module, plain))
    detail: dict[str, object] = {"numbers": lean, "of": whole, "MB saved, gradient and momentum": (whole - lean) * 8e-6}
    return [Figure("gradient and momentum of a 32 px fine-tuning", lean / whole - 1, "of memory", "-0.62", 1, detail)]


def cached_epochs(root: Path) -> list[Figure]:
    """Seconds of a training epoch of the head on 45,000 x 512 cached features, batch 256."""
    with elsewhere() as folder:
        arguments = ["--data.root", str(root), "--model.weights", str(save_weights(folder)), "--data.batch_size", "256"]
        rates = epoch_rates(["--config", "feature_extractor.yaml", *arguments, "--trainer.max_epochs", "6"])[1:]
    time_s = 45_000 / median(rates)
    return [Figure("head epoch on 45,000 x 512 cached features, batch 256", time_s, "s", "<= 1.0", len(rates))]


_REPORTING = ("FreezeAudit", "LeanProgressBar", "StepLoss", "LearningRateMonitor", "Throughput")


class _HookClock(Profiler):
    """Sum the seconds of the callbacks that audit, report and draw."""

    spent_s = 0.0

    def start(self, action_name: str) -> None:
        """Start the watch."""
        self._start_s = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """Add what a callback took."""
        if any(name in action_name for name in _REPORTING):
            _HookClock.spent_s += time.perf_counter() - self._start_s

    @contextlib.contextmanager
    def profile(self, action_name: str) -> Iterator[None]:
        """Time callbacks alone: they are not nested."""
        if not action_name.startswith("[Callback]"):
            yield
            return
        self.start(action_name)
        yield
        self.stop(action_name)

    def summary(self) -> str:
        """Say nothing."""
        return ""


def reporting_share(root: Path) -> list[Figure]:
    """What audit, metrics, TensorBoard and the progress bar take of a fine-tuning epoch; an upper bound.

    What a callback sends to TensorBoard counts twice.
    """
    spent = {"metrics": 0.0, "TensorBoard": 0.0}

    def timed(kind: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            start_s = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                spent[kind] += time.perf_counter() - start_s

        return run

    patches = [
        mock.patch.object(EpochMetrics, name, timed("metrics", getattr(EpochMetrics, name)))
        for name in ("update", "compute", "reset")
    ]
    patches.append(
        mock.patch.object(TensorBoardLogger, "log_metrics", timed("TensorBoard", TensorBoardLogger.log_metrics))
    )
    _HookClock.spent_s, epochs = 0.0, 3
    with elsewhere() as folder, contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        arguments = ["--config", "partial.yaml", "--data.root", str(root), "--model.weights", str(save_weights(folder))]
        arguments += ["--data.train_per_class", "1000", "--trainer.max_epochs", str(epochs)]
        arguments += ["--trainer.enable_progress_bar", "true", "--trainer.profiler", "benchmarks.parts._HookClock"]
        rates = epoch_rates(arguments)
    whole_s = sum(10_000 / rate for rate in rates)
    callbacks_s = _HookClock.spent_s
    share = (callbacks_s + spent["metrics"] + spent["TensorBoard"]) / whole_s
    detail: dict[str, object] = {
        "callbacks s": callbacks_s,
        "epochs s": whole_s,
        **{f"{k} s": v for k, v in spent.items()},
    }
    return [
        Figure(
            "audit, metrics, TensorBoard, progress bar of a partial fine-tuning",
            share,
            "of the epoch",
            "<= 0.02",
            epochs,
            detail,
        )
    ]
