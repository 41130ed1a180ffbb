"""A plain LightningDataModule with ``(x, y)`` batches, the one thing that every user of Lightning has."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

import tlearn as library
from tests.conftest import Tlearn
from tlearn.data.plain.classes import classes_of, known_labels
from tlearn.training.module import TransferModule

NETWORK = ("--model.backbone", "timm/test_resnet", "--model.weights", "null", "--trainer.max_epochs", "1")
QUICK = dict(zip((word.removeprefix("--") for word in NETWORK[::2]), ("timm/test_resnet", None, 1), strict=True))

MODULE = '''
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset

class MyDataModule(LightningDataModule):
    """Three shades of grey with noise."""

    def __init__(self, noise: int = 40, root: str = "of my own"):
        super().__init__()
        self.noise, self.root = noise, root

    def images(self, seed):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(24) % 3
        pixels = torch.randint(0, self.noise, (24, 3, 32, 32), generator=generator) + 80 * labels[:, None, None, None]
        return TensorDataset(pixels.float() / 255, labels)

    def train_dataloader(self):
        assert self.root == "of my own"
        return DataLoader(self.images(0), 8, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.images(1), 8)

    def test_dataloader(self):
        return DataLoader(self.images(2), 8)
'''


@pytest.fixture
def package(own_package: Callable[[str, str], None]) -> str:
    """Write a package of the user's; its data module's import path."""
    own_package("my_package", MODULE)
    return "my_package.MyDataModule"


def shades(dtype: torch.dtype = torch.uint8, count: int = 24) -> tuple[Tensor, Tensor]:
    """Make pictures of three shades of grey, with class numbers."""
    labels = torch.arange(count) % 3
    noise = torch.randint(0, 40, (count, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    pixels = (noise + 80 * labels[:, None, None, None]).to(torch.uint8)
    return (pixels if dtype == torch.uint8 else pixels.to(dtype) / 255), labels


class Plain(LightningDataModule):
    """Serve what it is given; without a validation loader."""

    def __init__(self, dataset: Any, **options: Any) -> None:
        super().__init__()
        self.dataset, self.options = dataset, options

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.dataset, 8, **self.options)


class Validated(Plain):
    """The same images validate."""

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.dataset, 8, **self.options)


@pytest.mark.slow
def test_a_plain_data_module_trains_and_the_next_command_works_as_printed(tlearn: Tlearn, package: str) -> None:
    answer = tlearn("fit", "--config", "finetune.yaml", "--data", package, *NETWORK)
    assert answer.code == 0, answer.err
    said = answer.out + answer.err
    assert "3 classes, counted in a pass" in said
    assert "MyDataModule is a data module of your own, whose loaders serve as they are: floats from 0 to 1" in said
    shown = next(line for line in answer.out.splitlines() if line.startswith("next: "))
    program, verb, *words = shlex.split(shown.removeprefix("next: "))
    assert (program, verb, words[-2:]) == ("tlearn", "test", ["--data", package])
    tested = tlearn(verb, *words)
    assert tested.code == 0, tested.err
    assert "counted" not in tested.out + tested.err  # the checkpoint knows the classes
    card = json.loads(Path("runs/finetune/version_0/card.json").read_text(encoding="utf-8"))
    assert card["data"]["splits"]["val"]["images"] == card["data"]["splits"]["test"]["images"] == 24
    assert card["data"]["options"] == {"noise": 40, "root": "of my own"}  # not finetune.yaml's for CIFAR-10
    Image.new("RGB", (50, 40), (80, 80, 80)).save("photo.png")
    predicted = tlearn("predict", "--ckpt_path", "runs/finetune/version_0", "--data", "photo.png", "--out", "p.csv")
    assert predicted.code == 0, predicted.err


@pytest.mark.slow
def test_an_object_from_python_trains_as_its_class_does(package: str, tlearn: Tlearn) -> None:
    assert tlearn("fit", "--config", "finetune.yaml", "--data", package, *NETWORK).code == 0
    import my_package  # type: ignore[import-not-found]  # the fixture writes it

    data = my_package.MyDataModule()
    run = library.fit("finetune.yaml", QUICK, data=data)
    assert run.folder is not None
    typed = json.loads(Path("runs/finetune/version_0/card.json").read_text(encoding="utf-8"))
    assert typed["metrics"]["val/loss"] == run.metrics["val/loss"]
    assert library.test(ckpt_path=run.folder, data=data).metrics["test/acc"] >= 0
    with pytest.raises(library.TlearnError, match=r"an object from Python \(my_package.MyDataModule\); give it again"):
        library.test(ckpt_path=run.folder)


def trained(data: LightningDataModule, **options: Any) -> tuple[TransferModule, Trainer]:
    """Train an epoch with Lightning's own Trainer."""
    torch.manual_seed(0)
    module = TransferModule(3, backbone="timm/test_resnet", weights=None, **options)
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, data)
    return module, trainer


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec", "ignore:.*val_dataloader")
class TestWithLightningsTrainer:
    """``Trainer(...).fit(TransferModule(...), MyDataModule())``."""

    def test_floats_and_uint8_train_the_same_weights(self) -> None:
        losses = []
        for dtype in (torch.uint8, torch.float32, torch.float64):
            module, trainer = trained(Validated(TensorDataset(*shades(dtype))))
            losses.append(float(trainer.callback_metrics["val/loss"]))
        assert len(set(losses)) == 1
        assert module.pictures is not None
        assert module.pictures["size_px"] == 32

    def test_validation_is_optional(self) -> None:
        _, trainer = trained(Plain(TensorDataset(*shades())))
        assert trainer.global_step == 3
        assert "val/loss" not in trainer.callback_metrics

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda x, y: (x.permute(0, 2, 3, 1), y), r"got \(8, 32, 32, 3\), whose channels stand last"),
            (lambda x, y: (x[:, :1], y), r"got \(8, 1, 32, 32\); set model.in_channels to 1"),
            (lambda x, y: ((x / 255 - 0.5) / 0.2, y), "floats from .* they look normalised: drop Normalize"),
            (lambda x, y: (x.float(), y), "divide them by 255, or give uint8"),
            (lambda x, y: (x / 255 * float("nan"), y), "some are no number"),
            (lambda x, y: (x.to(torch.bfloat16), y), "expected uint8 or float32, got bfloat16"),
            (lambda x, y: (x, y + 1), "3 is none of the network's 3 classes, 0 to 2; count labels from 0"),
            (lambda x, y: (x, y - 1), "-1 is none of the network's 3 classes"),
            (lambda x, y: (x, y.float()), r"expected whole class numbers \(B,\), got float32 \(8,\); for numbers"),
            (lambda x, y: (x, y[:, None]), r"expected whole class numbers \(B,\), got int64 \(8, 1\)"),
            (lambda x, y: (x,), r"expected batches \(images, labels\), got a list of 1 parts"),
        ],
    )
    def test_what_would_train_wrong_is_refused_in_one_line(self, change: Any, said: str) -> None:
        with pytest.raises(library.TlearnError, match=said) as caught:
            trained(Plain(TensorDataset(*change(*shades()))))
        assert "\n" not in str(caught.value)

    def test_dictionaries_are_refused(self) -> None:
        class Dicts(Dataset[dict[str, Tensor]]):
            def __len__(self) -> int:
                return 8

            def __getitem__(self, number: int) -> dict[str, Tensor]:
                return {"image": torch.zeros(3, 32, 32), "label": torch.tensor(0)}

        with pytest.raises(library.TlearnError, match=r"got dictionaries with image, label; let the data set"):
            trained(Plain(Dicts()))

    @pytest.mark.parametrize("options", [{"head_init": "probe"}, {"head_solver": "ridge"}, {"cache_views": 2}])
    def test_options_that_need_images_in_order_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(library.TlearnError, match=r"a data module of your own \(Plain\) does not offer; drop it"):
            trained(Plain(TensorDataset(*shades())), freeze_backbone=True, **options)

    def test_a_regression_trains(self) -> None:
        class Values(Validated):
            task = "regression"

        images, labels = shades()
        torch.manual_seed(0)
        module = TransferModule(1, task="regression", backbone="timm/test_resnet", weights=None)
        trainer = Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False)
        trainer.fit(module, Values(TensorDataset(images, labels.float())))
        assert trainer.callback_metrics["val/mae"].isfinite()


@pytest.mark.parametrize("verb", ["doctor", "plan", "probe"])
def test_verbs_that_need_single_images_say_so(tlearn: Tlearn, package: str, verb: str) -> None:
    answer = tlearn(verb, "--config", "finetune.yaml", "--data", package, *NETWORK[:4])
    assert answer.code != 0
    assert "a data module of your own (MyDataModule) does not offer: fit, validate and test do" in answer.err


def test_batches_are_looked_at_before_there_is_a_run(tlearn: Tlearn, package: str) -> None:
    text = MODULE.replace("pixels.float() / 255", "pixels.float() / 100 - 1")
    Path("my_package.py").write_text(text, encoding="utf-8")
    answer = tlearn("fit", "--config", "finetune.yaml", "--data", package, *NETWORK)
    assert answer.code != 0
    assert "drop Normalize from the transforms" in answer.err
    assert not Path("runs").exists()


def test_class_names_come_from_a_torchvision_data_set(tlearn: Tlearn, package: str) -> None:
    text = MODULE.replace(
        "return TensorDataset(pixels.float() / 255, labels)",
        'found = TensorDataset(pixels.float() / 255, labels)\n        found.classes = ["dark", "grey", "light"]\n'
        "        return found",
    )
    Path("my_package.py").write_text(text, encoding="utf-8")
    assert tlearn("fit", "--config", "finetune.yaml", "--data", package, *NETWORK).code == 0
    assert library.load("runs/finetune/version_0").class_names == ["dark", "grey", "light"]


def test_classes_that_a_target_transform_joins_are_counted_anew() -> None:
    class Joined(TensorDataset):
        """As torchvision's data sets: ``targets`` and ``classes`` are those before the transform."""

        def __init__(self, transform: Any = None) -> None:
            images, labels = shades()
            super().__init__(images, labels)
            self.classes, self.targets, self.target_transform = ["ant", "bee", "cat"], labels.tolist(), transform

        def __getitem__(self, index: Any) -> Any:
            image, label = (part[index] for part in self.tensors)
            return image, self.target_transform(int(label)) if self.target_transform else int(label)

    assert classes_of(Plain(Joined())).names == ["ant", "bee", "cat"]
    assert classes_of(Plain(Joined(lambda label: int(label == 2)))).names == ["0", "1"]
    assert known_labels(Joined(lambda label: int(label == 2))) is None
