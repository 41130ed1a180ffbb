"""Settings of the interpreter and of the C library that save a command seconds. Nothing heavy is imported.

They are for a process that a command has for itself. One that merely calls tlearn, such as a notebook's, keeps its own.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

# Numbers of mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER, _NONE = -1, 0
_OWN_CHOICES = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")  # environment variables by which users choose themselves


@contextmanager
def without_collection() -> Iterator[None]:
    """Import without looking for reference cycles meanwhile.

    Imports make a million objects that stay. The collector walks over them again and again: 0.9 of the 4.8 s of
    processor time that the imports of ``fit`` take.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_for_good() -> None:
    """Take all objects that there are now out of the collector's sight.

    It then finishes sooner whenever it runs: called behind the imports, it saves 1.1 of 4.5 s of a prediction of one
    picture, of which 0.8 s are saved at the end of the process, where the collector would look at everything once more;
    the system takes the memory back as a whole.
    """
    gc.freeze()


def reuse_memory() -> bool:
    """Let the C library keep what is freed for the next tensor; return whether it will.

    The GNU library otherwise maps every tensor of some megabytes anew, and the system fills it with zeros page by page:
    a step of ResNet18 on 32 pictures of 224 px took 1.22 s so, and takes 0.96 s from memory that is kept (bf16, 2
    cores). The process keeps what it once had, until `give_back_memory`; its peak rises by a tenth. Where the user has
    chosen by an environment variable, and with other C libraries, nothing is changed.
    """
    set_option = None if any(name.startswith(_OWN_CHOICES) for name in os.environ) else _from_c_library("mallopt")
    return set_option is not None and bool(set_option(_MMAP_MAX, _NONE) and set_option(_TRIM_THRESHOLD, _NEVER))


def give_back_memory() -> None:
    """Give back to the system what was freed, where `reuse_memory` has kept it."""
    trim = _from_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def _from_c_library(name: str) -> ctypes._NamedFuncPointer | None:
    """Return a function of the GNU C library; ``None`` where there is none."""
    try:
        library = ctypes.CDLL(None)
        return getattr(library, name) if hasattr(library, "gnu_get_libc_version") else None
    except (OSError, TypeError):  # Windows has no such name
        return None
