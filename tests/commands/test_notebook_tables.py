"""What a notebook shows: names to complete, a network that says what it is, and results as small tables."""

from __future__ import annotations

from pathlib import Path

import pytest

import tlearn as library
from tlearn.base.notebook.html_table import html_table
from tlearn.commands.doctor import Findings
from tlearn.data.files.findings import Finding
from tlearn.deploy.predictor import Prediction


def test_dir_lists_what_is_public() -> None:
    listed = dir(library)
    assert {"fit", "load", "test", "TransferModule", "ImageFolderDataModule", "Prediction"} <= set(listed)
    assert set(listed) == set(library.__all__)
    assert all(hasattr(library, name) for name in listed)


def test_a_loaded_network_says_what_it_is(finished_run: Path) -> None:
    folder = finished_run / "runs/folder/version_0"
    said = repr(library.load(folder))
    assert said.startswith("Predictor(")
    assert "classification of 3: blue, green, red; val/acc 0." in said or "val/acc 1.0000" in said
    assert said.endswith("best.ckpt)")


def test_html_is_escaped_and_short() -> None:
    shown = html_table([("<script>", 0.123456), *[("row", None)] * 30], ("a & b", "c"), "<b>")
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    assert "a &amp; b" in shown
    assert "0.1235" in shown
    assert "and 11 more" in shown
    assert shown.count("<tr>") == 1 + 20 + 1


def test_findings_and_predictions() -> None:
    findings = Findings([Finding("copies", "warning", "two <copies>", [["a.jpg", "b.jpg"]], {"b.jpg": "copy"})])
    assert findings == [findings[0]]
    assert "two &lt;copies&gt;" in findings._repr_html_()
    assert "nothing found" in Findings()._repr_html_()
    shown = Prediction("photos/<cat>.png", {"cat": 0.9, "dog": 0.1})._repr_html_()
    assert "90.0 %" in shown
    assert "photos/&lt;cat&gt;.png" in shown
    assert "3.5" in Prediction(None, {}, value=3.5)._repr_html_()


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_results_of_the_verbs(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = library.plan(small)
    assert "Plan: " in plan._repr_html_()
    assert "layer1" in plan._repr_html_()
    run = library.fit(small, {"trainer.max_epochs": 1})
    shown = run._repr_html_()
    assert "Run, finished" in shown
    assert f"{100 * run.metrics['val/acc']:.1f} %" in shown
    assert "Evaluation" in library.validate(run.folder)._repr_html_()
    assert "predictions, 0 unreadable" in library.predict(run.folder)._repr_html_()
    assert repr(run).startswith("Run(folder=")
    probe = library.probe(small)
    assert f"{probe.best.stage} *" in probe._repr_html_()
