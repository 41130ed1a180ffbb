"""The precision that nobody typed: that of the processor, but for what it trains slower in bfloat16."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.conftest import Tlearn
from tlearn import TransferModule

LITE0 = "timm/tf_efficientnet_lite0"


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlearn.base.machine._multiplies_bf16", lambda: True)


@pytest.mark.parametrize(
    ("backbone", "options", "expected"),
    [
        (LITE0, {}, "32-true"),
        ("mobilenet_v2", {}, "32-true"),
        (LITE0, {"freeze_backbone": True}, "bf16-mixed"),
        (LITE0, {"tap": "stage1"}, "bf16-mixed"),  # whose depthwise convolution has stride 1
        (LITE0, {"unfreeze": {"stage1": 2}}, "32-true"),  # gradients pass the frozen stages behind it
        (LITE0, {"freeze_until": "stage4"}, "32-true"),
        ("resnet18", {}, "bf16-mixed"),
        ("convnext_tiny", {}, "bf16-mixed"),  # depthwise with stride 1
        ("regnet_y_400mf", {}, "bf16-mixed"),  # strided, in groups of several channels
    ],
)
def test_strided_depthwise_convolutions_train_in_float32(backbone: str, options: dict[str, Any], expected: str) -> None:
    module = TransferModule(3, weights=None, backbone=backbone, **options)
    assert module.fastest_precision("cpu") == expected


def test_a_gpu_is_asked_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    module = TransferModule(3, weights=None, backbone="mobilenet_v3_small")
    assert [module.fastest_precision(each) for each in ("auto", "gpu", "cpu")] == [
        "bf16-mixed",
        "bf16-mixed",
        "32-true",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], ""),
        (["--model.freeze_backbone", "true"], "precision   bf16-mixed"),
        (["--trainer.precision", "bf16-mixed"], "precision   bf16-mixed"),
    ],
)
def test_what_is_typed_stands_and_the_end_says_what_it_was(
    words: list[str], said: str, tlearn: Tlearn, small: str
) -> None:
    network = ["--model.backbone", "mobilenet_v3_small", "--model.tap", "stage1", "--trainer.precision", "null"]
    run = tlearn("fit", "-c", small, *network, *words, "--trainer.max_epochs", "1")
    assert run.code == 0, run.err
    assert ("precision  " in run.out) == bool(said)
    assert said in run.out


def test_a_test_computes_as_the_run_did(tlearn: Tlearn, small: str) -> None:
    network = ["--model.backbone", "mobilenet_v3_small", "--model.tap", "stage1", "--trainer.precision", "null"]
    assert tlearn("fit", "-c", small, *network, "--trainer.max_epochs", "1").code == 0
    again = tlearn("validate", "--ckpt_path", "runs/small/version_0")
    assert again.code == 0, again.err
    assert "precision  " not in again.out
