"""What a fit on a folder needs more than once is done once: decoding its pictures, and reading its checkpoint."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, write_splits
from tlearn.data.files.reading import Framing
from tlearn.data.images.frames import Frames
from tlearn.data.images.on_disk import FilePictures
from tlearn.models.weights.safe_load import read_checkpoint

SIDE_PX = 32


@pytest.mark.pictures
def test_a_fit_decodes_each_picture_once_and_reads_its_checkpoint_once(
    tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, read = Counter[Path](), Counter[str]()
    as_it_is = FilePictures.read

    def counted(self: FilePictures, position: int, framing: Framing, draws: Tensor | None = None) -> Tensor:
        if framing.size_px == SIDE_PX:  # the report shows some at its own size
            decoded[self.path(position)] += 1
        return as_it_is(self, position, framing, draws)

    def counted_checkpoint(path: Path) -> dict[str, Any]:
        read[Path(path).name] += 1
        return read_checkpoint(path)

    monkeypatch.setattr(FilePictures, "read", counted)
    monkeypatch.setattr("tlearn.reporting.best_network.read_checkpoint", counted_checkpoint)
    write_splits(Path("pictures"))
    Path("folder.yaml").write_text(CONFIG, encoding="utf-8")
    words = ("--model.freeze_backbone", "true", "--model.head_solver", "lbfgs", "--model.image_size", str(SIDE_PX))
    answer = tlearn("fit", "--config", "folder.yaml", "--trainer.max_epochs", "1", *words)
    assert answer.code == 0, answer.err
    assert "is missing" not in answer.err
    assert len(decoded) == 36  # 24 to train, 12 to validate
    assert set(decoded.values()) == {1}
    assert read == {"best.ckpt": 1}


def test_frames_keep_no_more_than_they_may() -> None:
    frames, reads = Frames(most_bytes=20), Counter[int]()

    def picture(row: int) -> Tensor:
        reads[row] += 1
        return torch.full((10,), row, dtype=torch.uint8)

    for _ in range(2):
        assert [int(frames.get(row, partial(picture, row))[0]) for row in range(4)] == [0, 1, 2, 3]
    assert reads == {0: 1, 1: 1, 2: 2, 3: 2}
