"""The build that today's tlearn is compared with: commit 7c19e8f, of 26 November 2026, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

COMMIT = "7c19e8f"
REPOSITORY = Path(__file__).resolve().parents[2]
_STAND_INS = Path(__file__).parent / "stand_ins"


def former_build() -> Path:
    """The folder of the former build, laid out from the repository's history once, under ``.cache/bench``.

    Raises:
        RuntimeError: The history does not reach back so far, as in a shallow clone.
    """
    folder = REPOSITORY / ".cache/bench" / COMMIT
    if not (folder / "tlearn").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(
            ["git", "archive", COMMIT, "tlearn", "configs", "pyproject.toml"],
            cwd=REPOSITORY,
            capture_output=True,
            check=False,
        )
        if archive.returncode:
            raise RuntimeError(f"commit {COMMIT} is not in this clone's history: git fetch --unshallow")
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def environment(build: Path) -> dict[str, str]:
    """The environment variables under which a Python process finds a build: `former_build()` or `REPOSITORY`.

    Behind it come this repository, whose benchmarks serve both builds and so must not import tlearn's parts at their
    top, and a stand-in for `imagehash`, which only the former build needs, where that package is not installed.
    """
    paths = [build, REPOSITORY]
    if find_spec("imagehash") is None:
        paths.append(_STAND_INS)
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}


def in_build(build: Path, code: str, folder: Path, *words: str) -> Any:
    """Run Python code on a build, in a process of its own, and return what its last line says in JSON.

    Args:
        build: Where ``tlearn/`` lies: `former_build()` or `REPOSITORY`.
        code: The program; it finds ``words`` in ``sys.argv[1:]``.
        folder: Where it runs, and so where ``runs`` and ``.cache`` come to lie.
        words: Its arguments.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    found = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=environment(build),
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise RuntimeError(f"{build.name}: {found.stderr[-2000:]}")
    return json.loads(found.stdout.splitlines()[-1])
