"""Predictions without a fold, in closed form, are those of real refits. N images, K outputs."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from tests.conftest import Tlearn
from tlearn import DigitsDataModule, TransferModule, callbacks_for
from tlearn.training.evaluation import Outputs
from tlearn.training.strategies.head_solver import STRENGTHS, Turned, solve_head, turn, turn_weighted
from tlearn.training.strategies.left_out import folds_from, left_out_at, left_out_outputs
from tlearn.training.strategies.out_of_fold import out_of_fold


def exactly_turned(features: Tensor, weights: Tensor) -> Turned:
    """Turn as `turn` does, all of it in float64."""
    weights = (weights / weights.mean()).double()
    rows = features.double()
    mean = weights @ rows / len(rows)
    scale = (weights @ (rows - mean).square() / len(rows)).mean().sqrt()
    rows = (rows - mean) / scale
    eigenvalues, basis = torch.linalg.eigh(rows.T @ (weights[:, None] * rows) / len(rows))
    return Turned(rows @ basis, eigenvalues.clamp_min(0), basis, mean, scale, weights)


def draws(images: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(images, width, generator=generator, dtype=torch.float64) * torch.linspace(0.3, 2, width)
    noise = torch.randn(images, 2, generator=generator, dtype=torch.float64)
    return 3 + features, features[:, :2] + noise


def refits(turned: Turned, wanted: Tensor, folds: list[Tensor], strength: float) -> Tensor:
    """Fit scikit-learn's ridge anew without each fold; it centres the rest by itself."""
    rows, outputs = turned.rows.numpy(), np.empty(tuple(wanted.shape))
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(rows)), fold.numpy())
        theirs = Ridge(alpha=strength * len(rows), tol=1e-12)
        theirs.fit(rows[rest], wanted.numpy()[rest], sample_weight=turned.weights.numpy()[rest])
        outputs[fold.numpy()] = theirs.predict(rows[fold.numpy()])
    return torch.from_numpy(outputs)


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("folds", ["single", "small", "large", "uneven"])
def test_the_closed_form_is_k_real_refits(folds: str, is_weighted: bool, strength: float) -> None:
    features, wanted = draws(120, 12)
    weights = torch.rand(120, generator=torch.Generator().manual_seed(1)) + 0.2 if is_weighted else torch.ones(120)
    shuffled = torch.randperm(120, generator=torch.Generator().manual_seed(2))
    numbers = {
        "single": torch.arange(120),
        "small": shuffled // 5,
        "large": shuffled // 24,  # more images than directions
        "uneven": 7 * torch.bucketize(shuffled, torch.tensor([0, 2, 12, 60])),  # groups of 1, 2, 10, 48 and 59
    }[folds]
    turned = exactly_turned(features, weights)
    parts = folds_from(numbers)
    assert torch.cat(parts).sort().values.tolist() == list(range(120))
    assert all(len(numbers[part].unique()) == 1 for part in parts)
    ours = left_out_at(turned, wanted, parts, strength)
    assert ours.numpy() == pytest.approx(refits(turned, wanted, parts, strength).numpy(), abs=1e-6)


@pytest.mark.parametrize("together", [1, 30])
def test_the_strength_errs_least_among_the_left_out(together: int) -> None:
    features, wanted = draws(120, 12)
    turned, folds = exactly_turned(features, torch.ones(120)), list(torch.arange(120).split(together))
    errors = [float((left_out_at(turned, wanted, folds, each) - wanted).square().mean()) for each in STRENGTHS]
    best = STRENGTHS[int(np.nanargmin(errors))]
    assert left_out_outputs(turned, wanted, folds).equal(left_out_at(turned, wanted, folds, best))


def clusters(images: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(images) % 3
    return 2 * torch.eye(8)[labels] + torch.randn(images, 8, generator=generator), labels


@pytest.mark.parametrize("groups", [None, torch.arange(150) // 30])
def test_logistic_answers_are_those_of_refits(groups: Tensor | None) -> None:
    (features, labels), val = clusters(150, 0), clusters(90, 1)
    solved = solve_head("classification", (features, labels), val, 3)
    turned = turn_weighted(features, labels, None)
    found = out_of_fold("classification", turned, labels, groups, "lbfgs", solved)
    assert found is not None
    folds = folds_from(found.folds)
    assert len(folds) == (10 if groups is None else 5)
    theirs = np.empty((150, 3))
    for fold in folds:
        rest = np.setdiff1d(np.arange(150), fold.numpy())
        logistic = LogisticRegression(C=1 / (solved.strength * 150), tol=1e-10, max_iter=10_000)
        logistic.fit(turned.rows.numpy()[rest], labels.numpy()[rest])
        theirs[fold.numpy()] = logistic.predict_proba(turned.rows[fold].numpy())
    assert found.logits.softmax(dim=1).numpy() == pytest.approx(theirs, abs=3e-3)


def test_what_is_learned_by_heart_is_not_known_out_of_fold() -> None:
    # Labels are noise, and a weak penalty learns them all: a refit that began there would remember them.
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(60, 100, generator=generator), torch.arange(60) % 2
    turned = turn(features, torch.ones(60))
    solved = solve_head("classification", (features, labels), (features, labels), 2)
    assert solved.strength < 1e-3
    assert ((features @ solved.weight.T + solved.bias).argmax(dim=1) == labels).all()
    found = out_of_fold("classification", turned, labels, None, "lbfgs", solved)
    assert found is not None
    assert float((found.logits.argmax(dim=1) == labels).float().mean()) < 0.7


def test_a_class_of_one_group_has_no_answer() -> None:
    (features, labels), val = clusters(90, 0), clusters(60, 1)
    groups = torch.where(labels == 2, 5, torch.arange(90) // 30)
    for solver in ("lbfgs", "ridge"):
        solved = solve_head("classification", (features, labels), val, 3, solver)
        turned = turn_weighted(features, labels, None)
        found = out_of_fold("classification", turned, labels, groups, solver, solved)
        assert found is not None
        assert found.answered.equal(labels != 2)
        alone = out_of_fold("classification", turned, labels, torch.zeros(90).long(), solver, solved)
        assert alone is None


@pytest.mark.parametrize("solver", ["lbfgs", "ridge"])
def test_a_fit_answers_out_of_fold(solver: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, "--model.freeze_backbone", "true", "--model.head_solver", solver)
    assert re.search(r"out of fold: acc [\d.]+ %, \d+ training images in \d+ folds, ", answer.err), answer.err
    (path,) = Path("runs").rglob("oof.csv")
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    right = sum(row["label"] == row["answer"] for row in table)
    assert re.search(rf"out of fold +acc [\d.]+ %.*, {right} of {len(table)}\n", answer.out), answer.out
    assert [int(row["index"]) for row in table] == sorted(int(row["index"]) for row in table)
    assert {int(row["fold"]) for row in table} == set(range(1, len({row["fold"] for row in table}) + 1))
    probabilities = [[float(value) for name, value in row.items() if name.startswith("p_")] for row in table]
    assert [sum(each) for each in probabilities] == pytest.approx([1] * len(table), abs=1e-5)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_network_has_the_answers_before_it_validates(task: Literal["classification", "regression"]) -> None:
    data = DigitsDataModule(task=task, train_per_class=20 if task == "classification" else None)
    solver: Literal["lbfgs", "ridge"] = "lbfgs" if task == "classification" else "ridge"
    outputs = 1 if task == "regression" else 10
    model = TransferModule(
        outputs, task=task, backbone="resnet18", weights=None, freeze_backbone=True, head_solver=solver
    )
    seen = list[Outputs | None]()

    class Note(Callback):
        def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            seen.append(model.out_of_fold)

    assert model.out_of_fold is None
    callbacks = [Note(), *callbacks_for(model, checkpoints=False)]
    trainer = Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=callbacks)
    trainer.fit(model, data)
    found = seen[-1]
    assert found is not None
    assert found is model.out_of_fold
    train = data.dataset("train")
    assert (found.split, found.epoch) == ("train", 1)
    assert found.indices.equal(train.indices)
    assert found.targets.equal(train.targets[train.indices])
    assert model.out_of_fold_numbers is not None
    assert len(model.out_of_fold_numbers) == len(train)
    if task == "classification":
        assert float((found.logits.argmax(dim=1) == found.targets).float().mean()) > 0.5
    else:  # in the user's unit
        assert float((found.logits - found.targets).abs().mean()) < float((found.targets - 4.5).abs().mean())
