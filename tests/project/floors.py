"""Print the lowest releases that pyproject.toml allows, as constraints: ``python -m tests.project.floors``.

Of ``torch>=2.9,<3`` that is ``torch==2.9.*``. A resolver that is only asked for the lowest may take a higher release of
one package for the sake of the newest release of another.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def requirements() -> dict[str, list[Requirement]]:
    """Return the requirements of pyproject.toml by extra; those that everybody gets under ``""``."""
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: [Requirement(words) for words in group] for extra, group in groups.items()}


def floor_of(requirement: Requirement) -> str:
    """Return the version behind ``>=``."""
    (floor,) = [each.version for each in requirement.specifier if each.operator == ">="]
    return floor


def main() -> None:
    """Print a line for each package that tlearn imports; the developers' own tools may be newer."""
    found = {each.name: floor_of(each) for extra, group in requirements().items() if extra != "dev" for each in group}
    for name, floor in sorted(found.items()):
        print(f"{name}=={floor}.*")


if __name__ == "__main__":
    main()
