"""Names and paths of 0.1 that configs and scripts hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import tlearn
from tests.conftest import Tlearn
from tlearn.base.old_names import _MOVED, _STRATEGIES


@pytest.mark.parametrize("old", sorted(_MOVED))
def test_a_module_is_found_under_its_old_path(old: str) -> None:
    import_module(_MOVED[old])
    assert import_module(old).__name__ == old


def names_of(package: ModuleType) -> list[str]:
    """The keys of the table in a folder's ``__init__``."""
    tables = (
        node for node in ast.walk(ast.parse(Path(str(package.__file__)).read_text())) if isinstance(node, ast.Dict)
    )
    return [str(key.value) for table in tables for key in table.keys if isinstance(key, ast.Constant)]


@pytest.mark.parametrize("folder", ["tlearn", "tlearn.data", "tlearn.models", "tlearn.deploy", "tlearn.reporting"])
def test_every_public_name_has_a_home(folder: str) -> None:
    package = import_module(folder)
    names = names_of(package)
    assert len(names) >= 12
    for name in names:
        assert getattr(package, name) is not None


def test_the_folder_that_is_no_more_still_names_its_callbacks() -> None:
    package = import_module("tlearn.strategies")
    for name in _STRATEGIES:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError):
        package.Nothing  # noqa: B018


def test_an_old_path_gives_the_very_class() -> None:
    from tlearn.errors import TlearnError  # type: ignore[import-not-found]
    from tlearn.models.module import TransferModule  # type: ignore[import-not-found]

    assert TlearnError is tlearn.TlearnError
    assert TransferModule is tlearn.TransferModule
    with pytest.raises(AttributeError):
        import_module("tlearn.errors").Nothing  # noqa: B018


@pytest.mark.parametrize("path", ["tlearn.data.digits.DigitsDataModule", "tlearn.DigitsDataModule", "DigitsDataModule"])
def test_a_config_names_data_in_any_of_these_ways(tlearn: Tlearn, path: str) -> None:
    answer = tlearn("fit", "--data", path, "--print_config")
    assert answer.code == 0, answer.err
    assert "DigitsDataModule\n" in answer.out.split("class_path: tlearn.")[-1]


def test_load_needs_no_lightning() -> None:
    code = "import sys, tlearn; tlearn.load; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"lightning", "pytorch_lightning", "torchmetrics"} & set(loaded)
