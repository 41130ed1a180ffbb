"""Tell what a word behind a verb names: a folder of pictures, a table, a config, a run. Nothing heavy is imported."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from tlearn.base.places import DEFAULT_ROOT, version_of

Kind = Literal["folder", "shards", "table", "config", "run", "runs", "checkpoint", "file", "nothing"]

CONFIG_ENDINGS = (".yaml", ".yml", ".json")
TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson", ".xlsx")
_SHARD_INDEX = "tlearn.json"  # `tlearn.data.shards.index.INDEX`, which numpy stands before


def kind_of(word: str) -> Kind:
    """Tell what a word names; a config need not be there, one may ship under this name."""
    if "://" in word:
        return "shards"
    path = Path(word).expanduser()
    if path.is_dir():
        return _kind_of_folder(path)
    ending = path.suffix.lower()
    if ending in CONFIG_ENDINGS:
        return "config"
    if not path.is_file():
        return "nothing"
    if ending in TABLE_ENDINGS:
        return "table"
    return "checkpoint" if ending == ".ckpt" else "file"


def _kind_of_folder(path: Path) -> Kind:
    if holds_runs(path):
        return "runs"
    if _is_run(path) or any(path.glob("*.ckpt")):
        return "run"
    return "shards" if (path / _SHARD_INDEX).is_file() else "folder"


def holds_runs(folder: Path) -> bool:
    """Tell whether a folder is that of a config's or data set's runs: ``version_0`` and so on."""
    return any(version_of(path) >= 0 and _is_run(path) for path in folder.glob("version_*"))


def _is_run(folder: Path) -> bool:
    """Tell a run, also one that was stopped before its first checkpoint."""
    is_begun = version_of(folder) >= 0 and (folder / "config.yaml").is_file()
    return is_begun or (folder / "checkpoints").is_dir()


def name_of(word: str) -> str:
    """Name the runs on a folder or a table after it; a link by its own name."""
    path = Path(word).expanduser()
    path = path if path.name.strip(".") else path.resolve()
    return (path.name if path.is_dir() else path.stem) or "default"


def names_of_runs(root: Path) -> list[Path]:
    """List the folders below ``runs`` that hold runs."""
    return sorted(path for path in root.glob("*") if path.is_dir() and holds_runs(path)) if root.is_dir() else []


def runs_named(word: str) -> Path | None:
    """Return the folder with the runs of a name, of a folder of pictures or of a table, if there is one."""
    names = dict.fromkeys((word, name_of(word)))
    return next((path for name in names if name and holds_runs(path := Path(DEFAULT_ROOT, name))), None)


def near(word: str) -> str:
    """Return what lies beside a missing file and has nearly its name, for messages; empty if nothing has."""
    path = Path(word).expanduser()
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    found = get_close_matches(path.name, beside, n=1, cutoff=0.7)
    return str(path.parent / found[0]) if found else ""
