"""Tables with a box in each row: objects inside larger pictures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import COLOURS, CONFIG, picture
from tlearn import ImageTableDataModule
from tlearn.data.images.on_disk import StreamedImages

NAMES = ("cat", "dog", "eel")
BOXES = ((10, 20, 40, 30), (120, 8, 50, 50), (60, 70, 64, 40))
BOX_COLUMN = ("--data.init_args.crop_column", "box")


@pytest.fixture(autouse=True)
def _scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve grey scenes of 192 x 128 px, in each of which lie a cat, a dog and an eel."""
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        scene = Image.new("RGB", (192, 128), (128 + number, 128, 128))
        for name, (x, y, width, height) in zip(NAMES, BOXES, strict=True):
            scene.paste(picture(name, number).resize((width, height)), (x, y))
        scene.save(f"scene{number:02d}.png")
    config = CONFIG.replace("ImageFolderDataModule", "ImageTableDataModule").replace("root: pictures", "table: t.csv")
    Path("table.yaml").write_text(config)


def write(header: Sequence[str], rows: Sequence[Sequence[Any]], path: str = "t.csv") -> str:
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def scenes(count: int = 12) -> list[list[Any]]:
    return [
        [f"scene{number:02d}.png", name, ",".join(map(str, box))]
        for number in range(count)
        for name, box in zip(NAMES, BOXES, strict=True)
    ]


def test_each_box_is_a_picture() -> None:
    write(("path", "label", "box"), scenes())
    data = ImageTableDataModule(
        "t.csv", crop_column="box", size_px=32, crop_mode="letterbox", val_fraction=0.0, task="classification"
    )
    data.setup("fit")
    images = data.dataset("train")
    assert isinstance(images, StreamedImages)
    assert len(images) == 36
    whole = torch.from_numpy(np.array(Image.open("scene03.png"))).permute(2, 0, 1)
    for position, (x, y, width, height) in zip((9, 10, 11), BOXES, strict=True):
        seen = images.pictures.read(position, data.framing).float()
        inner_px = round(32 * height / width)
        bars = (32 - inner_px) // 2
        shown = seen[:, bars : bars + inner_px].mean(dim=(1, 2))
        expected = whole[:, y : y + height, x : x + width].float().mean(dim=(1, 2))
        assert (shown - expected).abs().max() < 1, position
        assert (shown - torch.tensor(COLOURS[NAMES[position % 3]])).abs().max() < 12, position
    assert data.picture_names(torch.tensor([10]), "train") == ["scene03.png#xywh=120,8,50,50"]


def test_a_run_learns_objects_and_predicts_each(tlearn: Tlearn) -> None:
    write(("path", "label", "box"), scenes())
    answer = tlearn("fit", "--config", "table.yaml", *BOX_COLUMN, "--trainer.max_epochs", "6")
    assert answer.code == 0, answer.err
    assert "bit by bit the same" not in answer.err
    assert "two labels" not in answer.err
    answer = tlearn("predict", "--ckpt_path", "runs/table/version_0", "--out", "answers.csv")
    assert answer.code == 0, answer.err
    lines = Path("answers.csv").read_text().splitlines()[1:]
    assert lines
    assert all("#xywh=" in line for line in lines)


def test_four_columns_are_the_same(tlearn: Tlearn) -> None:
    rows = [[path, label, *box.split(",")] for path, label, box in scenes()]
    write(("path", "label", "x", "y", "w", "h"), rows)
    write(("path", "label", "box"), scenes(), "one.csv")
    one = ImageTableDataModule("one.csv", crop_column="box")
    four = ImageTableDataModule("t.csv", crop_column=["x", "y", "w", "h"])
    for data in (one, four):
        data.setup("fit")
    assert one.data_fingerprint == four.data_fingerprint
    assert tlearn("fit", "-c", "table.yaml", "--data.init_args.crop_column", "[x, y, w, h]").code == 0


def test_a_box_over_the_edge_is_cut_and_one_outside_is_named(tlearn: Tlearn) -> None:
    rows = scenes()
    rows[1][2] = "150,100,100,100"  # 42 x 28 px of it lie in the picture
    write(("path", "label", "box"), rows)
    data = ImageTableDataModule("t.csv", crop_column="box", size_px=32)
    data.setup("fit")
    rows[4][2] = "192,0,10,10"
    write(("path", "label", "box"), rows)
    answer = tlearn("fit", "--config", "table.yaml", *BOX_COLUMN)
    assert answer.code == 2
    assert "1 of 36 train pictures cannot be read" in answer.err
    assert "scene01.png (the box 192,0,10,10 lies outside of its 192 x 128 px)" in answer.err
    answer = tlearn("fit", "--config", "table.yaml", *BOX_COLUMN, "--data.init_args.on_error", "skip")
    assert answer.code == 0
    assert "skipped 1 that cannot be read" in answer.err


@pytest.mark.parametrize("cell", ["", "10,20,30", "a,b,c,d", "1,2,0,4", "1,2,3,4,5"])
def test_no_box_is_named_by_its_row(tlearn: Tlearn, cell: str) -> None:
    rows = scenes()
    rows[5][2] = cell
    write(("path", "label", "box"), rows)
    answer = tlearn("fit", "--config", "table.yaml", *BOX_COLUMN)
    assert answer.code == 2
    assert f"t.csv, row 7: '{cell}' is no box; expected x,y,w,h in pixels, w and h of 1 or more" in answer.err
    assert not Path("runs").exists()


def test_the_doctor_takes_objects_for_pictures(tlearn: Tlearn) -> None:
    write(("path", "label", "box"), scenes())
    answer = tlearn("doctor", "--config", "table.yaml", *BOX_COLUMN)
    assert answer.code == 0, answer.err
    assert "train: 36 pictures of 3 classes (cat 12, dog 12, eel 12); PNG; colour; short side 30 to 50 px" in answer.out
    assert "under two labels" not in answer.out
    assert "look alike" not in answer.out
