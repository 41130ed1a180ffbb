"""Check that frozen tensors never change, and that the optimizer holds each training parameter once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BaseFinetuning, WeightAveraging
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.models.state import fingerprint
from tlearn.training.callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from tlearn.training.callbacks.stopping import StopCallback
from tlearn.training.module import TransferModule, model_of
from tlearn.training.typed import callbacks_of


def _quick_hash(tensor: Tensor) -> int:
    return int(torch.hash_tensor(tensor.detach()).view(torch.int64))


def frozen_tensors(module: TransferModule) -> dict[str, Tensor]:
    """Return the parameters that are frozen now, and the BatchNorm statistics of layers that are frozen as a whole."""
    frozen: dict[str, Tensor] = {
        name: p for name, p in module.named_parameters() if name in module.rules and not p.requires_grad
    }
    for path, part in module.backbone.named_modules(prefix="backbone"):
        own = list(part.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            frozen |= {f"{path}.{name}": buffer for name, buffer in part.named_buffers(recurse=False)}
    return frozen


def check_groups(module: TransferModule, groups: Iterable[dict[str, Any]]) -> None:
    """Check that the optimizer holds each parameter that trains, now or later, in one group, and no frozen parameter.

    Raises:
        TlearnError: A parameter is in no group, in several, or frozen and in one. The first such one is named.
    """
    count = Counter(id(parameter) for group in groups for parameter in group["params"])
    for name, rule in module.rules.items():
        found, wanted = count[id(module.get_parameter(name))], int(rule.lr_scale is not None)
        if found != wanted:
            raise TlearnError(
                f"{name} is in {found} groups of the optimizer, expected {wanted} ({rule.option}: "
                f"{'trains' if wanted else 'frozen'}); a callback or a subclass changes the optimizer"
            )


class FreezeAuditCallback(Callback):
    """Hash the frozen tensors at the start of each epoch, compare them at its end, and store the hashes in checkpoints.

    Within a run the quick hash of torch is compared, the exclusive or of all bits. It takes 4 ms for a ResNet18; the
    SHA-256 that goes into a checkpoint takes 30 ms, and an epoch on cached features 200 ms.

    Attributes:
        fingerprints: Tensor name to SHA-256, for the tensors that are frozen in the current epoch.
        epochs_checked: Epochs of this process in which no frozen tensor changed.
    """

    # Weight averaging rounds even the mean of equal values; what is frozen goes into a checkpoint after it, as it is.
    after: ClassVar = (WeightAveraging,)
    # An epoch is audited before it is saved, and before a signal ends the run behind it.
    before: ClassVar = (BestCheckpoint, LastCheckpoint, StopCallback)

    def __init__(self) -> None:
        self.fingerprints: dict[str, str] = {}
        self.epochs_checked = 0
        self._quick: dict[str, int] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the optimizer's groups, and the frozen tensors of a checkpoint that is resumed.

        Raises:
            TlearnError: A parameter is in no group or in several, a frozen tensor differs from its hash in the
                checkpoint, or a callback cannot resume.
        """
        module = model_of(trainer)
        self._refuse_forgetful(trainer)
        check_groups(module, [group for optimizer in trainer.optimizers for group in optimizer.param_groups])
        self._compare(module, self.fingerprints, fingerprint, "the checkpoint")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Hash the tensors that this epoch keeps frozen; the module has opened its stages by now."""
        if batch_idx == 0 or self._quick is None:  # a resumed epoch begins at another batch
            module = model_of(trainer)
            frozen = frozen_tensors(module)
            known = self.fingerprints
            self.fingerprints = {name: known.get(name) or fingerprint(value) for name, value in frozen.items()}
            quick = self._quick or {}
            self._quick = {name: quick[name] if name in quick else _quick_hash(x) for name, x in frozen.items()}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the hashes.

        Raises:
            TlearnError: A frozen tensor changed. The message names it and what may have changed it.
        """
        module = model_of(trainer)
        self._compare(module, self._quick or {}, _quick_hash, f"epoch {trainer.current_epoch + 1}")
        self.epochs_checked += 1

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Write frozen tensors as they are, see `after`."""
        if self.fingerprints:
            live = pl_module.state_dict()
            checkpoint["state_dict"].update({name: live[name] for name in self.fingerprints})

    def state_dict(self) -> dict[str, Any]:
        """Return the hashes for the checkpoint."""
        return {"fingerprints": self.fingerprints}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the hashes of the run that is resumed."""
        self.fingerprints = dict(state_dict["fingerprints"])

    def _compare(
        self, module: TransferModule, known: Mapping[str, object], hash_of: Callable[[Tensor], object], where: str
    ) -> None:
        tensors = dict(module.named_parameters()) | dict(module.named_buffers())
        for name, value in known.items():
            if hash_of(tensors[name]) != value:
                rule = module.rules.get(name)
                reason = f" ({rule.option})" if rule else ""
                raise TlearnError(
                    f"freeze audit: {name} is frozen{reason} but changed in {where}; a callback or a subclass writes "
                    "to it: remove that, or let the tensor train"
                )

    def _refuse_forgetful(self, trainer: Trainer) -> None:
        for callback in callbacks_of(trainer):
            if isinstance(callback, BaseFinetuning) and trainer.ckpt_path:
                raise TlearnError(
                    f"{type(callback).__name__} forgets at a resume what it had unfrozen (lightning 2.6); "
                    "use model.unfreeze, which resumes exactly"
                )
