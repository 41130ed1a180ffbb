"""Figures of the package's structure: `make figures` prints them, test_figures.py holds their limits.

A room is a folder directly in `tlearn/`. The files beside the rooms are left out of arrows and floors.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import grimp

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tlearn"
IGNORE = re.compile(r"#\s*type:\s*ignore")


class Figure(NamedTuple):
    """A number, and where it was found."""

    value: int
    where: str = ""


class Function(NamedTuple):
    """A function, and its lines from `def` to its end without the docstring."""

    name: str
    lines: int
    where: str


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[Function]:
    """Find all functions of a file, also those in classes and in other functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                assert node.body[0].end_lineno is not None
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            yield Function(node.name, lines, f"{node.name} in {place(path)}:{node.lineno}")


def comments(path: Path) -> Iterator[str]:
    with tokenize.open(path) as file:
        yield from (token.string for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT)


def count_lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


@cache
def imports() -> list[tuple[str, str]]:
    """List who imports whom, also within functions: pairs of modules of the package."""
    graph = grimp.build_graph("tlearn", cache_dir=None)
    return sorted((one, other) for one in graph.modules for other in graph.find_modules_directly_imported_by(one))


def arrows() -> set[tuple[str, str]]:
    """Find the pairs of different rooms of which the first imports the second."""
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    found = {(one.split(".")[1], other.split(".")[1]) for one, other in imports() if "." in one and "." in other}
    return {(one, other) for one, other in found if one != other and {one, other} <= rooms}


def height(room: str) -> int:
    """Count the rooms of the longest chain of imports that starts in a room."""
    return 1 + max((height(other) for one, other in arrows() if one == room), default=0)


def modules_with_one_importer() -> int:
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in files() if path.name == "__init__.py"}
    importers = Counter(other for _, other in imports() if other not in packages)
    return sum(count == 1 for count in importers.values())


def figures() -> dict[str, Figure]:
    """Count everything anew."""
    paths = files()
    folders = Counter(place(path.parent) for path in paths)
    folder, folder_files = folders.most_common(1)[0]
    longest = max(paths, key=count_lines)
    found = [function for path in paths for function in functions(path)]
    function = max((each for each in found if each.name != "__init__"), key=lambda each: each.lines)
    constructor = max((each for each in found if each.name == "__init__"), key=lambda each: each.lines)
    rooms = sorted({path.relative_to(PACKAGE).parts[0] for path in paths if path.parent != PACKAGE})
    highest = max(rooms, key=height)
    modules = sum(path.name != "__init__.py" for path in paths)
    return {
        "files at the package's top": Figure(folders["tlearn"]),
        "largest folder, files": Figure(folder_files, folder),
        "longest file, lines": Figure(count_lines(longest), place(longest)),
        "longest function, lines": Figure(function.lines, function.where),
        "longest constructor, lines": Figure(constructor.lines, constructor.where),
        "rooms": Figure(len(rooms), ", ".join(rooms)),
        "floors": Figure(height(highest), f"from {highest} down"),
        "room-to-room arrows": Figure(len(arrows())),
        "modules with one importer": Figure(modules_with_one_importer(), f"of {modules}"),
        "`type: ignore`": Figure(sum(bool(IGNORE.match(comment)) for path in paths for comment in comments(path))),
        "package lines": Figure(sum(map(count_lines, paths))),
        "README lines": Figure(count_lines(ROOT / "README.md")),
    }


def main() -> None:
    print("| figure | value | where |\n|---|---|---|")
    for name, figure in figures().items():
        print(f"| {name} | {figure.value:,} | {figure.where} |")


if __name__ == "__main__":
    main()
