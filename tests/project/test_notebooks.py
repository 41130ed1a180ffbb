"""The notebooks run from the first cell to the last, and are stored with the outputs of the present code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest

from tests.project.notebooks import NOTEBOOKS, code_cells, lasting, run

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.name))


@each_notebook
def test_outputs_are_stored_and_fit_to_be_shown(path: Path) -> None:
    text = path.read_text("utf-8")
    notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("answers" in output.get("text", "") for output in outputs)
    assert len(text) < 300_000
    pictures = ("image/png", "image/jpeg")  # whose letters may spell anything
    parts = [part for output in outputs for part in output.get("data", output).items()]
    shown = json.dumps([content for kind, content in parts if kind not in pictures])
    assert re.findall(r"/tmp/|/home/|/work/|/root/|\\u001b|\\r|Warning|it/s|about .{1,9} left|Traceback", shown) == []
    assert [cell.execution_count for cell in code_cells(notebook)] == [*range(1, len(code_cells(notebook)) + 1)]


@pytest.mark.slow
@each_notebook
# jupyter's own: a ResourceWarning or DeprecationWarning of its event loop is none of ours.
@pytest.mark.filterwarnings("ignore")
def test_stored_outputs_are_of_the_present_code(path: Path, tmp_path: Path) -> None:
    stored = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    assert lasting(run(path, tmp_path)) == lasting(stored), f"make notebooks stores {path.name} anew"
