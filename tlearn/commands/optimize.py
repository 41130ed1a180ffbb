"""The verb ``optimize``, and `tlearn.optimize`: pack a folder of pictures into shards, for sets that no disk holds."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml

from tlearn.base.errors import TlearnError, unknown
from tlearn.base.next_command import command_line
from tlearn.cli.arguments import Arguments, VerbParser, one_of
from tlearn.cli.isolation import called_from_python

if TYPE_CHECKING:
    from tlearn.data.decoding.reading_options import Page
    from tlearn.data.shards.index import ShardIndex

_SHARD_MB, _ON_ERROR, _UNKNOWN = "--shard_mb", "--data.init_args.on_error", "--data.init_args.unknown_classes"
_GROUP = "--data.init_args.group"
_TEST = "--data.init_args.test_fraction"
_CHANNELS, _PAGE, _NUM_CHANNELS = "--data.init_args.channels", "--data.init_args.page", "--data.init_args.num_channels"
_DEFAULT_MB, _MOST_MB = 64.0, 4000.0  # LitData's own size; places in a shard are numbers of 32 bits


def _value(text: str) -> Any:
    """Read ``[3, 2, 1]``, ``[red, nir]``, ``middle`` or ``5`` as a config would."""
    return yaml.safe_load(text)


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise TlearnError(f"{_TEST}: expected a number from 0 to below 1, got {text}") from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise TlearnError(f"{_NUM_CHANNELS}: expected a whole number above 0, got {text}")
    return int(text)


def _level(text: str) -> int | str:
    """Read ``1`` as a number, and anything else as it is: an expression may mean something else to YAML."""
    return int(text) if text.isdecimal() else text


_LOOKS = (
    (_CHANNELS, "bands", _value, "channels"),
    (_PAGE, "a plane", _value, "page"),
    (_TEST, "a share of the training pictures", _share, "test_fraction"),
    (_NUM_CHANNELS, "a number of channels", _count, "num_channels"),
    (_GROUP, "a folder level or an expression", _level, "group"),
)


def optimize(
    folder: str | Path,
    out: str | Path,
    *,
    shard_mb: float = _DEFAULT_MB,
    on_error: Literal["error", "skip"] = "error",
    unknown_classes: Literal["error", "ignore"] = "error",
    channels: Sequence[int | str] | None = None,
    page: Page = "first",
    num_channels: int = 3,
    test_fraction: float = 0.0,
    group: int | str | None = None,
) -> ShardIndex:
    """Pack a folder of pictures into shards, which `tlearn.StreamingDataModule` reads.

    Args:
        folder: Pictures as ``train/<class>/...``, with ``val`` and ``test`` beside ``train`` if there are any, or as
            ``<class>/...``.
        out: The folder to write. It must not exist.
        shard_mb: The size in megabytes that a shard may grow to; LitData's own by default.
        on_error: ``skip`` leaves out files that cannot be read, instead of stopping.
        unknown_classes: ``ignore`` leaves out classes that ``train`` lacks, instead of stopping.
        channels: Bands that a fit will take, to look at all pictures with; the files are packed as they are.
        page: Plane of stacks that a fit will take, likewise.
        num_channels: How many channels the network will get; every file is tried with them.
        test_fraction: Share of the training pictures to hold back for ``test``, as `ImageFolderDataModule` does.
        group: Which pictures are never divided, as for `ImageFolderDataModule`; a fit on the shards keeps to it.

    Raises:
        TlearnError: The folder is not one that a fit would take, ``out`` exists, or it cannot be written.
    """
    with called_from_python():
        words: dict[str, Any] = {_SHARD_MB: shard_mb, _ON_ERROR: on_error, _UNKNOWN: unknown_classes}
        words |= {_PAGE: page, _NUM_CHANNELS: num_channels, _TEST: test_fraction}
        words |= {} if group is None else {_GROUP: group}
        words |= {} if channels is None else {_CHANNELS: json.dumps(list(channels))}
        options = [str(folder), str(out), *(f"{name}={value}" for name, value in words.items())]
        return _optimize(Arguments("optimize", options=options))[0]


def run(arguments: Arguments) -> None:
    """Pack a folder of pictures, and print how to go on."""
    index, out = _optimize(arguments)
    from tlearn.data.files.listing import number_of

    shards = [shard for sharded in index.splits.values() for shard in sharded.shards]
    count, megabytes = sum(shard.images for shard in shards), sum(shard.size_bytes for shard in shards) / 1e6
    said = f"{count} images in {number_of(len(shards), 'shard')}, {megabytes:.1f} MB: {out}"
    print(f"{said}; next: {command_line('fit', out)}")


def _optimize(arguments: Arguments) -> tuple[ShardIndex, Path]:
    parser = VerbParser()
    parser.option(_SHARD_MB, "a number of megabytes", dest="mb")
    skips, ignores = one_of(_ON_ERROR, ("error", "skip")), one_of(_UNKNOWN, ("error", "ignore"))
    parser.option(_ON_ERROR, "error or skip", skips, default="error", dest="on_error")
    parser.option(_UNKNOWN, "error or ignore", ignores, default="error", dest="unknown")
    for name, needs, kind, dest in _LOOKS:
        parser.option(name, needs, kind, dest=dest)
    own, arguments = parser.take(arguments)
    words = arguments.options
    if typed := next((word.partition("=")[0] for word in words if word.startswith("-")), None):
        raise unknown("option of optimize", typed, (_SHARD_MB, _ON_ERROR, _UNKNOWN, *(name for name, *_ in _LOOKS)))
    if arguments.configs or len(words) != 2:
        raise TlearnError(f"expected optimize FOLDER OUT [{_SHARD_MB} 64], got '{' '.join(['optimize', *words])}'")
    root, out = Path(words[0]).expanduser(), Path(words[1]).expanduser()
    _check(root, out)
    options = {"on_error": own.on_error, "unknown_classes": own.unknown, "channels": own.channels}
    options |= {"num_channels": own.num_channels, **({} if own.page is None else {"page": own.page})}
    options |= {} if own.group is None else {"group": own.group}
    options |= {} if own.test_fraction is None else {"test_fraction": own.test_fraction}
    return _pack(root, out, _bytes_of(own.mb), options), out


def _pack(root: Path, out: Path, shard_bytes: int, options: dict[str, Any]) -> ShardIndex:
    from tlearn.base.machine import limit_threads
    from tlearn.cli.quiet import quieten
    from tlearn.data.datamodule import Split
    from tlearn.data.images.on_disk import StreamedImages
    from tlearn.data.shards.writer import write_shards
    from tlearn.data.sources.folder import ImageFolderDataModule

    quieten()
    limit_threads()
    data = ImageFolderDataModule(str(root), **options)
    splits: dict[Split, StreamedImages] = {}
    for split in get_args(Split):
        if data.files_of(split) is not None:
            images = data.open_split(split)
            assert isinstance(images, StreamedImages)
            splits[split] = images
    with _ending_as_ctrl_c():
        return write_shards(splits, data.class_names, out, shard_bytes, data.framing.reading, data.group)


@contextmanager
def _ending_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end with an exception, which leaves nothing half-written behind."""
    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, _exit) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _check(root: Path, out: Path) -> None:
    if find_spec("litdata") is None:
        raise TlearnError("optimize needs: pip install 'tlearn[stream]'")
    if not root.is_dir():
        raise TlearnError(f"optimize FOLDER OUT: no folder at {root.absolute()}; expected one with train/<class>/*.jpg")
    if os.path.lexists(out):
        raise TlearnError(f"{out.absolute()} exists already; remove it, or name another folder")
    if not out.absolute().parent.is_dir():
        raise TlearnError(f"the folder {out.absolute().parent} does not exist; make it first")
    if root.resolve() in out.resolve().parents:
        raise TlearnError(f"{out.absolute()} lies in the folder to pack; name one outside of it")


def _bytes_of(size: str | None) -> int:
    try:
        megabytes = float(size) if size is not None else _DEFAULT_MB
    except ValueError:
        megabytes = 0.0
    if not 0 < megabytes <= _MOST_MB:
        raise TlearnError(f"{_SHARD_MB}: expected megabytes, more than 0 and at most {_MOST_MB:g}, got {size}")
    return max(1, int(megabytes * 1e6))
