"""The offline demonstration, whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Tlearn


@pytest.mark.slow
def test_quickstart(tlearn: Tlearn, tmp_path: Path) -> None:
    answer = tlearn("quickstart", "--trainer.default_root_dir", "demo")
    assert answer.code == 0, answer.err
    found = re.search(r"from scratch ([\d.]+)%, transferred from the digits 0-4 ([\d.]+)%", answer.out)
    assert found
    scratch, transferred = map(float, found.groups())
    assert 40 < scratch < transferred
    assert answer.out.count("$ tlearn fit --config quickstart_transfer.yaml") == 2
    assert re.findall(r"^next: .*", answer.out, re.MULTILINE) == ["next: tlearn fit my_pictures"]
    assert answer.out.endswith("\nnext: tlearn fit my_pictures\n")
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["quickstart", "quickstart_transfer"]


def test_quickstart_takes_no_other_option(tlearn: Tlearn) -> None:
    answer = tlearn("quickstart", "--trainer.max_epochs", "1")
    assert answer.code == 2
    assert "quickstart takes no config and no option but --trainer.default_root_dir" in answer.err
