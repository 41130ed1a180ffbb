"""What several test files of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_cifar import patch_checksums, write_fake_cifar10


@pytest.fixture
def cifar_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with 100 training and 20 test images, whose checksums torchvision takes for the right ones."""
    root = tmp_path / "whole"
    write_fake_cifar10(root, per_class_train=10, per_class_test=2)
    patch_checksums(monkeypatch, root)
    return root
