"""The ladder of imports, checked: a file imports from lower rungs, or from files of its own folder, in no circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "tlearn"
RUNGS = {
    "errors": 0,
    "types": 0,
    "feature_store": 0,
    "name_forms": 0,
    "plain_values": 0,
    "outputs": 0,
    "processes": 0,
    "runs": 0,
    "threads": 0,
    "version": 0,
    "data": 1,
    "models": 2,
    "strategies": 3,
    "reporting": 4,
    "deploy": 5,
}
TOP = 6  # the package's own __init__ and every top-level module that is not named above
STRANGERS = {"data", "models"}  # never import each other, though one is the lower


class Import(NamedTuple):
    """One import of one module of the package: who, where, and the dotted name of what."""

    source: str
    path: Path
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.source} imports {self.target}"


def modules(package: Path) -> dict[str, Path]:
    """Dotted name -> file, a folder's ``__init__`` under the folder's own name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_names(node: ast.AST, source: str, path: Path) -> list[str]:
    """The dotted names that an import statement may load: the module, and each name as if it were a submodule."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    parts = source.split(".")
    folder = parts if path.name == "__init__.py" else parts[:-1]
    base = folder[: len(folder) - node.level + 1] if node.level else []
    module = ".".join([*base, *([node.module] if node.module else [])])
    if module == source.split(".")[0]:
        return [module]  # also for a submodule: it is asked of the package root
    return [f"{module}.{alias.name}" for alias in node.names]


def imports(package: Path) -> Iterator[Import]:
    """Every import of the package's own modules, those inside functions and under TYPE_CHECKING too."""
    known = modules(package)
    for source, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in imported_names(node, source, path):
                if name.split(".")[0] == package.name:
                    target = name if name in known else name.rpartition(".")[0] or name
                    yield Import(source, path, getattr(node, "lineno", 0), target)


def part(module: str) -> str:
    """The folder or top-level file that a module belongs to; empty for the package root."""
    return (module.split(".")[1:] or [""])[0]


def fault(found: Import) -> str | None:
    """What is wrong with one import, or None."""
    source, target = part(found.source), part(found.target)
    rung, target_rung = RUNGS.get(source, TOP), RUNGS.get(target, TOP)
    if not target:
        return f"{found}: name the module instead of the package root"
    if found.source.startswith(f"{found.target}."):
        return f"{found}: name the file instead of the folder's own __init__"
    if {source, target} == STRANGERS:
        return f"{found}: data and models never import each other"
    if target_rung > rung:
        return f"{found}: a step up, from rung {rung} to rung {target_rung}"
    return None


def circles(found: list[Import]) -> list[str]:
    """The first circle between modules, as one line, if there is one."""
    graph: dict[str, set[str]] = {}
    for one in found:
        graph.setdefault(one.source, set()).add(one.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        members = set(error.args[1])
        steps = (str(one) for one in found if {one.source, one.target} <= members)
        return ["a circle: " + "; ".join(steps)]
    return []


def faults(package: Path) -> list[str]:
    """Everything that breaks the ladder in the package at this path."""
    found = list(imports(package))
    return [text for one in found if (text := fault(one))] + circles(found)


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """Write a made-up package ``tlearn`` with these files; folders get an empty ``__init__``."""
    package = root / "tlearn"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    return package


def test_ladder_holds() -> None:
    found = faults(PACKAGE)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            {"data/a.py": "def f():\n    from tlearn.strategies.s import x\n", "strategies/s.py": "x = 1\n"},
            "data/a.py:2: tlearn.data.a imports tlearn.strategies.s: a step up, from rung 1 to rung 3",
            id="step-up",
        ),
        pytest.param(
            {"errors.py": "import os\nfrom .cli import main\n", "cli.py": "main = 1\n"},
            "errors.py:2: tlearn.errors imports tlearn.cli: a step up, from rung 0 to rung 6",
            id="relative",
        ),
        pytest.param(
            {"models/m.py": "from tlearn.data import a\n", "data/a.py": "\n"},
            "models/m.py:1: tlearn.models.m imports tlearn.data.a: data and models never",
            id="strangers",
        ),
        pytest.param(
            {"cli.py": "from tlearn import __version__\n"}, "cli.py:1: tlearn.cli imports tlearn: ", id="root"
        ),
        pytest.param({"cli.py": "from . import errors\n"}, "cli.py:1: tlearn.cli imports tlearn: ", id="relative-root"),
        pytest.param({"cli.py": "import tlearn\n"}, "cli.py:1: tlearn.cli imports tlearn: ", id="plain-root"),
        pytest.param(
            {"data/a.py": "from tlearn.data import Thing\n"},
            "data/a.py:1: tlearn.data.a imports tlearn.data: name the file",
            id="own-folder",
        ),
        pytest.param(
            {"data/a.py": "from tlearn.data.b import x\n", "data/b.py": "from tlearn.data import a\n"},
            "a circle: ",
            id="circle",
        ),
    ],
)
def test_fault_is_found(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    found = faults(write_tree(tmp_path, files))
    assert len(found) == 1, found
    assert expected in found[0]


def test_circle_names_every_step(tmp_path: Path) -> None:
    files = {f"data/{a}.py": f"from tlearn.data.{b} import x\n" for a, b in ("ab", "bc", "ca")}
    (found,) = faults(write_tree(tmp_path, files))
    for name in "abc":
        assert f"data/{name}.py:1: " in found


def test_what_the_ladder_allows(tmp_path: Path) -> None:
    files = {
        "cli.py": "from tlearn.data import Thing\nfrom tlearn.runs import x\nimport tlearn.models.m\nimport torch\n",
        "runs.py": "from tlearn.errors import x\n",
        "data/__init__.py": "from tlearn.data.a import Thing\n",
        "data/a.py": "from tlearn.data.b import x\nfrom tlearn.errors import y\n",
        "data/b.py": "from tlearn.types import Batch\n",
        "models/m.py": "from ..types import Batch\n",
        "errors.py": "",
        "types.py": "",
    }
    assert faults(write_tree(tmp_path, files)) == []


def test_import_is_light() -> None:
    code = "import sys, tlearn, tlearn.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "torchvision", "lightning", "pytorch_lightning"} & set(loaded)
