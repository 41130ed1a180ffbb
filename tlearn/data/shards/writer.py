"""Pack picture files unchanged into LitData's shards; the folder appears only when it is complete."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.files import on_disk, writing_fault
from tlearn.base.locks import lock_folder, unlock_folder
from tlearn.base.progress import tracked
from tlearn.data.datamodule import Split
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.reading import UnreadableImageError, read_bytes
from tlearn.data.images.on_disk import FilePictures, StreamedImages
from tlearn.data.shards.index import INDEX, ITEMS, Items, Shard, ShardedSplit, ShardIndex, digest_of

_EXISTS = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
_LEAF_BYTES = 4  # LitData writes an item's length before it


def write_shards(
    splits: Mapping[Split, StreamedImages],
    class_names: list[str],
    out: Path,
    shard_bytes: int,
    reading: Reading,
    group: int | str | None = None,
) -> ShardIndex:
    """Write the pictures of all splits.

    Training pictures are shuffled, because a run draws from few shards at a time; others keep their order.

    Args:
        splits: Picture files with hashes of their contents.
        class_names: Names of the classes 0 to K - 1.
        out: The folder to write; it must not exist.
        shard_bytes: The largest size of a shard; a larger picture gets one of its own.
        reading: How the pictures were looked at, with what was learned of them.
        group: The option by which their names tell their groups.

    Raises:
        TlearnError: A file has changed meanwhile, or writing fails.
    """
    with _whole_folder(out) as partial:
        written: dict[Split, ShardedSplit] = {}
        for split, images in splits.items():
            rows = images.indices
            if split == "train":
                rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
            written[split] = _write_split(split, images, rows, partial / split, shard_bytes)
        index = ShardIndex(class_names, written, asdict(reading), group)
        (partial / INDEX).write_text(index.as_text(), encoding="utf-8")
        for path in partial.rglob("*"):
            if path.is_file():
                on_disk(path)
    return index


def _write_split(split: str, images: StreamedImages, rows: Tensor, folder: Path, shard_bytes: int) -> ShardedSplit:
    from litdata.streaming.writer import BinaryWriter

    pictures = images.pictures
    assert isinstance(pictures, FilePictures)
    writer = BinaryWriter(str(folder), chunk_bytes=shard_bytes)
    sizes = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "An item was larger than the target chunk size")
        for number, row in enumerate(tracked(rows.tolist(), f"packing {split}", len(rows), "pictures")):
            data = _content(pictures, row)
            sizes.append(len(data))
            writer.add_item(number, data)
        writer.done()
    writer.merge(1)
    chunks = json.loads((folder / "index.json").read_text(encoding="utf-8"))["chunks"]
    shards = tuple(_shard(folder / chunk["filename"], chunk) for chunk in chunks)
    items = Items(
        labels=images.targets[rows].long(),
        begins=torch.cat([_begins(folder / shard.name) for shard in shards]),
        sizes=torch.tensor(sizes),
        digests=torch.from_numpy(
            np.frombuffer(b"".join(pictures.contents[row] for row in rows.tolist()), np.uint8).copy()
        ).view(-1, 16),
        names=np.frombuffer(
            b"".join(os.fsencode(pictures.name(row)) + b"\0" for row in rows.tolist()), np.uint8
        ).copy(),
    )
    content = items.as_bytes()
    (folder / ITEMS).write_bytes(content)
    return ShardedSplit(shards, digest_of(content))


def _content(pictures: FilePictures, row: int) -> bytes:
    path = pictures.path(row).absolute()
    try:
        data = read_bytes(path)
    except UnreadableImageError as error:
        raise TlearnError(f"{path}: {error}; it could be read before: run tlearn optimize again") from error
    if hashlib.blake2b(data, digest_size=16).digest() != pictures.contents[row]:
        raise TlearnError(f"{path} has changed while it was packed: run tlearn optimize again")
    return data


def _shard(path: Path, chunk: Mapping[str, Any]) -> Shard:
    content = path.read_bytes()
    return Shard(path.name, int(chunk["chunk_size"]), len(content), digest_of(content))


def _begins(path: Path) -> Tensor:
    """Read the offsets of items from the head of a shard: their number n, then n + 1 offsets (uint32)."""
    with path.open("rb") as file:
        count = int(np.frombuffer(file.read(4), np.uint32)[0])
        places = np.frombuffer(file.read(4 * count), np.uint32)
    return torch.from_numpy(places.astype(np.int64)) + _LEAF_BYTES


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to ``out`` at the end, or deleted after an error.

    It is locked meanwhile, so that a second process that writes the same folder is refused. Remains of a killed process
    are overwritten.
    """
    partial, is_written = out.with_name(f".{out.name}.partial"), False
    held: int | None = None
    try:
        partial.mkdir(exist_ok=True)
        held = _hold(partial, out)
        for left in partial.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield partial
        partial.rename(out)
        is_written = True  # from here on another process may take that name
    except OSError as error:
        error.filename = None  # the user knows the folder, not the file in it
        fault = _taken(out) if error.errno in _EXISTS else writing_fault(out, partial, error)
        if fault is None:
            raise
        raise fault from error
    finally:
        if held is not None and not is_written:
            shutil.rmtree(partial, ignore_errors=True)
        if held is not None:
            unlock_folder(held)


def _hold(partial: Path, out: Path) -> int:
    """Lock the folder against other processes; the system releases it when this process ends, even by a kill."""
    held = lock_folder(partial)
    if held is None:
        raise TlearnError(f"another process is writing {out.absolute()}; wait for it, or name another folder")
    return held


def _taken(out: Path) -> TlearnError:
    return TlearnError(f"{out.absolute()} was written by another process meanwhile; use it, or name another folder")
