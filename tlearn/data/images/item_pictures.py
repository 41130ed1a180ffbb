"""Pictures that a dataset of another library decodes, one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from PIL import Image, ImageFile
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.decoding.decode import decode, deep_samples_of
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import Samples
from tlearn.data.files.reading import Framing, framed, pixels_of, reason_of
from tlearn.data.images.on_disk import CONVERTED


class ItemDataset(Protocol):
    """A map-style dataset of (picture, label); a picture is an image, or the bytes of a file."""

    def __len__(self) -> int:
        """Count items."""

    def __getitem__(self, position: int) -> tuple[Image.Image | bytes, object]:
        """Return one."""


@contextmanager
def _let_go(picture: Image.Image | bytes) -> Iterator[Image.Image | bytes]:
    """Close the file of an image that was opened for this and is not loaded afterwards."""
    yield picture
    if isinstance(picture, ImageFile.ImageFile) and picture.tile:
        picture.close()


class ItemPictures:
    """Pictures that a dataset of another library decodes.

    Args:
        items: The dataset.
        identity: Its name, version and number of items, which stand for it in the fingerprint.
    """

    def __init__(self, items: ItemDataset, identity: str) -> None:
        self.items, self.identity = items, identity

    def __len__(self) -> int:
        """Count items."""
        return len(self.items)

    def read(self, position: int, framing: Framing, draws: Tensor | None = None) -> Tensor:
        """Read an item and frame it.

        Raises:
            TlearnError: The item cannot be decoded.
        """
        try:
            with _let_go(self.items[position][0]) as picture:
                if isinstance(picture, bytes):
                    return framed(decode(picture, framing.reading), framing, draws)  # all pixels, whatever the size
                return framed(pixels_of(picture, framing.reading), framing, draws)
        except Exception as error:  # another library's code reads another's files
            raise self._fault(position, error) from error

    def samples(self, position: int, reading: Reading) -> Samples | None:
        """Return the numbers of an item; ``None`` for one of 8 bits, which is not decoded.

        Raises:
            TlearnError: The item cannot be read.
        """
        try:
            with _let_go(self.items[position][0]) as picture:
                return deep_samples_of(picture, reading)
        except Exception as error:  # another library's code reads another's files
            raise self._fault(position, error) from error

    def _fault(self, position: int, error: Exception) -> TlearnError:
        return TlearnError(f"item {position} of {self.identity}: {reason_of(error)}; mend or replace it")

    def fingerprint(self) -> str:
        """Hash the identity: hashing the items would decode them all."""
        return hashlib.blake2b(self.identity.encode(), digest_size=16).hexdigest()

    def colour_note(self) -> str:
        """Tell that any may be of another colour space: looking would open them all."""
        return CONVERTED

    def state(self, position: int) -> str:
        """Return nothing: another library reads the items."""
        return ""

    def draw_keys(self) -> Tensor:
        """Return positions, because items have no names."""
        return torch.arange(len(self))
