"""Where shards lie: in a folder, or behind an URL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tlearn.base.errors import TlearnError
from tlearn.data.shards.fetching import URLS, FetchedShards
from tlearn.data.shards.index import INDEX, Shard, read_file

_KNOWN = ", ".join(each for each in URLS if "://" in each)
_NOT_OPTIMIZED = f"no {INDEX} in {{}}; write a folder that has one: python -m tlearn optimize FOLDER OUT"


class ShardPlace(Protocol):
    """A folder that `tlearn optimize` wrote, near or far."""

    about: str

    def index(self) -> bytes:
        """Return what ``tlearn.json`` holds."""

    def items(self, name: str, digest: str) -> bytes:
        """Return a small file of a split, ``SPLIT/NAME``."""

    def check(self, split: str, shards: Iterable[Shard]) -> None:
        """Look, as far as it costs next to nothing, whether shards are whole."""

    def path(self, split: str, shard: Shard) -> Path:
        """Return where a shard can be read now."""

    def mend(self, path: Path) -> None:
        """Do what can be done about a shard that is gone, or whose bytes are not those that were packed."""


def place_of(root: str, cache_dir: str, max_cache_gb: float) -> ShardPlace:
    """Choose by the root's form.

    Raises:
        TlearnError: It is an address of another kind.
    """
    if "://" in root and not root.startswith(URLS):
        raise TlearnError(f"data.init_args.root: no way to fetch from {root}; expected a folder, or one of {_KNOWN}")
    return FetchedShards(root, Path(cache_dir), max_cache_gb) if root.startswith(URLS) else NearShards(Path(root))


class NearShards:
    """Shards in a folder; reading them needs no LitData."""

    def __init__(self, root: Path) -> None:
        """Note the folder."""
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
        """Return where it lies."""
        return self.root / split / shard.name

    def mend(self, path: Path) -> None:
        """Leave it to the user.

        Raises:
            TlearnError: Always.
        """
        raise TlearnError(f"{path.absolute()} is gone or damaged; copy it anew, or optimize again")
