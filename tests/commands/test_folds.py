"""`fit --folds` and `compare --folds`: a run for each fold, and one score from answers to images they had not seen."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tlearn as public
from tests.conftest import SMALL, Tlearn
from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import entries
from tlearn.commands.compare.held_out import saved
from tlearn.commands.compare.table import About, Cost, print_comparison
from tlearn.data.datamodule import Split
from tlearn.data.images.image_set import ImageSet
from tlearn.data.sources.bases import InMemoryDataModule
from tlearn.models.calibration import calibration_in
from tlearn.models.losses import answers_of
from tlearn.models.reliability.evidence import evidence_of
from tlearn.models.weights.safe_load import read_checkpoint
from tlearn.training.module import TransferModule

FROZEN = ("--model.freeze_backbone", "true", "--trainer.max_epochs", "2")
PLACE = Path("runs/small/folds-3")


@pytest.fixture
def whole(tmp_path: Path) -> str:
    """A config that trains on all digits of three classes: 430 images."""
    (tmp_path / "small.yaml").write_text(SMALL.replace(", train_per_class: 8", ""))
    return "small.yaml"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every run that trains."""
    seen: list[str] = []
    begin = TransferModule.on_train_start

    def note(module: TransferModule) -> None:
        seen.append(str(module.trainer.log_dir))
        begin(module)

    monkeypatch.setattr(TransferModule, "on_train_start", note)
    return seen


def in_groups(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let every image be of one of so many groups, whose names are letters."""
    open_split = InMemoryDataModule.open_split

    def grouped(data: InMemoryDataModule, split: Split) -> ImageSet | None:
        images = open_split(data, split)
        if images is not None:
            images.groups = torch.arange(len(images.targets)) // 7 % count
            data.group_names = [chr(ord("a") + number) for number in range(count)]
        return images

    monkeypatch.setattr(InMemoryDataModule, "open_split", grouped)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_image_is_answered_by_a_run_that_has_not_seen_it(tlearn: Tlearn, whole: str, trained: list[str]) -> None:
    words = ("fit", "-c", whole, *FROZEN, "--seed_everything", "5", "--folds", "3")
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    assert trained == [str(PLACE / f"fold-{number}-seed5/version_0") for number in (1, 2, 3)]

    rows = rows_of(PLACE / "oof.csv")
    assert list(rows[0]) == ["index", "fold", "label", "answer", "probability", "p_0", "p_1", "p_2"]
    assert [int(row["index"]) for row in rows] == sorted(int(row["index"]) for row in rows)
    assert len(rows) == 430
    right = [row["label"] == row["answer"] for row in rows]
    for number in (1, 2, 3):
        of_fold = [is_right for is_right, row in zip(right, rows, strict=True) if row["fold"] == str(number)]
        split = json.loads((PLACE / f"fold-{number}-seed5/version_0/split.json").read_text())
        assert (split["folds"], split["fold"]) == (3, number)
        assert split["val"] == [int(row["index"]) for row in rows if row["fold"] == str(number)]
        assert re.search(rf"^ +{number} +{len(of_fold)} +{100 * np.mean(of_fold):.1f} %", answer.out, re.MULTILINE)
    mean = f"{100 * np.mean(right):.1f} %"
    assert re.search(rf"^accuracy {mean} \[\d\d\.\d, \d\d\.\d\] over all 430 images$", answer.out, re.MULTILINE)
    assert "\ninterval: bootstrap over images\n" in answer.out
    assert answer.out.splitlines()[-1] == (
        f"next: tlearn fit --config={Path(whole).absolute()} {' '.join(FROZEN)} --seed_everything 5"
    )
    assert answer.err.count("computed once in") == 1  # the network runs once for all folds
    assert answer.err.count("features of all folds: 430 images x 64") == 3

    again = tlearn(*words)
    assert len(trained) == 3
    assert again.out[again.out.index("accuracy 3" if "accuracy 3" in again.out else "accuracy") :] in answer.out
    assert "fold 2 of 3, seed 5: finished before, taken from runs/small/folds-3/fold-2-seed5/result.json" in again.out


@pytest.mark.slow
def test_probabilities_are_by_the_calibration_of_the_epoch_that_answers(tlearn: Tlearn, whole: str) -> None:
    words = ("--trainer.max_epochs", "4", "--model.optimizer.init_args.lr", "0.3")
    answer = tlearn("fit", "-c", whole, "--model.freeze_backbone", "true", *words, "--folds", "2")
    assert answer.code == 0, answer.err
    moved = 0
    for number in (1, 2):
        folder = PLACE.with_name("folds-2") / f"fold-{number}-seed0"
        best, last = (folder / f"version_0/checkpoints/{name}.ckpt" for name in ("best", "last"))
        calibrations = [calibration_in(read_checkpoint(path)["tlearn"]) for path in (best, last)]
        moved += calibrations[0] != calibrations[1]
        kept = evidence_of(best).needed("a test")
        of_fold = saved(folder / "held_out.npz")
        assert of_fold is not None
        torch.testing.assert_close(of_fold.answers, answers_of(kept.task, kept.logits, calibrations[0]))
    assert moved  # else the test shows nothing


@pytest.mark.slow
def test_only_what_is_missing_runs_after_an_interruption(
    tlearn: Tlearn, whole: str, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = TransferModule.training_step

    def interrupted(module: TransferModule, *batch: Any) -> Any:
        if "fold-2" in str(module.trainer.log_dir):
            raise KeyboardInterrupt
        return step(module, *batch)

    steps = ("--model.feature_cache", "off")  # features have none of Lightning's
    words = ("fit", "-c", whole, *FROZEN, *steps, "--folds", "2")
    with monkeypatch.context() as patched:
        patched.setattr(TransferModule, "training_step", interrupted)
        answer = tlearn(*words)
    assert answer.code == 130
    assert "finished runs are kept: the same command does the others" in answer.err
    assert not Path("runs/small/folds-2/oof.csv").exists()

    trained.clear()
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    assert trained == ["runs/small/folds-2/fold-2-seed0/version_0"]
    assert "fold 1 of 2, seed 0: finished before" in answer.out
    assert "fold 2 of 2, seed 0: it was not finished" in answer.out
    assert len(rows_of(Path("runs/small/folds-2/oof.csv"))) == 430

    Path("runs/small/folds-2/fold-1-seed0/held_out.npz").unlink()  # without it no table can be written
    trained.clear()
    assert tlearn(*words).code == 0
    assert trained == ["runs/small/folds-2/fold-1-seed0/version_0"]


@pytest.mark.slow
def test_groups_from_python(tlearn: Tlearn, whole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_groups(monkeypatch, 6)
    options = {"model.freeze_backbone": True, "trainer.max_epochs": 2}
    found = public.fit(whole, options, folds=2)
    assert isinstance(found, public.FoldedRun)
    rows = rows_of(found.out_of_fold)
    assert list(rows[0])[:3] == ["index", "fold", "group"]
    assert all(row["group"] == "abcdef"[int(row["index"]) // 7 % 6] for row in rows)
    folds = {(row["group"], row["fold"]) for row in rows}
    assert len(folds) == len({group for group, _ in folds}) == found.groups == 6
    assert [fold.groups for fold in found.folds] == [3, 3]
    assert found.images == sum(fold.images for fold in found.folds) == 430
    right = np.mean([row["label"] == row["answer"] for row in rows])
    assert found.mean == pytest.approx(right)
    assert found.interval is not None
    assert found.interval[0] < right < found.interval[1]
    assert all(fold.checkpoint.is_file() for fold in found.folds)
    assert f"2 folds: {found.summary()}" in found._repr_html_()
    shown = tlearn("fit", "-c", whole, *FROZEN, "--folds", "2")
    assert "\ninterval: bootstrap over 6 whole groups (rough: fewer than 10)\n" in shown.out
    assert re.search(r"^ fold images groups accuracy seconds", shown.out, re.MULTILINE)


@pytest.mark.slow
def test_configs_are_ranked_by_the_answers_of_all_folds(
    tlearn: Tlearn, tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_groups(monkeypatch, 6)
    for name, rate in (("slow", "0.0001"), ("fast", "0.03")):
        text = SMALL.replace(", train_per_class: 8", "").replace("lr: 0.01", f"lr: {rate}")
        (tmp_path / f"{name}.yaml").write_text(text)
    words = ("compare", "slow.yaml", "fast.yaml", *FROZEN, "--folds", "2", "--seeds", "2", "--out", "all.json")
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    assert len(trained) == 8
    assert answer.err.count("computed once in") == 2  # random weights of two seeds are two networks
    written = json.loads(Path("all.json").read_text())
    assert (written["images"], written["folds"], written["groups"], written["exact"]) == (430, 2, 6, False)
    best, other = written["standings"]
    assert (best["name"], other["name"]) == ("fast", "slow")
    assert other["p_value"] == pytest.approx(2 / 2**6)  # each of six groups is better in one of them
    place = Path("runs/compare/slow_vs_fast/fast/folds-2")
    right = [np.mean([r["label"] == r["answer"] for r in rows_of(place / f"oof-seed{seed}.csv")]) for seed in (0, 1)]
    assert best["mean"] == pytest.approx(np.mean(right))
    assert best["seeds"] == pytest.approx(sorted(right))
    said = answer.out
    assert "\n430 training images, each validated once, in one of 2 folds; 2 seeds\n" in said
    assert "\ninterval: bootstrap over 6 whole groups (rough: fewer than 10), whose scores are means" in said
    assert "\np: paired permutation test over groups; with 6 groups it cannot be below 0.031\n" in said
    assert f"\nanswers of fast to all images: {place}/oof-seed0.csv, {place}/oof-seed1.csv\n" in said
    found = public.compare(
        ["slow.yaml", "fast.yaml"], {"model.freeze_backbone": True, "trainer.max_epochs": 2}, seeds=2, folds=2
    )
    assert len(trained) == 8
    assert found.standings[0].mean == best["mean"]
    assert found.out_of_fold["fast"] == [place / "oof-seed0.csv", place / "oof-seed1.csv"]
    assert len(found.runs["fast"]) == 4


@pytest.mark.slow
def test_values_are_judged_by_their_error(tlearn: Tlearn, tmp_path: Path) -> None:
    task = ("classes: [0, 1, 2], train_per_class: 8", "classes: [0, 1], task: regression")
    (tmp_path / "small.yaml").write_text(SMALL.replace(*task).replace("0.01", "0.001"))
    answer = tlearn("fit", "-c", "small.yaml", *FROZEN, "--folds", "2")
    assert answer.code == 0, answer.err
    rows = rows_of(Path("runs/small/folds-2/oof.csv"))
    assert list(rows[0]) == ["index", "fold", "value", "answer"]
    error = np.mean([abs(float(row["value"]) - float(row["answer"])) for row in rows])
    (said,) = re.findall(r"^absolute error (\S+) \[(\S+), (\S+)\] over all \d+ images$", answer.out, re.MULTILINE)
    assert float(said[0]) == pytest.approx(error, abs=1e-3)
    assert float(said[1]) < error < float(said[2])


@pytest.mark.slow
def test_features_of_all_folds_have_the_bits_of_a_single_fit(tlearn: Tlearn, whole: str) -> None:
    assert tlearn("fit", "-c", whole, *FROZEN).code == 0
    (split,) = (json.loads(path.read_text()) for path in Path("runs/small").glob("version_*/split.json"))
    assert tlearn("fit", "-c", whole, *FROZEN, "--folds", "2").code == 0
    found = {entry.about["split"]: np.load(f".cache/tlearn/{entry.name}.npy") for entry in entries()}
    assert found.keys() == {"train", "val", "fit"}
    rows = np.sort(np.array(split["train"] + split["val"]))
    for name in ("train", "val"):
        assert np.array_equal(found["fit"][np.searchsorted(rows, split[name])], found[name])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fit", "--folds", "1"], "--folds: expected a whole number from 2 on, got '1'"),
        (["fit", "--folds"], "--folds needs a number"),
        (
            ["fit", "--folds", "3", "--sweep", "model.tap=layer1,layer2"],
            "--sweep compares values on one split, --folds",
        ),
        (
            ["fit", "--folds", "3", "--resume", "auto"],
            "every fold begins anew, --resume resumes one run; drop --resume",
        ),
        (["fit", "--folds", "3", "--ckpt_path", "last"], "every fold begins anew, --ckpt_path resumes one run"),
        (["fit", "--folds", "3", "--data.val_fraction", "0.2"], "--folds 3 validates on each of 3 folds in turn; drop"),
        (["fit", "--folds", "3", "--data.init_args.fold=2"], "in turn; drop --data.init_args.fold"),
        (["fit", "--folds", "500"], "430 images cannot fill 500 folds, each needs one at the least; ask for fewer"),
        (["fit", "--folds", "3", "--trainer.fast_dev_run", "true"], "trainer.fast_dev_run keeps no run, which leaves"),
        (["fit", "--data.folds", "3", "--data.val_fraction", "0.2"], "on one of 3 folds, data.init_args.val_fraction"),
    ],
)
def test_wrong_words(words: list[str], told: str, tlearn: Tlearn, whole: str) -> None:
    answer = tlearn(words[0], "-c", whole, *words[1:])
    assert answer.code == 2
    assert told in " ".join(answer.err.split())
    assert not Path("runs").exists()


def test_data_that_are_made_already_cannot_be_divided_anew(whole: str, tlearn: Tlearn) -> None:
    data = public.DigitsDataModule(classes=[0, 1], size_px=16)
    with pytest.raises(TlearnError, match=r"^--folds makes the data anew for each fold, data= is made already"):
        public.fit(whole, data=data, folds=3)


def test_a_caption_of_many_groups(capsys: pytest.CaptureFixture[str]) -> None:
    from tlearn.analysis.ranking import rank

    scores = {"a": np.ones((1, 40)), "b": np.tile([[0.0, 1.0]], 20)}
    standings = rank(scores, True, np.arange(40) // 2)
    about = About("accuracy", 40, 1, False, folds=5, groups=20)
    print_comparison(standings, dict.fromkeys(scores, Cost(1.0, 10, 10)), about)
    said = capsys.readouterr().out
    assert "\n40 training images, each validated once, in one of 5 folds; 1 seed\n" in said
    assert "\ninterval: bootstrap over 20 whole groups\np: paired permutation test over groups\n" in said
