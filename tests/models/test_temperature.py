"""Probabilities that mean what they say: fitted on validation, kept in the checkpoint, used wherever it answers."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import torch

from tests.conftest import Tlearn
from tlearn import DigitsDataModule, TransferModule, load
from tlearn.models.about import About
from tlearn.models.calibration import AS_TRAINED, Calibration, calibrated_words
from tlearn.models.losses import answers_of
from tlearn.models.reliability.calibrate import HIGHEST, fit_calibration, fit_temperature
from tlearn.models.reliability.calibration_error import reliability_of
from tlearn.training.evaluation import Outputs


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


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_calibration_undoes_a_factor(factor: float) -> None:
    logits, targets = sampled(20_000)
    shares = torch.nn.functional.one_hot(targets, 5).float()
    for wanted in (targets, shares):
        temperature, share = fit_calibration("classification", factor * logits, wanted)
        assert temperature == pytest.approx(factor, rel=0.05)
        assert share <= 0.01


def test_the_share_is_how_often_sure_answers_are_wrong() -> None:
    logits, targets = sampled(4_000)
    generator = torch.Generator().manual_seed(1)
    is_any = torch.rand(len(targets), generator=generator) < 0.12
    targets = torch.where(is_any, torch.randint(0, 5, targets.shape, generator=generator), targets)
    temperature, share = fit_calibration("classification", 2 * logits, targets)
    assert temperature == pytest.approx(2, rel=0.1)
    assert share == pytest.approx(0.12, abs=0.06)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_surely_wrong_images_do_not_decide(seed: int) -> None:
    """The fault of the quick start: two of 71 images asked for a temperature that made all others worse."""
    logits, targets = sampled(71, seed)
    surest = logits[:2].argmax(dim=1)
    logits[:2], targets[:2] = 18.0 * torch.nn.functional.one_hot(surest, 5), (surest + 1) % 5
    others = sampled(20_000, 99)
    plain = Calibration(fit_temperature("classification", logits, targets))
    assert plain.temperature > 1.9
    assert reliability_of("classification", *others, plain).ece > 0.15
    assert reliability_of("classification", *others, fit_calibration("classification", logits, targets)).ece < 0.06


def test_what_is_calibrated_is_mostly_left_as_it_is() -> None:
    kept = sum(fit_calibration("classification", *sampled(40, seed)) == AS_TRAINED for seed in range(40))
    assert kept >= 34
    assert all(fit_temperature("classification", *sampled(40, seed)) != 1 for seed in range(40))


def test_calibration_of_several_labels_with_gaps() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(3_000, 4, generator=generator)
    targets = torch.bernoulli(logits.sigmoid(), generator=generator)
    targets[torch.rand(targets.shape, generator=generator) < 0.3] = torch.nan
    assert fit_calibration("multilabel", 2 * logits, targets).temperature == pytest.approx(2, rel=0.07)


def test_calibration_where_there_is_nothing_to_fit() -> None:
    labels = torch.tensor([0, 1, 2, 0])
    assert fit_calibration("regression", torch.randn(5, 1), torch.randn(5, 1)) == AS_TRAINED
    assert fit_calibration("classification", torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)) == AS_TRAINED
    assert fit_calibration("classification", torch.full((4, 3), torch.nan), labels) == AS_TRAINED
    assert fit_calibration("classification", torch.zeros(4, 3), labels) == AS_TRAINED
    assert fit_calibration("classification", torch.randn(1, 3), labels[:1]) == AS_TRAINED
    sure = 4 * torch.eye(3)  # three images that are all right do not ask for certainty
    assert fit_calibration("classification", sure, torch.arange(3)) == AS_TRAINED


@pytest.mark.parametrize(("images", "words"), [(244, "244 out-of-fold images"), (1, "1 out-of-fold image")])
def test_out_of_fold_answers_calibrate_where_they_exist(images: int, words: str) -> None:
    module = TransferModule(5, backbone="resnet18", weights=None)
    logits, targets = sampled(images)
    indices = torch.arange(images)
    module.out_of_fold = Outputs("train", 1, 3 * logits, targets, indices)
    logged = dict[str, float]()
    module.log = logged.__setitem__  # type: ignore[method-assign,assignment]
    module._calibrate(Outputs("val", 1, 0.3 * logits, targets, indices))
    assert module.calibrated_on == ("out-of-fold", images)
    assert logged == {"val/temperature": module.temperature, "val/uniform_share": module.calibration.uniform_share}
    assert (module.temperature > 2) == (images > 1)
    found = f"temperature {module.temperature:.2f}" if images > 1 else "no sure gain, left as it is"
    said = calibrated_words(module.calibration, module.calibrated_on)
    assert said.startswith(f"on {words}: {found}")


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
    found = fit_calibration("classification", logits, val.targets[val.indices])
    assert found == pytest.approx(module.calibration, rel=1e-3)
    scaled = answers_of("classification", logits, found).max(dim=1).values
    assert [float(row["probability"]) for row in rows] == pytest.approx(scaled.tolist(), abs=1e-5)


def test_a_solved_head_is_calibrated_out_of_fold(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    solved = ("--model.freeze_backbone=true", "--model.head_solver", "lbfgs")
    answer = tlearn("fit", "-c", small, *solved)
    assert answer.code == 0
    assert re.search("^calibrated +on 24 out-of-fold images: ", answer.out, re.M)
    run = tmp_path / "runs/small/version_0"
    card = json.loads((run / "card.json").read_text())
    assert card["calibrated_on"] == {"source": "out-of-fold", "images": 24}
    stored = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["tlearn"]
    assert (card["temperature"], card["uniform_share"]) == (stored["temperature"], stored["uniform_share"])
    assert "on 24 out-of-fold images: " in (run / "card.md").read_text()
    report = (run / "report.html").read_text()
    assert "on 24 out-of-fold images: " in report
    assert "The validation images chose the epoch, so they flatter" in report
