"""The frozen stages are computed once: what trains goes on from the map at the border."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from tests.conftest import Tlearn
from tests.helpers.runs import EVERY_STEP, entries, events, state
from tests.helpers.two_processes import TWO, assert_same_weights, done
from tlearn import DigitsDataModule, TransferModule, callbacks_for
from tlearn.base.types import Batch
from tlearn.models.backbones.cut import Border, cut_behind
from tlearn.models.state import evaluating
from tlearn.training.strategies.kept.maps import Phase, phases_of

PARTLY = ("--model.tap", "layer3", "--model.freeze_until", "layer2")
NETWORKS = {
    "resnet18": (*PARTLY,),
    "efficientnet": (
        *("--model.tap", "null", "--model.backbone", "timm/test_efficientnet", "--model.image_size", "32"),
        *("--model.freeze_until", "stage3"),
    ),
    "vit": (
        *("--model.tap", "null", "--model.backbone", "timm/vit_tiny_patch16_224", "--model.image_size", "32"),
        *("--model.freeze_until", "stage10"),
    ),
}


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_the_rest_learns_the_same_from_maps(
    options: tuple[str, ...], tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    cached = tlearn("fit", "-c", small, *options)
    live = tlearn("fit", "-c", small, *options, "--model.feature_cache", "off")
    assert (cached.code, live.code) == (0, 0), cached.err + live.err
    assert cached.err.count("computed once") == 2
    assert "maps of" not in live.err
    for name, value in state(tmp_path, 1).items():
        assert torch.allclose(state(tmp_path, 0)[name].float(), value.float(), rtol=0, atol=1e-5), name
    losses = [[point.value for point in events(tmp_path, run).Scalars("val/loss")] for run in (0, 1)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    again = tlearn("fit", "-c", small, *options)
    assert again.err.count("from the cache") == 2
    for name, value in state(tmp_path, 0).items():
        assert torch.equal(state(tmp_path, 2)[name], value), name


@pytest.mark.parametrize(
    ("backbone", "stage"),
    [
        ("resnet18", "layer3"),
        ("vit_b_32", "block10"),
        ("swin_t", "stage3"),
        ("efficientnet_b0", "stage5"),
        ("timm/vit_tiny_patch16_224", "stage10"),
        ("timm/efficientnet_b0", "stage4"),
    ],
)
def test_logits_of_maps_are_those_of_images(backbone: str, stage: str) -> None:
    torch.manual_seed(0)
    module = TransferModule(3, backbone=backbone, weights=None, freeze_until=stage)
    side_px = module.backbone.fixed_size_px or 64
    images = torch.randint(0, 256, (2, 3, side_px, side_px), dtype=torch.uint8)
    with evaluating(module):
        wanted = module(images)
        maps = cut_behind(module.backbone, stage).until(module.preprocess(images))
        module.border = Border(stage, maps.dtype)
        assert maps.ndim >= 3
        assert torch.allclose(module(maps), wanted, rtol=0, atol=1e-5)
        assert torch.equal(module(images), wanted)  # a border changes nothing for images


class Inverted(DigitsDataModule):
    """Change a batch on its way to the network, as those do who augment on a GPU."""

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return batch._replace(images=255 - batch.images)


def test_who_changes_images_gets_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    found = []
    for cache in ("auto", "off"):
        torch.manual_seed(0)
        data = Inverted(classes=[0, 1, 2], train_per_class=8, size_px=32)
        module = TransferModule(3, weights=None, tap="layer2", freeze_until="layer1", feature_cache=cache)
        silent: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        trainer = Trainer(max_epochs=2, callbacks=callbacks_for(module, checkpoints=False), accelerator="cpu", **silent)
        trainer.fit(module, datamodule=data)
        found.append({name: value.clone() for name, value in module.network_state().items()})
    torch.testing.assert_close(*found, rtol=0, atol=0)
    assert "run anew in every epoch: Inverted.on_after_batch_transfer may need images" in caplog.text


def test_phases_follow_the_openings() -> None:
    module = TransferModule(3, weights=None, unfreeze={"layer4": 2, "layer3": 5, "layer2": 6})
    assert phases_of(module, 10) == [Phase(2, 5, "layer3"), Phase(5, 10, "layer1")]  # one epoch is not worth a map
    assert phases_of(module, 6) == [Phase(2, 5, "layer3"), Phase(5, 6, None)]
    assert phases_of(module, 10, share=0.5) == [Phase(2, 10, "layer1")]
    assert phases_of(TransferModule(3, weights=None, freeze_until="stem"), 10) == [Phase(0, 10, None)]
    assert phases_of(TransferModule(3, weights=None, freeze_backbone=True), 10) == []
    rules: dict[str, float | None] = {"backbone.layer[12].*": None, "stem": None, "*": 1.0}
    assert phases_of(TransferModule(3, weights=None, rules=rules), float("inf")) == [Phase(0, float("inf"), "layer2")]


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # of the callback that keeps every step
def test_features_then_maps_then_a_resume(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, "--model.tap", "layer3", "--model.unfreeze", "{layer3: 1}", *EVERY_STEP]
    words += ["--trainer.max_epochs", "3"]
    whole = tlearn(*words)
    assert whole.code == 0, whole.err
    assert "features of train: 24 images x 256" in whole.err
    assert "maps of layer2: " not in whole.err  # it is `maps of layer2 of train`
    assert "maps of layer2 of train: 24 images x 2 x 2 x 128" in whole.err
    for step in (4, 6):  # inside an epoch on maps, and at its end
        found = [str(path) for path in (tmp_path / "runs/small/version_0").rglob(f"step={step}*.ckpt")]
        resumed = tlearn(*words, "--ckpt_path", found[0])
        assert resumed.code == 0, resumed.err
        assert resumed.err.count("from the cache") == 2
        assert "features of" not in resumed.err
    for version in (1, 2):
        for name, value in state(tmp_path, 0).items():
            assert torch.equal(state(tmp_path, version)[name], value), name


def test_views_of_maps(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    augmented = [*PARTLY, "--data.augment", "{flip: true, crop_padding_px: 2}"]
    plain = tlearn("fit", "-c", small, *augmented)
    assert "the frozen stages run anew in every epoch: data.augment changes" in plain.err
    answer = tlearn("fit", "-c", small, *augmented, "--model.cache_views", "3")
    assert answer.code == 0, answer.err
    assert "2 x 2 x 128 float32 an image in 3 views, take 0.2 MB" in answer.err
    assert answer.err.count("computed once") == 4
    rows = {np.load(path).tobytes() for path in entries(tmp_path)}
    assert len(rows) == 4


def test_a_limit_is_said_and_kept(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    answer = tlearn("fit", "-c", small, *PARTLY, "--model.feature_cache_gb", "0.00001")
    assert answer.code == 0, answer.err
    assert (
        "take 0.1 MB, more than model.feature_cache_gb 1e-05: the frozen stages run anew in every epoch" in answer.err
    )
    assert entries(tmp_path) == []
    wrong = tlearn("fit", "-c", small, *PARTLY, "--model.feature_cache_gb", "0")
    assert wrong.code == 2


def test_maps_that_are_there_need_no_room(
    tlearn: Tlearn, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "maps of layer2, 2 x 2 x 128 float32 an image, take 0.1 MB" in tlearn("fit", "-c", small, *PARTLY).err
    full = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    again = tlearn("fit", "-c", small, *PARTLY)
    assert again.code == 0, again.err
    assert again.err.count("from the cache") == 2
    assert ", take " not in again.err
    refused = tlearn("fit", "-c", small, *PARTLY, "--model.feature_cache", "refresh")
    assert "and .cache/tlearn has 0.0 MB left: the frozen stages run anew in every epoch" in refused.err


def test_what_keeps_no_map(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    for options, said in (
        (["--model.tap", "[layer1, layer3]"], "layer1 is pooled too (model.tap), which a map of layer2 does not tell"),
        (["--trainer.max_epochs", "1"], None),
        (["--trainer.fast_dev_run", "true"], None),
        (["--trainer.limit_train_batches", "1"], None),
    ):
        answer = tlearn("fit", "-c", small, *PARTLY, *options)
        assert answer.code == 0, answer.err
        assert said is None or said in answer.err
        assert entries(tmp_path) == []


def test_bf16_maps_are_listed_mended_and_removed(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, *PARTLY, "--trainer.precision", "bf16-mixed"]
    assert tlearn(*words).code == 0
    (first, *_) = sorted(entries(tmp_path), key=lambda path: path.stat().st_size, reverse=True)
    assert np.load(first).dtype == np.uint16
    assert json.loads(first.with_suffix(".json").read_text())["about"]["border"] == "layer2"
    listed = tlearn("cache", "ls").out
    assert "layer2 map" in listed
    assert "24 x 2 x 2 x 128" in listed
    first.write_bytes(first.read_bytes()[:-5])
    again = tlearn(*words)
    assert (again.err.count("computed once"), again.err.count("from the cache")) == (1, 1)
    for name, value in state(tmp_path, 0).items():
        assert torch.equal(state(tmp_path, 1)[name], value), name
    refreshed = tlearn(*words, "--model.feature_cache", "refresh")
    assert refreshed.err.count("computed once") == 2
    assert tlearn("cache", "rm", "all").code == 0
    assert entries(tmp_path) == []


@pytest.mark.slow
def test_two_processes_train_on_the_maps_of_one(tlearn: Tlearn, small: str) -> None:
    text = Path(small).read_text().replace("tap: layer1", "tap: layer3\n  freeze_until: layer2\n  batch_norm: fixed")
    for name in ("one", "two"):
        Path(f"{name}.yaml").write_text(text)
    assert tlearn("fit", "--config", "one.yaml").code == 0
    assert tlearn("cache", "rm", "all").code == 0
    _, err = done("fit", "--config", "two.yaml", *TWO)
    assert err.count("computed once") == 2
    assert_same_weights("two", "one")
