"""The verbs that look, compare and write, as Python functions: they return what the command line prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

import tlearn as api
from tests.conftest import SMALL, Tlearn
from tests.helpers.fake_pictures import CONFIG as FOLDER
from tests.helpers.fake_pictures import write_broken, write_splits
from tests.helpers.process_state import state
from tests.helpers.python_runs import small_network

CONFIG: dict[str, Any] = yaml.safe_load(SMALL)
CLOCKED = ("_s", "seconds", "_bytes")


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = state()
    yield
    assert state() == before


def clockless(content: Any) -> Any:
    """Plain values but for those of a clock or of the memory."""
    if isinstance(content, dict):
        return {key: clockless(value) for key, value in content.items() if not key.endswith(CLOCKED)}
    return [clockless(each) for each in content] if isinstance(content, list) else content


def plain(result: Any) -> Any:
    return clockless(json.loads(json.dumps(asdict(result))))


def read(path: str) -> Any:
    return clockless(json.loads(Path(path).read_text()))


def test_plan(tlearn: Tlearn, small: str, capfd: pytest.CaptureFixture[str]) -> None:
    options = {"model.unfreeze": {"layer1": 1}, "trainer.max_epochs": 3}
    found = api.plan(small, options, out="plan.json")
    assert capfd.readouterr().out == ""
    assert isinstance(found, api.Plan)
    assert {group.name: group.from_epoch for group in found.groups} == {"layer1": 1, "head": 0, "frozen": None}
    words = ["-c", small, "--model.unfreeze", "{layer1: 1}", "--trainer.max_epochs", "3"]
    assert tlearn("plan", *words, "--out", "typed.json").code == 0
    assert plain(found) == read("plan.json") == read("typed.json")
    assert not Path("runs").exists()


def test_probe(tlearn: Tlearn, small: str, capfd: pytest.CaptureFixture[str]) -> None:
    options = {"data.val_fraction": 0.2, "model.freeze_backbone": True}
    found = api.probe(CONFIG, options, image_sizes=[32, 16])
    assert capfd.readouterr().out == ""
    assert isinstance(found, api.Probe)
    assert [probe.stage for probe in found.stages[:3]] == ["stem", "layer1", "layer2"]
    assert plain(found) == read("runs/probe/default/version_0/probe.json")
    assert tlearn("probe", "-c", small, "--data.val_fraction", "0.2", "--image_sizes", "16,32").code == 0
    assert plain(found) == read("runs/probe/small/version_0/probe.json")


def test_advise(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    small_network(monkeypatch)
    advice = api.advise(small, {"model.class_weights": "balanced"})
    assert capfd.readouterr().out == ""
    assert not Path("advised.yaml").exists()
    assert advice.text.startswith(f"Advice: {advice.decision.choice.candidate.name} at 16 px (")
    assert advice.config["model"]["class_weights"] == "balanced"
    assert advice.not_kept == ["model.optimizer", "model.tap", "trainer.max_epochs"]
    answer = tlearn("advise", "-c", small, "--model.class_weights", "balanced")
    assert answer.code == 0, answer.err
    typed = Path("advised.yaml").read_text()
    assert yaml.safe_load(typed) == advice.config
    advice.write("given.yaml")
    assert Path("given.yaml").read_text().split("\n", 1)[0] == "# tlearn fit given.yaml"
    assert yaml.safe_load(Path("given.yaml").read_text()) == advice.config
    kept, other = (read(f"runs/advise/small/version_{n}/advice.json") for n in (0, 1))
    assert kept["advice"] == plain(advice.decision) == other["advice"]
    assert kept["facts"] == plain(advice.measurements) == other["facts"]
    assert api.fit(advice.config).status == "finished"


def test_compare(tlearn: Tlearn, small: str) -> None:
    slow = {**CONFIG, "trainer": {**CONFIG["trainer"], "max_epochs": 1}}
    found = api.compare({"long": CONFIG, "short": slow}, {"data.val_fraction": 0.2}, seeds=1, name="two", out="c.json")
    assert isinstance(found, api.Comparison)
    assert sorted(standing.name for standing in found.standings) == ["long", "short"]
    assert (found.about.score, found.about.images, found.about.seeds) == ("accuracy", 85, 1)
    (run,) = found.runs["long"]
    assert found.standings[0].mean == sum(found.runs[found.standings[0].name][0].scores) / 85
    assert Path(run.checkpoint).parts[:4] == ("runs", "compare", "two", "long-seed0")
    assert read("c.json")["val"] == found.val
    Path("long.yaml").write_text(SMALL)
    Path("short.yaml").write_text(SMALL.replace("max_epochs: 2", "max_epochs: 1"))
    words = ["--seeds", "1", "--name", "two", "--data.val_fraction", "0.2", "--out", "typed.json"]
    answer = tlearn("compare", "long.yaml", "short.yaml", *words)
    assert answer.code == 0, answer.err
    assert answer.out.count("finished before, taken from") == 2
    assert read("typed.json") == read("c.json")


def test_doctor(tlearn: Tlearn, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_splits(tmp_path / "pictures")
    broken = write_broken(tmp_path / "pictures/train/dog")
    config = yaml.safe_load(FOLDER)
    findings = api.doctor(config, out="found.json")
    assert capfd.readouterr().out == ""
    (unreadable,) = [finding for finding in findings if finding.kind == "unreadable"]
    assert isinstance(unreadable, api.Finding)
    assert unreadable.severity == "error"  # a fit would stop; the function returns
    assert unreadable.exclude == {f"train/dog/{name}": reason for name, reason in broken.items()}
    Path("folder.yaml").write_text(FOLDER)
    assert tlearn("doctor", "-c", "folder.yaml").code == 2
    assert read("doctor.json") == read("found.json")
    excluded = tmp_path / "pictures/tlearn-exclude.json"
    assert not excluded.exists()
    assert api.doctor(config, fix=True) == findings
    assert json.loads(excluded.read_text()) == unreadable.exclude
    assert "unreadable" not in [finding.kind for finding in api.doctor(config)]


def test_export(tlearn: Tlearn, capfd: pytest.CaptureFixture[str]) -> None:
    run = api.fit(CONFIG, {"trainer.max_epochs": 1})
    assert run.folder is not None
    capfd.readouterr()
    found = api.export(ckpt_path=run.folder, out="given.safetensors")
    assert capfd.readouterr().out == ""
    assert isinstance(found, api.Export)
    assert found.path == Path("given.safetensors")
    assert found.agreement.holds
    answer = tlearn("export", "--ckpt_path", str(run.folder), "--out", "typed.safetensors")
    assert answer.out.replace("typed", "given").splitlines() == found.notes
    assert Path("typed.safetensors").read_bytes() == found.path.read_bytes()
    with pytest.raises(api.TlearnError, match=r"--out x.bin: expected a file that ends in .onnx"):
        api.export(ckpt_path=run.folder, out="x.bin")


def test_optimize(tlearn: Tlearn, tmp_path: Path) -> None:
    write_splits(tmp_path / "pictures")
    index = api.optimize("pictures", "given", shard_mb=0.05)
    assert sum(shard.images for shard in index.splits["train"].shards) == 24
    assert tlearn("optimize", "pictures", "typed", "--shard_mb", "0.05").code == 0
    assert read("typed/tlearn.json") == read("given/tlearn.json")
    with pytest.raises(api.TlearnError, match="given exists already"):
        api.optimize("pictures", "given")


@pytest.mark.parametrize("verb", ["plan", "probe", "advise", "doctor"])
def test_a_fault_is_one_error(verb: str) -> None:
    with pytest.raises(api.TlearnError, match=r"unknown option model\.tapp in options; did you mean model\.tap\?"):
        getattr(api, verb)(CONFIG, {"model.tapp": "layer1"})
    with pytest.raises(api.TlearnError, match=r"unknown config 'nothing\.yaml'"):
        getattr(api, verb)("nothing.yaml")
