"""`fit --sweep` compares variants of a config, in a grid or as Optuna draws them."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import Tlearn
from tlearn.commands.compare.study import drawn_in_logs

FROZEN = ["--model.freeze_backbone", "true", "--data.val_fraction", "0.2"]


def folders() -> set[str]:
    return {path.parent.name for path in Path("runs/sweep/small").glob("*/version_0")}


def test_grid(tlearn: Tlearn, small: str) -> None:
    words = ["--sweep", "model.optimizer.lr=1e-4,1e-1", "--sweep=model.tap=layer1,[stem, layer1]"]
    answer = tlearn("fit", "-c", small, *FROZEN, *words, "--out", "all.json")
    assert answer.code == 0, answer.err
    standings = json.loads(Path("all.json").read_text())["standings"]
    names = {f"lr={lr}, tap={tap}" for lr in ("0.0001", "0.1") for tap in ("layer1", "[stem, layer1]")}
    assert {each["name"] for each in standings} == names
    plain = {name for name in folders() if "~" not in name}  # others have characters that paths had better not
    assert plain == {"lr=0.0001,tap=layer1-seed0", "lr=0.1,tap=layer1-seed0"}
    assert len(folders()) == 4
    # Each of the two networks runs once over the images.
    assert answer.err.count("features of train:") == answer.err.count("features of val:") == 4
    assert answer.err.count("computed once in") == answer.err.count("from the cache in") == 4
    assert "only the first run that needs them pays" in answer.err
    best = standings[0]["name"]
    tail = answer.out.splitlines()[-3:]
    assert tail[0] == f"best: {best}"
    assert tail[2] == f"checkpoint: {standings[0]['runs'][0]['checkpoint']}"
    # The command printed makes the same network again.
    again = tail[1].removeprefix("again: tlearn ")
    assert tlearn(*shlex.split(again)).code == 0
    one, other = (
        torch.load(path, weights_only=True)["state_dict"]
        for path in (tail[2].removeprefix("checkpoint: "), "runs/small/version_0/checkpoints/best.ckpt")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_variant_that_diverges_is_left_out(tlearn: Tlearn, small: str) -> None:
    words = ["--sweep", "model.optimizer.lr=1e30,1e-2", "--out", "all.json"]
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 0, answer.err
    assert "lr=1e+30 is left out: the training loss is nan in epoch 1, step " in answer.err
    assert [each["name"] for each in json.loads(Path("all.json").read_text())["standings"]] == ["lr=0.01"]
    answer = tlearn("fit", "-c", small, "--sweep", "model.optimizer.lr=1e30,1e31")
    assert answer.code == 2
    assert "the loss of every variant became no number" in answer.err


@pytest.mark.slow
def test_trials(tlearn: Tlearn, small: str) -> None:
    words = ["--sweep", "model.optimizer.lr=1e-5..1e-1", "--sweep", "data.batch_size=4..9", "--trials", "3"]
    words += ["--sweep", "model.head_dropout=0,0.1", "--trainer.max_epochs", "1"]
    answer = tlearn("fit", "-c", small, *FROZEN, *words, "--out", "all.json")
    assert answer.code == 0, answer.err
    names = [each["name"] for each in json.loads(Path("all.json").read_text())["standings"]]
    assert len(names) == len(folders()) == 3
    for name in names:
        lr, batch_size, dropout = (word.partition("=")[2] for word in name.split(", "))
        assert 1e-5 <= float(lr) <= 1e-1
        assert int(batch_size) in range(4, 10)
        assert dropout in ("0", "0.1")
    again = tlearn("fit", "-c", small, *FROZEN, *words)
    assert again.out.count("finished before") == 3  # seeded: the same draws
    assert "trial 3 of 3: lr=" in again.out


def test_draws_are_by_size() -> None:
    assert drawn_in_logs(1e-5, 1e-1)
    assert not drawn_in_logs(0.0, 1.0)
    assert not drawn_in_logs(1.0, 10.0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--sweep", "model.optimizer.lrr=1,2"], "unknown option model.optimizer.lrr on the command line"),
        (["--sweep", "model.optimizr.lr=1,2"], "did you mean model.optimizer.init_args.lr?"),
        (
            ["--sweep", "model.head_dropout=0.1,much"],
            "model.head_dropout on the command line: expected float, got much",
        ),
        (["--sweep", "model.head_dropout"], "expected OPTION=VALUE,VALUE,... or OPTION=LOWEST..HIGHEST"),
        (["--sweep"], "expected OPTION=VALUE"),
        (["--sweep", "model.head_dropout=[0.1"], "is no list of YAML values"),
        (["--sweep", "model.head_dropout=0.1"], "has one variant, head_dropout=0.1"),
        (["--sweep", "model.head_dropout=0.1,1e-1"], "head_dropout=0.1 is given twice"),
        (["--sweep", "model.tap=stem,layer1", "--sweep=model.tap=stem"], "--sweep model.tap is given twice"),
        (["--sweep", "model.head_dropout=0.1..0.5"], "a range needs --trials N"),
        (["--sweep", "model.head_dropout=0.5..0.1", "--trials", "3"], "expected LOWEST..HIGHEST, got '0.5..0.1'"),
        (["--sweep", "model.head_dropout=0.1..0.5", "--trials", "none"], "--trials: expected a whole number"),
        (["--sweep", "data.val_fraction=0.2,0.3"], "val_fraction=0.2 and val_fraction=0.3 validate on different"),
        (["--sweep", "model.tap=stem,layer1", "--seeds", "-1"], "--seeds: expected a whole number from 1 on"),
    ],
)
def test_wrong_words(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err
    assert answer.remarks.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize("verb", ["test", "plan", "quickstart"])
def test_fit_alone_sweeps(verb: str, tlearn: Tlearn) -> None:
    answer = tlearn(verb, "--sweep", "model.tap=stem,layer1")
    assert (answer.code, answer.out) == (2, "")
    assert f"--sweep is an option of fit, which {verb} does not know" in answer.err


def test_without_optuna(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    answer = tlearn("fit", "-c", small, "--sweep", "model.head_dropout=0.1..0.5", "--trials", "3")
    assert answer.code == 2
    assert "pip install 'tlearn[sweep]'" in answer.err


def test_help_of_fit_names_it(tlearn: Tlearn) -> None:
    said = " ".join(tlearn("fit", "--help", "all").out.split())
    assert "--sweep OPTION=VALUE,VALUE,... (again for another option) fits every combination" in said
    assert "--sweep" not in tlearn("test", "--help").out
