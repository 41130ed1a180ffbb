"""Weights of other frameworks: found behind any prefix, chosen as their authors evaluate, named where they are none."""

from __future__ import annotations

import argparse
import gzip
import sys
import zipfile
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet18

from tests.conftest import Tlearn
from tlearn import TlearnError, TransferModule
from tlearn.deploy.predictor import load

State = dict[str, Tensor]


def network(seed: int) -> State:
    """ResNet18 up to its first layer, and a classifier, as small as may be."""
    torch.manual_seed(seed)
    state = resnet18(num_classes=7).state_dict()
    return {name: value for name, value in state.items() if name.startswith(("conv1", "bn1", "layer1", "fc"))}


FIRST, SECOND = network(0), network(1)
BODY = {name: value for name, value in FIRST.items() if not name.startswith("fc.")}


def named(prefix: str, state: State = FIRST) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def opened(path: str, said: pytest.LogCaptureFixture) -> str:
    """Which of the two networks was taken, and the line that says so."""
    module = TransferModule(3, tap="layer1", weights=path)
    taken = module.backbone.get_parameter("layer1.1.conv2.weight")
    which = "first" if torch.equal(taken, FIRST["layer1.1.conv2.weight"]) else "second"
    assert torch.allclose(taken, (FIRST if which == "first" else SECOND)["layer1.1.conv2.weight"], atol=1e-3)
    return f"{which}: {said.messages[-1]}"


NUMBERS = {"conv1": 0, "bn1": 1, "layer1": 4}
CASES: dict[str, tuple[Any, str]] = {
    "moco": (
        {"epoch": 199, "state_dict": named("module.encoder_k.", SECOND) | named("module.encoder_q.")},
        "first: weights FILE: 30 backbone tensors loaded, the head starts new (2 tensors); taken from "
        "state_dict.module.encoder_q; not used: state_dict.module.encoder_k (32), state_dict.module.encoder_q (2); "
        "state_dict.module.encoder_k would fit too (--model.weights FILE::state_dict.module.encoder_k); pixels "
        "normalised by mean 0.485 0.456 0.406 and std 0.229 0.224 0.225 (ImageNet's, the file names none)",
    ),
    "lightning": (
        {"state_dict": named("model."), "epoch": 3},
        "taken from state_dict.model; not used: state_dict.model.fc (2)",
    ),
    "net": ({"state_dict": named("net.")}, "taken from state_dict.net"),
    "lightly": (
        {"state_dict": named("backbone.", BODY) | {"projection.0.weight": torch.ones(2)}},
        "not used: state_dict.projection.0 (1)",
    ),
    "plain": (FIRST, "not used: fc (2)"),
    "half": ({name: value.half() if value.is_floating_point() else value for name, value in SECOND.items()}, "second"),
    "torchvision": ({"model": SECOND, "model_ema": named("module.")}, "first: .* taken from model_ema.module"),
    "timm": (
        {"state_dict": SECOND, "state_dict_ema": FIRST, "args": argparse.Namespace(lr=1)},
        "first: .* taken from state_dict_ema",
    ),
    "dino": (
        {"student": named("module.backbone.", SECOND), "teacher": named("backbone."), "args": argparse.Namespace(lr=1)},
        "first: .* taken from teacher.backbone; .* student.module.backbone would fit too",
    ),
    "dinov2": (
        {"model": named("student.backbone.", SECOND) | named("teacher.backbone.")},
        "first: .* model.teacher.backbone",
    ),
    "moco_v3": (
        named("module.momentum_encoder.", SECOND) | named("module.base_encoder."),
        "first: .* module.base_encoder",
    ),
    "byol": (named("target_network.", SECOND) | named("online_network."), "first: .* online_network"),
    "lightly_momentum": (named("backbone_momentum.", SECOND) | named("backbone."), "first: .* taken from backbone;"),
    "averaged": (
        {"current_model_state": named("net.", SECOND), "state_dict": named("net.")},
        "first: .* state_dict.net",
    ),
    "compiled": (named("module._orig_mod."), "taken from module;"),
    "compiled_part": ({k.replace("layer1.", "layer1._orig_mod."): v for k, v in FIRST.items()}, "not used: fc"),
    "nested": ({"a": {"b": {"net": {"conv1": {"weight": FIRST["conv1.weight"]}, **FIRST}}}}, "taken from a.b.net"),
    "twice": ({"state_dict": FIRST, "best": dict(FIRST)}, "first: .* taken from state_dict"),
    "no_counters": (
        {name: value for name, value in FIRST.items() if "num_batches_tracked" not in name},
        "25 backbone tensors loaded, .* 5 counters or indices not in the file, and not needed (num_batches_tracked)",
    ),
    "numbers": (
        {
            "state_dict": {
                f"backbone.{NUMBERS[name.split('.')[0]]}.{name.partition('.')[2]}": BODY[name] for name in BODY
            }
        },
        "its parts by their numbers in an nn.Sequential; taken from state_dict.backbone",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_any_wrapping_is_opened(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    content, expected = CASES[case]
    torch.save(content, "FILE")
    line = opened("FILE", said)
    assert all(part in line for part in expected.split(" .* ")), line


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            {"one": FIRST, "two": SECOND},
            "fit model.backbone in 2 places alike: one, two; say which: --model.weights FILE::one",
        ),
        (
            FIRST | {"ema_0": SECOND, "ema_1": FIRST | {"bn1.bias": SECOND["conv1.weight"][:, 0, 0, 0]}},
            "alike: ema_0, ema_1;",
        ),
        (FIRST | {"other": SECOND}, "alike: ., other; say which: --model.weights FILE::."),
        (
            {"encoder": FIRST, "target_encoder": SECOND},
            "alike: encoder, target_encoder",
        ),  # I-JEPA's; BYOL's is the other
    ],
)
def test_two_that_fit_alike_are_a_question(
    content: Any, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, "FILE")
    with pytest.raises(TlearnError) as refused:
        TransferModule(3, tap="layer1", weights="FILE")
    assert expected in str(refused.value)


@pytest.mark.parametrize(("key", "which"), [("two", "second"), ("one", "first"), ("a.b", "first"), (".", "first")])
def test_a_part_of_a_file_is_named(
    key: str, which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(
        {"one": FIRST, "two": SECOND, "a": {"b": {"ema": FIRST, "net": SECOND}}}
        if key != "."
        else FIRST | {"x": SECOND},
        "FILE",
    )
    assert opened(f"FILE::{key}", said).startswith(which)
    with pytest.raises(TlearnError, match="unknown part of weights FILE 'onee'"):
        TransferModule(3, tap="layer1", weights="FILE::onee")


def test_a_part_is_named_on_the_command_line(tlearn: Tlearn, small: str) -> None:
    torch.save({"one": FIRST, "two": SECOND}, "w.pth.tar")
    words = ["fit", "-c", small, "--trainer.fast_dev_run", "true", "--model.weights"]
    answer = tlearn(*words, "w.pth.tar")
    assert answer.code == 2
    assert "say which: --model.weights w.pth.tar::one" in answer.err
    answer = tlearn(*words, "w.pth.tar::two")
    assert answer.code == 0
    assert (
        "weights w.pth.tar: 30 backbone tensors loaded, the head starts new (2 tensors); taken from two" in answer.err
    )


@pytest.mark.parametrize("name", ["checkpoint.pth.tar", "pytorch_model.bin", "noext", "odd.name", "safe.pth", "a::b"])
def test_a_file_is_a_file_whatever_its_ending(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file(SECOND, name) if name == "safe.pth" else torch.save(SECOND, name)
    assert opened(name, said).startswith("second")


def pickled_with(names: dict[str, Any], old: bool) -> bytes:
    """Save a checkpoint whose options are of types that nobody else has."""
    package = ModuleType("gone_package")
    for name, kind in names.items():
        kind.__module__, kind.__qualname__ = "gone_package", name
        setattr(package, name, kind)
    sys.modules["gone_package"] = package
    try:
        config = names["Config"](lr=0.1, inner=names["Config"](depth=[1]))
        thing = names["Thing"]()
        thing.path = Path("x")
        content = {
            "model": FIRST,
            "config": config,
            "log": names["Log"]([1, 2]),
            "thing": thing,
            "best": np.float64(0.5),
            "curve": np.arange(3.0),
            "counts": defaultdict(list, a=[1]),
        }
        torch.save(content, "FILE", _use_new_zipfile_serialization=not old)
    finally:
        del sys.modules["gone_package"]
    return Path("FILE").read_bytes()


@pytest.mark.parametrize("old", [False, True])
def test_types_of_others_beside_the_weights_are_no_obstacle(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    kinds = {name: type(name, (base,), {}) for name, base in {"Config": dict, "Log": list, "Thing": object}.items()}
    assert b"gone_package" in pickled_with(kinds, old)
    assert "taken from model; not used: model.fc (2)" in opened("FILE", said)
    assert "gone_package" not in sys.modules
    with pytest.raises(
        TlearnError, match=r"as no checkpoint of tlearn does; to start from its weights: fit --model.wei"
    ):
        load("FILE")


def kinds_of_files(folder: Path) -> dict[str, str]:
    """Write files that are no weights; return name to what is said."""
    torch.save(FIRST, folder / "good.pth")
    good = (folder / "good.pth").read_bytes()
    contents = {
        "pointer.bin": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a Git LFS pointer"),
        "page.pth": (b"\n<!DOCTYPE html><html><head>", "is a web page, not the file itself; download"),
        "error.pth": (b'{"error": "Entry not found"}', "is a JSON file, not weights"),
        "model.safetensors.index.json": (
            b'{"metadata": {"total_size": 3}, "weight_map": {}}',
            "is the index of weights in pieces",
        ),
        "empty.pth": (b"", "is empty; fetch or save it again"),
        "w.pth.gz": (gzip.compress(good), "is a gzip archive; unpack it"),
        "model.h5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "is a Keras (HDF5) file; tlearn reads PyTorch's weights"),
        "model.onnx": (b"\x08\x08\x12\x07pytorch", "is an ONNX file, whose weights have lost their names"),
        "saved_model.pb": (b"\x08\x01\x12\x07", "is a TensorFlow file"),
        "model.ckpt-1.data-00000-of-00001": (bytes(100), "is a TensorFlow file"),
        "model.tflite": (b"\x1c\0\0\0TFL3", "is a TensorFlow file"),
        "array.npy": (b"\x93NUMPY\x01\0", "is a NumPy file; turn its arrays into tensors"),
        "cut.pth": (good[:-200], "is not a readable checkpoint (truncated or damaged?)"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    with zipfile.ZipFile(folder / "w.zip", "w") as archive:
        archive.writestr("weights/good.pth", good)
    np.savez(folder / "w.npz", weight=np.zeros(3))
    torch.jit.save(torch.jit.trace(nn.Linear(2, 1), torch.zeros(1, 2)), folder / "scripted.pt")
    torch.export.save(torch.export.export(nn.Linear(2, 1), (torch.zeros(1, 2),)), folder / "exported.pt2")
    torch.save(resnet18(), folder / "whole.pth")
    torch.save([1, 2], folder / "list.pth")
    torch.save({name: value.numpy() for name, value in FIRST.items()}, folder / "arrays.pkl")
    return {name: text for name, (_, text) in contents.items()} | {
        "w.zip": "is a zip archive of 1 files (weights/good.pth); unpack it and give the file in it",
        "w.npz": "is a NumPy file",
        "scripted.pt": "is a TorchScript file; save its state_dict() alone: torch.save(torch.jit.load('scripted.pt')",
        "exported.pt2": "is a file of torch.export; save its state_dict alone: torch.save(torch.export.load(",
        "whole.pth": "holds an object of type torchvision.models.resnet.ResNet, a network as a whole; only tensors",
        "list.pth": "holds a list, expected a state dict or a checkpoint",
        "arrays.pkl": "holds no tensors but NumPy arrays, which are to be made tensors first",
    }


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_files_that_are_no_weights_are_named(tmp_path: Path) -> None:
    for name, expected in kinds_of_files(tmp_path).items():
        with pytest.raises(TlearnError) as refused:
            TransferModule(3, tap="layer1", weights=str(tmp_path / name))
        assert f"{tmp_path / name} {expected}" in str(refused.value)
        assert "\n" not in str(refused.value)


def test_networks_that_do_not_fit_are_told_why(tmp_path: Path) -> None:
    files = {
        "grey.pth": FIRST | {"conv1.weight": FIRST["conv1.weight"].sum(1, keepdim=True)},
        "int8.pth": {name: value.to(torch.int8) for name, value in FIRST.items()},
        "statistics.pth": {name: value for name, value in FIRST.items() if "running" not in name},
        "model-00001-of-00002.bin": {"conv1.weight": FIRST["conv1.weight"]},
        "transformers.bin": {"resnet.embedder.embedder.convolution.weight": FIRST["conv1.weight"]},
    }
    expected = {
        "grey.pth": "see 1 channel, model.in_channels is 3; set it to 1, or give weights for red, green and blue",
        "int8.pth": "25 of another shape of 30 tensors (first: conv1.weight); it is of int8 there, a quantised",
        "statistics.pth": "10 missing of 30 tensors (first: bn1.running_mean)",
        "model-00001-of-00002.bin": "29 missing of 30 tensors (first: bn1.weight); it is piece 1 of 2",
        "transformers.bin": "30 missing of 30 tensors (first: conv1.weight); its names are those of Hugging Face's",
    }
    for name, content in files.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(TlearnError) as refused:
            TransferModule(3, tap="layer1", weights=str(tmp_path / name))
        assert expected[name] in str(refused.value)


def test_a_mistyped_path_is_told_from_a_mistyped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(FIRST, "best.ckpt")
    for weights, expected in {
        "bset.ckpt": f"no checkpoint at {tmp_path}/bset.ckpt, did you mean best.ckpt?; check the path",
        "sub/best": f"no checkpoint at {tmp_path}/sub/best; check the path",
        "bestckpt": "unknown model.weights for resnet18 'bestckpt'. Choices: DEFAULT, IMAGENET1K_V1, null, a path of "
        "a file (none is at this one)",
        str(tmp_path): "is a folder; name a file in it (best.ckpt)",
        "https://example.org/w.pth": "is an address; download the file, and give its path",
    }.items():
        with pytest.raises(TlearnError) as refused:
            TransferModule(3, weights=weights)
        assert expected in str(refused.value)
