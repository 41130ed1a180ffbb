"""The place of shards: a local folder, or a URL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tlearn.base.errors import TlearnError
from tlearn.base.program import program
from tlearn.data.shards.fetching import URLS, FetchedShards
from tlearn.data.shards.index import INDEX, Shard, read_file

_KNOWN = ", ".join(each for each in URLS if "://" in each)
_NOT_OPTIMIZED = f"no {INDEX} in {{}}; write a folder that has one: {program()} optimize FOLDER OUT"


class ShardPlace(Protocol):
    """A folder that `tlearn optimize` wrote, local or remote."""

    about: str

    def index(self) -> bytes:
        """Return the content of ``tlearn.json``."""

    def items(self, name: str, digest: str) -> bytes:
        """Return a small file of a split, ``SPLIT/NAME``."""

    def check(self, split: str, shards: Iterable[Shard]) -> None:
        """Check cheaply that shards are complete."""

    def path(self, split: str, shard: Shard) -> Path:
        """Return the local path of a shard, ready to be read."""

    def mend(self, path: Path) -> None:
        """Repair a shard that is missing or damaged, or raise."""


def place_of(root: str, cache_dir: str, max_cache_gb: float) -> ShardPlace:
    """Return the place of a root, a folder or a URL.

    Raises:
        TlearnError: It is a URL of an unknown kind.
    """
    if "://" in root and not root.startswith(URLS):
        raise TlearnError(f"data.init_args.root: no way to fetch from {root}; expected a folder, or one of {_KNOWN}")
    return FetchedShards(root, Path(cache_dir), max_cache_gb) if root.startswith(URLS) else NearShards(Path(root))


class NearShards:
    """Shards in a folder; reading them needs no LitData."""

    def __init__(self, root: Path) -> None:
        """Keep the path."""
        self.root = root.expanduser()
        self.about = str(self.root.absolute())

    def index(self) -> bytes:
        """Read ``tlearn.json``.

        Raises:
            TlearnError: There is none.
        """
        if not (self.root / INDEX).is_file():
            raise TlearnError(f"data.init_args.root: {_NOT_OPTIMIZED.format(self.about)}")
        return read_file(self.root / INDEX)

    def items(self, name: str, digest: str) -> bytes:
        """Read a small file."""
        return read_file(self.root / name)

    def check(self, split: str, shards: Iterable[Shard]) -> None:
        """Compare sizes.

        Raises:
            TlearnError: A shard is missing, or not as long as the index says.
        """
        for shard in shards:
            path = self.path(split, shard)
            found = path.stat().st_size if path.is_file() else 0
            if found != shard.size_bytes:
                raise TlearnError(
                    f"{path.absolute()}: {found} bytes, expected {shard.size_bytes}; copy it anew, or optimize again"
                )

    def path(self, split: str, shard: Shard) -> Path:
        """Return the path of a shard."""
        return self.root / split / shard.name

    def mend(self, path: Path) -> None:
        """Raise: only the user can repair it.

        Raises:
            TlearnError: Always.
        """
        raise TlearnError(f"{path.absolute()} is gone or damaged; copy it anew, or optimize again")
