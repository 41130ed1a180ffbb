"""Pictures of other than three channels in TensorBoard, in the report and in Grad-CAM."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import bands_of
from tests.helpers.runs import events
from tests.training.test_channels import BANDS
from tlearn import TransferModule
from tlearn.reporting.grad_cam import grad_cam
from tlearn.reporting.pictures import colour_note, in_colours


def test_channels_become_colours() -> None:
    images, _ = bands_of(5, 8, 2)
    assert torch.equal(in_colours(images), images[:, :3])
    assert torch.equal(in_colours(images[:, :3]), images[:, :3])
    assert torch.equal(in_colours(images[:, 3:4]), images[:, [3, 3, 3]])
    two = in_colours(images[:, 1:3])
    assert torch.equal(two[:, :2], images[:, 1:3])
    assert not two[:, 2].any()
    assert [colour_note(channels) for channels in (1, 2, 3, 5)] == [
        "",
        "channels 1 and 2 as red and green",
        "",
        "channels 1 to 3 of 5 as red, green, blue",
    ]


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_grad_cam_takes_any_number(channels: int) -> None:
    module = TransferModule(2, weights=None, tap="layer1", in_channels=channels)
    module.preprocess.set_statistics([0.5] * channels, [0.25] * channels)
    images, targets = bands_of(channels, 32, 4)
    heat = grad_cam(module, images, targets)
    assert heat.shape == (4, 32, 32)
    assert heat.isfinite().all()


@pytest.mark.pictures
@pytest.mark.parametrize("channels", [1, 5])
def test_a_run_draws_its_pictures(
    channels: int, tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLEARN_TRUST", "tests")
    Path("small.yaml").write_text(BANDS.replace("lr: 0.05", "lr: 1.0e-9"))  # it learns nothing, and so makes mistakes
    words = ["--model.in_channels", str(channels), "--data.bands", str(channels), "--model.tap", "layer1"]
    answer = tlearn("fit", "-c", "small.yaml", *words)
    assert answer.code == 0, answer.err
    assert "is missing" not in answer.err
    shown = events(tmp_path).Tags()["images"]
    assert {"data/train", "data/val", "val/worst_mistakes", "val/grad_cam"} <= set(shown)
    run = tmp_path / "runs/small/version_0"
    evaluation = json.loads((run / "evaluation/val.json").read_text())
    assert evaluation["worst"]
    page, note = (run / "report.html").read_text(), "channels 1 to 3 of 5 as red, green, blue"
    assert evaluation.get("colours") == (note if channels == 5 else None)
    assert page.count(f"Shown are {note}.") == (channels == 5)
