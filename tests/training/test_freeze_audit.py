"""The audit stops a run in which something frozen moves, or something that trains is not in the optimizer once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tests.conftest import Tlearn


class Nudge(Callback):
    """Change one bit of a tensor in the second epoch, past torch's version counter."""

    def __init__(self, name: str) -> None:
        self.name = name

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.current_epoch == 1:
            tensor = (dict(pl_module.named_parameters()) | dict(pl_module.named_buffers()))[self.name]
            tensor.data[(0,) * tensor.ndim] += 1 if tensor.dtype == torch.int64 else 1e-6


class Regroup(Callback):
    """Put the head into the optimizer a second time, or take it out."""

    def __init__(self, twice: bool) -> None:
        self.twice = twice

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        inner = pl_module.configure_optimizers

        def configure() -> Any:
            optimizer: Any = inner()
            groups = optimizer.param_groups
            if self.twice:
                groups.append({**groups[-1], "name": "again"})
            else:
                groups.pop()
            return optimizer

        pl_module.configure_optimizers = configure  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "name",
    ["backbone.layer1.1.conv2.weight", "backbone.bn1.running_mean", "backbone.layer1.0.bn2.num_batches_tracked"],
)
def test_drift_stops_the_run_and_names_the_tensor(name: str, tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    nudge = ["--trainer.callbacks+=tests.training.test_freeze_audit.Nudge", "--trainer.callbacks.name", name]
    answer = tlearn("fit", "-c", small, "--model.freeze_backbone", "true", "--trainer.max_epochs", "4", *nudge)
    assert answer.code == 2
    assert f"freeze audit: {name} is frozen" in answer.err
    assert "but changed in epoch 2" in answer.err
    last = torch.load(tmp_path / "runs/small/version_0/checkpoints/last.ckpt", weights_only=True)
    assert last["epoch"] == 0  # the drifted weights were not saved
    (audit,) = (state for key, state in last["callbacks"].items() if "FreezeAudit" in key)
    assert len(audit["fingerprints"]) == 30
    assert name in audit["fingerprints"]


def test_a_checkpoint_whose_frozen_weights_were_changed_does_not_resume(
    tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    words = ["fit", "-c", small, "--model.freeze_backbone", "true"]
    assert tlearn(*words, "--trainer.max_epochs", "1").code == 0
    path = tmp_path / "runs/small/version_0/checkpoints/last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["backbone.conv1.weight"][0, 0, 0, 0] += 1
    torch.save(checkpoint, path)
    answer = tlearn(*words, "--trainer.max_epochs", "2", "--ckpt_path", "last")
    assert answer.code == 2
    assert "backbone.conv1.weight is frozen (model.freeze_backbone) but changed in the checkpoint" in answer.err


@pytest.mark.parametrize(("twice", "found"), [("true", 2), ("false", 0)])
def test_every_trainable_parameter_is_in_one_group(twice: str, found: int, tlearn: Tlearn, small: str) -> None:
    callback = ["--trainer.callbacks+=tests.training.test_freeze_audit.Regroup", "--trainer.callbacks.twice", twice]
    answer = tlearn("fit", "-c", small, "--model.lr_scales", "{backbone: 0.1}", *callback)
    assert answer.code == 2
    assert f"head.weight is in {found} groups of the optimizer, expected 1" in answer.err


FINETUNING = ["--trainer.callbacks+=BackboneFinetuning", "--trainer.callbacks.unfreeze_backbone_at_epoch"]


def test_lightnings_own_finetuning_cannot_undo_a_freeze(tlearn: Tlearn, small: str, tmp_path: Path) -> None:
    states: list[dict[str, torch.Tensor]] = []
    for epochs in ("1", "3"):
        words = ["--model.freeze_backbone", "true", "--trainer.max_epochs", epochs, *FINETUNING, "1"]
        answer = tlearn("fit", "-c", small, *words)
        assert answer.code == 0, answer.err
        path = tmp_path / f"runs/small/version_{len(states)}/checkpoints/last.ckpt"
        states.append(torch.load(path, weights_only=True)["state_dict"])
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items() if name.startswith("backbone"))


def test_lightnings_own_finetuning_does_not_resume(tlearn: Tlearn, small: str) -> None:
    words = ["fit", "-c", small, *FINETUNING, "1"]
    answer = tlearn(*words, "--trainer.max_epochs", "2")
    assert answer.code == 0, answer.err
    answer = tlearn(*words, "--trainer.max_epochs", "3", "--ckpt_path", "last")
    assert answer.code == 2
    assert "BackboneFinetuning forgets at a resume what it had unfrozen" in answer.err
    assert "model.unfreeze" in answer.err
