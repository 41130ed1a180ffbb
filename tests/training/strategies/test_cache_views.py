"""`model.cache_views` keeps augmented forms of the training images; each epoch shows one of them."""

from __future__ import annotations

import json
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import Tlearn
from tests.helpers.runs import FROZEN, entries, events, state
from tlearn import DigitsDataModule
from tlearn.data.images.augment import Augment
from tlearn.data.images.image_set import BatchKey
from tlearn.data.images.in_memory import CachedFeatures, InMemoryImages

VIEWS = (*FROZEN, "--data.augment", "{flip: true, crop_padding_px: 2}", "--model.cache_views", "3")


def test_an_epoch_shows_each_image_in_one_of_its_views() -> None:
    images = InMemoryImages(torch.zeros(40, 3, 1, 1), torch.arange(40), torch.arange(40))
    views = [torch.full((40, 2), float(number)) for number in range(4)]
    served = CachedFeatures(views, images, seed=0)
    positions = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    shown = torch.stack([served[BatchKey(epoch, positions)].images[:, 0] for epoch in range(200)])
    for number in range(4):
        assert ((shown == number).float().mean(dim=0) - 0.25).abs().max() < 0.12  # each image, each view
    alone = torch.cat([served[BatchKey(7, positions[i : i + 1])].images[:, 0] for i in range(40)])
    assert torch.equal(alone, shown[7])  # whatever its batch mates
    assert torch.equal(served[BatchKey(7, positions)].targets, positions)


def test_views_are_what_live_epochs_show() -> None:
    data = DigitsDataModule(classes=[0, 1], augment=Augment(flip=True, crop_padding_px=2))
    torch.manual_seed(3)
    data.setup("fit")
    loader = data.train_dataloader()
    loader.sampler.set_epoch(2)  # type: ignore[attr-defined]
    rows = data.dataset("train").indices.tolist()
    shown = dict(zip(rows, torch.cat(list(data.pixels("train", repeat(7), view=2))), strict=True))
    for batch in loader:
        assert torch.equal(torch.stack([shown[row] for row in batch.indices.tolist()]), batch.images)


def test_views_are_kept_and_found_again(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    first = tlearn("fit", "-c", small, *VIEWS)
    assert first.code == 0, first.err
    said = "each training image is kept in 3 views (the first is not augmented), of which an epoch shows one: 3 passes"
    assert f"model.cache_views: {said} over the network in place of 2" in first.err
    assert len(entries(tmp_path)) == 4
    again = tlearn("fit", "-c", small, *VIEWS)
    assert again.err.count("from the cache") == 4
    for name, value in state(tmp_path, 0).items():
        assert torch.equal(state(tmp_path, 1)[name], value)
    plain = tlearn("fit", "-c", small, *FROZEN)
    assert plain.err.count("from the cache") == 2  # view 0 is the plain one
    abouts = [json.loads(path.with_suffix(".json").read_text())["about"] for path in entries(tmp_path)]
    assert sorted(about.get("view", 0) for about in abouts) == [0, 0, 1, 2]
    rows = {tuple(torch.from_numpy(np.load(path)).flatten().tolist()) for path in entries(tmp_path)}
    assert len(rows) == 4
    changed = tlearn("fit", "-c", small, *VIEWS, "--data.augment.flip", "false")
    assert changed.err.count("computed once") == 2


def test_a_resume_sees_the_same_views(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small, *VIEWS, "--trainer.max_epochs", "4").code == 0
    assert tlearn("fit", "-c", small, *VIEWS, "--trainer.max_epochs", "2").code == 0
    checkpoint = "runs/small/version_1/checkpoints/last.ckpt"
    assert tlearn("fit", "-c", small, *VIEWS, "--trainer.max_epochs", "4", "--ckpt_path", checkpoint).code == 0
    for name, value in state(tmp_path, 0).items():
        assert torch.equal(state(tmp_path, 1)[name], value), name


def test_a_resume_past_the_opening_and_a_trial_are_no_reason_to_refuse(tlearn: Tlearn, small: str) -> None:
    words = ["fit", "-c", small, *VIEWS[2:], "--model.unfreeze", "{layer1: 1}"]
    assert tlearn(*words, "--trainer.max_epochs", "2").code == 0
    resumed = tlearn(*words, "--trainer.max_epochs", "3", "--ckpt_path", "last")
    assert resumed.code == 0, resumed.err
    assert "features of" not in resumed.err
    assert tlearn("fit", "-c", small, *VIEWS, "--trainer.fast_dev_run", "true").code == 0


def test_a_head_is_solved_on_all_views(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    solver = ["--model.head_solver", "ridge"]
    assert tlearn("fit", "-c", small, *VIEWS, *solver).code == 0
    assert tlearn("fit", "-c", small, *FROZEN, *solver).code == 0
    assert not torch.equal(state(tmp_path, 0)["head.weight"], state(tmp_path, 1)["head.weight"])
    assert len(events(tmp_path, 0).Scalars("val/acc")) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([*FROZEN], "data.augment is off and all views would be alike"),
        (["--data.augment.flip", "true"], "the backbone trains in epoch 1"),
        ([*FROZEN, "--data.augment", "{flip: true, mixup_alpha: 0.2}"], "mixup and cutmix blend targets too"),
        ([*FROZEN, "--data.augment.flip", "true", "--model.feature_cache", "off"], "it is off"),
    ],
)
def test_views_in_vain_are_said(options: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    for verb in ("fit", "plan"):
        answer = tlearn(verb, "-c", small, "--model.cache_views", "2", *options)
        assert answer.code == 2
        assert expected in answer.err
