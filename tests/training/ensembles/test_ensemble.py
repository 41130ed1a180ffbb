"""`model.ensemble`: one result of several runs, whose answer is the mean of theirs at every door."""

from __future__ import annotations

import csv
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from starlette.testclient import TestClient
from torch import Tensor

import tlearn as library
from tests.conftest import Tlearn, no_pictures
from tests.helpers.fake_pictures import CONFIG, write_splits
from tlearn import TransferModule
from tlearn.base.errors import TlearnError
from tlearn.data.sources.bases import InMemoryDataModule
from tlearn.deploy.loading import load_module
from tlearn.deploy.onnx_file import outputs_of_onnx
from tlearn.deploy.pt2_file import outputs_of_pt2
from tlearn.deploy.state_file import outputs_of_state
from tlearn.pages.serve.app import app

ONE, OTHER = "runs/folder/version_0", "runs/folder/version_1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs of unlike taps, and the ensemble of both, whose members are gone again."""
    folder = tmp_path_factory.mktemp("ensemble")
    write_splits(folder / "pictures")
    (folder / "folder.yaml").write_text(CONFIG)
    torch.set_num_threads(1)
    fit = ["fit", "--config", "folder.yaml", "--trainer.enable_progress_bar=false"]
    with chdir(folder), no_pictures():
        assert library.main(fit) == 0
        assert library.main([*fit, "--model.tap", "stem", "--seed_everything", "1"]) == 0
        shutil.copytree("runs", "members")
        said = [f"--model.ensemble=[{ONE}, {OTHER}]", "--trainer.logger.init_args.name=both"]
        board = ["--trainer.logger=TensorBoardLogger", "--trainer.logger.init_args.save_dir=runs"]
        assert library.main([*fit[:3], "--trainer.accelerator=cpu", *board, *said]) == 0
        shutil.rmtree("runs/folder")
    return folder


@pytest.fixture
def there(made: Path, tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)  # behind tlearn, which goes elsewhere
    return made


def ensemble(folder: Path) -> Path:
    return folder / "runs/both/version_0/checkpoints/best.ckpt"


def pictures(folder: Path) -> list[str]:
    return sorted(map(str, (folder / "pictures/test").rglob("*.png")))


@torch.no_grad()
def mean_of(folder: Path, images: Tensor) -> Tensor:
    """Return the mean of the members' probabilities as they are before any calibration."""
    members = [
        load_module(folder / "members" / name.removeprefix("runs/") / "checkpoints/best.ckpt") for name in (ONE, OTHER)
    ]
    return torch.stack([member(images).softmax(dim=1) for member in members]).mean(dim=0)


def test_every_door_answers_the_mean_of_the_members(
    there: Path, tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(there)
    network = load_module(ensemble(there))
    network.temperature = 1.0
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    wanted = mean_of(there, images)
    torch.testing.assert_close(network(images).softmax(dim=1), wanted, rtol=0, atol=1e-6)
    calibrated = load_module(ensemble(there)).answer(images)
    photo = Path(pictures(there)[0])
    with TestClient(app(ensemble(there).parents[1]), base_url="http://127.0.0.1:8760") as client:
        answered = client.post("/predict", files=[("pictures", (photo.name, photo.read_bytes()))])
    (alone,) = library.load(ensemble(there)).predict([photo])
    assert answered.json()["answers"][0]["probability"] == pytest.approx(alone.probability, abs=1e-6)
    for suffix, outputs in (("onnx", outputs_of_onnx), ("pt2", outputs_of_pt2), ("safetensors", outputs_of_state)):
        answer = tlearn("export", str(ensemble(there)), "--out", f"both.{suffix}")
        assert answer.code == 0, answer.err
        torch.testing.assert_close(outputs(Path(f"both.{suffix}"))(images)[0], calibrated, rtol=0, atol=1e-6)
    answer = tlearn("predict", str(ensemble(there)), "pictures/test", "--out", "answers.csv")
    assert answer.code == 0, answer.err
    with Path("answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = library.load(ensemble(there)).predict([row["path"] for row in rows])
    for row, told in zip(rows, found, strict=True):
        assert float(row["probability"]) == pytest.approx(told.probability, abs=1e-6)


def test_it_is_a_whole_run(there: Path, tlearn: Tlearn) -> None:
    run = ensemble(there).parents[1]
    for name in ("reliability.pt", "report.html", "card.json", "config.yaml"):
        assert (run / name).is_file(), name
    config = yaml.safe_load((run / "config.yaml").read_text())["model"]
    assert config["ensemble"] == [f"{name}/checkpoints/best.ckpt" for name in (ONE, OTHER)]
    assert (config["backbone"], config["image_size"]) == ("ensemble of 2 x resnet18", 32)
    card = (run / "card.md").read_text()
    assert "answers with the average of its members" in card
    assert "frozen tensors were compared before and after 1 epoch: unchanged, to the last bit" in card
    found = load_module(ensemble(there))
    assert list(found.backbone.taps) == ["network1.layer1", "network2.stem"]
    answer = tlearn("test", str(ensemble(there)), "--trainer.accelerator=cpu")  # its members are not there
    assert answer.code == 0, answer.err
    answer = tlearn("fit", "--ckpt_path", str(run))
    assert "model.ensemble: its members are trained and there is nothing to resume" in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model.ensemble=[members/folder/version_0, members/folder/version_0]"], "are the same"),
        (["--model.ensemble=members/folder"], "expected a list of runs or checkpoints"),
        (
            ["--model.ensemble=[nowhere]"],
            "nowhere; model.ensemble takes a run folder, a name under runs/ or a checkpoint",
        ),
        (["--model.ensemble+=members/folder"], "name all members at once: --model.ensemble '[members/folder]'"),
        ([f"--model.ensemble=[{', '.join(['members/folder'] * 9)}]"], "names 9 members, at most 8"),
        (["--model.ensemble=[members/folder]", "--model.tap=stem"], "model.tap says how a network is made or trained"),
        (["--model.ensemble=[members/folder]", "--model.optimizer.lr=0.1"], "model.optimizer.lr says how a network"),
        (["--model.ensemble=[members/folder]", "--find_lr"], "model.ensemble takes no steps; drop --find_lr"),
        (["--model.ensemble=[members/folder]", "--data.size_px=48"], "learned from pictures read with size_px 32"),
        (["--model.ensemble=[runs/both]"], "is an ensemble itself; name its members: runs/folder/version_0"),
    ],
)
def test_what_does_not_fit_is_one_line(
    there: Path, tlearn: Tlearn, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(there)
    before = sorted(Path("runs").rglob("version_*"))
    answer = tlearn("fit", "pictures", *words)
    assert answer.code == 2, answer.out
    assert message in answer.err.splitlines()[-1]
    assert sorted(Path("runs").rglob("version_*")) == before


class Noise(InMemoryDataModule):
    """Noise that teaches what is made of its mean, and little of it."""

    def __init__(self, task: Any, targets: Tensor, **options: Any) -> None:
        super().__init__(class_names=["a", "b"], task=task, **options)
        self.all = targets

    def load_split(self, split: Any) -> tuple[Tensor, Tensor]:
        draws = torch.Generator().manual_seed(int(split == "test"))
        return torch.randint(0, 256, (len(self.all), 3, 16, 16), dtype=torch.uint8, generator=draws), self.all


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_labels_and_values(task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members with values in unlike units: each learned from another part of the images."""
    monkeypatch.chdir(tmp_path)
    draws = torch.Generator().manual_seed(0)
    values = torch.randn(24, 2, generator=draws) * torch.tensor([30.0, 2.0]) + torch.tensor([100.0, 0.0])
    targets = values if task == "regression" else (values > values.mean(dim=0)).float()
    paths = []
    for seed in range(2):
        data = Noise(task, targets + seed * (task == "regression"), split_seed=seed, batch_size=8)
        module = TransferModule(2, ["a", "b"], task, weights=None, tap="stem", image_size=16)
        fit(module, data, tmp_path / str(seed))
        paths.append(tmp_path / f"{seed}/checkpoints/best.ckpt")
    both = TransferModule(2, ["a", "b"], task, ensemble=[str(path) for path in paths])
    fit(both, Noise(task, targets, batch_size=8), tmp_path / "both")
    found, members = (
        (load_module(path) for path in (tmp_path / "both/checkpoints/best.ckpt", paths[0])),
        map(load_module, paths),
    )
    network, images = next(found), torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=draws)
    network.temperature = 1.0
    with torch.no_grad():
        each = torch.stack([m.answer(images) if task == "regression" else m(images).sigmoid() for m in members])
        answer = network.answer(images) if task == "regression" else network(images).sigmoid()
    torch.testing.assert_close(answer, each.mean(dim=0), rtol=1e-5, atol=1e-5)
    with pytest.raises(TlearnError, match=r"the data are for classification"):
        TransferModule(2, ["a", "b"], ensemble=[str(path) for path in paths])


def fit(module: TransferModule, data: Any, folder: Path) -> None:
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        use_distributed_sampler=False,
        callbacks=library.callbacks_for(module, folder=folder),
        **quiet,
    )
    trainer.fit(module, datamodule=data)


def test_members_on_one_backbone_share_its_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    targets = (torch.randn(24, 2, generator=torch.Generator().manual_seed(0)) > 0).float()
    torch.manual_seed(0)
    first = TransferModule(2, ["a", "b"], "multilabel", weights=None, tap="stem", image_size=16, freeze_backbone=True)
    fit(first, Noise("multilabel", targets, batch_size=8), tmp_path / "0")
    second = TransferModule(
        2,
        ["a", "b"],
        "multilabel",
        weights=str(tmp_path / "0/checkpoints/best.ckpt"),
        tap="stem",
        image_size=16,
        freeze_backbone=True,
        head_hidden=[4],
    )
    fit(second, Noise("multilabel", targets, batch_size=8), tmp_path / "1")
    both = TransferModule(
        2, ["a", "b"], "multilabel", ensemble=[str(tmp_path / f"{n}/checkpoints/best.ckpt") for n in (0, 1)]
    )
    assert both.backbone.taps == ("network1.stem",)
    assert both.backbone.num_features == first.backbone.num_features
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        each = [module.eval()(images).sigmoid() for module in (first, second)]
        torch.testing.assert_close(both.eval()(images).sigmoid(), torch.stack(each).mean(dim=0), rtol=0, atol=1e-6)


def test_an_ensemble_of_one_is_that_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    targets = (torch.randn(24, 2, generator=torch.Generator().manual_seed(0)) > 0).float()
    names = ["0", "1", "alone", "both"]
    paths = [str(tmp_path / f"{name}/checkpoints/best.ckpt") for name in names]
    for seed, tap in enumerate(["stem", "layer1"]):
        torch.manual_seed(seed)
        module = TransferModule(2, ["a", "b"], "multilabel", weights=None, tap=tap, image_size=16)
        fit(module, Noise("multilabel", targets, batch_size=8), tmp_path / names[seed])
    for name, members in (("alone", paths[:1]), ("both", [paths[2], paths[1]])):
        module = TransferModule(2, ["a", "b"], "multilabel", ensemble=[*members])
        fit(module, Noise("multilabel", targets, batch_size=8), tmp_path / name)
    plain = TransferModule(2, ["a", "b"], "multilabel", ensemble=[*paths[:2]]).eval()
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(load_module(paths[3])(images), plain(images), rtol=1e-5, atol=1e-5)


def test_members_that_differ_are_both_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    targets = (torch.randn(24, 2, generator=torch.Generator().manual_seed(0)) > 0).float()
    for side in (16, 24):
        module = TransferModule(2, ["a", "b"], "multilabel", weights=None, tap="stem", image_size=side)
        fit(module, Noise("multilabel", targets, batch_size=8), tmp_path / str(side))
    with pytest.raises(
        TlearnError,
        match=r"16/.*best.ckpt and .*24/.*best.ckpt differ in .*image_size.*: 16 and 24",
    ):
        TransferModule(2, ["a", "b"], "multilabel", ensemble=["16/checkpoints/best.ckpt", "24/checkpoints/best.ckpt"])
