"""Pictures to predict for: a folder, a pattern or a single file, without labels."""

from __future__ import annotations

import glob
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tlearn.data.datamodule import Split
from tlearn.data.image_set import ImageSet
from tlearn.data.listing import find_pictures
from tlearn.data.reading import UnreadableImageError, read_image
from tlearn.data.streamed import FilePictures, StreamedImages, in_threads
from tlearn.data.streamed_datamodule import StreamedDataModule
from tlearn.errors import TlearnError
from tlearn.types import Batch, Task

log = logging.getLogger(__name__)

READABLE, UNREADABLE = 0, -1


class PredictFilesDataModule(StreamedDataModule):
    """Picture files in the order of their paths; one that gives no picture keeps its place."""

    def __init__(
        self,
        files: str,
        stored_classes: list[str] | None = None,
        stored_task: Task = "classification",
        **options: Any,
    ) -> None:
        """List the files; no picture is read.

        Args:
            files: A folder, with all folders in it, a pattern such as ``photos/*.jpg``, or a single file.
            stored_classes: The classes that the network knows; the command line takes them from the checkpoint.
            stored_task: Its task, likewise.
            **options: Those of `StreamedDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: There is no picture.
        """
        super().__init__(class_names=list(stored_classes or []), task=stored_task, **options)
        root, names = list_files(files)
        self.pictures = FilePictures(root, names)

    def open_split(self, split: Split) -> ImageSet:
        """Refuse: these pictures have no labels.

        Raises:
            TlearnError: Always.
        """
        raise TlearnError("pictures to predict for have no labels to train or test on; use predict")

    def setup(self, stage: str) -> None:
        """Do nothing: the files are listed."""

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Serve the pictures in order; the targets say which are readable."""
        count = len(self.pictures)
        targets = torch.zeros(count, dtype=torch.int64)
        images = TolerantImages(self.pictures, self.framing, targets, torch.arange(count))
        return self._evaluation_loader(images)

    def picture_names(self, rows: Tensor) -> list[str]:
        """Return the paths of pictures (B,) as they were found."""
        return self.pictures.paths(rows)

    def fault_of(self, row: int) -> str:
        """Say why a file gives no picture."""
        try:
            read_image(self.pictures.path(row), self.framing)
        except UnreadableImageError as error:
            return str(error)
        return "not readable at first, then it was"


class TolerantImages(StreamedImages):
    """Files of which some may give no picture: those are black, with the target `UNREADABLE`."""

    pictures: FilePictures

    def serve(self, rows: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Decode a batch."""
        images = in_threads(self._read_or_none, rows.tolist())
        blank = torch.zeros(3, *self.shape_px, dtype=torch.uint8)
        targets = torch.tensor([READABLE if image is not None else UNREADABLE for image in images])
        return torch.stack([blank if image is None else image for image in images]), targets

    def _read_or_none(self, row: int) -> Tensor | None:
        try:
            return read_image(self.pictures.path(row), self.framing)
        except UnreadableImageError:
            return None


def list_files(given: str) -> tuple[Path, list[str]]:
    """Find what a folder, a pattern or a path names: a folder, and paths relative to it, sorted.

    Raises:
        TlearnError: There is nothing.
    """
    place = Path(given).expanduser()
    if place.is_dir():
        found = find_pictures(place)
        left_out = f"; {found.left_out()}" if found.left_out() else ""
        if not found.names:
            raise TlearnError(f"no picture in {place.absolute()}{left_out}")
        log.info("%d pictures in %s%s", len(found.names), place.absolute(), left_out)
        return place, found.names
    if place.is_file():
        return place.parent, [place.name]
    matches = glob.glob(given, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    names = sorted(name for name in matches if Path(name).is_file())
    if not names:
        raise TlearnError(f"--data {given}: no folder, file or match at {place.absolute()}")
    log.info("%d files match %s", len(names), given)
    return Path(), names
