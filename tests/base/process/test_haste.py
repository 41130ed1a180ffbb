"""What a command's own process sets for itself, and a notebook's process is spared."""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys

import pytest

from tlearn.base.process.haste import without_collection

# 40 times 16 MB, written whole: how many pages did the system have to fill with zeros?
_FAULTS = """
import json, resource, sys
from tlearn.base.process.haste import give_back_memory, reuse_memory
kept = reuse_memory() if sys.argv[1] == "kept" else None
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(40):
        b"x" * 16_000_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
faults()
found = faults()
held = resident()
give_back_memory()
print(json.dumps([kept, found, held - resident()]))
"""
_FROZEN = """
import gc, json, sys
from tlearn.cli import main
sys.argv = ["tlearn", "--version"]
code = main() if sys.argv[0] and {own} else main(["--version"])
print(json.dumps([code, gc.get_freeze_count() > 0]))
"""
gnu_only = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of the GNU C library")


def _said(code: str, *words: str, **variables: str) -> list[object]:
    run = subprocess.run(
        [sys.executable, "-c", code, *words], env=os.environ | variables, capture_output=True, text=True, check=True
    )
    found: list[object] = json.loads(run.stdout.splitlines()[-1])
    return found


@gnu_only
def test_memory_that_is_kept_needs_no_new_pages() -> None:
    kept, faults, given_back = _said(_FAULTS, "kept")
    assert kept is True
    assert isinstance(faults, int)
    assert faults < 1000, "40 times 16 MB are 156,000 pages"
    assert isinstance(given_back, int)
    assert given_back > 10e6
    _, faults, _ = _said(_FAULTS, "as it is", MALLOC_MMAP_THRESHOLD_="131072")
    assert isinstance(faults, int)
    assert faults > 100_000


@gnu_only
def test_the_users_own_choice_of_an_allocator_stays() -> None:
    kept, *_ = _said(_FAULTS, "kept", MALLOC_ARENA_MAX="2")
    assert kept is False


def test_the_collector_runs_again_after_imports() -> None:
    def imported() -> None:
        with without_collection():
            assert not gc.isenabled()
            raise ImportError

    with pytest.raises(ImportError):
        imported()
    assert gc.isenabled()


@pytest.mark.parametrize("own", [True, False])
def test_only_the_commands_own_process_is_frozen(own: bool) -> None:
    assert _said(_FROZEN.format(own=own)) == [0, own]
