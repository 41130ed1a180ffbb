"""The score at a new group is that of refits without each group. N images."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import picture
from tlearn.analysis.new_group import at_new_group, fold_of_each
from tlearn.analysis.stage_probe import Labelled
from tlearn.base.errors import TlearnError
from tlearn.data.images.in_memory import InMemoryImages

SITES = ("north", "south", "east", "west")
CONFIG = """
seed_everything: 0
trainer: {accelerator: cpu, precision: 32-true}
model: {backbone: timm/mobilenetv3_small_050, weights: null, image_size: 32}
data: {class_path: ImageFolderDataModule, init_args: {root: sites, group: 1, val_fraction: 0.25, size_px: 32}}
"""


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Cats and dogs at four sites."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        for place, site in enumerate(SITES):
            folder = Path("sites", "train", name, site)
            folder.mkdir(parents=True)
            for number in range(5):
                picture(name, 100 * place + number, 32).save(folder / f"{name}{number:03d}.png")
    Path("grouped.yaml").write_text(CONFIG)
    return "grouped.yaml"


def confounded(images: int) -> tuple[Labelled, InMemoryImages]:
    """Sites of one class's colour each: a random split reads the site, which a new one does not have."""
    generator = torch.Generator().manual_seed(0)
    groups = torch.arange(images) % 12
    labels = (torch.rand(images, generator=generator) < 0.15 + 0.7 * (groups % 2)).long()
    features = 0.3 * torch.randn(images, 16, generator=generator)
    features[torch.arange(images), groups] += 3
    features[:, 12:] += 0.15 * labels[:, None]
    served = InMemoryImages(torch.zeros(images, 3, 4, 4, dtype=torch.uint8), labels, torch.arange(images))
    served.groups = groups
    return Labelled(features, labels), served


def test_a_random_split_flatters() -> None:
    train, images = confounded(600)
    found = at_new_group("classification", images, train, 2, [f"site {n}" for n in range(12)])
    assert found is not None
    assert found.interval is not None
    assert found.interval[0] < found.score < found.interval[1]
    assert found.score + 0.1 < found.random_split
    assert found.flattery == pytest.approx(found.random_split - found.score)
    scores = [each.score for each in found.groups]
    assert scores == sorted(scores, key=lambda each: each or 0)
    assert {each.group for each in found.groups} == {f"site {n}" for n in range(12)}
    # All groups are of one size, so the score is the mean of theirs.
    assert np.mean([each.score or 0 for each in found.groups]) == pytest.approx(found.score, abs=1e-6)
    images.groups = None
    assert at_new_group("classification", images, train, 2, []) is None


def test_folds_keep_whole_groups() -> None:
    _, images = confounded(120)
    assert images.groups is not None
    alone, folds = (fold_of_each(images, "classification", each) for each in (None, 4))
    assert alone is not None
    assert alone.equal(images.groups)
    assert folds is not None
    assert len(folds.unique()) == 4
    assert all(len(folds[images.groups == group].unique()) == 1 for group in range(12))
    with pytest.raises(TlearnError, match="12 groups cannot fill 13 folds"):
        fold_of_each(images, "classification", 13)


def test_groups_of_values_and_of_labels() -> None:
    train, images = confounded(120)
    values: Tensor = train.targets.float()[:, None]
    found = at_new_group("regression", images, train._replace(targets=values), 1, [])
    assert found is not None
    assert found.interval is None
    several = torch.cat([values, 1 - values], dim=1)
    found = at_new_group("multilabel", images, train._replace(targets=several), 2, [])
    assert found is not None
    assert len(found.groups) == 12


def probed(tlearn: Tlearn, *words: str) -> tuple[str, dict[str, Any]]:
    answer = tlearn("probe", *words, "--out", "probed.json")
    assert answer.code == 0, answer.err
    return answer.out, json.loads(Path("probed.json").read_text())


def test_probe_says_what_to_expect_at_a_new_group(sites: str, tlearn: Tlearn) -> None:
    said, found = probed(tlearn, "-c", sites)
    expected = found["new_group"]
    assert "left out: each training image, by a layer that was made without its group" in said
    assert len(expected["groups"]) == 3  # one of the four validates
    assert {each["group"] for each in expected["groups"]} < set(SITES)
    assert [each["images"] for each in expected["groups"]] == [10] * 3
    rough = r" \(rough: fewer than 10\)" if expected["interval"] else ""
    told = f"each of 3 groups left out in turn{rough}"
    assert re.search(rf"at a new group: {100 * expected['score']:.1f} %.*, {told}\n", said)
    assert f"a random split says {100 * expected['random_split']:.1f} %" in said
    assert found["best"]["left_out"] == pytest.approx(expected["score"])
    assert max(map(len, said.splitlines())) <= 110
    said, found = probed(tlearn, "-c", sites, "--folds", "2")
    assert "by a layer that was made without its fold of 2" in said
    assert found["folds"] == 2
    answer = tlearn("probe", "-c", sites, "--folds", "9")
    assert answer.code == 2
    assert "3 groups cannot fill 9 folds" in answer.err
    assert "--folds expects a whole number from 2 on, got '1'" in tlearn("probe", "-c", sites, "--folds", "1").err


def test_a_fit_leaves_out_whole_groups(sites: str, tlearn: Tlearn) -> None:
    words = ("--model.freeze_backbone", "true", "--model.head_solver", "lbfgs")
    answer = tlearn("fit", "-c", sites, *words)
    assert answer.code == 0, answer.err
    assert "30 training images in 3 folds of whole groups" in answer.err
    (path,) = Path("runs").rglob("oof.csv")
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 30
    pairs = {(row["fold"], row["group"]) for row in table}
    assert len(pairs) == 3
    assert all(row["group"] in row["path"] for row in table)
