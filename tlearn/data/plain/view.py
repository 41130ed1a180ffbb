"""A user's own LightningDataModule, seen as the parts of tlearn see data. It is trained on as it is.

Letters: N images, B images in a batch, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any, Self

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils.data import BatchSampler, IterableDataset, SequentialSampler

from tlearn.base.errors import TlearnError
from tlearn.base.types import Batch, Task
from tlearn.data.datamodule import ImageDataModule, Split
from tlearn.data.images.image_set import ImageSet
from tlearn.data.plain.batches import Wanted, as_batch
from tlearn.data.plain.classes import known_labels

_HOOKS = {"train": "train_dataloader", "val": "val_dataloader", "test": "test_dataloader"}
_KEPT = "_tlearn_view"  # the attribute of a data module that holds its view
_NO_LABELS = torch.empty(0, dtype=torch.int64)


class PlainImages(ImageSet):
    """The images of a loader of the user's.

    Args:
        loader: The loader.
        wanted: What the network takes.
        shape_px: H and W.
    """

    def __init__(self, loader: Any, wanted: Wanted, shape_px: tuple[int, int]) -> None:
        dataset = getattr(loader, "dataset", None)
        count = len(dataset) if isinstance(dataset, Sized) else 0
        labels = known_labels(dataset)
        super().__init__(_NO_LABELS if labels is None else labels, torch.arange(count))
        self._loader, self._dataset, self._wanted, self._shape_px = loader, dataset, wanted, shape_px
        self.num_channels = wanted.num_channels

    @property
    def is_shown(self) -> bool:
        """Tell whether an image can be found again by its place in a pass: the loader goes through them in order."""
        batches = getattr(self._loader, "batch_sampler", None)
        in_order = type(batches) is BatchSampler and isinstance(batches.sampler, SequentialSampler)
        return in_order and len(self) > 0 and not isinstance(self._dataset, IterableDataset)

    @property
    def shape_px(self) -> tuple[int, int]:
        """Return H and W of the first batch."""
        return self._shape_px

    def serve(self, rows: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Return images, uint8 (B, C, H, W), and targets for positions in the data set (B,)."""
        dataset: Any = self._dataset
        batch = as_batch(self._loader.collate_fn([dataset[row] for row in rows.tolist()]), self._wanted)
        return batch.images, batch.targets

    def part(self, indices: Tensor) -> Self:
        """Raise: nobody takes a part of a user's own images."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Return nothing: the images may differ from pass to pass."""
        return ""


class PlainDataView(ImageDataModule):
    """What a user's own data module tells of its images; the trainer has the module itself.

    Attributes:
        own: The data module.
        is_ready: Its `setup` has been called, so that its loaders can be asked for.
    """

    def __init__(self, own: LightningDataModule, class_names: list[str], task: Task = "classification") -> None:
        """Look at nothing yet.

        Args:
            own: The data module.
            class_names: Names of the classes, or of a regression's columns.
            task: ``classification``, ``multilabel`` or ``regression``.
        """
        super().__init__(class_names=class_names, task=task)
        self.own, self.is_ready = own, False
        self._num_channels, self._shape_px = 3, (0, 0)

    @property
    def kind_name(self) -> str:
        """Return the name of the user's class."""
        return type(self.own).__name__

    @property
    def validates(self) -> bool:
        """Tell whether there are validation images."""
        return is_overridden("val_dataloader", self.own, LightningDataModule)

    @property
    def without_validation(self) -> str:
        """Say why there are no validation images, where there are none."""
        return f"{self.kind_name} has no val_dataloader"

    @property
    def tests(self) -> bool:
        """Tell whether there are test images."""
        return is_overridden("test_dataloader", self.own, LightningDataModule)

    @property
    def image_shape_px(self) -> tuple[int, int]:
        """Return H and W of the first batch that was looked at."""
        return self._shape_px

    @property
    def num_channels(self) -> int:
        """Return C of the first batch that was looked at."""
        return self._num_channels

    @property
    def is_in_memory(self) -> bool:
        """Nobody knows."""
        return False

    def look(self, num_outputs: int, num_channels: int) -> None:
        """Look at the first training and validation batch, before anything expensive; random numbers stay as they were.

        Raises:
            TlearnError: A batch is not what a network can take, or a loader is missing or one of several.
        """
        with isolate_rng():
            self.prepare()
            for split in ("train", "val") if self.validates else ("train",):
                self.meet(next(self._batches(split, Wanted(self.task, num_outputs, num_channels))))

    def prepare(self) -> None:
        """Let the data module get ready to train, once."""
        if not self.is_ready:
            self.own.prepare_data()
            self.own.setup("fit")
            self.is_ready = True

    def meet(self, batch: Batch) -> None:
        """Learn size and channels of the images from a batch."""
        self._num_channels, self._shape_px = batch.images.shape[1], (batch.images.shape[2], batch.images.shape[3])

    def dataset(self, split: Split) -> PlainImages:
        """Return the images of a split."""
        if split not in self._sets:
            wanted = Wanted(self.task, self.num_classes, self._num_channels)
            self._sets[split] = PlainImages(self.loader(split), wanted, self._shape_px)
        images = self._sets[split]
        assert isinstance(images, PlainImages)
        return images

    def shows(self, split: Split) -> bool:
        """Tell whether images of a split can be found again to be shown."""
        return self.dataset(split).is_shown

    def sample(self, split: Split, count: int) -> Batch:
        """Return some images of the first batch of a split; random numbers stay as they were."""
        with isolate_rng():
            batch = next(self._batches(split, Wanted(self.task, self.num_classes, self._num_channels)))
        return Batch(*(part[:count].cpu() for part in batch[:3]))

    def loader(self, split: Split) -> Any:
        """Return the loader of a split: the one in use by the trainer, or a new one.

        Raises:
            TlearnError: There is none, or several.
        """
        name = _HOOKS[split]
        if not is_overridden(name, self.own, LightningDataModule):
            raise TlearnError(f"{self.kind_name} has no {name}, so there are no {split} images; add one")
        loader = getattr(self.own, name)()
        if isinstance(loader, (list, tuple)) and len(loader) == 1:
            return loader[0]
        if isinstance(loader, (list, tuple, dict)):
            raise TlearnError(
                f"{self.kind_name}.{name} returns {len(loader)} loaders, expected one; join the sets by ConcatDataset"
            )
        return loader

    def open_split(self, split: Split) -> ImageSet:
        """Return the images of a split."""
        return self.dataset(split)

    def split_record(self) -> dict[str, Any]:
        """Say that the split is the user's own."""
        return {"note": f"{self.kind_name} splits its images itself"}

    @property
    def data_fingerprint(self) -> str:
        """Return nothing: the images may differ from pass to pass."""
        return ""

    def _batches(self, split: Split, wanted: Wanted) -> Iterator[Batch]:
        for given in self.loader(split):
            yield as_batch(given, wanted)
        raise TlearnError(f"{self.kind_name}.{_HOOKS[split]} serves no batch; there must be one")


def view_of(own: LightningDataModule, class_names: list[str], task: Task) -> PlainDataView:
    """Return the view of a data module, which is made once."""
    view = getattr(own, _KEPT, None)
    if not isinstance(view, PlainDataView) or view.class_names != class_names:
        view = PlainDataView(own, class_names, task)
        setattr(own, _KEPT, view)
    return view
