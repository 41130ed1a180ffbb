"""Frozen means frozen; the rule table decides every parameter (C06, C07)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import Tlearn
from tlearn import TransferModule

FROZEN_UNTIL_LAYER1 = ("backbone.conv1.", "backbone.bn1.", "backbone.layer1.")


def start_and_end(tlearn: Tlearn, small: str, root: Path, *words: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """State dicts before the first and after the last of three epochs: the seed makes the same start twice."""
    torch.manual_seed(0)
    common = ["fit", "-c", small, "--model.tap", "layer2", "--trainer.max_epochs", "3"]
    assert tlearn(*common, "--model.optimizer.init_args.lr", "1e-30", "--data.batch_size", "24").code == 0
    start = torch.load(root / "runs/small/version_0/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert tlearn(*common, "--model.weights", f"{root}/runs/small/version_0/checkpoints/last.ckpt", *words).code == 0
    end = torch.load(root / "runs/small/version_1/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    return start, end


def test_frozen_backbone_is_bit_identical(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    adamw = ["--model.optimizer", "AdamW", "--model.optimizer.lr", "0.1", "--model.optimizer.weight_decay", "0.5"]
    start, end = start_and_end(tlearn, small, tmp_path, "--model.freeze_backbone", "true", *adamw)
    backbone = [key for key in start if key.startswith("backbone.")]
    assert len(backbone) == 60
    assert all(torch.equal(start[key], end[key]) for key in backbone)
    assert not torch.equal(start["head.weight"], end["head.weight"])


def test_partial_freeze_holds_its_part_and_no_more(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    start, end = start_and_end(tlearn, small, tmp_path, "--model.freeze_until", "layer1")
    for key, value in start.items():
        frozen = key.startswith((*FROZEN_UNTIL_LAYER1, "preprocess."))
        assert torch.equal(value, end[key]) is frozen, key


def test_frozen_stays_in_eval_mode_whoever_asks() -> None:
    module = TransferModule(10, weights=None, freeze_until="layer2")
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    module.train()
    module.backbone.train()
    assert not module.backbone.get_submodule("layer2.1.bn2").training
    assert module.backbone.get_submodule("layer3.0.bn1").training
    frozen = TransferModule(10, weights=None, freeze_backbone=True)
    assert torch.equal(frozen.train()(images), frozen.eval()(images))


def test_counts_of_the_tutorial(tlearn: Tlearn, cifar_root: Path) -> None:
    words = ["fit", "-c", "feature_extractor.yaml", "--data.root", str(cifar_root), "--model.weights", "null"]
    answer = tlearn(*words, "--trainer.fast_dev_run", "true")
    assert "5,130 trainable + 11,176,512 frozen = 11,181,642 parameters" in answer.out


def test_until_is_an_exact_prefix() -> None:
    module = TransferModule(10, weights=None, freeze_until="layer2")
    free = {name.split(".")[1] for name, p in module.backbone.named_parameters(prefix="backbone") if p.requires_grad}
    assert free == {"layer3", "layer4"}
    assert all(p.requires_grad for p in module.head.parameters())


def test_rates_follow_the_rules() -> None:
    module = TransferModule(
        10, weights=None, freeze_until="stem", lr_scales={"backbone.layer4.*": 0.5, "backbone": 0.1}
    )
    groups = module.configure_optimizers().param_groups
    assert [(g["name"], round(g["lr"], 9), len(g["params"])) for g in groups] == [
        ("backbone", 1e-4, 42),
        ("backbone.layer4.*", 5e-4, 15),
        ("head", 1e-3, 2),
    ]
    assert all(p.requires_grad for g in groups for p in g["params"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model.freeze_until", "layr1"], "unknown stage in model.freeze_until 'layr1'. Did you mean 'layer1'?"),
        (["--model.freeze_until", "9"], "Choices: stem, layer1"),
        (["--model.lr_scales", "{layr1: 0.1}"], "unknown pattern in model.lr_scales 'layr1'. Did you mean 'layer1'?"),
        (["--model.freeze_backbone", "true", "--model.lr_scales", "{stem: 0.1}"], "'stem' decides nothing"),
        (["--model.rules", "{'*': null}"], "nothing to train: model.rules freezes all 17 parameters"),
        (["--model.rules", "{backbone: null}"], "no rule in model.rules matches parameter 'head.weight'"),
        (["--model.rules", "{'*': 1.0}", "--model.freeze_backbone", "true"], "model.rules is the whole table"),
        (["--model.lr_scales", "{stem: 0.0}"], "expected a value >0, got 0.0"),
        (["--model.tap", "layer9"], "unknown stage in model.tap 'layer9'. Did you mean 'layer4'?"),
        (["--model.backbone", "resnet19"], "unknown model.backbone 'resnet19'. Did you mean 'resnet18'?"),
    ],
)
def test_wrong_rules_are_one_line(words: list[str], expected: str, tlearn: Tlearn, small: str) -> None:
    answer = tlearn("fit", "-c", small, *words)
    assert answer.code == 2
    assert expected in answer.err
    assert answer.err.count("\n") == 1
