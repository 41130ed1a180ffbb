"""The lowest releases that pyproject.toml allows; `make test-floors` installs them."""

from __future__ import annotations

import pytest

from tests.project.floors import floor_of, main, requirements

TOOLS = "dev"


def test_developers_get_every_extra_at_its_own_floor() -> None:
    groups = requirements()
    developers = {each.name: floor_of(each) for each in groups[TOOLS]}
    for extra, group in groups.items():
        if extra not in ("", TOOLS):
            assert {each.name: floor_of(each) for each in group}.items() <= developers.items(), extra


def test_every_package_has_a_floor_that_can_be_installed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    lines = capsys.readouterr().out.splitlines()
    named = {each.name for extra, group in requirements().items() if extra != TOOLS for each in group}
    assert len(lines) == len(named)
    assert "torch==2.9.*" in lines
