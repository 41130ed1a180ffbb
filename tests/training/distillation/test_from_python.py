"""`model.distill_from` from Python: what the loss of a batch is, and what a student learns of its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch import Tensor

import tlearn as library
from tests.helpers.fake_pictures import BandsDataModule, bands_of
from tlearn import TransferModule
from tlearn.base.errors import TlearnError
from tlearn.base.types import Batch, Task
from tlearn.data.images.augment import Augment
from tlearn.data.sources.bases import InMemoryDataModule
from tlearn.deploy.loading import load_module

SMALL: dict[str, Any] = {"weights": None, "tap": "stem"}


class Drawn(InMemoryDataModule):
    """Noise of 3 channels, and any targets."""

    def __init__(self, task: Any, targets: Tensor, **options: Any) -> None:
        super().__init__(class_names=["a", "b"], task=task, batch_size=8, **options)
        self.all = targets

    def load_split(self, split: Any) -> tuple[Tensor, Tensor]:
        return bands_of(3, 16, len(self.all), seed=int(split == "test"))[0], self.all


def fit(module: TransferModule, data: Any, folder: Path, epochs: int = 1) -> Path:
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        use_distributed_sampler=False,
        callbacks=library.callbacks_for(module, folder=folder),
        **quiet,
    )
    trainer.fit(module, datamodule=data)
    return folder / "checkpoints/last.ckpt"


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.01)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows which pictures are bright, sees them larger, and is calibrated by numbers of our own."""
    torch.manual_seed(0)
    module = TransferModule(2, ["dim", "bright"], image_size=24, optimizer=adam, **SMALL)
    path = fit(module, BandsDataModule(3, batch_size=4), tmp_path_factory.mktemp("teacher"), epochs=2)
    content = torch.load(path, weights_only=True)
    content["tlearn"] |= {"temperature": 1.5, "uniform_share": 0.05}
    torch.save(content, path)
    return path


def batch_of(count: int = 6) -> Batch:
    images, targets = bands_of(3, 16, count, seed=3)
    return Batch(images, targets, torch.arange(count))


def test_the_loss_of_a_batch_is_both_with_their_shares(teacher: Path) -> None:
    options: dict[str, Any] = {"distill_from": teacher, "distill_weight": 0.3, "distill_temperature": 2}
    student = TransferModule(2, ["dim", "bright"], **options, **SMALL)
    batch, network = batch_of(), load_module(teacher)
    with torch.no_grad():
        output, answer = student(batch.images), network.answer(batch.images)
    assert answer.min() > 0.02, "the uniform share counts"
    softened = answer.sqrt() / answer.sqrt().sum(dim=1, keepdim=True)
    divergence = (softened * (softened.log() - (output / 2).log_softmax(dim=1))).sum(dim=1).mean()
    wanted = 0.7 * F.cross_entropy(output, batch.targets) + 0.3 * 4 * divergence
    state = torch.get_rng_state()
    assert student.batch_loss(output, batch).item() == pytest.approx(wanted.item(), rel=1e-5)
    assert torch.equal(torch.get_rng_state(), state), "opening a teacher draws no number of the run"


def test_values_are_learned_in_the_students_unit_and_labels_one_by_one(tmp_path: Path) -> None:
    draws = torch.randn(24, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([30.0, 2.0]) + 100
    values, labels = draws, (draws > draws.mean(dim=0)).float()
    wanted_of: list[tuple[Task, Tensor]] = [("regression", values), ("multilabel", labels)]
    for task, targets in wanted_of:
        torch.manual_seed(1)
        path = fit(TransferModule(2, ["a", "b"], task, **SMALL), Drawn(task, targets * 1.1), tmp_path / task)
        student = TransferModule(2, ["a", "b"], task, distill_from=str(path), distill_weight=1, **SMALL)
        fit(student, Drawn(task, targets), tmp_path / f"{task} student")
        images = batch_of().images
        with torch.no_grad():
            output, answer = student(images), load_module(path).answer(images)
        if task == "regression":
            wanted = F.mse_loss(output, student.unit.standardised(answer))
        else:
            taught, own = (answer.logit() / 4).sigmoid(), (output / 4).sigmoid()
            wanted = 16 * (F.binary_cross_entropy(own, taught) - F.binary_cross_entropy(taught, taught))
        loss = student.batch_loss(output, Batch(images, targets[:6], torch.arange(6)))
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-4), task


@pytest.mark.parametrize(("share", "agrees"), [(1.0, True), (1e-6, False)])
def test_a_student_follows_the_teacher_though_all_its_labels_are_wrong(
    teacher: Path, tmp_path: Path, share: float, agrees: bool
) -> None:
    torch.manual_seed(5)
    options: dict[str, Any] = {"distill_from": str(teacher), "distill_weight": share, "optimizer": adam}
    student = TransferModule(2, ["dim", "bright"], **options, **SMALL)
    data = BandsDataModule(3, batch_size=4)
    shown = data.load_split
    data.load_split = lambda split: (shown(split)[0], 1 - shown(split)[1])  # type: ignore[method-assign]
    path = fit(student, data, tmp_path, epochs=2)
    assert torch.load(path, weights_only=True)["state_dict"].keys() == TransferModule(2, **SMALL).state_dict().keys()
    images, truth = bands_of(3, 16, 32, seed=1)
    with torch.no_grad():
        right = (load_module(path)(images).argmax(dim=1) == truth).float().mean()
        assert (load_module(teacher)(images).argmax(dim=1) == truth).all()
    assert right > 0.9 if agrees else right < 0.1


def test_mixed_images_are_shown_to_the_teacher_as_they_are_to_the_student(teacher: Path, tmp_path: Path) -> None:
    student = TransferModule(2, ["dim", "bright"], distill_from=str(teacher), **SMALL)
    seen: dict[str, list[Tensor]] = {"student": [], "teacher": []}
    network = student.distillation.meet(student)
    for name, each in (("student", student), ("teacher", network)):
        each.preprocess.register_forward_pre_hook(
            lambda part, given, name=name: seen[name].append(given[0].clone()) if student.training else None
        )
    fit(student, BandsDataModule(3, batch_size=8, augment=Augment(mixup_alpha=1.0)), tmp_path)
    pairs = list(zip(seen["student"], seen["teacher"], strict=True))
    assert pairs
    assert all(torch.equal(one, other) for one, other in pairs)
    assert not network.training
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distill_from": ""}, "model.distill_from is empty; name a run or a checkpoint, or drop the option"),
        ({"distill_from": 3}, "model.distill_from: expected a text, got 3"),
        ({"distill_weight": 0.3}, "model.distill_weight 0.3 does nothing without a teacher"),
        ({"distill_from": "x", "distill_weight": 0}, "model.distill_weight: expected a finite number above 0, got 0"),
        ({"distill_from": "x", "distill_weight": 2}, "model.distill_weight: expected a number from 0 to 1, got 2"),
        ({"distill_from": "x", "task": "regression", "distill_temperature": 2}, "values have none; drop it"),
        ({"distill_from": "x", "head_solver": "lbfgs", "freeze_backbone": True}, "model.head_solver lbfgs takes none"),
        ({"distill_from": "x", "ensemble": ["y"]}, "no checkpoint at"),
    ],
)
def test_what_cannot_be_meant_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TlearnError) as refused:
        TransferModule(2, ["a", "b"], **{**SMALL, **options})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": ["bright", "dim"]}, "this network learns 2 (bright, dim) in another order; take a teacher"),
        ({"class_names": ["dim", "dark"]}, "knows 2 (dim, bright), this network learns 2 (dim, dark); take a teacher"),
        ({"num_classes": 3}, "knows 2 (dim, bright), this network learns 3 (0, 1, 2); take a teacher of the same"),
        ({"task": "multilabel"}, "is for classification, this network for multilabel"),
        ({"in_channels": 4}, "sees pictures of 3 channels, this network of 4"),
    ],
)
def test_a_teacher_of_something_else_is_refused(teacher: Path, options: dict[str, Any], message: str) -> None:
    student = TransferModule(**{"num_classes": 2, "distill_from": str(teacher), **SMALL, **options})
    with pytest.raises(TlearnError) as refused:
        student.distillation.meet(student)
    assert message in str(refused.value)
