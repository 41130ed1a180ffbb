"""Refuse a misspelt ``monitor`` before the first epoch, not after it."""

from __future__ import annotations

from collections.abc import Iterator

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.base.errors import TlearnError, unknown
from tlearn.models.metrics import metric_names
from tlearn.training.module import TransferModule


class MonitorCheckCallback(Callback):
    """Compare every callback's and scheduler's ``monitor`` with what the module will log."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check all of them.

        Raises:
            TlearnError: A name that will never be logged, with the names that will.
        """
        assert isinstance(pl_module, TransferModule)
        of = pl_module.task, pl_module.num_outputs
        train = [*metric_names(*of, "train", pl_module.class_names), "train/loss_step", "train/images_per_s"]
        train.append("train/grad_norm")
        val = metric_names(*of, "val", pl_module.class_names)
        val += [] if pl_module.task == "regression" else ["val/temperature", "val/ece", "val/ece_scaled"]
        for owner, monitor in _monitors(trainer):
            if monitor in val and not trainer.enable_validation:
                raise TlearnError(
                    f"{owner} monitors {monitor}, but no validation runs (trainer.limit_val_batches, or "
                    "data.init_args.val_fraction, is 0)"
                )
            if monitor not in (*train, *val) and not monitor.startswith("lr-"):
                raise unknown(f"monitor of {owner}", monitor, [*val, *train])


def _monitors(trainer: Trainer) -> Iterator[tuple[str, str]]:
    owners = [*trainer.callbacks, *(config.scheduler for config in trainer.lr_scheduler_configs)]  # type: ignore[attr-defined]
    for owner in owners:
        monitor = getattr(owner, "monitor", None)
        if isinstance(monitor, str):
            yield type(owner).__name__, monitor
