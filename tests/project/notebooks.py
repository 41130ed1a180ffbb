"""Run the notebooks, store what they show, and say what of it must be the same on every machine.

``python -m tests.project.notebooks`` (``make notebooks``) runs all of them, or those that are named, and stores what
they show.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
VARIES = "output-varies"  # tag of a cell whose words, not only its numbers, may change with the machine
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_NUMBER = re.compile(r"\d[\d.,]*(e-\d+)?")
_BOX = re.compile(r"[\u2500-\u257f]+")  # of tables, whose width changes with the numbers
_PROGRESS = re.compile(r"^.*, about \S+ (s|min|h) left\n", re.MULTILINE)  # what a busy machine prints every 30 s
_CALIBRATION = re.compile(r"^calibrated .*$", re.MULTILINE)
_LONGEST_S = 900


def run(path: Path, folder: Path) -> Any:
    """Run a notebook in an empty folder, with one thread, and return it with its outputs as `main` stores them."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=_LONGEST_S, resources={"metadata": {"path": str(folder)}}, record_timing=False
    )
    client.execute(env={**os.environ, "OMP_NUM_THREADS": "1"})
    notebook.metadata["language_info"] = {"name": "python"}  # without this machine's version of it
    for cell in code_cells(notebook):
        cell.outputs = _joined(_without_progress(cell.outputs))
        for output in cell.outputs:
            _clean(output, str(folder.resolve()))
    return notebook


def code_cells(notebook: Any) -> list[Any]:
    """Return the cells that are run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def lasting(notebook: Any) -> list[tuple[Counter[str], list[str]]]:
    """Return of each cell the words it shows, numbers masked, and the kinds of its other outputs.

    Left out are the error stream, which says what a machine is like (cores, precision, seconds that are left), the line
    on the calibration, whose gain on few images hangs on a processor's last digits, and the words of cells with the tag
    `VARIES`.
    """
    found = []
    for cell in code_cells(notebook):
        words = [] if VARIES in cell.metadata.get("tags", []) else [_masked(text) for text in _texts(cell)]
        kinds = [kind for output in cell.outputs for kind in sorted(output.get("data", {}))]
        found.append((Counter(" ".join(words).split()), kinds))
    return found


def _texts(cell: Any) -> Iterator[str]:
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            yield output.text
        elif "data" in output:
            yield output.data.get("text/html", output.data.get("text/plain", ""))


def _masked(text: str) -> str:
    return _NUMBER.sub("#", _BOX.sub("-", _CALIBRATION.sub("", text)))


def _without_progress(outputs: list[Any]) -> list[Any]:
    for output in outputs:
        if output.output_type == "stream":
            output.text = _PROGRESS.sub("", output.text)
    return [output for output in outputs if output.get("text", "some")]


def _joined(outputs: list[Any]) -> list[Any]:
    """Join neighbours of one stream, which the kernel sends line by line."""
    found: list[Any] = []
    for output in outputs:
        if found and output.output_type == "stream" == found[-1].output_type and output.name == found[-1].name:
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def _clean(output: Any, folder: str) -> None:
    """Take out colours of a terminal, the folder of this run, and the plain twin of what is shown as HTML."""
    if "text/html" in output.get("data", {}):
        output.data.pop("text/plain", None)
    if "text" in output:
        output.text = _ANSI.sub("", output.text).replace(f"{folder}/", "")
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/"):
            output.data[kind] = _ANSI.sub("", content).replace(f"{folder}/", "")


def main(names: list[str]) -> None:
    """Run the notebooks whose names begin with one of ``names``, all by default, and store them."""
    for path in NOTEBOOKS:
        if not names or path.name.startswith(tuple(names)):
            with tempfile.TemporaryDirectory() as folder:
                notebook = run(path, Path(folder))
            nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
            print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
