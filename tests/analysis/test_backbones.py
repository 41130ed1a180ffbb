"""`advise --backbones`: probes on ever more pictures, the cheapest within the noise of the best, then the advice."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from torchvision.models import ResNet18_Weights, mobilenet_v2

import tlearn as api
from tests.conftest import Tlearn
from tests.helpers.python_runs import small_network
from tlearn.analysis.backbones.choice import Contest, TriedNetwork, near_the_best, quicker
from tlearn.analysis.backbones.halving import MOST_SHARE, following_images, nested_order
from tlearn.commands.advise.backbones import Named, _labels, network_words
from tlearn.models.weights.at_hand import networks_at_hand

CHECKPOINT = "runs/small/version_0/checkpoints/best.ckpt"


@pytest.mark.parametrize("left", [2, 3, 5])
@pytest.mark.parametrize("images", [245, 1_000, 50_000])
def test_rounds_grow_while_a_third_of_all_allows_it(left: int, images: int) -> None:
    seen, passes = 16, 16 * 5
    while (more := following_images(seen, left, passes, 5, images)) is not None:
        assert 1.1 * seen <= more <= 2 * seen
        passes, seen = passes + left * (more - seen), more
    assert 0.3 * 5 * images < passes <= MOST_SHARE * 5 * images
    assert following_images(16, 1, 80, 5, images) is None  # nobody is left to be told apart


def test_a_round_beyond_the_share_is_the_last() -> None:
    assert following_images(24, 2, 48, 2, 60) is None


def test_each_beginning_has_the_classes_in_their_shares() -> None:
    classes = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    order = nested_order(classes)
    assert sorted(order.tolist()) == list(range(100))
    for count in (10, 20, 50):
        assert torch.bincount(classes[order[:count]]).tolist() == [6 * count // 10, 3 * count // 10, count // 10]
    assert order.tolist() == nested_order(classes).tolist()
    assert order.tolist() != list(range(100))


def tried(name: str, seconds: float) -> TriedNetwork:
    return TriedNetwork(name, name, "DEFAULT", 0.9, 0.8, 0.95, 100, seconds, 10.0, 0.0, None)


def test_a_quicker_one_within_the_noise_is_named() -> None:
    wrong = {"slow": 10, "quick": 12, "bad": 40}
    losses = {name: (torch.arange(100) < count).double() for name, count in wrong.items()}
    assert near_the_best(losses) == ["slow"]  # two pictures more, and none the other way: more than one standard error
    losses["quick"] = losses["slow"].roll(8)  # as many wrong, but others
    losses["quick"][50] = 1.0
    assert near_the_best(losses) == ["slow", "quick"]
    assert near_the_best(losses, "quick") == ["quick", "slow"]
    slow = tried("slow", 9.0)
    found = quicker([slow, tried("quick", 2.0), tried("bad", 1.0)], near_the_best(losses), slow)
    assert found is not None
    assert found.name == "quick"
    assert quicker([slow, tried("quick", 6.5)], near_the_best(losses), slow) is None  # hardly quicker: no reason


def test_the_words_name_a_quicker_one() -> None:
    slow, quick = tried("slow", 9.0), tried("quick", 2.0)
    found = Contest([slow, quick], slow, quick, "accuracy", 96, 200, 500)
    assert network_words(found).splitlines() == [
        "network: slow (the best of those that saw 100 pictures)",
        "within the noise of it, and 4.5 times as quick: quick",
        "pictures through networks: 200, 40 % of probing all fully, more than 35 %, for there are few pictures",
    ]


def test_a_network_is_chosen_and_the_advice_goes_on_with_it(
    tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_network(monkeypatch)
    assert tlearn("fit", "-c", small, "--model.tap", "null", "--trainer.max_epochs", "6").code == 0
    torch.save(mobilenet_v2().state_dict(), "mobile.pth")
    words = ["-c", small, "--data.train_per_class", "20", "--trainer.max_epochs", "1"]
    answer = tlearn("advise", *words, "--backbones", f"resnet18={CHECKPOINT},mobilenet_v2=mobile.pth")
    assert answer.code == 0, answer.err
    (written,) = Path("runs/advise").glob("*/version_0/advice.json")
    found = json.loads(written.read_text())["networks"]
    assert (found["passes"], found["all_passes"]) == (48, 120)
    assert {(each["name"], each["images"]) for each in found["tried"]} == {("resnet18", 24), ("mobilenet_v2", 24)}
    assert found["chosen"]["name"] == "resnet18"  # it knows these digits; the other has random weights
    assert all(each["low"] <= each["score"] <= each["high"] + 1e-9 for each in found["tried"])
    assert "network: resnet18 (the best of those that saw 24 pictures)" in answer.out
    assert "pictures through networks: 48, 40 % of probing all fully, more than 35 %" in answer.out
    config = yaml.safe_load(Path("advised.yaml").read_text())
    assert (config["model"]["backbone"], config["model"]["weights"]) == ("resnet18", CHECKPOINT)
    assert f"--model.backbone=resnet18 --model.weights={CHECKPOINT} --budget auto" in answer.out.splitlines()[-1]


def test_files_that_share_a_name_are_named_by_their_paths() -> None:
    named = [
        Named("resnet18", "a/best.ckpt"),
        Named("resnet18", "b/best.ckpt"),
        Named("resnet18", "c/other.ckpt"),
        Named("mobilenet_v2", "a/best.ckpt"),
    ]
    assert _labels(named) == ["resnet18=a/best.ckpt", "resnet18=b/best.ckpt", "resnet18=other.ckpt", "mobilenet_v2"]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("resnet18", "--backbones compares two networks at least, got resnet18; to take it: --model.backbone resnet18"),
        ("resnet18,resnet18", "--backbones names resnet18 twice; drop one"),
        ("resnet18=m.pth,resnet18=./m.pth", "--backbones names resnet18 twice; drop one"),
        ("resnet18,=a.pth", "--backbones expects names such as resnet18,timm/tf_efficientnet_lite0=FILE, got"),
        ("resnet18,mobilenet_v2=a.pth", "--backbones mobilenet_v2: no file of weights at a.pth; check the path"),
        ("mobilenet_v2=m.pth,resnet81=m.pth", "resnet81"),
        ("mobilenet_v2=m.pth,resnet18=small.yaml", "small.yaml"),
        ("auto", "auto compares networks whose weights are on this machine, two at least; found none"),
    ],
)
def test_refused_in_a_line(
    tlearn: Tlearn, small: str, named: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tlearn.commands.advise.backbones.networks_at_hand", list)
    monkeypatch.setattr("tlearn.commands.advise.backbones.contest", lambda *_: pytest.fail("pictures were looked at"))
    torch.save(mobilenet_v2().state_dict(), "m.pth")
    answer = tlearn("advise", "-c", small, "--backbones", named)
    assert answer.code == 2
    assert said in answer.err
    assert len([line for line in answer.remarks.splitlines() if not line.startswith("weights m.pth: ")]) == 1
    assert not (tmp_path / "advised.yaml").exists()


def test_refused_from_python_and_beside_another_network(tlearn: Tlearn, small: str) -> None:
    with pytest.raises(api.TlearnError, match="two networks at least, got resnet18"):
        api.advise(small, backbones=["resnet18"])
    with pytest.raises(api.TlearnError, match=r"--backbones and --model\.weights both say which network; drop one"):
        api.advise(small, {"model.weights": "DEFAULT"}, backbones=["resnet18", "resnet34"])


@pytest.fixture
def hub_constants() -> Iterator[ModuleType]:
    """Return the module of the Hub's folders, which reads the environment when it is imported."""
    from huggingface_hub import constants

    yield constants
    importlib.reload(constants)


@pytest.mark.parametrize(
    ("variable", "folder"), [("HF_HUB_CACHE", "."), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub")]
)
def test_networks_at_hand(
    variable: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub_constants: ModuleType
) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "kept"))
    importlib.reload(hub_constants)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "torch"))
    assert networks_at_hand() == []
    kept = tmp_path / "torch/checkpoints" / Path(ResNet18_Weights.DEFAULT.url).name
    snapshots = tmp_path / "kept" / folder
    whole = snapshots / "models--timm--resnet10t.c3_in1k/snapshots/abc/model.safetensors"
    other = snapshots / "models--timm--resnet14t.c3_in1k/snapshots/abc/config.json"
    for path in (kept, whole, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert networks_at_hand() == ["resnet18", "timm/resnet10t.c3_in1k"]
