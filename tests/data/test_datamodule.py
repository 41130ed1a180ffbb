from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.types import Batch, Task
from tlearn.data.images.augment import Augment
from tlearn.data.images.in_memory import InMemoryImages
from tlearn.data.images.keyed_random import key
from tlearn.data.sources.bases import InMemoryDataModule


class Toy(InMemoryDataModule):
    """40 training and 10 test images whose pixels are their index; every fifth training image is left out."""

    def __init__(self, task: Task = "classification", **options: Any) -> None:
        names = ["cat", "dog"] if task == "classification" else []
        super().__init__(class_names=names, task=task, **options)
        self.reads: list[str] = []

    def load_split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        self.reads.append(split)
        index = torch.arange(40 if split == "train" else 10)
        targets = index % 2
        if split == "train":
            targets = targets.where(index % 5 > 0, -1)
        if self.task == "regression":
            targets = index.float().where(targets >= 0, torch.nan)[:, None]
        return index.to(torch.uint8)[:, None, None, None].repeat(1, 3, 8, 8), targets


class Recorder(LightningModule):
    """Learns nothing and notes the batches it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False  # then a step may return nothing
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[str, int, list[int]]] = []

    def note(self, stage: str, batch: Batch) -> None:
        assert isinstance(batch, Batch)
        self.seen.append((stage, self.current_epoch, batch.indices.tolist()))

    def training_step(self, batch: Batch) -> None:
        self.note("fit", batch)

    def validation_step(self, batch: Batch) -> None:
        self.note("validate", batch)

    def predict_step(self, batch: Batch) -> Tensor:
        self.note("predict", batch)
        return batch.indices

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([self.weight])


def indices(loader: Any) -> list[int]:
    return [int(index) for batch in loader for index in batch.indices]


def quiet_trainer(**options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def test_what_the_model_is_linked_to_is_known_before_anything_is_read() -> None:
    data = Toy()
    assert (data.num_classes, data.class_names, data.task) == (2, ["cat", "dog"], "classification")
    assert (Toy("regression").num_classes, Toy("regression").class_names) == (1, [])
    assert data.reads == []


def test_each_stage_reads_its_own_source_once() -> None:
    data = Toy()
    for stage in ("fit", "validate", "predict", "fit"):
        data.setup(stage)
    assert data.reads == ["train"]
    data.setup("test")
    data.setup("test")
    assert data.reads == ["train", "test"]
    tester = Toy()
    tester.setup("test")
    assert tester.reads == ["test"]


def test_split_is_complete_disjoint_without_what_is_left_out_and_the_same_for_every_seed() -> None:
    records = []
    for seed in (1, 2):
        seed_everything(seed)
        data = Toy(val_fraction=0.25)
        data.setup("fit")
        data.setup("fit")
        records.append(data.split_record())
    assert records[0] == records[1]
    assert sorted(records[0]["train"] + records[0]["val"]) == [index for index in range(40) if index % 5]
    assert len(records[0]["val"]) == 8
    assert (records[0]["split_seed"], records[0]["val_fraction"]) == (0, 0.25)
    assert [type(value) for value in records[0].values()] == [int, float, str, list, list]


def test_split_seed_draws_another_split() -> None:
    first, second = Toy(), Toy(split_seed=1)
    first.setup("fit")
    second.setup("fit")
    assert first.split_record()["val"] != second.split_record()["val"]
    assert first.split_record()["fingerprint"] == second.split_record()["fingerprint"]


def test_loaders_serve_their_split_and_predict_serves_validation() -> None:
    data = Toy(batch_size=5)
    data.setup("fit")
    data.setup("test")
    record = data.split_record()
    assert indices(data.val_dataloader()) == record["val"]
    assert indices(data.predict_dataloader()) == record["val"]
    assert indices(data.test_dataloader()) == list(range(10))
    served = indices(data.train_dataloader())
    assert served != record["train"]
    assert sorted(served) == record["train"]


def test_all_splits_share_one_tensor() -> None:
    data = Toy()
    data.setup("fit")
    train, val = data.dataset("train"), data.dataset("val")
    assert isinstance(train, InMemoryImages)
    assert isinstance(val, InMemoryImages)
    assert train.images is val.images


def test_only_training_images_are_augmented() -> None:
    data = Toy(augment=Augment(crop_padding_px=4))
    data.setup("fit")

    def changed(loader: Any) -> bool:
        batch = next(iter(loader))
        return not torch.equal(batch.images, batch.indices.to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8))

    assert changed(data.train_dataloader())
    assert not changed(data.val_dataloader())
    assert not changed([data.dataset("train")[batch_key] for batch_key in data.train_dataloader().sampler])


def test_an_image_looks_different_in_the_next_epoch() -> None:
    data = Toy(augment=Augment(crop_padding_px=4))
    data.setup("fit")
    loader: Any = data.train_dataloader()
    looks = []
    for epoch in (0, 1, 0):
        loader.sampler.set_epoch(epoch)
        batch = next(iter(loader))
        looks.append(batch.images[batch.indices.argsort()])
    assert torch.equal(looks[0], looks[2])
    assert sum(torch.equal(first, second) for first, second in zip(looks[0], looks[1], strict=True)) < 10


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("again", ["one loader", "another loader"])
def test_passes_without_a_trainer_are_the_epochs_of_a_run(again: str, workers: int) -> None:
    data = Toy(augment=Augment(crop_padding_px=4), num_workers=workers)
    data.setup("fit")
    data.trainer = None
    told: Any = data.train_dataloader()
    runs = []
    for epoch in range(3):
        told.sampler.set_epoch(epoch)
        runs.append(list(told))
    one: Any = data.train_dataloader()
    for run in runs:
        batches = list(one if again == "one loader" else data.train_dataloader())
        assert all(
            torch.equal(a, b)
            for ours, theirs in zip(batches, run, strict=True)
            for a, b in zip(ours, theirs, strict=True)
        )
    assert not torch.equal(runs[0][0].indices, runs[1][0].indices)
    assert indices(data.val_dataloader()) == indices(data.val_dataloader())


def test_shuffle_and_augmentation_follow_seed_everything_at_fit() -> None:
    def first_batch(seed: int) -> Batch:
        seed_everything(seed)
        data = Toy(augment=Augment(crop_padding_px=4))
        data.setup("fit")
        torch.manual_seed(99)  # too late to matter
        batch: Batch = next(iter(data.train_dataloader()))
        return batch

    again = first_batch(1)
    assert torch.equal(first_batch(1).indices, again.indices)
    assert torch.equal(first_batch(1).images, again.images)
    assert not torch.equal(first_batch(2).indices, again.indices)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_lightning_serves_each_epoch_another_order_whatever_the_workers(num_workers: int) -> None:
    seed_everything(7)
    data, model = Toy(batch_size=10, num_workers=num_workers), Recorder()
    quiet_trainer(max_epochs=2).fit(model, datamodule=data)
    fitted = [(epoch, batch) for stage, epoch, batch in model.seen if stage == "fit"]
    orders = [[index for epoch, batch in fitted if epoch == wanted for index in batch] for wanted in (0, 1)]
    assert [len(batch) for _, batch in fitted] == [10, 10, 8] * 2
    train = torch.tensor(data.split_record()["train"])
    draws = [torch.randperm(28, generator=torch.Generator().manual_seed(key(7, epoch))) for epoch in (0, 1)]
    assert orders == [train[draw].tolist() for draw in draws]
    assert orders[0] != orders[1]


def test_lightning_predicts_all_validation_images_in_order() -> None:
    data, model = Toy(batch_size=3), Recorder()
    predicted: Any = quiet_trainer().predict(model, datamodule=data)
    assert torch.cat(predicted).tolist() == data.split_record()["val"]
    assert data.reads == ["train"]


def test_train_per_class_leaves_validation_as_it_was() -> None:
    whole, small, smaller = Toy(), Toy(train_per_class=5), Toy(train_per_class=2)
    for data in (whole, small, smaller):
        data.setup("fit")
    records = [data.split_record() for data in (whole, small, smaller)]
    assert records[0]["val"] == records[1]["val"] == records[2]["val"]
    assert set(records[2]["train"]) < set(records[1]["train"]) < set(records[0]["train"])
    assert (len(records[1]["train"]), len(records[2]["train"])) == (10, 4)


def test_an_impossible_batch_is_said_at_setup() -> None:
    with pytest.raises(TlearnError, match=r"^28 training images, batch_size 64, drop_last: 0 batches"):
        Toy(drop_last=True).setup("fit")


def test_regression_serves_values() -> None:
    data = Toy("regression")
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch.targets.dtype == torch.float32
    assert batch.targets.shape == (29, 1)
    assert torch.equal(batch.targets[:, 0].long(), batch.indices)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"augment": Augment(mixup_alpha=0.2)}, "augment.mixup_alpha"),
        ({"augment": Augment(cutmix_alpha=1.0)}, "augment.cutmix_alpha"),
        ({"train_per_class": 3}, "train_per_class"),
    ],
)
def test_regression_refuses_what_needs_classes(options: dict[str, Any], name: str) -> None:
    with pytest.raises(
        TlearnError, match=rf"^{name} \S+ needs one class an image, the task is regression; unset data.init_args.{name}"
    ):
        Toy("regression", **options)
