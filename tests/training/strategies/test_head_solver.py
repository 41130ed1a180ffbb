"""`model.head_solver` reaches the optimum that scikit-learn finds, and what it reaches is what the run logs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from tests.conftest import Tlearn
from tests.helpers.runs import events, last, newest
from tlearn.training.module import TransferModule
from tlearn.training.strategies.alike_features import are_alike, rounding_of
from tlearn.training.strategies.head_solver import solve_head

FROZEN = ("--model.freeze_backbone", "true")


def sample(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Correlated features (N, 6) of uneven sizes, and three overlapping classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (rows,), generator=generator)
    noise = torch.randn(rows, 6, generator=generator) * torch.tensor([1.0, 3.0, 1.0, 5.0, 1.0, 1.0])
    noise[:, 5] += noise[:, 3]
    return 5 + noise + 1.5 * torch.eye(6)[labels], labels


def scaled(features: Tensor, like: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Features of variance 1 on average in float64, with the mean and the scale that made them so."""
    weights = torch.ones(len(like)) if weights is None else weights
    mean = weights @ like / len(like)
    scale = (weights @ (like - mean).square() / len(like)).mean().sqrt()
    return ((features - mean) / scale).double(), mean.double(), scale.double()


def penalised_loss(x: Tensor, labels: Tensor, images: Tensor, weight: Tensor, bias: Tensor, strength: float) -> float:
    losses = F.cross_entropy(x @ weight.T + bias, labels, reduction="none")
    return float((losses * images).mean() + strength / 2 * weight.square().sum())


@pytest.mark.parametrize("weights", [None, [1.0, 1.0, 4.0]])
def test_logistic_optimum_is_scikit_learns(weights: list[float] | None) -> None:
    (features, labels), val = sample(400, 0), sample(200, 1)
    given = None if weights is None else torch.tensor(weights)
    solved = solve_head("classification", (features, labels), val, 3, class_weights=given)
    images = torch.ones(400) if given is None else given[labels] / given[labels].mean()
    x, mean, scale = scaled(features, features, images)
    theirs = LogisticRegression(C=1 / (solved.strength * 400), tol=1e-10, max_iter=10_000)
    theirs.fit(x.numpy(), labels.numpy(), sample_weight=images.numpy())
    mine = (solved.weight.double() * scale, solved.bias.double() + solved.weight.double() @ mean)
    best = (torch.from_numpy(theirs.coef_), torch.from_numpy(theirs.intercept_))
    losses = [penalised_loss(x, labels, images, *layer, solved.strength) for layer in (mine, best)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_ridge_is_scikit_learns() -> None:
    (train, _), (val, _) = sample(300, 0), sample(200, 1)
    generator = torch.Generator().manual_seed(2)
    slope = torch.randn(6, 1, generator=generator)
    values = [x @ slope + torch.randn(len(x), 1, generator=generator) for x in (train, val)]
    solved = solve_head("regression", (train, values[0]), (val, values[1]), 1)
    theirs = Ridge(alpha=solved.strength * 300).fit(scaled(train, train)[0].numpy(), values[0].flatten().numpy())
    wanted = torch.from_numpy(theirs.predict(scaled(val, train)[0].numpy()))
    assert torch.allclose((val @ solved.weight.T + solved.bias).flatten().double(), wanted, atol=1e-3)


def test_strength_is_chosen_on_validation() -> None:
    generator = torch.Generator().manual_seed(0)
    few, labels = torch.randn(20, 50, generator=generator), torch.arange(20) % 2
    many = torch.randn(400, 50, generator=generator)
    solved = solve_head("classification", (few, labels), (many, torch.arange(400) % 2), 2)
    assert solved.val_loss == pytest.approx(math.log(2), abs=0.02)  # noise: the strongest penalty, even odds
    assert solved.strength == 10


@pytest.mark.parametrize("solver", ["lbfgs", "ridge"])
def test_a_solved_run_is_a_whole_run(solver: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    answer = tlearn("fit", "-c", small, *FROZEN, "--model.head_solver", solver, "--trainer.max_epochs", "9")
    assert answer.code == 0, answer.err
    said = re.search(rf"by {solver}, penalty \S+: val loss ([\d.]+) acc ([\d.]+) %", answer.err)
    assert said
    assert f"model.head_solver {solver} takes no steps, so trainer.max_epochs does nothing" in answer.out + answer.err
    log = events(tmp_path)
    assert len(log.Scalars("val/acc")) == 1
    assert newest(log, "val/loss") == pytest.approx(float(said[1]), abs=1e-4)
    assert 100 * newest(log, "val/acc") == pytest.approx(float(said[2]), abs=0.05)
    assert newest(log, "train/acc") > 0.9
    kept = last(tmp_path, name="best")["state_dict"]["head.weight"]
    assert torch.equal(kept, last(tmp_path)["state_dict"]["head.weight"])
    assert tlearn("test", "--ckpt_path", "best", "-c", small).code == 0
    plain = tlearn("fit", "-c", small, *FROZEN, "--model.feature_cache", "off", "--model.head_solver", solver)
    assert said[0] in plain.err


def test_a_solved_run_is_not_resumed_and_always_validates(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, *FROZEN, "--model.head_solver", "lbfgs", "--trainer.check_val_every_n_epoch", "5"]
    assert tlearn(*words).code == 0
    assert last(tmp_path, name="best")["epoch"] == 0
    answer = tlearn(*words, "--ckpt_path", "last")
    assert answer.code == 2
    assert "the head in the checkpoint is solved and there is nothing to resume" in answer.err


def test_values_are_solved_too(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    words = ["fit", "-c", small, *FROZEN, "--data.task", "regression", "--data.train_per_class", "null"]
    assert tlearn(*words, "--trainer.max_epochs", "1").code == 0
    assert tlearn(*words, "--model.head_solver", "ridge").code == 0
    assert newest(events(tmp_path, 1), "val/loss") < newest(events(tmp_path, 0), "val/loss") / 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "the backbone trains"),
        ([*FROZEN, "--model.head_hidden", "[8]"], "drop them"),
        ([*FROZEN, "--model.head_dropout", "0.5"], "drop them"),
        ([*FROZEN, "--model.head_init", "probe"], "drop one of them"),
        ([*FROZEN, "--model.lr_scheduler", "StepLR", "--model.lr_scheduler.step_size", "1"], "lr_scheduler"),
        ([*FROZEN, "--find_lr"], "drop --find_lr"),
        ([*FROZEN, "--data.task", "regression", "--data.train_per_class", "null"], "values are solved by ridge"),
    ],
)
def test_what_cannot_be_solved_is_said(options: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, "--model.head_solver", "lbfgs", *options)
    assert answer.code == 2
    assert "model.head_solver lbfgs" in answer.err
    assert expected in answer.err


def test_a_plan_has_one_epoch(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("plan", "-c", small, *FROZEN, "--model.head_solver", "lbfgs")
    assert answer.code == 0, answer.err
    assert "plan: 1 epochs" in answer.out


BLANK = """
seed_everything: 0
trainer: {max_epochs: 1, accelerator: cpu, precision: 32-true}
model: {backbone: timm/mobilenetv3_small_050, weights: null, freeze_backbone: true, image_size: 64}
data: {class_path: ImageFolderDataModule, init_args: {root: white, batch_size: 7}}
"""
ALIKE = "the features of all 40 training pictures are alike: the head says the same of every picture, which is chance"


@pytest.fixture
def blank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """White pictures of many sizes, in two classes, and a processor that rounds otherwise in every batch."""
    monkeypatch.chdir(tmp_path)
    features = TransferModule.features
    monkeypatch.setattr(
        TransferModule,
        "features",
        lambda module, images: (f := features(module, images)) * (1 + 1e-6 * torch.randn_like(f)),
    )
    for split, count in (("train", 20), ("val", 10)):
        for label in ("a", "b"):
            folder = tmp_path / "white" / split / label
            folder.mkdir(parents=True)
            for n in range(count):
                Image.new("RGB", (60 + n, 60 + 2 * n + (label == "b")), (255, 255, 255)).save(folder / f"{n}.png")
    Path("blank.yaml").write_text(BLANK)
    return "blank.yaml"


def noisy(precision: str, rows: int = 40) -> Tensor:
    """What a network makes of one picture in batches of many sizes: a feature's last bits differ."""
    generator = torch.Generator().manual_seed(0)
    sizes = 10 ** torch.linspace(-2, 1, 60)
    drift = {"32-true": 1e-5, "16-mixed": 3e-4, "bf16-mixed": 2e-3}[precision]
    features = sizes * (1 + drift * torch.randn(rows, 60, generator=generator))
    return features.bfloat16().float() if precision == "bf16-mixed" else features


@pytest.mark.parametrize("precision", ["32-true", "16-mixed", "bf16-mixed"])
def test_rounding_is_no_feature(precision: str) -> None:
    rounding = rounding_of(precision)
    assert are_alike(noisy(precision), rounding)
    assert are_alike(torch.zeros(9, 4), rounding)
    assert not are_alike(noisy(precision)[:1], rounding)
    one = noisy(precision)
    one[:, 40] *= 1 + 0.1 * (torch.arange(40) % 2)  # a feature that varies among 59 that do not
    assert not are_alike(one, rounding)
    huge = noisy(precision)
    huge[:, 30:50] *= 1e6  # some are large and without news
    huge[:, 59] = torch.arange(40)
    assert not are_alike(huge, rounding)


@pytest.mark.parametrize("solver", ["lbfgs", "ridge"])
def test_a_head_on_nothing_is_chance(solver: Literal["lbfgs", "ridge"]) -> None:
    labels = torch.arange(40) % 4 // 3  # three of four
    solved = solve_head("classification", (noisy("32-true"), labels), (noisy("32-true"), labels), 2, solver)
    assert not solved.weight.any()
    assert solved.val_loss == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)), abs=0.02)
    varying = noisy("32-true")
    varying[:, 7] = labels + 5
    solved = solve_head("classification", (varying, labels), (varying, labels), 2, solver)
    assert torch.equal((varying @ solved.weight.T + solved.bias).argmax(dim=1), labels)


@pytest.mark.parametrize(
    ("how", "precision"),
    [("head_solver=lbfgs", "32-true"), ("head_solver=ridge", "bf16-mixed"), ("head_init=probe", "32-true")],
)
def test_blank_pictures_are_chance_in_every_verb(how: str, precision: str, tlearn: Tlearn, blank: str) -> None:
    words = [f"--model.{how}", "--trainer.precision", precision]
    fitted = tlearn("fit", "-c", blank, *words)
    assert fitted.code == 0, fitted.err
    assert ALIKE in fitted.err
    said = re.search(r"val loss ([\d.]+) acc ([\d.]+) %, \S+ s\n", fitted.err)
    assert said
    assert float(said[1]) == pytest.approx(math.log(2), abs=1e-4)
    assert float(said[2]) == 50
    checked = tlearn("validate", "--ckpt_path", "runs/blank/version_0", "--data.batch_size", "3")
    assert checked.result["accuracy"].startswith("50.0 %")
    assert float(checked.result["loss"]) == pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.parametrize("verb", ["probe", "advise"])
def test_blank_pictures_tell_probe_and_advise_nothing(verb: str, tlearn: Tlearn, blank: str) -> None:
    answer = tlearn(verb, "-c", blank)
    assert answer.code == 2
    assert "px are alike for all 40 training images: are these all the same picture?" in answer.err
