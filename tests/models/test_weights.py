"""Where weights come from, and that they never come silently from nowhere (C13, C37)."""

from __future__ import annotations

from email.message import Message
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18, resnet34

from tests.conftest import Tlearn
from tlearn import TransferModule


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch hub, and no network."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    return tmp_path / "hub/hub/checkpoints/resnet18-f37072fd.pth"


@pytest.mark.fault("No network where weights have to be fetched", "one line that says where to put them")
def test_unreachable_weights(tlearn: Tlearn, small: str, hub: Path, tmp_path: Path) -> None:
    answer = tlearn("fit", "-c", small, "--model.weights", "DEFAULT")
    assert answer.code == 2
    file = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert f"cannot fetch {file} (no network): there seems to be no network; " in answer.err
    way = "or type --model.weights FILE for weights of your own (null: random, no transfer)"
    assert f"put that file at {hub}, {way}" in answer.err
    assert not (tmp_path / "runs").exists()


def test_weights_that_a_server_refuses(tlearn: Tlearn, small: str, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, *args: object, **kwargs: object) -> None:
        raise HTTPError(url, 403, "Forbidden", Message(), None)

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    answer = tlearn("fit", "-c", small, "--model.weights", "DEFAULT")
    assert answer.code == 2
    assert f"(Forbidden): its server refuses; put that file at {hub}, or type --model.weights FILE" in answer.err
    assert "no network" not in answer.err


@pytest.mark.fault("Downloaded weights that are damaged", "one line that names the file")
def test_damaged_cached_weights(tlearn: Tlearn, small: str, hub: Path) -> None:
    hub.parent.mkdir(parents=True)
    hub.write_bytes(bytes(1_000_000))
    answer = tlearn("fit", "-c", small, "--model.weights", "IMAGENET1K_V1")
    assert answer.code == 2
    assert f"cached weights {hub} are damaged; delete the file" in answer.err


def test_cached_weights_and_the_warning_about_small_pictures(tlearn: Tlearn, small: str, hub: Path) -> None:
    hub.parent.mkdir(parents=True)
    torch.save(resnet18().state_dict(), hub)
    answer = tlearn("fit", "-c", small, "--model.weights", "DEFAULT")
    assert answer.code == 0
    assert "weights resnet18 IMAGENET1K_V1: 30 backbone tensors loaded, the head starts new" in answer.err
    warning = "the network sees pictures of 16 px and was pretrained at 224 px: accuracy suffers; try "
    assert answer.err.count(warning) == 1
    answer = tlearn("fit", "-c", small, "--model.weights", "DEFAULT", "--model.image_size", "128")
    assert "accuracy suffers" not in answer.err


def test_evaluation_needs_no_network(tlearn: Tlearn, small: str, hub: Path) -> None:
    hub.parent.mkdir(parents=True)
    torch.save(resnet18().state_dict(), hub)
    assert tlearn("fit", "-c", small, "--model.weights", "DEFAULT", "--trainer.max_epochs", "1").code == 0
    hub.unlink()
    for verb in ("validate", "test", "predict"):
        assert tlearn(verb, "-c", small, "--model.weights", "DEFAULT", "--ckpt_path", "best").code == 0
    more = ["--model.weights", "DEFAULT", "--trainer.max_epochs", "2", "--ckpt_path", "last"]
    assert tlearn("fit", "-c", small, *more).code == 0


@pytest.mark.parametrize("kind", ["pth", "safetensors", "compiled", "wrapped"])
def test_state_dicts_of_many_shapes(kind: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    state = resnet18(num_classes=7).state_dict()
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "compiled":
        torch.save({f"_orig_mod.{key}": value for key, value in state.items()}, path)
    else:
        torch.save({"model": state} if kind == "wrapped" else state, path)
    answer = tlearn("fit", "-c", small, "--model.weights", str(path), "--trainer.fast_dev_run", "true")
    assert answer.code == 0
    assert f"weights {path}: 30 backbone tensors loaded, the head starts new (2 tensors)" in answer.err
    module = TransferModule(3, weights=str(path))
    assert torch.equal(module.backbone.get_parameter("layer4.1.conv2.weight"), state["layer4.1.conv2.weight"])


def test_weights_of_another_network(tlearn: Tlearn, tmp_path: Path, small: str) -> None:
    torch.save(resnet18().state_dict(), tmp_path / "18.pth")
    torch.save(resnet34().state_dict(), tmp_path / "34.pth")
    torch.save({"a": torch.zeros(2)}, tmp_path / "none.pth")
    words = ["fit", "-c", small, "--model.tap", "null", "--model.weights"]
    answer = tlearn(*words, str(tmp_path / "18.pth"), "--model.backbone", "resnet34")
    assert answer.code == 2
    assert "do not fit model.backbone: 96 missing of 216 tensors (first: layer1.2.conv1.weight)" in answer.err
    answer = tlearn(*words, str(tmp_path / "none.pth"))
    assert "120 missing of 120 tensors" in answer.err
    answer = tlearn(*words, str(tmp_path / "nowhere.pth"))
    assert f"no checkpoint at {tmp_path}/nowhere.pth" in answer.err
    answer = tlearn(*words, "DEFALT")
    assert "unknown model.weights for resnet18 'DEFALT'. Did you mean 'DEFAULT'?" in answer.err


def test_cut_network_matches_torchvision_bit_for_bit() -> None:
    network = resnet18().eval()
    module = TransferModule(1000, weights=None)
    state = network.state_dict()
    module.backbone.load_state_dict({key: state[key] for key in module.backbone.state_dict()})
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    network.fc = torch.nn.Identity()
    features = module.eval().backbone(module.preprocess(images))
    assert torch.allclose(features, network(module.preprocess(images)), atol=1e-5)


def test_taps_stand_side_by_side_and_later_stages_are_not_built() -> None:
    module = TransferModule(10, weights=None, tap=["layer2", "stem"])
    assert module.backbone.num_features == 64 + 128
    assert not any("layer3" in key or "layer4" in key for key in module.state_dict())


def test_grey_is_normalised_by_the_weights_statistics() -> None:
    module = TransferModule(10, weights=None, image_size=48)
    seen = module.preprocess(torch.full((1, 3, 32, 40), 128, dtype=torch.uint8))
    assert seen.shape == (1, 3, 48, 48)
    expected = (128 / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    assert torch.allclose(seen[0, :, 20, 20], expected, atol=1e-6)
