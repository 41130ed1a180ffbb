"""Items of another library's dataset, with the name of one class each. Letters: N items, K classes."""

from __future__ import annotations

import logging
from abc import ABC
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from tlearn.base.errors import TlearnError
from tlearn.data.class_names import alike_hint
from tlearn.data.files.listing import counts_of, listed
from tlearn.data.files.reading import Framing
from tlearn.data.images.item_pictures import ItemDataset, ItemPictures
from tlearn.data.images.on_disk import StreamedImages
from tlearn.data.images.sampled_ranges import MOST_SAMPLED, sampled_ranges
from tlearn.data.sources.bases import PictureDataModule

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledItems:
    """A split of another library's dataset.

    Attributes:
        items: Gives (picture, anything) for each position.
        identity: Name of the dataset and split, for messages and the fingerprint.
        labels: N names of classes; ``None`` for an item without a label.
        groups: N names of groups, whose items are never divided, ``None`` for an item without one; ``None`` without
            groups.
    """

    items: ItemDataset
    identity: str
    labels: Sequence[str | None]
    groups: Sequence[str | None] | None = None

    @property
    def counts(self) -> Counter[str]:
        """Count the items of each class."""
        return Counter(label for label in self.labels if label is not None)


class ItemsDataModule(PictureDataModule, ABC):
    """Items of another library's dataset, whose training split is open from the start."""

    _train: LabelledItems
    _seen: list[str]
    _probed = MOST_SAMPLED

    def _images_of(self, source: LabelledItems, split: str) -> StreamedImages:
        """Serve a split; what is black and white is learned once, from a sample of the training items.

        Raises:
            TlearnError: It has no items of the chosen classes, or an item of the sample cannot be read.
        """
        if self.learns_ranges:
            names = set(self.class_names)
            rows = [row for row, label in enumerate(self._train.labels) if label in names]
            pictures = ItemPictures(self._train.items, self._train.identity)
            self._keep_ranges(sampled_ranges(pictures, rows, self.framing.reading, self._probed))
        return images_of_items(source, split, self.class_names, self._seen, self.framing)


def trained_classes(train: LabelledItems, declared: Sequence[str]) -> list[str]:
    """Return the declared classes that have training items, in the order declared; absent ones are logged.

    Raises:
        TlearnError: There are fewer than 2.
    """
    seen = set(train.labels)
    names = [name for name in declared if name in seen]
    if len(names) < len(declared):
        absent = [name for name in declared if name not in seen]
        log.info("classes without training images, left out: %s (%s)", listed(absent), train.identity)
    if len(names) < 2:
        raise TlearnError(
            f"{train.identity}: found {len(names)} class{'es' * (not names)} ({listed(names)}) among the training "
            "images; need at least 2"
        )
    return names


def images_of_items(
    source: LabelledItems, split: str, class_names: list[str], known: Sequence[str], framing: Framing
) -> StreamedImages:
    """Serve the items of the chosen classes, and log how many there are and which are left out.

    Args:
        source: The split.
        split: Its name, for messages.
        class_names: The K classes to learn, in the order of their numbers.
        known: All classes that training items have.
        framing: How pictures become squares.

    Raises:
        TlearnError: No item is left.
    """
    places = {name: number for number, name in enumerate(class_names)}
    targets = torch.tensor(
        [-1 if label is None else places.get(label, -1) for label in source.labels], dtype=torch.int64
    )
    kept = torch.nonzero(targets >= 0).flatten()
    left_out = Counter(label for label in source.labels if label not in places)
    if not len(kept):
        what = "have no label" if set(left_out) == {None} else f"are of classes not trained on ({listed(left_out)})"
        way = "use validate instead" if split == "test" else "take another dataset"
        raise TlearnError(f"{source.identity}: its {len(targets)} {split} images {what}; {way}")
    strangers = {str(name): count for name, count in left_out.items() if name is not None and name not in known}
    if strangers:
        hint = alike_hint(strangers, known)
        log.warning(
            "left out %d %s images: never trained on %s%s", sum(strangers.values()), split, listed(strangers), hint
        )
    labels = targets[kept].tolist()
    about = f"{split}: {len(kept)} images of {len(set(labels))} classes ({counts_of(labels, class_names)})"
    log.info("%s", "; ".join([f"{about} in {source.identity}", *_remarks(left_out, known)]))
    return StreamedImages(ItemPictures(source.items, source.identity), framing, targets, kept)


def _remarks(left_out: Counter[str | None], known: Sequence[str]) -> Iterator[str]:
    unchosen = sum(left_out[name] for name in known)
    if unchosen:
        yield f"left out {unchosen} of classes not chosen"
    if left_out[None]:
        yield f"left out {left_out[None]} without a label"
