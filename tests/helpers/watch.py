"""A callback that notes which stages are open at each step, and a schedule to watch."""

from __future__ import annotations

from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn import TransferModule

SCHEDULE = ["--model.unfreeze", "{layer1: 1, stem: 2}", "--model.lr_scales", "{stem: 0.5}"]

WATCH = ["--trainer.callbacks+=tests.helpers.watch.Watch"]


class Watch(Callback):
    """Write down, at every step, what is open, in which mode, and the rates that the optimizer really used."""

    seen: ClassVar[list[dict[str, Any]]] = []
    rates: ClassVar[list[dict[str, float]]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        def note(optimizer: Any, args: Any, kwargs: Any) -> None:
            self.rates.append({group["name"]: group["lr"] for group in optimizer.param_groups})

        trainer.optimizers[0].register_step_pre_hook(note)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, TransferModule)
        groups = trainer.optimizers[0].param_groups
        self.seen.append(
            {
                "epoch": trainer.current_epoch,
                "open": {s for n, s in pl_module.stages.items() if pl_module.get_parameter(n).requires_grad},
                "modes": tuple(
                    pl_module.get_submodule(f"backbone.{name}").training for name in ("bn1", "layer1.0.bn1")
                ),
                "lr": {group["name"]: group["lr"] for group in groups},
            }
        )
