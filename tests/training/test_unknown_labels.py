"""Several labels of which some are unknown: empty cells count neither as yes nor as no, in any loss, metric or page."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score
from torch.nn.functional import binary_cross_entropy_with_logits

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import CONFIG, picture
from tlearn import ImageTableDataModule, TlearnError, load
from tlearn.analysis.learning_curve import measure_curve
from tlearn.analysis.stage_probe import Labelled, probe_stage
from tlearn.commands.compare.measured_fit import reported_scores
from tlearn.deploy.int8 import score as int8_score
from tlearn.models.calibration import AS_TRAINED
from tlearn.models.losses import compute_loss, known_share
from tlearn.models.metrics import EpochMetrics
from tlearn.models.reliability.calibrate import fit_temperature
from tlearn.reporting.evaluation import answers_from, class_scores, is_wrong, reliability, verdict, worst_mistakes
from tlearn.training.ddp import weight_among_processes
from tlearn.training.evaluation import Outputs

NAMES = ["furry", "fun", "tame"]
HAS = {"cat": (1, 0, 1), "dog": (1, 1, 1), "eel": (0, 1, 0)}
NAN = float("nan")


def write(unknown: Any = "", count: int = 24, every: int = 3) -> list[list[Any]]:
    """Write ``t.csv`` and ``table.yaml``: two thirds train; ``tame`` is known of every third picture alone."""
    Path("photos").mkdir()
    found: list[list[Any]] = []
    for number in range(count):
        kind = ("cat", "dog", "eel")[number % 3]
        picture(kind, number).save(f"photos/{number:02d}.png")
        furry, fun, tame = HAS[kind]
        known = number // 3 % every == 0
        split = "train" if number < count * 2 // 3 else "val"
        found.append([f"photos/{number:02d}.png", furry, fun, tame if known else unknown, split])
    table("t.csv", found)
    config = CONFIG.replace("ImageFolderDataModule", "ImageTableDataModule")
    inside = f"table: t.csv, task: multilabel, label_column: [{', '.join(NAMES)}]"
    Path("table.yaml").write_text(config.replace("root: pictures", inside))
    return found


def table(name: str, rows: Sequence[Sequence[Any]]) -> None:
    with Path(name).open("w", newline="") as file:
        csv.writer(file).writerows([["path", *NAMES, "split"], *rows])


def data_of(**options: Any) -> ImageTableDataModule:
    return ImageTableDataModule("t.csv", task="multilabel", label_column=NAMES, size_px=16, **options)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_is_measured_on_what_is_known(tlearn: Tlearn) -> None:
    """Every figure of validation is that of the known cells, by other libraries."""
    rows = [row for row in write() if row[-1] == "val"]
    answer = tlearn("fit", "--config", "table.yaml", "--trainer.max_epochs", "2")
    assert answer.code == 0, answer.err
    told = "tame: 15 of 24 cells are empty: unknown, left out; data.init_args.empty_labels no counts empty cells as no"
    assert answer.err.count(told) == 1
    assert "train: 16 images of 3 classes (furry 11, fun 10, tame 4 of 6 known)" in answer.err
    assert "val: 8 images of 3 classes (furry 5, fun 6, tame 2 of 3 known)" in answer.err
    best = torch.load("runs/table/version_0/checkpoints/best.ckpt", weights_only=True)
    epoch = json.loads(Path("runs/table/version_0/evaluation/val.json").read_text())["epoch"]
    logged = json.loads(Path("runs/table/version_0/card.json").read_text())["best"]["metrics"]
    shown = answer.out.split(f"epoch {epoch}/2")[1].splitlines()[0]
    assert f"val loss {logged['val/loss']:.4f} f1 {100 * logged['val/f1']:.1f} %" in shown
    predictor = load("runs/table/version_0")
    given = [predictor.predict([row[0]])[0].probabilities for row in rows]
    probabilities = torch.tensor([[each[name] for name in NAMES] for each in given], dtype=torch.float64)
    logits = probabilities.logit() * best["tlearn"]["temperature"]
    targets = torch.tensor([[NAN if cell == "" else float(cell) for cell in row[1:4]] for row in rows])
    known = ~targets.isnan()
    loss = binary_cross_entropy_with_logits(logits[known], targets[known].double())
    assert float(logged["val/loss"]) == pytest.approx(float(loss), abs=2e-3)
    columns = [(targets[known[:, k], k], logits[known[:, k], k]) for k in range(3)]
    f1 = np.mean([f1_score(true, given > 0, zero_division=0) for true, given in columns])
    assert float(logged["val/f1"]) == pytest.approx(f1, abs=1e-4)
    precision = np.mean([average_precision_score(true, given) for true, given in columns])
    assert float(logged["val/map"]) == pytest.approx(precision, abs=1e-4)
    card = json.loads(Path("runs/table/version_0/card.json").read_text())
    assert card["data"]["splits"]["train"]["classes"] == {"furry": 11, "fun": 10, "tame": 4}


@pytest.mark.slow
def test_what_only_one_laboratory_looked_at_is_learned(tlearn: Tlearn) -> None:
    """Of two laboratories one never looks for the third label; counted as no, it was never found again."""
    rows = write(count=96, every=4)
    table(
        "t.csv",
        [
            [*row[:3], HAS[("cat", "dog", "eel")[n % 3]][2] if row[4] == "val" else row[3], row[4]]
            for n, row in enumerate(rows)
        ],
    )
    words = ("--trainer.max_epochs", "6", "--model.optimizer.lr", "0.02")
    answer = tlearn("fit", "--config", "table.yaml", *words)
    assert answer.code == 0, answer.err
    classes = json.loads(Path("runs/table/version_0/evaluation/val.json").read_text())["per_class"]
    assert {each["name"]: each["accuracy"] for each in classes} == dict.fromkeys(NAMES, 1.0)


@pytest.mark.usefixtures("here")
def test_an_empty_cell_can_mean_no(said: pytest.LogCaptureFixture) -> None:
    write()
    data = data_of(empty_labels="no")
    data.setup("fit")
    assert not data.dataset("train").targets.isnan().any()
    assert "tame: 15 of 24 cells are empty: counted as no" in said.text
    assert "empty_labels" not in said.text
    assert "tame 4)" in said.text


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("meaning", "value"), [("unknown", NAN), ("no", 0.0), ("yes", 1.0)])
@pytest.mark.parametrize("cell", [-1, -1.0])
def test_uncertain_cells(said: pytest.LogCaptureFixture, meaning: Any, value: float, cell: float) -> None:
    write(cell)
    with pytest.raises(
        TlearnError,
        match=rf"row 5: tame is '{cell}', expected 0 or 1; for -1 \(uncertain\) set data.init_args.uncertain_labels to "
        "unknown, no or yes",
    ):
        data_of()
    data = data_of(uncertain_labels=meaning)
    data.setup("fit")
    np.testing.assert_equal(data.dataset("train").targets[3:6, 2].tolist(), [value] * 3)
    how = "unknown, left out" if meaning == "unknown" else f"counted as {meaning}"
    assert f"tame: 15 of 24 cells are -1: {how}" in said.text


@pytest.mark.usefixtures("here")
def test_a_label_that_nobody_looked_for_is_refused_and_a_one_sided_one_is_named(said: pytest.LogCaptureFixture) -> None:
    rows = write()
    table("t.csv", [[*row[:3], "", row[4]] for row in rows])
    with pytest.raises(
        TlearnError, match=r"^no training image says anything of: tame \(all cells are empty\); leave it"
    ):
        data_of().setup("fit")
    table("t.csv", [row if row[4] == "train" else [row[0], "", "", "", "val"] for row in rows])
    with pytest.raises(TlearnError, match=r"^no val image says anything of any label: nothing could be measured"):
        data_of().setup("fit")
    table("t.csv", [[row[0], 1, 0, "" if row[4] == "val" else 1, row[4]] for row in rows])
    data_of().setup("fit")
    for line in ("no training image has: fun", "no training image lacks: furry, tame", "no validation image has: fun"):
        assert line in said.text
    assert "no validation image says anything of: tame" in said.text


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("cells", "separator", "line"),
    [
        (("cat|dog", "dog", "cat"), ";", r"cat\|dog: one class each, .* is ';'; .*label_separator to '\|'"),
        (("cat;dog", "dog", "cat"), ",", r"cat;dog: one class each, .* is ','; .*label_separator to ';'"),
        (("cat;dog", "dog", ""), ";", None),
    ],
)
def test_another_separator_is_named(
    said: pytest.LogCaptureFixture, cells: Sequence[str], separator: str, line: str | None
) -> None:
    Path("t.csv").write_text("path\tlabel\n" + "".join(f"{n}.png\t{cell}\n" for n, cell in enumerate(cells)))
    ImageTableDataModule("t.csv", task="multilabel", label_separator=separator)
    assert bool(re.search(line, said.text)) if line else "one class each" not in said.text


def test_the_doctor_counts_labels(tlearn: Tlearn) -> None:
    rows = write()
    picture("cat", 0).save("photos/copy.png")  # of it nobody has looked for the third label: no contradiction
    table("t.csv", [*rows, ["photos/copy.png", 1, 0, "", "train"]])
    answer = tlearn("doctor", "--config", "table.yaml")
    assert answer.code == 0, answer.err
    found = json.loads(Path("doctor.json").read_text())
    assert found["splits"]["train"]["classes"] == {"furry": 12, "fun": 10, "tame": 4}
    kinds = {each["kind"]: each["what"] for each in found["findings"]}
    assert kinds["tiny_classes"] == "fewer than 10 pictures to train on: tame 4"
    assert "contrary_labels" not in kinds
    assert "duplicates" in kinds
    unknown = [each["what"] for each in found["findings"] if each["kind"] == "unknown_labels"]
    assert unknown[0] == "train does not say, left out of loss and metrics: tame 11 of 17"
    table("t.csv", [*rows, ["photos/copy.png", 0, 0, "", "train"]])
    assert "1 picture under two labels" in tlearn("fit", "--config", "table.yaml", "--trainer.fast_dev_run", "1").err
    assert tlearn("doctor", "--config", "table.yaml").code == 0
    assert "contrary_labels" in [each["kind"] for each in json.loads(Path("doctor.json").read_text())["findings"]]


def drawn(count: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, targets with gaps, and the same targets without."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, 3, generator=generator)
    full = (logits + torch.randn(count, 3, generator=generator) > 0).float()
    gaps = full.clone()
    gaps[torch.rand(count, 3, generator=generator) < 0.4] = NAN
    return logits, gaps, full


def test_the_loss_and_its_gradient_are_those_of_the_known() -> None:
    logits, gaps, full = drawn()
    logits.requires_grad_()
    loss = compute_loss("multilabel", logits, gaps)
    known = ~gaps.isnan()
    expected = binary_cross_entropy_with_logits(logits[known], gaps[known])
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert torch.equal(gradient != 0, known)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0])
    plain = binary_cross_entropy_with_logits(logits, full)
    assert torch.equal(compute_loss("multilabel", logits, full), plain)  # the bits of before
    assert float(compute_loss("multilabel", logits, torch.full_like(full, NAN)).detach()) == 0
    assert known_share("multilabel", gaps).tolist() == pytest.approx(known.double().mean(dim=1).tolist())
    assert float(weight_among_processes("multilabel", gaps, None, 1)) == 1


def test_an_epoch_counts_each_known_cell_once() -> None:
    logits, gaps, _ = drawn()
    gaps[:, 2] = NAN
    metrics = EpochMetrics("multilabel", 3, "val")
    for part in torch.arange(200).split(30):
        metrics.update(logits[part], compute_loss("multilabel", logits[part], gaps[part]), gaps[part])
    found = {name: float(value) for name, value in metrics.compute().items()}
    known = ~gaps.isnan()
    assert found["val/loss"] == pytest.approx(float(compute_loss("multilabel", logits, gaps)), rel=1e-5)
    f1 = [f1_score(gaps[known[:, k], k], logits[known[:, k], k] > 0) for k in range(2)]
    assert found["val/f1"] == pytest.approx(np.mean(f1), abs=1e-6)  # the third class counts for nothing
    precision = [average_precision_score(gaps[known[:, k], k], logits[known[:, k], k]) for k in range(2)]
    assert found["val/map"] == pytest.approx(np.mean(precision), abs=1e-6)


def test_the_temperature_is_fitted_on_the_known() -> None:
    logits, gaps, full = drawn(2000)
    whole = fit_temperature("multilabel", logits, full)
    assert fit_temperature("multilabel", logits, gaps) == pytest.approx(whole, rel=0.1)
    flipped = torch.where(gaps.isnan(), 1 - full, full)
    assert fit_temperature("multilabel", logits, flipped) > 1.5 * whole


def test_pages_judge_the_known() -> None:
    logits = torch.tensor([[4.0, -4, 4], [-4, 4, 4], [4, 4, -4]])
    targets = torch.tensor([[1.0, NAN, 1], [NAN, NAN, 0], [0, 1, NAN]])
    answers = answers_from("multilabel", NAMES, Outputs("val", 1, logits, targets, torch.arange(3)), AS_TRAINED)
    scores = class_scores(answers)
    assert scores.images.tolist() == [1, 1, 1]
    assert scores.accuracy.tolist() == [1, 1, 1]
    assert scores.precision.tolist() == [0.5, 1, 0.5]
    assert is_wrong(answers).tolist() == [False, True, True]
    assert worst_mistakes(answers, 5) == [1, 2]
    assert int(reliability(answers, AS_TRAINED).counts.sum()) == 5
    found = verdict(answers, 1)
    assert (found.true, found.predicted) == ("none (unknown: furry, fun)", "fun, tame")
    assert found.probability == pytest.approx(float(torch.tensor(4.0).sigmoid()))
    assert reported_scores("multilabel", answers.given, targets).tolist() == pytest.approx([1, 0, 2 / 3])
    assert int8_score("multilabel", answers.given, targets) == "60.00 % of labels right"


def test_probes_solve_each_label_on_what_is_known_of_it() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(120, 8, generator=generator)
    full = (features[:, :3] + 0.3 * torch.randn(120, 3, generator=generator) > 0).float()
    gaps = full.clone()
    gaps[torch.rand(80, generator=generator).argsort()[:50], 2] = NAN
    train, val = Labelled(features[:80], gaps[:80]), Labelled(features[80:], full[80:])
    found = probe_stage("layer1", 32, "multilabel", train, val, 3)
    known = ~gaps[:80, 2].isnan()
    alone = probe_stage(
        "layer1",
        32,
        "multilabel",
        Labelled(features[:80][known], gaps[:80][known][:, 2:]),
        Labelled(val.features, full[80:, 2:]),
        1,
    )
    others = probe_stage(
        "layer1", 32, "multilabel", Labelled(features[:80], full[:80, :2]), Labelled(val.features, full[80:, :2]), 2
    )
    assert found.neighbours == pytest.approx((alone.neighbours + 2 * others.neighbours) / 3, abs=1e-5)
    assert found.left_out == pytest.approx((alone.left_out + 2 * others.left_out) / 3, abs=1e-5)
    assert found.ridge == pytest.approx((alone.ridge + 2 * others.ridge) / 3, abs=0.02)  # one strength for all
    curve = measure_curve("multilabel", train, val, 3, found.strength)
    assert curve[-1].error == pytest.approx(1 - found.ridge, abs=1e-5)
