"""Paths that lead nowhere: when most do, the folder or the table's column is wrong."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tlearn.data.files.listing import number_of
from tlearn.data.sources.table_paths import is_of_windows

_NO_FILE = os.strerror(errno.ENOENT)


def misplaced(faults: Mapping[str, str], count: int, root: Path) -> str:
    """Say that most files are looked for in the wrong place; empty where most are there.

    Args:
        faults: Path as it was given -> why the file gives no picture.
        count: How many files were looked for.
        root: The folder that paths are relative to.
    """
    missing = missing_files(faults)
    if 2 * len(missing) <= count:
        return ""
    of_windows = next((name for name in missing if is_of_windows(name) or (os.sep == "/" and "\\" in name)), None)
    first = of_windows or missing[0]
    about = "a path of Windows" if of_windows else f"looked for at {(root / first).absolute()}"
    return (
        f"{len(missing)} of {number_of(count, 'picture')} do not lie under {root.absolute()}: the first is {first}, "
        f"{about}; give the folder that paths start from as data.init_args.root, or mend the paths"
    )


def missing_files(faults: Mapping[str, str]) -> Sequence[str]:
    """Return the files that are not there."""
    return [name for name, why in faults.items() if why == _NO_FILE]
