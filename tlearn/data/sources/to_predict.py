"""Pictures to predict for: a folder, a pattern or a single file, without labels."""

from __future__ import annotations

import codecs
import glob
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tlearn.base.errors import TlearnError
from tlearn.base.types import Batch, Task
from tlearn.data.datamodule import Split
from tlearn.data.files.listing import find_pictures, number_of, told_of_unread
from tlearn.data.files.reading import UnreadableImageError, read_and_remark
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.on_disk import FilePictures, StreamedImages, in_threads
from tlearn.data.sources.bases import PictureDataModule

log = logging.getLogger(__name__)

UNREADABLE = -1  # the target of a picture that could not be read
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LIST = "a list, no picture; for the paths in it: --data - < {}"
_TABLE = "a table, no picture; for one with labels: --data ImageTableDataModule --data.table {}"
_LISTS = {**dict.fromkeys((".txt", ".lst", ".list"), _LIST), **dict.fromkeys((".csv", ".tsv", ".parquet"), _TABLE)}


class PredictFilesDataModule(PictureDataModule):
    """Picture files in the order of their paths, unreadable ones included."""

    def __init__(
        self,
        files: str | list[str],
        stored_classes: list[str] | None = None,
        stored_task: Task = "classification",
        **options: Any,
    ) -> None:
        """List the files; no picture is read.

        Args:
            files: A folder, with all folders in it, a pattern such as ``photos/*.jpg``, a single file, or several of
                them, as a list or in lines of one text; ``-`` is a list of paths on standard input, one in a line.
            stored_classes: The classes of the network; the command line takes them from the checkpoint.
            stored_task: The task of the network; the command line takes it from the checkpoint.
            **options: Those of `PictureDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: There is no picture.
        """
        super().__init__(class_names=list(stored_classes or []), task=stored_task, **options)
        root, names = list_several(_lines_of(files) if isinstance(files, str) else files)
        self.pictures = FilePictures(root, names)

    def open_split(self, split: Split) -> ImageSet:
        """Raise: these pictures have no labels.

        Raises:
            TlearnError: Always.
        """
        raise TlearnError("pictures to predict for have no labels to train or test on; use predict")

    def setup(self, stage: str) -> None:
        """Do nothing: the files are listed."""

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Serve the pictures in order, each batch with its faults."""
        count = len(self.pictures)
        targets = torch.zeros(count, dtype=torch.int64)
        images = TolerantImages(self.pictures, self.framing, targets, torch.arange(count))
        return self._evaluation_loader(images)

    def picture_names(self, rows: Tensor, split: Split = "val") -> list[str]:
        """Return the paths of pictures (B,) as they were found."""
        return self.pictures.paths(rows)


class TolerantImages(StreamedImages):
    """Files of which some may be unreadable: those are black images, and the batch says why.

    It also says what sets a picture apart from the training pictures.
    """

    pictures: FilePictures

    def __getitem__(self, batch_key: BatchKey) -> Batch:
        """Decode a batch; the targets are 0, or `UNREADABLE`."""
        rows = self.indices[batch_key.positions]
        images, faults, remarks = zip(*in_threads(self._read, rows.tolist()), strict=True)
        targets = torch.tensor([UNREADABLE if fault else 0 for fault in faults])
        return Batch(torch.stack(images), targets, rows, list(faults), list(remarks))

    def _read(self, row: int) -> tuple[Tensor, str, str]:
        """Return an image, why it is black if it is, and what sets the picture apart from the training pictures."""
        try:
            image, remark = read_and_remark(self.pictures.path(row), self.framing)
        except UnreadableImageError as error:
            return torch.zeros(self.num_channels, *self.shape_px, dtype=torch.uint8), str(error) or "unreadable", ""
        return image, "", remark


def _lines_of(text: str) -> list[str]:
    if "\n" not in text or os.path.lexists(text):
        return [text]
    return [line for line in text.split("\n") if line.strip()]


def list_several(given: Sequence[str]) -> tuple[Path, list[str]]:
    """List the files of several folders, patterns and paths, in the order given; ``-`` is a list on standard input.

    Raises:
        TlearnError: There is no file at all, or none for one of them. Missing files of the list on standard input are
            kept and get a row.
    """
    if len(given) == 1 and given[0] != "-":
        return list_files(given[0])
    names: list[str] = []
    for each in given:
        found = _listed_on_input() if each == "-" else [list_files(each)]
        names += [str(root / name) for root, those in found for name in those]
    log.info("%s in all", number_of(len(names), "picture"))
    return Path(), names


def _listed_on_input() -> list[tuple[Path, list[str]]]:
    data = sys.stdin.buffer.read().removeprefix(codecs.BOM_UTF8)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # written by PowerShell's `>`
        data = os.fsencode(data.decode("utf-16", errors="replace"))
    lines = [os.fsdecode(line.rstrip(b"\r")) for line in data.split(b"\n")]
    found = [list_files(line) if Path(line).is_dir() else (Path(), [line]) for line in lines if line.strip()]
    if not found:
        raise TlearnError("--data -: no paths on standard input; expected one in each line")
    return found


def list_files(given: str) -> tuple[Path, list[str]]:
    """List the files of a folder, a pattern or a path: a folder, and sorted paths relative to it.

    Files of picture formats that are not read, such as HEIC, are listed too.

    Raises:
        TlearnError: There is no file.
    """
    if not given.strip():  # an unset shell variable, which Path would take for this folder
        raise TlearnError("--data is empty; give a folder, a pattern or the path of a picture, as in --data photos")
    if _ADDRESS.match(given):
        raise TlearnError(f"--data {given}: an address, no file; download the pictures and give their folder")
    place = Path(given).expanduser()
    if place.is_dir():
        return place, _in_folder(place)
    if place.is_file():
        if place.suffix.lower() in _LISTS:
            raise TlearnError(f"--data {given}: {_LISTS[place.suffix.lower()].format(given)}")
        return place.parent, [place.name]
    matches = glob.glob(_as_pattern(place), recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    names = sorted(name for name in matches if Path(name).is_file())
    if not names:
        raise TlearnError(f"--data {given}: no folder, file or match at {place.absolute()}")
    log.info("%s %s", number_of(len(names), "file matches", "files match"), given)
    return Path(), names


def _in_folder(place: Path) -> list[str]:
    found = find_pictures(place)
    names = sorted([*found.names, *found.unread], key=lambda name: name.split("/"))
    told = found.left_out()
    left_out = f"; {told}" if told else ""
    if not names:
        raise TlearnError(f"no picture in {place.absolute()}{left_out}")
    if found.unread:  # each has a row with the reason
        log.warning("%s", told_of_unread(found.unread))
    log.info("%s in %s%s", number_of(len(found.names), "picture"), place.absolute(), left_out)
    return names


def _as_pattern(place: Path) -> str:
    """Escape brackets in folders that exist; only the rest is a pattern."""
    parents = [parent for parent in place.parents if parent.is_dir()]
    if not parents or parents[0] == Path():
        return str(place)
    return str(Path(glob.escape(str(parents[0])), place.relative_to(parents[0])))
