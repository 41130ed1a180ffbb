"""Verbs that take long say where they are: plain lines where stderr is no terminal, nothing where they were quick."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Tlearn
from tests.helpers.fake_pictures import write_splits
from tlearn.base import progress

VAL = ["--data.val_fraction", "0.2"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines come at once and often, as if the work took hours."""
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    monkeypatch.setattr(progress, "PLAIN_S", 0.0)
    monkeypatch.setattr(progress, "_REDRAW_S", 0.002)


def parts(err: str, verb: str) -> dict[int, set[str]]:
    """What a verb said to be doing in each of its parts; all lines name the same number of parts."""
    found: dict[int, set[str]] = {}
    totals = set[str]()
    for place, total, what in re.findall(rf"^{verb} (\d+)/(\d+)(?:, (.*?))?(?:: .*)?$", err, flags=re.MULTILINE):
        found.setdefault(int(place), set()).add(what)
        totals.add(total)
    assert totals == {str(max(found))}
    return found


@pytest.mark.usefixtures("impatient")
def test_probe_names_sizes_and_stages(tlearn: Tlearn, small: str) -> None:
    answer = tlearn("probe", "-c", small, *VAL, "--image_sizes", "16,32")
    assert answer.code == 0, answer.err
    found = parts(answer.err, "probe")
    assert found[1] & {"16 px, train", "16 px, val", "32 px, train", "32 px, val"}
    assert (
        len(found[2] & {f"{size} px, {stage}" for size in (16, 32) for stage in ("stem", "layer1", "layer4", "all")})
        > 2
    )
    assert re.search(r"^probe 2/3, \d+ px, \w+: \d+ of 12\b", answer.err, flags=re.MULTILINE)
    assert set(found) <= {1, 2, 3}


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("weights", "count"), [("null", 7), ("source", 8)])
def test_advise_names_each_measurement(tlearn: Tlearn, small: str, weights: str, count: int) -> None:
    if weights == "source":
        assert tlearn("fit", "-c", small, "--model.tap", "null").code == 0
        weights = "runs/small/version_0/checkpoints/best.ckpt"
    words = ["--model.weights", weights, "--model.tap", "null", "--trainer.max_epochs", "1"]
    answer = tlearn("advise", "-c", small, *VAL, *words)
    assert answer.code == 0, answer.err
    found = parts(answer.err, "advise")
    assert max(found) == count  # as many as were promised
    assert any(what.startswith("trials, ") for what in found[count])
    assert "trying fewer images" in found[count - 1]
    assert "likeness of the images" in found[count - 2]
    assert ("random weights" in " ".join(found[5])) == (count == 8)


@pytest.mark.usefixtures("impatient")
def test_compare_numbers_its_runs(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(Path(small).read_text().replace("lr: 0.01", "lr: 0.02"))
    words = ["compare", small, "other.yaml", *VAL, "--seeds", "1"]
    answer = tlearn(*words)
    assert answer.code == 0, answer.err
    for number, name in ((1, "small"), (2, "other")):
        assert f"\nrun {number}/2, {name}, seed 0" in answer.err
    assert "run " not in tlearn(*words).err.replace("finished run", "")  # both are finished


@pytest.mark.usefixtures("impatient")
def test_doctor_and_export_say_how_many(tlearn: Tlearn, finished_run: Path, tmp_path: Path) -> None:
    write_splits(tmp_path / "pictures", train=30)
    answer = tlearn("doctor", "pictures")
    assert re.search(r"^checking train: \d+ of 90 files", answer.err, flags=re.MULTILINE)
    run = finished_run / "runs/folder/version_0"
    answer = tlearn("export", str(run), "--out", "net.safetensors", "--data", str(finished_run / "pictures"))
    assert answer.code == 0, answer.err
    assert re.search(r"^checking the export: \d of \d", answer.err, flags=re.MULTILINE)


def test_quick_verbs_say_nothing(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_S", 0.0)
    monkeypatch.setattr(progress, "_REDRAW_S", 0.002)
    monkeypatch.setattr(progress, "QUIET_S", 600.0)  # this machine may be busy
    answer = tlearn("probe", "-c", small, *VAL)
    assert answer.code == 0, answer.err
    assert "probe" not in answer.err
