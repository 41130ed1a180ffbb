"""Every YAML under configs/ runs for one batch through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_splits, write_table
from tlearn.cli.config_files import configs_folder, shipped_configs


@pytest.mark.pictures
@pytest.mark.parametrize("name", shipped_configs())
def test_fits_one_batch(name: str, tlearn: Tlearn, cifar_root: Path, tmp_path: Path) -> None:
    text = (configs_folder() / name).read_text()
    behind = ["--config", "quickstart.yaml"] if name.startswith("cluster/") else []
    words = ["fit", *behind, "--config", name, "--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu"]
    words += ["--model.weights", "null", "--data.init_args.batch_size", "4"]
    if "CIFAR10DataModule" in text:
        words += ["--data.init_args.root", str(cifar_root)]
    if "ImageFolderDataModule" in text:
        words += ["--data.init_args.root", str(write_splits(tmp_path / "pictures")), "--model.image_size", "32"]
    if "StreamingDataModule" in text:
        assert tlearn("optimize", str(write_splits(tmp_path / "pictures")), str(tmp_path / "shards")).code == 0
        words += ["--data.init_args.root", str(tmp_path / "shards"), "--model.image_size", "32"]
    if "ImageTableDataModule" in text:
        words += ["--data.init_args.table", str(write_table(tmp_path)), "--model.image_size", "32"]
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    assert "epoch 1/1  train loss" in answer.out


@pytest.mark.parametrize("name", shipped_configs())
def test_header_states_command_and_result(name: str) -> None:
    header = (configs_folder() / name).read_text().split("\nseed_everything")[0].split("\ntrainer")[0]
    assert f"tlearn fit {name}" in header or f"--config {name}" in header
    assert "easured" in header
    assert "MEASURED" not in header


def test_leaves_nothing_behind(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "--config", small, "--trainer.fast_dev_run", "true").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.yaml"]
