"""What the tests of a race share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.fake_pictures import write_folder


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    write_folder(tmp_path / "pictures", count=10)
    return "pictures"
