"""CIFAR-10 as a data module, and its files: download, check and read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import calculate_md5, download_url, extract_archive

from tlearn.base.errors import TlearnError
from tlearn.data.files.timeout import short_timeout
from tlearn.data.images.split import class_numbers, renumbered
from tlearn.data.sources.bases import InMemoryDataModule


def check(root: Path) -> None:
    """Compare the seven files with their checksums.

    Raises:
        TlearnError: One is missing or damaged.
    """
    if fault := _fault(root):
        raise TlearnError(f"CIFAR-10 in {root}: {fault}; call prepare_data() or {_put_archive(root)}")


def install(root: Path, download: bool) -> None:
    """Install missing files from an archive in ``root``, or else from the network.

    Args:
        root: Absolute path of the folder for ``cifar-10-batches-py``; created only once there is something to put in.
        download: Allow a download.

    Raises:
        TlearnError: Files are missing or damaged and cannot be installed.
    """
    fault = _fault(root)
    if fault is None:
        return
    archive = root / CIFAR10.filename
    archive_fault = _difference(root, CIFAR10.filename, CIFAR10.tgz_md5)
    if archive.exists() and archive_fault:
        fault = f"{fault}; {archive_fault}"  # a damaged archive is named and not used
    if archive_fault and not download:
        raise TlearnError(
            f"CIFAR-10 in {root}: {fault}; download is off: set data.init_args.download true or {_put_archive(root)}"
        )
    step = "download" if archive_fault else "unpacking"
    try:
        _download(root) if archive_fault else _unpack(archive, root)
    except (OSError, RuntimeError, HTTPException) as error:  # URLError is an OSError
        message = f"CIFAR-10 in {root}: {fault}; {step} failed ({error}): try again or {_put_archive(root)}"
        raise TlearnError(message) from error


def _fault(root: Path) -> str | None:
    """Describe the first file that is missing or damaged."""
    expected = [*CIFAR10.train_list, *CIFAR10.test_list, [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]]
    differences = (_difference(root, f"{CIFAR10.base_folder}/{name}", md5) for name, md5 in expected)
    return next(filter(None, differences), None)


def _difference(root: Path, name: str, md5: str) -> str | None:
    if not (root / name).is_file():
        return f"{name} is missing"
    actual = calculate_md5(root / name)
    return None if actual == md5 else f"{name} is damaged (md5 {actual}, expected {md5})"


def _put_archive(root: Path) -> str:
    return f"put {CIFAR10.filename} (md5 {CIFAR10.tgz_md5}, from {CIFAR10.url}) into {root}"


def _download(root: Path) -> None:
    with _folder_beside(root) as scratch, short_timeout():
        download_url(CIFAR10.url, scratch, CIFAR10.filename, CIFAR10.tgz_md5)
        _unpack(scratch / CIFAR10.filename, root)


def _unpack(archive: Path, root: Path) -> None:
    with _folder_beside(root) as scratch:
        extract_archive(archive, scratch)
        root.mkdir(parents=True, exist_ok=True)
        fresh, folder = scratch / CIFAR10.base_folder, root / CIFAR10.base_folder
        try:
            fresh.replace(folder)
        except OSError:
            if not folder.is_dir():
                raise
            # Another run was quicker, or a file is mended. Files are replaced one by one to keep those of the user.
            for file in fresh.iterdir():
                file.replace(folder / file.name)


@contextmanager
def _folder_beside(root: Path) -> Iterator[Path]:
    """Make a temporary folder on the file system of root, so that files can be renamed into it."""
    existing = next(path for path in (root, *root.parents) if path.is_dir())
    with tempfile.TemporaryDirectory(prefix=".cifar-10-", dir=existing) as scratch:
        yield Path(scratch)


# The network is built from these before any file is read; the files' own list must agree.
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class CIFAR10DataModule(InMemoryDataModule):
    """CIFAR-10, or some of its classes."""

    root: Path

    def __init__(
        self, root: str = "data", download: bool = True, classes: list[str] | None = None, **options: Any
    ) -> None:
        """Take the options; no data are read.

        Args:
            root: Folder that holds ``cifar-10-batches-py`` or ``cifar-10-python.tar.gz``, or will.
            download: Download the files (170 MB) if they are missing or damaged.
            classes: Names of the classes to use, numbered in the order given; all ten by default.
            **options: Those of `ImageDataModule`.

        Raises:
            TlearnError: A class is unknown, or fewer than 2 are given.
        """
        self._numbers = class_numbers(classes, CIFAR10_CLASSES)
        names = [CIFAR10_CLASSES[number] for number in self._numbers]
        super().__init__(class_names=names, task="classification", **options)
        self.root, self.download = Path(root).expanduser().absolute(), download
        self._checked = False

    def prepare_data(self) -> None:
        """Check the files; unpack or download those that are missing or damaged.

        Raises:
            TlearnError: That fails; names the folder, the file, its checksum and the remedy.
        """
        install(self.root, self.download)
        self._checked = True

    def load_split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        """Read a split through torchvision.

        Returns:
            Images, uint8 (N, 3, 32, 32), and class numbers, int64 (N,), -1 for a class that is not used.

        Raises:
            TlearnError: A file is missing or damaged, or the files name other classes than CIFAR-10's.
        """
        if not self._checked:  # another process prepared the data, or none did
            check(self.root)
            self._checked = True
        files = [name for name, _ in (CIFAR10.train_list if split == "train" else CIFAR10.test_list)]
        paths = [self.root / CIFAR10.base_folder / name for name in files]
        # Each file goes into its place by itself: all at once would take 150 MB more.
        most = sum(path.stat().st_size for path in paths) // (3 * 32 * 32)
        images, targets = torch.empty(most, 3, 32, 32, dtype=torch.uint8), list[int]()
        for name in files:
            source = _CIFAR10File(self.root, name, reads_classes=name == files[-1])
            part = torch.from_numpy(source.data.transpose(0, 3, 1, 2))  # back to (N, 3, H, W) as on disk
            images[len(targets) : len(targets) + len(part)] = part
            targets += source.targets
        if tuple(source.classes) != CIFAR10_CLASSES:
            raise TlearnError(
                f"{self.root / CIFAR10.base_folder / CIFAR10.meta['filename']} names the classes {source.classes}, "
                f"expected {list(CIFAR10_CLASSES)}; replace it by the original"
            )
        return images[: len(targets)], renumbered(torch.tensor(targets), self._numbers)


class _CIFAR10File(CIFAR10):  # type: ignore[misc]  # torchvision ships no types
    """torchvision's reader for one file, without its check of all checksums, which takes 0.3 s and is done already."""

    def __init__(self, root: Path, name: str, reads_classes: bool) -> None:
        self.train_list, self.reads_classes = [[name, ""]], reads_classes
        super().__init__(root)

    def _check_integrity(self) -> bool:
        return True

    def _load_meta(self) -> None:
        if self.reads_classes:
            super()._load_meta()
