"""What a fit keeps beside its checkpoint so that answers can be doubted later."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import Tlearn
from tlearn.models.reliability.evidence import FILE, Evidence, evidence_of
from tlearn.models.weights.safe_load import read_checkpoint

RUN = Path("runs/small/version_0")


def _found(checkpoint: str = "best") -> Evidence:
    return evidence_of(RUN / "checkpoints" / f"{checkpoint}.ckpt").needed("a test")


def test_a_fit_keeps_the_answers_and_features_of_its_best_epoch(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "--config", small, "--data.val_fraction", "0.2").code == 0
    kept = _found()
    assert (kept.source, kept.training_pictures, kept.class_names) == ("validation", 24, ["0", "1", "2"])
    layer = read_checkpoint(RUN / "checkpoints/best.ckpt")["state_dict"]
    answers = kept.reference_features.float() @ layer["head.weight"].T + layer["head.bias"]
    torch.testing.assert_close(answers, kept.logits, atol=0.02, rtol=0.01)  # half precision
    assert kept.known_features.shape == (24, 64)
    assert len(kept.known_names) == len(kept.known_targets) == 24
    assert len(kept.stranger_scores) == kept.held_out == len(kept.targets)


def test_features_are_those_of_the_best_epoch_where_training_went_on_without_validation(
    tlearn: Tlearn, small: str
) -> None:
    words = ("--data.val_fraction", "0.2", "--trainer.max_epochs", "3", "--trainer.check_val_every_n_epoch", "2")
    assert tlearn("fit", "--config", small, *words).code == 0
    kept = _found()
    layer = read_checkpoint(RUN / "checkpoints/best.ckpt")["state_dict"]
    answers = kept.reference_features.float() @ layer["head.weight"].T + layer["head.bias"]
    torch.testing.assert_close(answers, kept.logits, atol=0.02, rtol=0.01)  # half precision


def test_names_of_known_pictures_are_relative(finished_run: Path) -> None:
    kept = evidence_of(next(finished_run.glob("runs/*/*/checkpoints/best.ckpt"))).needed("a test")
    assert all((finished_run / "pictures" / name).is_file() for name in kept.known_names)
    assert not any(Path(name).is_absolute() for name in kept.known_names)


def test_evidence_speaks_of_one_checkpoint_alone(finished_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "moved"
    shutil.copytree(next(finished_run.glob("runs/*/version_0")), run)
    best = run / "checkpoints/best.ckpt"
    assert evidence_of(best).evidence
    content = read_checkpoint(best)
    content["state_dict"]["head.bias"] += 1
    other = run / "checkpoints/other.ckpt"
    torch.save(content, other)
    assert f"{run / FILE} is not of {run / 'checkpoints/other.ckpt'}" in evidence_of(other).lack
    (run / FILE).rename(best.with_name(FILE))
    assert evidence_of(best).evidence  # both were moved into one folder
    best.with_name(FILE).write_bytes(b"damaged")
    assert str(best.with_name(FILE)) in evidence_of(best).lack
    best.with_name(FILE).unlink()
    with pytest.raises(Exception, match=r"--coverage 0\.9 needs what a fit writes into reliability\.pt: there is no"):
        evidence_of(best).needed("--coverage 0.9")


def test_a_trial_keeps_nothing(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "--config", small, "--trainer.fast_dev_run", "true").code == 0
    assert not list(Path().rglob(FILE))


def test_the_report_says_what_may_be_believed(finished_run: Path) -> None:
    run = next(finished_run.glob("runs/*/version_0"))
    file = json.loads((run / "evaluation/reliability.json").read_text())
    assert (file["source"], file["held_out"], file["groups"]) == ("validation", 12, None)
    assert [row["coverage"] for row in file["sets"]] == [0.8, 0.9, 0.95]
    assert file["sets"][2]["lack"].startswith("coverage 0.95 needs at least 19 held-out pictures, found 12")
    assert file["sets"][0]["mean_size"] == 1.0
    assert file["abstain"][0] == {"min_accuracy": 0.9, "confidence": None, "needed": 29, "unit": "pictures"}
    assert [row[1] for row in file["risk_coverage"]] == [0.0] * 12  # all are right
    assert len(file["strangers"]) == 6
    page = (run / "report.html").read_text()
    assert "What may be believed" in page
    assert "about 29 held-out pictures would be needed" in page
    assert "Measured on 12 validation pictures." in page


def test_of_a_regression_the_report_shows_intervals(tlearn: Tlearn, small: str) -> None:
    words = ("--data.task", "regression", "--data.train_per_class", "null", "--model.optimizer.lr", "0.001")
    assert tlearn("fit", "--config", small, *words).code == 0
    file = json.loads((RUN / "evaluation/reliability.json").read_text())
    half, *rest = (row["half_widths"] for row in file["sets"])
    assert 0 < half[0] <= rest[0][0] <= rest[1][0]
    assert file.keys().isdisjoint({"abstain", "risk_coverage"})
    assert f"\N{PLUS-MINUS SIGN} {half[0]:.4g}" in (RUN / "report.html").read_text()
