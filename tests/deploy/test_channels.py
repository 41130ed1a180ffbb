"""What leaves the project of a network for two and for five channels: files, their metadata, and `load` in Python."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

import tlearn as package
from tests.conftest import Tlearn
from tests.helpers.fake_pictures import bands_of
from tests.training.test_channels import BANDS
from tlearn.base.errors import TlearnError

RUN = "runs/bands/version_0"


@pytest.fixture(params=[2, 5])
def channels(request: pytest.FixtureRequest, tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> int:
    """The channels of a network that is trained; what it sees is larger than the pictures."""
    count = int(request.param)
    monkeypatch.setenv("TLEARN_TRUST", "tests")
    Path("bands.yaml").write_text(BANDS)
    words = ["--model.in_channels", str(count), "--data.bands", str(count), "--model.image_size", "24"]
    answer = tlearn("fit", "-c", "bands.yaml", "--model.tap", "layer1", *words)
    assert answer.code == 0, answer.err
    return count


@pytest.mark.slow
def test_files_answer_as_the_library_does(channels: int, tlearn: Tlearn) -> None:
    for name in ("net.onnx", "net.pt2", "net.safetensors"):
        answer = tlearn("export", "--ckpt_path", RUN, "--out", name)
        assert answer.code == 0, answer.err
        assert "top-1 agrees on 100.00 %" in answer.out
    about = json.loads(Path("net.json").read_text())
    assert about["channels"] == about["network"]["in_channels"] == channels
    assert len(about["normalisation"]["mean"]) == channels
    given = onnx.load("net.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in given] == ["N", channels, 16, 16]
    images, _ = bands_of(channels, 16, 6, seed=7)
    answers = package.load(RUN).predict(images)
    session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"images": images.numpy()})
    for answered, row in zip(answers, wanted, strict=True):
        assert answered.path is None
        assert [answered.probabilities[name] for name in ("dim", "bright")] == pytest.approx(row.tolist(), abs=1e-6)


@pytest.mark.slow
def test_int8(channels: int, tlearn: Tlearn) -> None:
    answer = tlearn("export", "--ckpt_path", RUN, "--out", "small.onnx", "--quantize", "int8")
    assert answer.code == 0, answer.err
    assert "int8, calibrated on 18 images" in answer.out


@pytest.mark.parametrize("channels", [5], indirect=True)
def test_pictures_of_another_kind_are_named(channels: int) -> None:
    model = package.load(RUN)
    images, _ = bands_of(5, 40, 2)
    assert len(model.predict([*images])) == 2  # of another size than those of the training
    for wrong, told in ((images[0, :3], "uint8 (3, 40, 40)"), (images[0].float(), "float32 (5, 40, 40)")):
        with pytest.raises(TlearnError) as refused:
            model.predict([wrong])
        assert f"expected a picture as uint8 (5, H, W), got {told}" in str(refused.value)
    with pytest.raises(TlearnError, match="got one Tensor; put it in brackets"):
        model.predict(images[0])


def test_three_channels_are_no_news_in_a_file(tlearn: Tlearn, small: str) -> None:
    assert tlearn("fit", "-c", small, "--trainer.max_epochs", "1").code == 0
    assert tlearn("export", "--ckpt_path", "runs/small/version_0", "--out", "net.safetensors").code == 0
    about = json.loads(Path("net.json").read_text())
    assert "channels" not in about
    assert "in_channels" not in about["network"]
    assert torch.equal(torch.tensor(about["normalisation"]["mean"]), torch.tensor([0.485, 0.456, 0.406]))
