"""Shards behind a URL: LitData downloads one when its first picture is read, and it is cached on disk."""

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

# Addresses that LitData downloads from; the last is for tests. Its azure:// needs options that we do not have, and its
# r2:// an account with Lightning. s3:// reaches every S3 server, at the address in AWS_ENDPOINT_URL.
URLS = ("s3://", "gs://", "hf://", "local:")
_BY_FILE = ("hf://", "local:")  # LitData has no other way to fetch these
_DIGEST = "[0-9a-f]" * 32  # only folders of this form are touched
_NEEDS = "needs: pip install 'tlearn[stream]'"


class FetchedShards:
    """Shards behind a URL: downloaded by LitData, checked, and cached in a folder that several processes share.

    If the cache would grow over its limit, the least recently read shards are deleted. Shards that are being downloaded
    at that moment are not counted.

    Args:
        url: The folder that `tlearn optimize` wrote.
        cache_dir: The folder of the cache.
        max_cache_gb: The limit of the cache.
    """

    def __init__(self, url: str, cache_dir: Path, max_cache_gb: float) -> None:
        if find_spec("litdata") is None:
            raise TlearnError(f"{url} {_NEEDS}")
        self.about, self.cache_dir = url.rstrip("/"), cache_dir.expanduser()
        self.limit_bytes = int(max_cache_gb * 1e9)
        self._folder = self.cache_dir

    def index(self) -> bytes:
        """Download ``tlearn.json``, whose digest names the cache's folder of these shards.

        Raises:
            TlearnError: It cannot be downloaded.
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
        """Return a small file, which is downloaded if it is not cached."""
        path = self._folder / name
        if path.is_file() and digest_of(read_file(path)) != digest:  # left incomplete by a crash
            path.unlink(missing_ok=True)
        self._bring(path, name, digest, 0)
        return read_file(path)

    def check(self, split: str, shards: Iterable[Shard]) -> None:
        """Refuse a limit with which every batch would download shards again; delete what a crash left incomplete.

        Raises:
            TlearnError: The cache cannot hold the shards that a process draws from at a time and one more.
        """
        shards = list(shards)
        for shard in shards:
            path = self._folder / split / shard.name
            with suppress(FileNotFoundError):
                if path.stat().st_size != shard.size_bytes:
                    path.unlink()
        largest_first = sorted((shard.size_bytes for shard in shards), reverse=True)
        needs_bytes = sum(largest_first[: WINDOW + 1])
        if self.limit_bytes < needs_bytes:  # the message rounds up
            raise TlearnError(
                f"data.init_args.max_cache_gb {self.limit_bytes / 1e9:g} holds too few of the {len(largest_first)} "
                f"{split} shards at a time: expected {1.006 * needs_bytes / 1e9:.3g} or more for each process"
            )

    def path(self, split: str, shard: Shard) -> Path:
        """Return a shard, which is downloaded if it is not cached, and mark it as used."""
        path = self._folder / split / shard.name
        try:
            os.utime(path)
        except FileNotFoundError:
            self._bring(path, f"{split}/{shard.name}", shard.digest, shard.size_bytes)
        return path

    def mend(self, path: Path) -> None:
        """Delete a shard, so that it is downloaded again."""
        path.unlink(missing_ok=True)

    def _bring(self, path: Path, name: str, digest: str, needs_bytes: int) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f".{path.name}.lock")):
                if not path.is_file():
                    self._make_room(needs_bytes)
                    self._fetch_checked(name, digest, path)
                    self._make_room(0)  # other processes may have added shards meanwhile
        except OSError as error:
            raise writing_fault(path, path, error) or error from error

    def _fetch_checked(self, name: str, digest: str, path: Path) -> None:
        partial = path.with_name(f".{path.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
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
        """Download a file into a folder of its own, where LitData also puts its lock and its partial file."""
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
    # `download_file` would use obstore for S3, whose threads do not survive a fork, and which refuses http://.
    with path.open("wb") as file:
        client.download_fileobj(url, file)


@lru_cache(maxsize=1)
def _downloader(url: str, process: int) -> Any:
    """Make LitData's client; a forked process needs its own."""
    from litdata.streaming.downloader import get_downloader

    if not url.startswith("s3://"):
        return get_downloader(url, "", [])
    from botocore.config import Config

    # LitData would try a thousand times; now AWS_MAX_ATTEMPTS decides, 3 by default.
    return get_downloader(url, "", [], {"config": Config(retries={"mode": "standard"})})
