"""Run the network over a split, without changing anything. N images, D features, K outputs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from tlearn.base.machine import FreeThreads
from tlearn.base.processes import ALONE, Share
from tlearn.base.progress import Progress
from tlearn.data.serving import Split
from tlearn.models.state import evaluating
from tlearn.training.module import TransferModule
from tlearn.training.typed import data_of

_FEWEST = 8  # in a batch: below, the bits of features may differ
_pass_s: WeakKeyDictionary[TransferModule, float] = WeakKeyDictionary()  # of an image, in the last pass of a network
_PIXELS = 2**18  # in a batch: 256 images of 32 px, the fastest there; few enough at 224 px to keep memory low


class BatchSizeTuner:
    """Try a few batch sizes on the first batches of the work, then use the fastest.

    On a CPU features are bit-identical for all these batch sizes. The remainder is always one batch, so that results do
    not depend on the choice.

    Args:
        size: The first size. Half and twice of it are tried too, each after one batch that does not count.
        images: The number of images.
        tries: Try other sizes at all; on a GPU they may give other bits.

    Attributes:
        next: Images in the next batch.
    """

    def __init__(self, size: int, images: int, tries: bool) -> None:
        tried = [each for each in (size, 2 * size, size // 2) if each >= _FEWEST] if tries else [size]
        self._plan = [each for each in tried for _ in range(2)]
        self._time_s: dict[int, float] = {}
        self._whole, self._rest = images - images % max(tried), images % max(tried)
        self.next = self._choose()

    def note(self, images: int, time_s: float) -> None:
        """Note the time of a batch."""
        self._whole -= images
        self._time_s[images] = time_s / images  # the second batch of a size replaces the first
        self.next = self._choose()

    def _choose(self) -> int:
        if self._whole <= 0:
            return self._rest
        wanted = self._plan.pop(0) if self._plan else min(self._time_s, key=self._time_s.__getitem__)
        return min(wanted, self._whole)


def _decoded_sizes(size: int, images: int, device: torch.device) -> Iterator[int]:
    """Yield sizes of batches of files: on a CPU twice the size, which is faster with the same bits, then the rest."""
    pairs = images // (2 * size) if device.type == "cpu" else 0
    return itertools.chain(itertools.repeat(2 * size, pairs), itertools.repeat(size))


def positions_of(share: Share, images: int, largest: int) -> range:
    """Return the positions of the images that one process computes; the last process gets the remainder.

    The shares are whole batches, so the batches and the bits of the features are those of a single process.

    Args:
        share: The process and the number of processes.
        images: The number of images.
        largest: Images in the largest batch. Smaller ones are a half or a quarter of it.
    """
    batches = images // largest
    first, end = (batches * number // share.processes * largest for number in (share.rank, share.rank + 1))
    return range(first, images if share.rank == share.processes - 1 else end)


def run_over_split(
    trainer: Trainer, module: TransferModule, split: Split, compute: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Compute something for every image of a split, never augmented, in the trainer's precision.

    Args:
        trainer: Gives the data and the precision.
        module: Gives the device. It is in eval mode meanwhile.
        split: Which split; it is open.
        compute: Turns images (B, C, H, W) into rows (B, ...).

    Returns:
        The rows as float32 (N, ...), and the targets (N,) or (N, 1), both on the CPU.
    """
    images = data_of(trainer).dataset(split)
    rows = torch.cat(list(iterate_over_split(trainer, module, split, compute)))
    return rows, images.targets[images.indices]


def iterate_over_split(
    trainer: Trainer,
    module: TransferModule,
    split: Split | Literal["fit"],
    compute: Callable[[Tensor], Tensor],
    view: int = 0,
    share: Share = ALONE,
    what: str = "",
    dtype: torch.dtype = torch.float32,
) -> Iterator[Tensor]:
    """Yield the rows of `run_over_split` batch by batch, (n, ...) on the CPU, float32 unless another type is asked for.

    View 0 shows the images as they are, any other number one augmented form of them. With the share of a process, only
    its images are computed. What is computed is what the line of progress says, the split by default. The split ``fit``
    is both others together, see `ServingDataModule.fit_images`.
    """
    data = data_of(trainer)
    images = data.fit_images() if split == "fit" else data.dataset(split)
    size_px = module.preprocess.image_size or max(data.image_shape_px)
    size = max(_FEWEST, min(256, _PIXELS // size_px**2))
    positions = positions_of(share, len(images), 2 * size)
    sizes = BatchSizeTuner(size, len(positions), module.device.type == "cpu" and data.is_in_memory)
    asked = iter(lambda: sizes.next, 0) if data.is_in_memory else _decoded_sizes(size, len(positions), module.device)
    progress = Progress(what or split, len(positions), "images")
    began_s = time.perf_counter()
    with progress, evaluating(module), trainer.precision_plugin.forward_context(), FreeThreads() as threads:
        for pixels in data.pixels(split, asked, view, positions):
            start_s = time.perf_counter()
            yield compute(pixels.to(module.device)).to(dtype).cpu()
            sizes.note(len(pixels), time.perf_counter() - start_s)
            progress.advance(len(pixels))
            threads.follow()
    _pass_s[module] = (time.perf_counter() - began_s) / max(1, len(positions))


@contextmanager
def on_device_of_run(trainer: Trainer, module: TransferModule) -> Iterator[None]:
    """Have the network where the run computed: Lightning brings it to the CPU before ``on_fit_end``.

    Args:
        trainer: Its strategy knows the device.
        module: Is back where it was afterwards.
    """
    before = module.device
    module.to(trainer.strategy.root_device)
    try:
        yield
    finally:
        module.to(before)


def pass_s_of(module: TransferModule) -> float | None:
    """Return the seconds of an image in the last pass of a network, decoding included; ``None`` before the first."""
    return _pass_s.get(module)
