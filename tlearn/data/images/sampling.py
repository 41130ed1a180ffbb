"""The sampler: which images make a batch, and which process serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

from tlearn.base.errors import TlearnError
from tlearn.base.processes import ALONE, Share
from tlearn.data.images.image_set import BatchKey
from tlearn.data.images.keyed_random import key


class EpochBatchSampler(Sampler[BatchKey]):
    """Keys of whole batches, in an order that depends only on (seed, epoch), and a process's share of them.

    Each training batch is divided between the processes, so that they learn the same as one process would. Evaluation
    batches are dealt out whole, so that every answer has the same bits.
    """

    def __init__(
        self,
        n_images: int,
        batch_size: int,
        shuffle: bool,
        drop_last: bool,
        seed: int,
        share: Share = ALONE,
        order: Callable[[int, Sequence[int], int], Tensor] | None = None,
        next_epoch: Callable[[], int] | None = None,
    ) -> None:
        """Fix the sizes of the batches.

        Args:
            n_images: Size of the dataset.
            batch_size: Images in a batch. For training a remainder that would give a process a single image joins the
                batch before it, because torch's BatchNorm raises for a single value.
            shuffle: Draw a new order in each epoch, for training.
            drop_last: Leave out a last batch that is not full.
            seed: The seed of the order.
            share: Which process of how many this is.
            order: Draws the order, as `ImageSet.epoch_order` does; a random permutation by default.
            next_epoch: Counts training passes until `set_epoch` is called, as Lightning does.

        Raises:
            TlearnError: There would be no batch at all, or none for a process.
        """
        self.n_images, self.shuffle, self.seed, self.share, self.epoch = n_images, shuffle, seed, share, 0
        self._order = order or self._any_order
        self._next_epoch = next_epoch
        self._done = (0, 0)
        full, remainder = divmod(n_images, batch_size)
        self._sizes = [batch_size] * full
        if remainder < 2 * share.processes and full and shuffle and not drop_last:
            self._sizes[-1] += remainder
        elif remainder and not drop_last:
            self._sizes.append(remainder)
        if not self._sizes:
            raise TlearnError(
                f"{n_images} training images, batch_size {batch_size}, drop_last: 0 batches; "
                f"lower data.init_args.batch_size or unset drop_last"
            )
        self._leave_none_idle()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch to iterate; Lightning calls this at each one's start."""
        self.epoch, self._next_epoch = epoch, None

    def leave_out(self, epoch: int, batches: int) -> None:
        """Skip the first batches of an epoch, which an interrupted run has done."""
        self._done = (epoch, batches)

    def __len__(self) -> int:
        """Count the batches of this process."""
        return len(self._sizes) if self.shuffle else len(self._sizes[self.share.rank :: self.share.processes])

    def __iter__(self) -> Iterator[BatchKey]:
        """Yield one key for each batch of this process."""
        rank, processes = self.share
        if not self.shuffle:
            whole = torch.split(torch.arange(self.n_images), self._sizes)
            yield from (BatchKey(self.epoch, positions) for positions in whole[rank::processes])
            return
        epoch = self._next_epoch() if self._next_epoch else self.epoch
        order = self._order(key(self.seed, epoch), self._sizes, processes)
        done = self._done[1] if epoch == self._done[0] else 0
        for positions in torch.split(order[: sum(self._sizes)], self._sizes)[done:]:
            yield BatchKey(epoch, torch.tensor_split(positions, processes)[rank])

    def _any_order(self, seed: int, sizes: Sequence[int], lanes: int) -> Tensor:
        return torch.randperm(self.n_images, generator=torch.Generator().manual_seed(seed))

    def _leave_none_idle(self) -> None:
        """If there are fewer batches than processes, split them further.

        A rank without a batch would miss the collective calls, and the others would hang.
        """
        processes = self.share.processes
        fewest = min(self._sizes) if self.shuffle else self.n_images
        if fewest < processes:
            what = f"a training batch of {fewest} images" if self.shuffle else f"{fewest} images to evaluate"
            raise TlearnError(f"{what} cannot be divided between {processes} processes; lower trainer.devices")
        if not self.shuffle and len(self._sizes) < processes:
            self._sizes = [len(part) for part in torch.arange(self.n_images).tensor_split(processes)]
