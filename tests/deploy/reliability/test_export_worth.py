"""An exported file tells what its answers are worth by further outputs, which are the library's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import tlearn as package
from tests.conftest import Tlearn
from tests.deploy.reliability.kept import keep
from tests.helpers.fake_pictures import write_flat
from tlearn.data.files.reading import read_image
from tlearn.deploy.reliability.exported import WorthOutputs
from tlearn.models.reliability.evidence import FILE

OUTPUTS = ["probabilities", "answer_set", "stranger", "answered"]
ASKED = ("--coverage", "0.9", "--min_accuracy", "0.9", "--unknown", "true")


@pytest.fixture
def run(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run, tmp_path, dirs_exist_ok=True)
    keep(Path("runs/folder/version_0"))
    return Path("runs/folder/version_0")


def asked(path: str, run: Path, photos: list[Path]) -> tuple[onnxruntime.InferenceSession, list[Any]]:
    framing = package.load(run).framing
    noise = np.random.default_rng(0).integers(0, 255, (1, 3, framing.size_px, framing.size_px), np.uint8)
    pixels = np.concatenate([torch.stack([read_image(photo, framing) for photo in photos]).numpy(), noise])
    session = onnxruntime.InferenceSession(path)
    return session, session.run(None, {"images": pixels})


def test_onnx_tells_what_the_library_tells(tlearn: Tlearn, run: Path) -> None:
    answer = tlearn("export", str(run), "--out", "model.onnx", *ASKED)
    assert answer.code == 0, answer.err
    assert "; answer_set, stranger, answered agree\n" in answer.out
    photos = write_flat(Path("photos"))
    session, (probabilities, sets, stranger, answered) = asked("model.onnx", run, photos)
    assert [output.name for output in session.get_outputs()] == OUTPUTS
    assert [output.shape for output in session.get_outputs()] == [["N", 3], ["N", 3], ["N"], ["N"]]
    wanted = package.load(run).predict(photos, coverage=0.9, min_accuracy=0.9, unknown=True)
    names = package.load(run).class_names
    for row, each in enumerate(wanted):
        assert [name for name, is_in in zip(names, sets[row], strict=True) if is_in] == each.answer_set
        assert stranger[row] == pytest.approx(each.stranger, abs=1 / 61 + 1e-6)  # one rank, where two scores are equal
        assert answered[row] == (not each.unknown)
        assert probabilities[row].max() == pytest.approx(each.probability, abs=1e-5)
    assert (stranger[-1] > 0.95, answered[-1]) == (True, False)  # the noise
    about = json.loads(session.get_modelmeta().custom_metadata_map["reliability"])
    assert list(about["outputs"]) == OUTPUTS[1:]
    assert about["coverage"] == 0.9
    assert about["promises"]["sets"].startswith("hold the true class in 90 % of pictures like the training pictures")


def test_without_being_asked_an_export_is_as_before(tlearn: Tlearn, run: Path) -> None:
    assert tlearn("export", str(run), "--out", "model.onnx").code == 0
    (run / FILE).unlink()
    assert tlearn("export", str(run), "--out", "other.onnx").code == 0
    assert Path("model.onnx").read_bytes() == Path("other.onnx").read_bytes()


def test_pt2_has_them_too(run: Path) -> None:
    made = package.export(run, out="model.pt2", coverage=0.9)
    assert made.notes[0].endswith("; answer_set agree")
    pixels = torch.zeros(2, 3, *[int(package.load(run).framing.size_px)] * 2, dtype=torch.uint8)
    probabilities, sets = torch.export.load("model.pt2").module()(pixels)
    assert (probabilities.shape, sets.dtype, sets.shape) == ((2, 3), torch.bool, (2, 3))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "m.onnx", "--coverage", "1"], "coverage: expected a share above 0 and below 1, such as 0.9; got 1"),
        (["--out", "m.onnx", "--coverage", "x"], "argument --coverage: expected a share such as 0.9, got x"),
        (["--out", "m.onnx", "--unknown", "yes"], "argument --unknown: invalid choice: 'yes'"),
        (["--out", "m.safetensors", "--unknown", "true"], "unknown true: .safetensors holds weights alone; export to "),
        (
            ["--out", "m.onnx", "--coverage", "0.9", "--quantize", "int8"],
            "coverage 0.9: promised of float32 answers, which 8 bits change; leave out quantize",
        ),
        (["--out", "m.onnx", "--min_accuracy", "0.99"], "min_accuracy 0.99 cannot be promised by 60 held-out pictures"),
    ],
)
def test_what_a_file_cannot_tell_is_said_first(tlearn: Tlearn, run: Path, words: list[str], message: str) -> None:
    answer = tlearn("export", str(run), *words)
    assert answer.code == 2
    assert message in answer.err
    assert list(Path().glob("*m.*")) == []


def test_outputs_that_differ_are_not_written(tlearn: Tlearn, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = WorthOutputs._sets
    monkeypatch.setattr(WorthOutputs, "_sets", lambda self, p: real(self, p) ^ (self._slack == 0))  # the file's alone
    answer = tlearn("export", str(run), "--out", "m.onnx", *ASKED)
    assert answer.code == 2
    assert "the export's further outputs differ from the library's, nothing was written: answer_set of 12 images" in (
        answer.err
    )
    assert not Path("m.onnx").exists()
