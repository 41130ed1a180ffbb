"""The package keeps its size and its shape: `make figures` prints what is counted here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.figures import figures, functions

LIMITS = {
    "files at the package's top": 4,
    "largest folder, files": 16,
    "longest file, lines": 280,
    "longest function, lines": 50,
    "longest constructor, lines": 64,  # that of TransferModule has a line for each of its 35 options
    "floors": 8,
    "room-to-room arrows": 40,
    "`type: ignore`": 20,
    "README lines": 150,
}


def test_figures_are_within_their_limits() -> None:
    found = figures()
    assert {name: found[name] for name, limit in LIMITS.items() if found[name].value > limit} == {}
    assert all(figure.value > 0 for figure in found.values())


def test_a_function_is_counted_without_its_docstring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tlearn/example.py"
    path.parent.mkdir()
    path.write_text(
        'def one(\n    a,\n):\n    """Two\n\n    lines."""\n    return a\n\n\nclass A:\n    def two(self): ...\n'
    )
    monkeypatch.setattr("tests.project.figures.ROOT", tmp_path)
    assert [(each.name, each.lines) for each in functions(path)] == [("one", 4), ("two", 1)]
