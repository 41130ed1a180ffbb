"""The extra ``science``: whether its decoders are installed."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

INSTALL = "pip install 'tlearn[science]'"


@lru_cache(1)
def science_version() -> str:
    """Return the versions of the decoders; empty where one is missing."""
    try:
        return f"tifffile {version('tifffile')} imagecodecs {version('imagecodecs')}"
    except PackageNotFoundError:
        return ""
