"""A batch unpacks into its three tensors, and says which pictures of files to predict for could not be read."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.plugins import HalfPrecision
from PIL import Image
from torch.utils.data import default_collate

from tlearn.base.types import Batch
from tlearn.data.sources.to_predict import UNREADABLE, PredictFilesDataModule

PARTS = torch.zeros(2, 3, 4, 4), torch.arange(2), torch.arange(2)


def test_a_batch_unpacks_into_three_tensors() -> None:
    batch = Batch(*PARTS)
    images, targets, indices = batch
    assert (images is batch.images, targets is batch.targets, indices is batch.indices) == (True, True, True)
    assert batch.faults is None
    assert Batch(*(part.clone() for part in batch)).faults is None
    alone = Batch(images[0], targets[0], indices[0])
    assert default_collate([alone, alone]).images.shape == images.shape


@pytest.mark.parametrize(
    "rebuild",
    [
        lambda batch: pickle.loads(pickle.dumps(batch)),
        lambda batch: batch._replace(images=batch.images + 1),
        lambda batch: move_data_to_device(batch, torch.device("cpu")),
        lambda batch: HalfPrecision("bf16-true").convert_input(batch),
    ],
)
def test_faults_survive_whatever_rebuilds_a_batch(rebuild: Any) -> None:
    batch = rebuild(Batch(*PARTS, ["", "truncated"], ["too bright", ""]))
    assert type(batch) is Batch
    assert batch.remarks == ["too bright", ""]
    assert rebuild(Batch(*PARTS, ["", "truncated"])).remarks is None
    assert batch.faults == ["", "truncated"]
    assert "truncated" in repr(batch)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_unreadable_file_is_named_by_its_batch(num_workers: int, tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    data = PredictFilesDataModule(str(tmp_path), size_px=8, num_workers=num_workers)
    (batch,) = data.predict_dataloader()
    assert batch.faults is not None
    assert [bool(fault) for fault in batch.faults] == [False, True]
    assert batch.targets.tolist() == [0, UNREADABLE]
    assert batch.images.amax(dim=(1, 2, 3)).tolist() == [255, 0]


def test_an_unreadable_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.png").write_bytes(b"no picture")
    read: list[Path] = []

    def count(path: Path) -> bytes:
        read.append(path)
        return path.read_bytes()

    monkeypatch.setattr("tlearn.data.files.reading.read_bytes", count)
    (batch,) = PredictFilesDataModule(str(tmp_path), size_px=8).predict_dataloader()
    assert batch.faults == ["no picture format"]
    assert len(read) == 1
