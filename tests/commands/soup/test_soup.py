"""`tlearn soup RUN RUN`: averages of runs beside the runs, and a run made of what is kept."""

from __future__ import annotations

import json
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import torch

import tlearn as tl
from tests.conftest import SMALL, Tlearn, no_pictures
from tests.helpers.runs import FROZEN

WORDS = ("--data.val_fraction", "0.3", "--trainer.max_epochs", "1", "--data.train_per_class", "12")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs at three rates, whose BatchNorms follow the batches, to be copied."""
    folder = tmp_path_factory.mktemp("three")
    (folder / "small.yaml").write_text(SMALL)
    torch.set_num_threads(1)
    with chdir(folder), no_pictures():
        for rate in ("0.001", "0.01", "0.03"):
            assert tl.main(["fit", "-c", "small.yaml", *WORDS, "--model.optimizer.init_args.lr", rate]) == 0
    return folder


@pytest.fixture
def runs(three: Path, tlearn: Tlearn) -> list[str]:
    """The three, in the folder that the commands run in."""
    shutil.copytree(three, ".", dirs_exist_ok=True)
    return [f"runs/small/version_{number}" for number in range(3)]


def state_of(place: str) -> dict[str, Any]:
    state = torch.load(Path(place, "checkpoints/best.ckpt"), weights_only=True)["state_dict"]
    return {name: value for name, value in state.items() if name.startswith(("backbone.", "head."))}


def rows_of(record: dict[str, Any], split: str = "val") -> dict[str, dict[str, Any]]:
    return {row["kind"] + row["name"].removeprefix("small/version_"): row for row in record[split]["candidates"]}


def test_soup_of_three_runs(tlearn: Tlearn, runs: list[str]) -> None:
    answer = tlearn("soup", *runs, "--keep", "soup", "--against", "test", "--out", "all.json")
    assert answer.code == 0, answer.err
    assert max(map(len, answer.out.partition("all of it")[0].splitlines())) <= 80
    record = json.loads(Path("all.json").read_text())
    row = next(row for row in record["val"]["candidates"] if row["kind"] == "soup")
    assert row["members"] == [each["name"] for each in record["val"]["candidates"] if each["kind"] == "single"]
    losses = [each["loss"] for each in record["val"]["candidates"] if each["kind"] == "single"]
    assert losses == sorted(losses)
    assert "BatchNorm: 5 layers differ, and are measured anew on training images" in answer.out
    assert "these images were opened once, for this table; choose nothing by it" in answer.out
    assert "kept: uniform soup of 3 (one pass): as --keep asks" in answer.out
    # What is kept is a whole run, and validating and testing it repeats the table.
    kept = "runs/soup/small/version_0"
    assert f"report      {kept}/report.html" in answer.out
    assert answer.out.splitlines()[-1].startswith(f"next: tlearn test {kept}")
    assert json.loads(Path(kept, "soup.json").read_text()) == record
    for verb, split in (("validate", "val"), ("test", "test")):
        again = tlearn(verb, kept)
        assert again.code == 0, again.err
        row = next(row for row in record[split]["candidates"] if row["kind"] == "soup")
        assert float(again.result["loss"].split()[0]) == pytest.approx(row["loss"], abs=2e-4)
    # Weights are the mean; statistics of BatchNorm are not.
    states, mixed = [state_of(run) for run in runs], state_of(kept)
    for name in ("head.weight", "backbone.conv1.weight"):
        torch.testing.assert_close(mixed[name], torch.stack([state[name] for state in states]).mean(dim=0))
    name = "backbone.bn1.running_var"
    assert not torch.allclose(mixed[name], torch.stack([state[name] for state in states]).mean(dim=0))


def test_soup_of_equal_runs_answers_as_they_do(tlearn: Tlearn, runs: list[str]) -> None:
    shutil.copytree(runs[1], "runs/copy/version_0")
    found = tl.soup([runs[1], "runs/copy/version_0"])
    rows = {row["kind"]: row for row in found.record["val"]["candidates"]}
    assert rows["soup"]["losses"] == pytest.approx(rows["single"]["losses"], abs=1e-6)
    assert rows["ensemble"]["losses"] == pytest.approx(rows["single"]["losses"], abs=1e-6)
    assert rows["soup"]["p_value"] == 1
    assert found.comparison.norms == 0
    assert found.kept in ("small/version_1", "copy/version_0")
    assert "Soup on" in found._repr_html_()
    assert found.run.checkpoint is not None
    assert tl.load(found.run.checkpoint).class_names == ["0", "1", "2"]


def test_ensemble_is_kept_as_one_run(tlearn: Tlearn, runs: list[str]) -> None:
    answer = tlearn("soup", *runs[:2], "--keep", "ensemble", "--out", "all.json")
    assert answer.code == 0, answer.err
    assert "kept: ensemble of 2 (2 passes): as --keep asks" in answer.out
    row = json.loads(Path("all.json").read_text())["val"]["candidates"][-1]
    again = tlearn("validate", "runs/soup/small")
    assert again.code == 0, again.err
    assert float(again.result["loss"].split()[0]) == pytest.approx(row["loss"], abs=2e-4)
    again = tlearn("soup", "runs/soup/small", runs[2])
    assert "is an ensemble, whose weights are of several networks; name its members" in again.err


def test_heads_of_a_frozen_network(tlearn: Tlearn, small: str) -> None:
    for rate in ("0.01", "0.1"):
        assert tlearn("fit", "-c", small, *WORDS, *FROZEN, "--model.optimizer.init_args.lr", rate).code == 0
    answer = tlearn("soup", "runs/small/version_0", "runs/small/version_1", "--name", "heads")
    assert answer.code == 0, answer.err
    assert "BatchNorm: the statistics are the same in all runs, and stay" in answer.out
    assert Path("runs/soup/heads/version_0/checkpoints/best.ckpt").is_file()


def test_what_has_no_mean_is_refused(tlearn: Tlearn, runs: list[str]) -> None:
    def refused(*words: str) -> str:
        answer = tlearn("soup", *words)
        assert answer.code == 2
        assert not Path("runs/soup").exists()
        return answer.err.splitlines()[-1]

    assert "a soup is made of two runs or more of the same network, got none" in refused()
    assert f"got {runs[0]} alone" in refused(runs[0])
    assert "is named twice" in refused(runs[0], runs[0])
    assert "no run at" in refused(runs[0], "runs/none")
    assert "soup trains nothing, and its network is that of the runs; drop --model.tap" in refused(
        *runs, "--model.tap=a"
    )
    assert "--keep" in refused(*runs, "--keep", "best")
    assert "--against" in refused(*runs, "--against", "train")
    for change, what in {
        "task": "different tasks, classification and multilabel",
        "classes": "different classes, 0, 1, 2 and 0, 2, 1",
        "tap": "different taps, layer1 and stem",
        "image_size": "different image sizes, None and 32",
        "shapes": "weights of different shapes, head.weight: (3, 64) and (3, 32)",
        "pictures": "different framing of pictures, {'size_px': 16} and {'size_px': 24}",
        "pixels": "normalise pixels differently (preprocess.mean)",
        "split_seed": "validate on different images (130 and 130)",
    }.items():
        said = refused(runs[0], changed(runs[1], change))
        assert f"small/version_0 and {change}/version_0 " in said
        assert what in said


def changed(run: str, change: str) -> str:
    """Copy a run whose checkpoint says something else, and return its folder."""
    place = f"runs/{change}/version_0"
    shutil.copytree(run, place)
    path = Path(place, "checkpoints/best.ckpt")
    content = torch.load(path, weights_only=True)
    options, about, state = content["hyper_parameters"], content["tlearn"], content["state_dict"]
    if change == "task":
        options["task"] = about["task"] = "multilabel"
    elif change == "classes":
        about["class_names"] = ["0", "2", "1"]
    elif change in ("tap", "image_size"):
        options[change] = {"tap": "stem", "image_size": 32}[change]
    elif change == "shapes":
        state["head.weight"] = state["head.weight"][:, :32].clone()
    elif change == "pictures":
        about["pictures"]["size_px"] = 24
    elif change == "pixels":
        state["preprocess.mean"] += 0.1
    else:
        content["tlearn_config"]["data"]["init_args"]["split_seed"] = 1
    torch.save(content, path)
    return place


@pytest.mark.slow
def test_a_sweep_names_the_soup_and_two_networks_do_not(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *WORDS, "--sweep", "model.optimizer.lr=1e-3,1e-2")
    assert answer.code == 0, answer.err
    line = next(line for line in answer.out.splitlines() if line.startswith("to average the best runs: tlearn soup "))
    said = line.split()[-2:]
    assert {Path(run).parent.name for run in said} == {"lr=0.001-seed0", "lr=0.01-seed0"}
    assert tlearn("soup", *said, "--keep", "single").code == 0
    answer = tlearn("fit", "-c", small, *WORDS, "--sweep", "model.tap=stem,layer1")
    assert answer.code == 0, answer.err
    assert "to average the best runs" not in answer.out
