"""Fits on pictures of one, two and five channels: the command line, from the statistics to the card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import BandsDataModule, bands_of
from tests.helpers.runs import assert_same, entries, last
from tests.helpers.two_processes import TWO, done, weights
from tlearn import TransferModule
from tlearn.base.errors import TlearnError
from tlearn.training.channels import pixel_statistics

BANDS = """
seed_everything: 0
trainer: {max_epochs: 2, accelerator: cpu, precision: 32-true}
model:
  weights: null
  in_channels: 5
  optimizer: {class_path: SGD, init_args: {lr: 0.05, momentum: 0.9}}
data:
  class_path: tests.helpers.fake_pictures.BandsDataModule
  init_args: {bands: 5, batch_size: 8, val_fraction: 0.25, count: 24}
"""
SMALL = ("--model.tap", "layer1")


@pytest.fixture
def bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TLEARN_TRUST", "tests")
    (tmp_path / "bands.yaml").write_text(BANDS)
    return "bands.yaml"


def of(channels: int) -> tuple[str, ...]:
    return ("--model.in_channels", str(channels), "--data.bands", str(channels))


def training_pixels(channels: int) -> torch.Tensor:
    data = BandsDataModule(channels, val_fraction=0.25, count=24)
    data.setup("fit")
    images, _ = bands_of(channels, 16, 24)
    return images[data.dataset("train").indices].double() / 255


@pytest.mark.parametrize("network", [SMALL, ("--model.backbone", "timm/test_resnet")])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_statistics_are_those_of_the_training_images(
    channels: int, network: tuple[str, ...], tlearn: Tlearn, bands: str, tmp_path: Path
) -> None:
    answer = tlearn("fit", "-c", bands, *of(channels), *network)
    assert answer.code == 0, answer.err
    assert "measured in all 18 training images" in answer.err
    pixels, state = training_pixels(channels), last(tmp_path, run="bands")["state_dict"]
    mean, std = pixels.mean(dim=(0, 2, 3)), pixels.std(dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(state["preprocess.mean"].double(), mean, rtol=0, atol=1e-7)
    torch.testing.assert_close(state["preprocess.std"].double(), std, rtol=0, atol=1e-7)
    card = json.loads((tmp_path / "runs/bands/version_0/card.json").read_text())
    assert card["pixels"]["channels"] == channels
    assert card["pixels"]["mean"] == state["preprocess.mean"].tolist()
    words = " ".join(f"{value:.4g}" for value in mean.tolist())
    for page in ("card.md", "report.html"):
        assert words in (tmp_path / "runs/bands/version_0" / page).read_text()
    found = [card["best"]["metrics"]["val/loss"]]
    answer = tlearn("validate", "--ckpt_path", "runs/bands/version_0")
    assert answer.code == 0, answer.err
    assert "measured" not in answer.err
    assert answer.result["loss"] == f"{found[0]:.4f}"


def test_given_statistics_are_taken(tlearn: Tlearn, bands: str, tmp_path: Path) -> None:
    given = ["--model.pixel_mean", "[0.1, 0.2]", "--model.pixel_std", "[0.3, 0.4]"]
    answer = tlearn("fit", "-c", bands, *of(2), *SMALL, *given)
    assert answer.code == 0, answer.err
    assert "measured" not in answer.err
    state = last(tmp_path, run="bands")["state_dict"]
    assert state["preprocess.mean"].tolist() == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize("options", [(), ("--trainer.callbacks+=EMAWeightAveraging",)])
def test_resumed_equals_uninterrupted(options: tuple[str, ...], tlearn: Tlearn, bands: str, tmp_path: Path) -> None:
    words = ["fit", "-c", bands, *SMALL, *options, "--data.augment", "{flip: true, mixup_alpha: 0.2, cutmix_alpha: 1}"]
    for epochs in ("4", "2"):
        answer = tlearn(*words, "--trainer.max_epochs", epochs)
        assert answer.code == 0, answer.err
    answer = tlearn(*words, "--trainer.max_epochs", "4", "--ckpt_path", "last")
    assert answer.code == 0, answer.err
    assert "measured" not in answer.err
    assert_same(last(tmp_path, 0, run="bands"), last(tmp_path, 1, run="bands"))


def test_a_frozen_backbone_is_cached_and_probed(tlearn: Tlearn, bands: str, tmp_path: Path) -> None:
    words = ["fit", "-c", bands, *SMALL, "--model.freeze_backbone", "true"]
    for how in ("computed once", "from the cache"):
        answer = tlearn(*words)
        assert answer.code == 0, answer.err
        assert answer.err.count(how) == 2
    assert len(entries(tmp_path)) == 2
    assert_same(last(tmp_path, 0, run="bands"), last(tmp_path, 1, run="bands"))
    # Other statistics are other features.
    answer = tlearn(*words, "--model.pixel_mean", "[0, 0, 0, 0, 0]", "--model.pixel_std", "[1, 1, 1, 1, 1]")
    assert answer.err.count("computed once") == 2
    answer = tlearn("plan", "-c", bands, *SMALL)
    assert answer.code == 0, answer.err
    answer = tlearn("probe", "-c", bands, "--image_sizes", "16,32", *SMALL)
    assert answer.code == 0, answer.err
    assert "best tap" in answer.out


@pytest.mark.slow
def test_advice_and_seeds(tlearn: Tlearn, bands: str, tmp_path: Path) -> None:
    answer = tlearn("advise", "-c", bands, "--model.backbone", "timm/test_resnet")
    assert answer.code == 0, answer.err
    assert "in_channels: 5" in (tmp_path / "advised.yaml").read_text()
    answer = tlearn("fit", "-c", "advised.yaml")
    assert answer.code == 0, answer.err
    answer = tlearn("fit", "-c", bands, *SMALL, "--sweep", "model.head_dropout=0,0.2", "--seeds", "2")
    assert answer.code == 0, answer.err


@pytest.mark.slow
def test_two_processes_find_the_same_statistics(tlearn: Tlearn, bands: str) -> None:
    Path("two.yaml").write_text(BANDS)
    assert tlearn("fit", "-c", bands, *SMALL).code == 0
    _, err = done("fit", "--config", "two.yaml", *SMALL, *TWO)
    assert err.count("measured in all 18 training images") == 1
    for name in ("preprocess.mean", "preprocess.std"):
        assert torch.equal(weights("two")[name], weights("bands")[name])


def test_an_older_checkpoint_has_three_channels(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "1").code == 0
    path = tmp_path / "runs/small/version_0/checkpoints/last.ckpt"
    content = torch.load(path, weights_only=True)
    del content["hyper_parameters"]["in_channels"]
    del content["tlearn_config"]["model"]["in_channels"]
    torch.save(content, path)
    answer = tlearn("validate", "--ckpt_path", str(path))
    assert answer.code == 0, answer.err
    answer = tlearn("fit", "-c", small, "--ckpt_path", str(path))
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--model.in_channels", "3"),
            "the pictures have 5 channels, model.in_channels is 3; set it to 5, or let BandsDataModule return three",
        ),
        (("--data.bands", "1"), "the pictures have 1 channel, model.in_channels is 5; set it to 1, or let"),
        (
            ("--data.augment.randaugment", "true"),
            "augment.randaugment changes red, green and blue, the images have 5 channels; set it to false",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line(words: tuple[str, ...], message: str, tlearn: Tlearn, bands: str) -> None:
    answer = tlearn("fit", "-c", bands, *SMALL, *words)
    assert answer.code == 2
    assert message in answer.err
    assert answer.remarks.count("\n") == 1
    assert not list(Path().glob("runs/*/version_0"))


def test_images_in_memory_are_uint8(bands: str) -> None:
    class Floats(BandsDataModule):
        def load_split(self, split: str) -> tuple[torch.Tensor, torch.Tensor]:
            images, targets = super().load_split("train")
            return images.float(), targets

    with pytest.raises(TlearnError, match=r"expected images uint8 \(N, C, H, W\), got float32 \(32, 5, 16, 16\)"):
        Floats().setup("fit")


def test_a_channel_that_never_changes_is_named(said: pytest.LogCaptureFixture) -> None:
    images = torch.randint(0, 256, (4, 2, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[:, 1] = 255
    found = pixel_statistics(images.split(3))
    assert found.mean == pytest.approx([float(images[:, 0].double().mean() / 255), 1.0])
    assert found.std == pytest.approx([float(images[:, 0].double().std(correction=0) / 255), 1.0])
    assert "channel 2 is 255 in all training images that were looked at" in said.text


def test_data_of_ones_own_need_given_statistics() -> None:
    module = TransferModule(2, backbone="timm/test_resnet", weights=None, in_channels=5)
    with pytest.raises(TlearnError, match="are measured in data modules of tlearn alone; give"):
        module.measure_pixels()


def test_grey_files_train_a_network_of_one_channel(tlearn: Tlearn, tmp_path: Path) -> None:
    for split, count in (("train", 8), ("val", 4)):
        for number in range(2 * count):
            folder = tmp_path / "pictures" / split / ("dim", "bright")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 100, (32, 32)) + 100 * (number % 2)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{split}{number}.png")
    config = BANDS.partition("data:")[0] + "data: {class_path: ImageFolderDataModule, init_args: {root: pictures}}\n"
    (tmp_path / "grey.yaml").write_text(config)
    answer = tlearn("fit", "-c", "grey.yaml", *SMALL, "--model.in_channels", "1", "--model.image_size", "32")
    assert answer.code == 0, answer.err
    assert "pixels of 1 channel normalised by mean" in answer.err
    assert last(tmp_path, run="grey")["tlearn"]["pictures"]["reading"]["num_channels"] == 1
    answer = tlearn("predict", "--ckpt_path", "runs/grey/version_0", "--data", "pictures/val", "--out", "p.csv")
    assert answer.code == 0, answer.err
    assert "8 rows" in answer.out
    answer = tlearn("export", "--ckpt_path", "runs/grey/version_0", "--out", "grey.pt2")
    assert answer.code == 0, answer.err
    assert "top-1 agrees on 100.00 %" in answer.out


@pytest.mark.slow
def test_bands_of_files_train_and_leave(tlearn: Tlearn, tmp_path: Path) -> None:
    for split, count in (("train", 8), ("val", 4)):
        for number in range(2 * count):
            folder = tmp_path / "pictures" / split / ("dim", "bright")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng([number, count]).integers(0, 1000, (32, 32, 5)) + 100 * np.arange(5)
            pixels[:, :, 4] += 2500 * (number % 2)  # the class is in the last band alone
            path = folder / f"{split}{number}.tif"
            tifffile.imwrite(path, pixels.astype(np.uint16), photometric="minisblack", planarconfig="contig")
    config = BANDS.partition("data:")[0] + "data: {class_path: ImageFolderDataModule, init_args: {root: pictures}}\n"
    (tmp_path / "bands.yaml").write_text(config)
    answer = tlearn("fit", "-c", "bands.yaml", *SMALL, "--model.image_size", "32")
    assert answer.code == 0, answer.err
    state = last(tmp_path, run="bands")["state_dict"]
    paths = sorted((tmp_path / "pictures/train").rglob("*.tif"))
    files = np.stack([tifffile.imread(path)[2:30, 2:30] >> 4 for path in paths])  # 12 bits in 8, the centre
    assert state["preprocess.mean"].tolist() == pytest.approx(files.mean((0, 1, 2)) / 255, rel=0.01)
    answer = tlearn("predict", "--ckpt_path", "runs/bands/version_0", "--data", "pictures/val", "--out", "p.csv")
    assert answer.code == 0, answer.err
    rows = (tmp_path / "p.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["bright"] * 4 + ["dim"] * 4
    answer = tlearn("export", "--ckpt_path", "runs/bands/version_0", "--out", "bands.onnx")
    assert answer.code == 0, answer.err
    assert "top-1 agrees on 100.00 %" in answer.out
    for channels, message in (("3", "train on all: model.in_channels 5"), ("2", "or set model.in_channels 5")):
        answer = tlearn("fit", "-c", "bands.yaml", "--model.in_channels", channels)
        assert answer.code == 2
        assert message in answer.err
    chosen = ["--model.in_channels", "2", "--data.channels", "[5, 1]", "--model.image_size", "32"]
    answer = tlearn("fit", "-c", "bands.yaml", *SMALL, *chosen)
    assert answer.code == 0, answer.err
    mean = last(tmp_path, 1, run="bands")["state_dict"]["preprocess.mean"]
    torch.testing.assert_close(mean, state["preprocess.mean"][[4, 0]])
    answer = tlearn("optimize", "pictures", "packed")
    assert answer.code == 2
    assert "model.in_channels 5" in answer.err
    answer = tlearn("optimize", "pictures", "packed", "--data.init_args.num_channels", "5")
    assert answer.code == 0, answer.err
    streamed = ["--data", "StreamingDataModule", "--data.root", "packed", "--model.image_size", "32"]
    answer = tlearn("fit", "-c", "bands.yaml", *SMALL, *streamed)
    assert answer.code == 0, answer.err
    assert "pixels of 5 channels normalised by mean" in answer.err
    answer = tlearn("optimize", "pictures", "again", "--data.init_args.num_channels", "0")
    assert "num_channels: expected a whole number above 0, got 0" in answer.err
