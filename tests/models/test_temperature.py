"""Probabilities that mean what they say: fitted on validation, kept in the checkpoint, used wherever it answers."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from tests.conftest import Tlearn
from tlearn import DigitsDataModule, load
from tlearn.models.about import About
from tlearn.models.calibration import Calibration
from tlearn.models.losses import answers_of
from tlearn.models.reliability.calibrate import HIGHEST, fit_temperature


def sampled(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of 5 classes that are calibrated: each target is drawn from the softmax of its own row."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, 5, generator=generator)
    return logits, torch.multinomial(logits.softmax(dim=1), 1, generator=generator).flatten()


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_temperature_undoes_a_factor(factor: float) -> None:
    logits, targets = sampled(20_000)
    assert fit_temperature("classification", factor * logits, targets) == pytest.approx(factor, rel=0.03)
    shares = torch.nn.functional.one_hot(targets, 5).float()
    assert fit_temperature("classification", factor * logits, shares) == pytest.approx(factor, rel=0.03)


def test_temperature_is_where_the_loss_is_least() -> None:
    logits, targets = sampled(300)
    found = fit_temperature("classification", 3 * logits, targets)

    def loss(temperature: float) -> float:
        scaled = 3 * logits / temperature
        smoothed = (300 * torch.nn.functional.one_hot(targets, 5) + 0.2) / 301
        return float(torch.nn.functional.cross_entropy(scaled.double(), smoothed.double()))

    assert loss(found) < min(loss(1.01 * found), loss(found / 1.01))


def test_the_uniform_share_pulls_towards_all_classes_alike() -> None:
    logits = torch.tensor([[4.0, 0.0, -2.0]])
    given = answers_of("classification", logits, Calibration(2.0, 0.3))
    assert given[0].tolist() == pytest.approx((0.7 * (logits[0] / 2).softmax(dim=0) + 0.1).tolist(), abs=1e-6)
    labels = answers_of("multilabel", logits, Calibration(2.0, 0.3))
    assert labels[0].tolist() == pytest.approx((0.7 * (logits[0] / 2).sigmoid() + 0.15).tolist(), abs=1e-6)
    assert answers_of("regression", logits, Calibration(2.0, 0.3)) is logits


def test_checkpoints_of_before_have_no_uniform_share() -> None:
    said = About("classification", ["a", "b"], Calibration(1.4, 0.02)).as_plain()
    assert About.in_checkpoint({"tlearn": said}).calibration == (1.4, 0.02)
    del said["uniform_share"]
    assert About.in_checkpoint({"tlearn": said}).calibration == (1.4, 0.0)


def test_temperature_of_several_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(5_000, 4, generator=generator)
    targets = torch.bernoulli(logits.sigmoid(), generator=generator)
    assert fit_temperature("multilabel", 2 * logits, targets) == pytest.approx(2, rel=0.05)


def test_few_images_that_are_all_right_do_not_ask_for_certainty() -> None:
    logits, targets = 4 * torch.eye(3), torch.arange(3)
    found = fit_temperature("classification", logits, targets)
    assert float((logits / found).softmax(dim=1).max()) == pytest.approx(1 - (2 / 3) / 4, rel=1e-3)


def test_temperature_where_there_is_nothing_to_fit() -> None:
    assert fit_temperature("regression", torch.randn(5, 1), torch.randn(5, 1)) == 1
    assert fit_temperature("classification", torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)) == 1
    assert fit_temperature("classification", torch.full((2, 3), torch.nan), torch.tensor([0, 1])) == 1
    assert fit_temperature("classification", torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])) == 1
    always_wrong = 5 * torch.eye(3)
    assert fit_temperature("classification", always_wrong, torch.tensor([1, 2, 0])) == HIGHEST


def test_fit_keeps_it_and_predict_uses_it(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "3").code == 0
    run = tmp_path / "runs/small/version_0"
    for name in ("best", "last"):
        checkpoint = torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)
        assert checkpoint["tlearn"]["temperature"] != 1
    module = load(run).module
    assert tlearn("predict", "--ckpt_path", "best", "-c", small, "--out", "p.csv").code == 0
    with Path("p.csv").open() as file:
        rows = list(csv.DictReader(file))
    digits = DigitsDataModule(classes=[0, 1, 2], train_per_class=8, val_fraction=0.05, batch_size=8, size_px=16)
    digits.setup("fit")
    images = digits.sample("val", 1000).images
    with torch.no_grad():
        logits = module(images)
    val = digits.dataset("val")
    assert fit_temperature("classification", logits, val.targets[val.indices]) == pytest.approx(
        module.temperature, rel=1e-3
    )
    scaled = (logits / module.temperature).softmax(dim=1).max(dim=1).values
    assert [float(row["probability"]) for row in rows] == pytest.approx(scaled.tolist(), abs=1e-5)
