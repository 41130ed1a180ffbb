"""The benchmarks run, and say what they measured; their figures are no matter for tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import table
from tests.helpers.fake_cifar import patch_checksums, write_fake_cifar10


def test_a_table_is_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    write_fake_cifar10(root, per_class_train=20, per_class_test=2)
    patch_checksums(monkeypatch, root)
    table.main(["--root", str(root), "--only", "memory", "serving", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "| gradient and momentum of a 32 px fine-tuning | -0.62 | -0.621 of memory | 1 |" in printed
    assert printed.rstrip().endswith((tmp_path / "bench.md").read_text().rstrip())
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["figures"][0]["detail"]["numbers"] == 4_234_826
    assert report["machine"]["torch"] == torch.__version__.partition("+")[0]
    assert report["figures"][1]["value"] > 1000


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        table.main(["--gpu"])
    assert "no GPU found" in capsys.readouterr().err
