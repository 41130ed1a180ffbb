"""`advise` looks at the image size that the weights were trained at, says its price, and takes it where it pays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torchvision.models import resnet18

from tests.conftest import Tlearn
from tests.helpers.python_runs import small_network
from tlearn.models.weights.native_size import native_side_px


@pytest.mark.parametrize(
    ("backbone", "weights", "side_px"),
    [
        ("timm/tf_efficientnet_lite2", "lite2.safetensors", 260),
        ("timm/tf_efficientnet_lite0.in1k", "DEFAULT", 224),
        ("resnet18", "DEFAULT", 224),
        ("efficientnet_b1", "IMAGENET1K_V2", 240),
        ("resnet18", "net.pth", None),  # nobody knows
        ("timm/tf_efficientnet_lite2", "runs/a/version_0/checkpoints/best.ckpt", None),  # it learned the user's
        ("timm/tf_efficientnet_lite2", None, None),
        ("my_nets.make_net", "net.pth", None),
    ],
)
def test_the_size_of_the_weights(backbone: str, weights: str | None, side_px: int | None) -> None:
    assert native_side_px(backbone, weights) == side_px


def pictures(kind: str) -> None:
    """Write two classes under coarse noise: with ``stripes`` a pixel wide, which 16 px cannot show, or a ``shade``."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Path("pictures", name).mkdir(parents=True)
        for number in range(16):
            pixels = 110 + np.kron(rng.normal(0, 20, (16, 16)), np.ones((4, 4)))
            if name == "b" and kind == "stripes":
                pixels += np.tile([20, -20], 32)
            if name == "b" and kind == "shade":
                pixels += 60
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB")
            picture.save(Path("pictures", name, f"{number}.png"))


def advice(tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch, *more: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    small_network(monkeypatch)
    monkeypatch.setattr("tlearn.commands.advise.kept.native_side_px", lambda backbone, weights: 64)
    torch.manual_seed(0)
    torch.save(resnet18().state_dict(), "net.pth")
    words = ["pictures", "--model.backbone", "resnet18", "--model.weights", "net.pth", "--trainer.max_epochs", "1"]
    answer = tlearn("advise", *words, "--data.val_fraction", "0.25", *more)
    assert answer.code == 0, answer.err
    (written,) = Path("runs/advise").glob("*/version_0/advice.json")
    return answer.out, json.loads(written.read_text()), yaml.safe_load(Path("advised.yaml").read_text())


def test_the_size_of_the_weights_is_taken_where_it_pays(
    tlearn: Tlearn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures("stripes")
    out, found, config = advice(tlearn, monkeypatch, "--model.image_size", "16")
    said, own = " ".join(out.split()), found["facts"]["own_size"]
    assert (own["size_px"], own["images"], own["there"]) == (64, 24, 1.0)
    assert own["here"] < 0.8
    assert own["low"] > 0
    assert own["pass_time_s"] > 0
    assert found["advice"]["choice"]["candidate"]["name"] == "own_size"
    assert "Advice: own_size at 64 px (the network stays fixed," in said
    assert "At that size a head has 100.0 % of 24 training images right that it was made without" in said
    assert config["model"]["image_size"] == config["advice"]["options"]["image_size"] == 64
    assert config["model"]["head_solver"] == "lbfgs"
    price, _, race = out.splitlines()[-3:]
    assert price.startswith("the same head at 16 px: -")
    assert race.endswith("--model.image_size=64 --budget auto")
    assert tlearn("fit", "advised.yaml").code == 0
    assert "advised; expected accuracy" in (tmp_path / "runs/advised/version_0/report.html").read_text()


def test_it_is_offered_with_its_price_where_it_does_not_pay(tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures("shade")
    out, found, config = advice(tlearn, monkeypatch, "--model.image_size", "16")
    said, own = " ".join(out.split()), found["facts"]["own_size"]
    assert own["low"] <= 0
    assert config["model"]["image_size"] == 16
    assert "The network learned from pictures of 64 px." in said
    assert "s more. To take it: --model.image_size 64." in said
    assert "not as typed" not in out  # but trainer.max_epochs, all that was typed was kept
    assert [each["candidate"]["name"] for each in found["advice"]["outlooks"]].count("own_size") == 1


def test_sizes_that_are_typed_are_the_only_ones(tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures("shade")
    out, found, _ = advice(tlearn, monkeypatch, "--image_sizes", "16,32")
    assert found["facts"]["own_size"] is None
    assert sorted(found["facts"]["probe"]["pass_time_s"]) == ["16", "32"]
    assert "The network learned from" not in out
