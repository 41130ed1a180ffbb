"""The verb ``cache``: list features, maps and pictures kept under ``.cache/tlearn``, or remove them. Loads no torch."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tlearn.base.errors import TlearnError, unknown
from tlearn.base.feature_store import FOLDER, Entry, entries, remove
from tlearn.cli.arguments import Arguments
from tlearn.data.kept import store as pictures

_SHOWN_DIGITS = 8
_USAGE = "cache ls | cache rm NAME ... | cache rm all"


def run(arguments: Arguments) -> None:
    """List the entries (``ls``), or remove those named (``rm NAME ...``) or all of them (``rm all``).

    Raises:
        TlearnError: Another word, or a name that is not there, or not of one entry alone; nothing is removed then.
    """
    words = arguments.options
    if words == ["ls"] and not arguments.configs:
        _show(_entries())
    elif words[:1] == ["rm"] and words[1:] and not arguments.configs:
        _remove(words[1:])
    else:
        raise TlearnError(f"expected {_USAGE}, got '{' '.join(['cache', *words])}'")


def _entries() -> list[Entry]:
    return [*entries(), *pictures.entries()]


def _show(found: Sequence[Entry]) -> None:
    if not found:
        print(f"no features or pictures in {FOLDER.absolute()}")
        return
    table = Table(box=SIMPLE_HEAD, padding=0)
    for column in ("name", "written", "split", "network", "px", "precision"):
        table.add_column(column, overflow="fold")
    for column in ("images x D", "MB"):
        table.add_column(column, justify="right", no_wrap=True)
    for entry in found:
        table.add_row(*_row(entry))
    Console().print(table)
    print(f"{_count(found)}, {_megabytes(found)} MB in {FOLDER.absolute()}")


def _row(entry: Entry) -> list[str]:
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.written_s))
    start, end = [entry.name[:_SHOWN_DIGITS], written], [_megabytes([entry])]
    if not entry.shape:
        return [*start, "damaged", "-", "-", "-", "-", *end]
    about = entry.about
    if "kept" in about:  # decoded pictures
        size_px = str(about.get("size_px", "a fraction"))
        return [*start, "pictures", str(about["kept"]), size_px, "uint8", str(entry.shape[0]), *end]
    split = f"{about.get('split')} {about['view']}" if "view" in about else str(about.get("split"))
    stages = f"{about['border']} map" if "border" in about else "+".join(map(str, about.get("tap", ())))
    network = f"{about.get('backbone')} {stages}"
    size_px, precision = str(about.get("image_size") or "own"), str(about.get("precision"))
    return [*start, split, network, size_px, precision, " x ".join(map(str, entry.shape)), *end]


def _remove(names: Sequence[str]) -> None:
    found = _entries()
    chosen = found if list(names) == ["all"] else [_named(name, found) for name in dict.fromkeys(names)]
    kept = {entry.name for entry in pictures.entries()}
    for entry in chosen:
        (pictures.remove if entry.name in kept else remove)(entry.name)
    print(f"removed {_count(chosen)}, {_megabytes(chosen)} MB, from {FOLDER.absolute()}")


def _named(name: str, found: Sequence[Entry]) -> Entry:
    matching = [entry for entry in found if entry.name.startswith(name)]
    if len(matching) > 1:
        raise TlearnError(f"'{name}' begins the names of {len(matching)} entries; type more digits, or all")
    if not matching:
        raise unknown("entry of the cache", name, [*(entry.name[:_SHOWN_DIGITS] for entry in found), "all"])
    return matching[0]


def _count(found: Sequence[Entry]) -> str:
    return f"{len(found)} {'entry' if len(found) == 1 else 'entries'}"


def _megabytes(found: Sequence[Entry]) -> str:
    return f"{sum(entry.size_bytes for entry in found) / 1e6:.1f}"
