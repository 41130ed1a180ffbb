"""Shards behind an URL, fetched by LitData when the first of their pictures is asked for, and kept on this disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.files import on_disk, writing_fault
from tlearn.data.shards.index import INDEX, Shard, digest_of, read_file
from tlearn.data.shards.order import WINDOW

# What LitData fetches; the last is for tests. Not its azure://, which asks for options that are not ours to give, nor
# its r2://, which asks for an account with Lightning: s3:// reaches
# whatever speaks S3, at the address in AWS_ENDPOINT_URL.
URLS = ("s3://", "gs://", "hf://", "local:")
_BY_FILE = ("hf://", "local:")  # LitData has no other way to fetch these
_DIGEST = "[0-9a-f]" * 32  # no other folder is touched
_NEEDS = "needs: pip install 'tlearn[stream]'"


class FetchedShards:
    """Shards behind an URL: fetched whole by LitData, checked, and kept in a folder that several processes share.

    Where the folder would grow over its limit, the shards go that were not read for longest. What is being fetched at
    that moment comes on top.

    Args:
        url: The folder that `tlearn optimize` wrote.
        cache_dir: Where shards are kept.
        max_cache_gb: How much may lie there.
    """

    def __init__(self, url: str, cache_dir: Path, max_cache_gb: float) -> None:
        if find_spec("litdata") is None:
            raise TlearnError(f"{url} {_NEEDS}")
        self.about, self.cache_dir = url.rstrip("/"), cache_dir.expanduser()
        self.limit_bytes = int(max_cache_gb * 1e9)
        self._folder = self.cache_dir

    def index(self) -> bytes:
        """Fetch ``tlearn.json``; from now on shards are kept beside no others than its own.

        Raises:
            TlearnError: It cannot be fetched.
        """
        try:
            self.cache_dir.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self.cache_dir, prefix=".index-") as folder:
                content = read_file(self._fetch(INDEX, Path(folder)))
        except OSError as error:
            raise writing_fault(self.cache_dir, self.cache_dir, error) or error from error
        self._folder = self.cache_dir / digest_of(content)
        return content

    def items(self, name: str, digest: str) -> bytes:
        """Fetch a small file, if it is not there yet."""
        path = self._folder / name
        if path.is_file() and digest_of(read_file(path)) != digest:  # cut by a crash
            path.unlink(missing_ok=True)
        self._bring(path, name, digest, 0)
        return read_file(path)

    def check(self, split: str, shards: Iterable[Shard]) -> None:
        """Say that the limit is too low, before shards are fetched anew for every batch; throw out what a crash cut.

        Raises:
            TlearnError: Those that one process draws from at a time do not fit, and the one that is fetched meanwhile.
        """
        shards = list(shards)
        for shard in shards:
            path = self._folder / split / shard.name
            with suppress(FileNotFoundError):
                if path.stat().st_size != shard.size_bytes:
                    path.unlink()
        largest_first = sorted((shard.size_bytes for shard in shards), reverse=True)
        needs_bytes = sum(largest_first[: WINDOW + 1])
        if self.limit_bytes < needs_bytes:  # which is told rounded up
            raise TlearnError(
                f"data.init_args.max_cache_gb {self.limit_bytes / 1e9:g} holds too few of the {len(largest_first)} "
                f"{split} shards at a time: expected {1.006 * needs_bytes / 1e9:.3g} or more for each process"
            )

    def path(self, split: str, shard: Shard) -> Path:
        """Fetch a shard, if it is not there, and note that it was used."""
        path = self._folder / split / shard.name
        try:
            os.utime(path)
        except FileNotFoundError:
            self._bring(path, f"{split}/{shard.name}", shard.digest, shard.size_bytes)
        return path

    def mend(self, path: Path) -> None:
        """Throw it out, so that it is fetched anew."""
        path.unlink(missing_ok=True)

    def _bring(self, path: Path, name: str, digest: str, needs_bytes: int) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f".{path.name}.lock")):
                if not path.is_file():
                    self._make_room(needs_bytes)
                    self._fetch_checked(name, digest, path)
                    self._make_room(0)  # others, too, have fetched meanwhile
        except OSError as error:
            raise writing_fault(path, path, error) or error from error

    def _fetch_checked(self, name: str, digest: str, path: Path) -> None:
        partial = path.with_name(f".{path.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        partial.mkdir()
        try:
            fetched = self._fetch(name, partial)
            if digest_of(read_file(fetched)) != digest:
                raise TlearnError(f"{self.about}/{name}: not what {INDEX} speaks of; copy the folder there anew")
            on_disk(fetched)
            fetched.replace(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _fetch(self, name: str, folder: Path) -> Path:
        """Fetch a file into a folder of its own, where LitData also puts its lock and its partial file."""
        url = f"{self.about}/{name}"
        path = folder / Path(name).name
        try:
            _download(self.about, url, path)
        except OSError as error:
            if (fault := writing_fault(path, path, error)) is not None:
                raise fault from error
            raise TlearnError(f"cannot fetch {url}: {one_line(error, 200)}") from error
        except Exception as error:  # the network, and the libraries that speak to it
            raise TlearnError(f"cannot fetch {url}: {one_line(error, 200)}") from error
        if not path.is_file():
            raise TlearnError(f"cannot fetch {url}: nothing came; is the address right, and is there a network?")
        return path

    def _make_room(self, needs_bytes: int) -> None:
        with FileLock(self.cache_dir / ".room.lock"):
            kept = []
            for path in self.cache_dir.glob(f"{_DIGEST}/*/*.bin"):
                with suppress(FileNotFoundError):
                    about = path.stat()
                    kept.append((about.st_mtime_ns, about.st_size, path))
            excess = sum(size for _, size, _ in kept) + needs_bytes - self.limit_bytes
            for _, size, path in sorted(kept):
                if excess <= 0:
                    break
                path.unlink(missing_ok=True)
                excess -= size


def _download(root: str, url: str, path: Path) -> None:
    client = _downloader(root, os.getpid())
    if url.startswith(_BY_FILE):
        client.download_file(url, str(path))
        return
    # Not `download_file`: for S3 it takes obstore, whose threads do not outlive a fork, and which refuses http://.
    with path.open("wb") as file:
        client.download_fileobj(url, file)


@lru_cache(maxsize=1)
def _downloader(url: str, process: int) -> Any:
    """Make LitData's client; a forked process needs its own."""
    from litdata.streaming.downloader import get_downloader

    if not url.startswith("s3://"):
        return get_downloader(url, "", [])
    from botocore.config import Config

    # LitData would try a thousand times. AWS_MAX_ATTEMPTS, 3 by default, says how often.
    return get_downloader(url, "", [], {"config": Config(retries={"mode": "standard"})})
