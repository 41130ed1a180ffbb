"""CIFAR-10's files: check them, unpack them, fetch them. Either all is in place afterwards, or nothing was changed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import calculate_md5, download_url, extract_archive

from tlearn.base.errors import TlearnError
from tlearn.data.files.network_timeout import short_timeout


def check(root: Path) -> None:
    """Compare the seven files with their checksums.

    Raises:
        TlearnError: One is missing or damaged.
    """
    if fault := _fault(root):
        raise TlearnError(f"CIFAR-10 in {root}: {fault}; call prepare_data() or {_put_archive(root)}")


def install(root: Path, download: bool) -> None:
    """Put the files in place if they are not: from an archive that lies in ``root``, or else from the network.

    Args:
        root: Absolute; the folder to hold ``cifar-10-batches-py``. Created only when there is something to put in.
        download: Whether the network may be used.

    Raises:
        TlearnError: The files are missing or damaged and cannot be had.
    """
    fault = _fault(root)
    if fault is None:
        return
    archive = root / CIFAR10.filename
    archive_fault = _difference(root, CIFAR10.filename, CIFAR10.tgz_md5)
    if archive.exists() and archive_fault:
        fault = f"{fault}; {archive_fault}"  # named, and never used: a download goes elsewhere
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
    """Say which file is wrong first, if any is."""
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
            # Another run was quicker, or a file is mended: one by one, for what else a user keeps there is not ours.
            for file in fresh.iterdir():
                file.replace(folder / file.name)


@contextmanager
def _folder_beside(root: Path) -> Iterator[Path]:
    """A temporary folder on root's file system, so that a rename suffices: in root or, until there is one, above it."""
    existing = next(path for path in (root, *root.parents) if path.is_dir())
    with tempfile.TemporaryDirectory(prefix=".cifar-10-", dir=existing) as scratch:
        yield Path(scratch)
