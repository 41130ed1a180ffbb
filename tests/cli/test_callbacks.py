"""Callbacks: their order is checked, and `tlearn.callbacks_for` gives a Trainer what the command line adds."""

from __future__ import annotations

import json
import logging
import signal
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging

import tlearn
from tests.conftest import Tlearn
from tlearn.base.errors import TlearnError
from tlearn.cli import callbacks as phases
from tlearn.data.sources.digits import DigitsDataModule
from tlearn.models.calibration import AS_TRAINED
from tlearn.models.reliability.calibrate import fit_calibration
from tlearn.models.reliability.calibration_error import reliability_of
from tlearn.reporting.history import OneHistoryCallback
from tlearn.training.callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from tlearn.training.callbacks.freeze_audit import FreezeAuditCallback
from tlearn.training.callbacks.guards import FiniteLossCallback
from tlearn.training.callbacks.run_folder import RunRecordCallback
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.ddp import EndTogetherCallback
from tlearn.training.module import TransferModule

DATA: dict[str, Any] = {"classes": [0, 1, 2], "train_per_class": 8, "val_fraction": 0.05, "batch_size": 8}


def network(**options: Any) -> TransferModule:
    return TransferModule(3, ["0", "1", "2"], weights=None, tap="layer1", **options)


@pytest.mark.parametrize(
    ("callbacks", "expected"),
    [
        ([OneHistoryCallback(None), RunRecordCallback({})], "OneHistoryCallback must stand after RunRecordCallback"),
        ([FreezeAuditCallback(), EMAWeightAveraging()], "FreezeAuditCallback must stand after EMAWeightAveraging"),
        ([LastCheckpoint(), FiniteLossCallback()], "FiniteLossCallback must stand before LastCheckpoint"),
        ([BestCheckpoint("val/acc"), StopCallback()], "StopCallback must stand before BestCheckpoint"),
        ([EndTogetherCallback(), Callback()], "EndTogetherCallback must stand after Callback"),
    ],
)
def test_a_wrong_order_is_refused(callbacks: list[Callback], expected: str) -> None:
    with pytest.raises(RuntimeError, match=f"wrong order of callbacks: {expected}"):
        phases.check_order(callbacks)
    phases.check_order(callbacks[::-1])


def test_the_list_of_a_run_is_checked_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    guards = phases._guards
    monkeypatch.setattr(phases, "_guards", lambda *given: guards(*given)[::-1])
    with pytest.raises(RuntimeError, match="EndingCallback must stand after FiniteLossCallback"):
        tlearn.callbacks_for(network())


def weights_of(module: TransferModule) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.network_state().items()}


def from_python(
    folder: Path | None = None, callbacks: list[Callback] | None = None, find_lr: bool = False, **options: Any
) -> TransferModule:
    """Train as the fixture ``small`` does, with Lightning's own Trainer."""
    seed_everything(0, verbose=False)
    data = DigitsDataModule(**DATA, size_px=16)
    module = network(optimizer=lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9), **options)
    made = tlearn.callbacks_for(module, folder=folder, find_lr=find_lr) if callbacks is None else callbacks
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=2, accelerator="cpu", log_every_n_steps=10, callbacks=made, **quiet)
    trainer.fit(module, datamodule=data)
    return module


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--model.freeze_backbone", "true"], {"freeze_backbone": True}),
        (["--model.head_init", "probe", "--model.wise_ft", "true"], {"head_init": "probe", "wise_ft": True}),
        (["--find_lr"], {"find_lr": True}),
    ],
)
def test_a_trainer_of_ones_own_trains_the_same_weights(
    words: list[str], options: dict[str, Any], tlearn: Tlearn, small: str, tmp_path: Path
) -> None:
    assert tlearn("fit", "-c", small, *words).code == 0
    folder = tmp_path / "runs/small/version_0/checkpoints"
    kept = {path.name: torch.load(path, weights_only=True) for path in folder.glob("*.ckpt")}
    module = from_python(tmp_path / "mine", **options)
    trained = weights_of(module)
    assert sorted(kept) == sorted(path.name for path in (tmp_path / "mine/checkpoints").glob("*.ckpt"))
    for name, checkpoint in kept.items():
        ours = torch.load(tmp_path / "mine/checkpoints" / name, weights_only=True)
        assert ours["tlearn"] == checkpoint["tlearn"]
        for key, value in checkpoint["state_dict"].items():
            assert torch.equal(ours["state_dict"][key], value), (name, key)
    assert all(torch.equal(trained[key], kept["last.ckpt"]["state_dict"][key]) for key in trained)


def test_the_card_of_a_run_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = from_python(tmp_path / "mine", freeze_backbone=True)
    card = json.loads((tmp_path / "mine/card.json").read_text())
    assert (card["status"], card["epochs"]) == ("finished", {"done": 2, "planned": 2})
    assert card["audit"]["result"] == "unchanged"
    assert card["model"]["freeze_backbone"] is True
    assert (card["model"]["optimizer"], card["model"]["lr"], card["model"]["batch_size"]) == ("SGD", 0.01, 8)
    assert card["temperature"] == pytest.approx(module.temperature) or card["best"]["epoch"] == 1
    assert (tmp_path / "mine/report.html").is_file()


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    from_python(tmp_path / "first", freeze_backbone=True)  # libraries leave theirs when they are first used

    def state() -> list[Any]:
        loggers = [logging.getLogger(name) for name in ("", "tlearn", "lightning.pytorch", "py.warnings")]
        handlers = [(logger.level, list(logger.handlers)) for logger in loggers]
        signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
        return [list(warnings.filters), threading.excepthook, torch.get_num_threads(), handlers, signals]

    before = state()
    from_python(tmp_path / "second", freeze_backbone=True)
    assert state() == before


@pytest.mark.parametrize("options", [{"folder": "mine"}, {}])
def test_a_card_and_a_mixture_need_checkpoints(options: dict[str, Any]) -> None:
    module = network(head_init="probe", wise_ft=not options)
    with pytest.raises(TlearnError, match="needs checkpoints, and checkpoints is False"):
        tlearn.callbacks_for(module, checkpoints=False, **options)


def test_without_validation_there_is_no_best_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DATA, "val_fraction", 0.0)
    from_python(tmp_path / "mine", freeze_backbone=True)
    assert [path.name for path in (tmp_path / "mine/checkpoints").iterdir()] == ["last.ckpt"]


@pytest.mark.filterwarnings("ignore:.*checkpoint.*")
def test_without_any_callback_the_model_evaluates_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = from_python(callbacks=[])
    last, logged = module.evaluation.last, module.trainer.callback_metrics
    assert last is not None
    assert (last.split, last.epoch, len(last.logits)) == ("val", 2, len(last.targets))
    assert module.calibration == fit_calibration("classification", last.logits, last.targets) != AS_TRAINED
    assert float(logged["val/temperature"]) == pytest.approx(module.temperature)
    found = reliability_of("classification", last.logits, last.targets, AS_TRAINED)
    assert float(logged["val/ece"]) == pytest.approx(found.ece)
    module.trainer.validate(module, module.trainer.datamodule, verbose=False)  # type: ignore[attr-defined]
    assert "val/ece" not in module.trainer.callback_metrics
