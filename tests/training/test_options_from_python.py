"""Values and combinations from Python that the command line cannot produce: one line each, before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer

from tests.helpers.python_runs import fit
from tlearn import DigitsDataModule, TlearnError, TransferModule
from tlearn.models.about import About
from tlearn.models.calibration import AS_TRAINED, Calibration
from tlearn.models.distillation.options import DistillOptions
from tlearn.models.network import Network
from tlearn.models.options import FreezeOptions, LossOptions, NetworkOptions, names_of
from tlearn.training.options import CacheOptions, HeadStartOptions, RateOptions

SMALL: dict[str, Any] = {"weights": None, "tap": "stem"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": -2}, "num_classes: expected a whole number from 1 on, got -2"),
        ({"num_classes": 0}, "num_classes: expected a whole number from 1 on, got 0"),
        ({"class_names": ["a", "a", "b"]}, "class_names name a class twice (a, a, b); give each one name"),
        ({"backbone": 5}, "model.backbone: expected a text, got 5"),
        ({"weights": 3}, "model.weights: expected a text, got 3"),
        ({"tap": 3}, "model.tap: expected a text, got 3"),
        ({"image_size": "32"}, "model.image_size: expected a whole number from 1 on, got '32'"),
        ({"head_hidden": 64}, "model.head_hidden: expected a list of widths, got 64"),
        ({"head_hidden": [0]}, "model.head_hidden: expected a whole number from 1 on, got 0"),
        ({"backbone_args": [1]}, "model.backbone_args: expected a mapping of names to values, got [1]"),
        ({"pixel_mean": 0.5}, "model.pixel_mean: expected a list of three numbers, got 0.5"),
        ({"freeze_until": 3}, "model.freeze_until: expected a text, got 3"),
        ({"lr_scales": [0.1]}, "model.lr_scales: expected a mapping of stages to numbers, got [0.1]"),
        ({"rules": 0.1}, "model.rules: expected a mapping of stages to numbers, got 0.1"),
        ({"unfreeze": ["layer4"]}, "model.unfreeze: expected a mapping of stages to numbers, got ['layer4']"),
        ({"unfreeze": {"stem": 1.5}}, "model.unfreeze: expected a whole number from 0 on, got 1.5"),
        ({"unfreeze_warmup_steps": -3}, "model.unfreeze_warmup_steps: expected a whole number from 0 on, got -3"),
        ({"cache_views": "x"}, "model.cache_views: expected a whole number from 1 on, got 'x'"),
        ({"warmup_steps": True}, "model.warmup_steps: expected a whole number above 0, got True"),
    ],
)
def test_a_value_that_cannot_be_meant_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TlearnError) as refused:
        TransferModule(**{"num_classes": 3, **SMALL, **options})
    assert str(refused.value) == message


def test_every_option_belongs_to_one_group() -> None:
    groups = (NetworkOptions, FreezeOptions, LossOptions, DistillOptions, HeadStartOptions, CacheOptions, RateOptions)
    grouped = [name for group in groups for name in names_of(group)]
    annotations = set(TransferModule.__init__.__annotations__) - {"return", "optimizer", "lr_scheduler"}
    assert sorted(grouped) == sorted(annotations)


def digits() -> DigitsDataModule:
    return DigitsDataModule(classes=[5, 6, 7], train_per_class=4)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"num_classes": 2}, "the network has 2 outputs, the data ask for 3"),
        ({"num_classes": 3, "task": "multilabel"}, "the network is for multilabel, the data are for classification"),
        ({"num_classes": 3, "class_names": ["7", "6", "5"]}, "in the order 7, 6, 5, the data 5, 6, 7"),
    ],
)
def test_a_network_for_other_data_is_refused(tmp_path: Path, made: dict[str, Any], message: str) -> None:
    with pytest.raises(TlearnError, match=message):
        fit(TransferModule(**made, **SMALL), digits(), max_epochs=1)


def test_a_network_without_names_takes_those_of_the_data(tmp_path: Path) -> None:
    module = TransferModule(3, **SMALL)
    fit(module, digits(), max_epochs=1)
    assert module.class_names == ["5", "6", "7"]


def test_a_checkpoint_of_another_task_changes_nothing() -> None:
    network = Network(NetworkOptions(3, ["a", "b", "c"], "multilabel", tap="stem"))
    with pytest.raises(TlearnError, match="the checkpoint's network is for classification, this one for multilabel"):
        network.restore(About("classification", ["a", "b", "c"], calibration=Calibration(7.0)))
    assert network.calibration == AS_TRAINED


def test_an_error_in_a_step_leaves_the_schedulers_rate(tmp_path: Path) -> None:
    """A checkpoint that is written at an error must not hold the lower rate of a warm-up."""
    module = TransferModule(3, **SMALL, warmup_steps=10)
    module.on_before_optimizer_step = lambda *_: (_ for _ in ()).throw(RuntimeError("stop"))  # type: ignore[method-assign]
    trainer = Trainer(max_epochs=1, barebones=True, accelerator="cpu", num_sanity_val_steps=0)
    with pytest.raises(RuntimeError, match="stop"):
        trainer.fit(module, datamodule=digits())
    assert [group["lr"] for group in trainer.optimizers[0].param_groups] == [1e-3]


def test_a_test_after_a_fit_knows_the_epochs_behind_the_network(tmp_path: Path) -> None:
    module, data = TransferModule(3, **SMALL), digits()
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", enable_checkpointing=False, use_distributed_sampler=False, **quiet
    )
    trainer.fit(module, datamodule=data)
    trainer.test(module, datamodule=data, verbose=False)
    assert module.evaluation.last is not None
    assert module.evaluation.last.epoch == 2


def test_weights_that_are_left_out_train_in_train_mode(tmp_path: Path) -> None:
    """Lightning would warn of modules in eval mode, where nothing is frozen."""
    module, data = TransferModule(3, weights=None), digits()
    modes: list[bool] = []
    module.on_train_start = lambda: modes.extend(part.training for part in module.modules())  # type: ignore[method-assign]
    fit(module, data, max_epochs=1)
    assert all(modes)
