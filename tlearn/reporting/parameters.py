"""The table of trainable and frozen parameters, printed before the first step."""

from __future__ import annotations

from dataclasses import dataclass

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table
from torch import nn

from tlearn.models.freezing import Rule
from tlearn.training.module import TransferModule


@dataclass
class StageSummary:
    """One line of the summary.

    Attributes:
        stage: A stage of the backbone, or ``head``.
        trainable: Number of trainable parameters.
        frozen: Number of frozen parameters.
        left_out: Number of further weights that only ever see padding in pictures of this size, if the stage trains.
            They get no gradient, no momentum and no weight decay.
        lr_scale: The factors on the learning rate, and the epochs from which they hold, as text.
        batch_norm: Whether the BatchNorm statistics follow the batches or are fixed.
    """

    stage: str
    trainable: int
    frozen: int
    left_out: int
    lr_scale: str
    batch_norm: str


def summarise(module: TransferModule) -> list[StageSummary]:
    """Summarise a module stage by stage, from input to output."""
    return [_stage(module, stage) for stage in dict.fromkeys(module.stages.values())]


def _stage(module: TransferModule, stage: str) -> StageSummary:
    names = [name for name, of in module.stages.items() if of == stage]
    free = [name for name in names if module.get_parameter(name).requires_grad]
    trainable = sum(module.get_parameter(name).numel() for name in free)
    frozen = sum(module.get_parameter(name).numel() + module.left_out(name) for name in names if name not in free)
    scales = dict.fromkeys(_rate(module.rules[name]) for name in names if module.rules[name].lr_scale is not None)
    owners = {module.get_submodule(name.rpartition(".")[0]) for name in names}
    norms = [owner for owner in owners if isinstance(owner, nn.modules.batchnorm._BatchNorm)]
    following = sum(norm.training for norm in norms)
    state = "" if not norms else "follows" if following == len(norms) else "fixed" if not following else "mixed"
    left_out = sum(module.left_out(name) for name in free)
    return StageSummary(stage, trainable, frozen, left_out, ", ".join(scales), state)


def _rate(rule: Rule) -> str:
    return f"{rule.lr_scale:g}" + (f" after {rule.from_epoch} epochs" if rule.from_epoch else "")


class ParameterSummaryCallback(Callback):
    """Print the summary when ``fit`` starts."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print a line per stage and the totals."""
        if trainer.is_global_zero and isinstance(pl_module, TransferModule):
            stages = summarise(pl_module)
            Console().print(_table(stages))
            trainable, frozen = sum(s.trainable for s in stages), sum(s.frozen for s in stages)
            left_out = sum(s.left_out for s in stages)
            print(totals(trainable, frozen, left_out), flush=True)


def totals(trainable: int, frozen: int, left_out: int) -> str:
    """Return one line with the number of parameters of each kind."""
    rest = f" + {left_out:,} that meet only padding at this size and get no gradient" if left_out else ""
    return f"{trainable:,} trainable + {frozen:,} frozen{rest} = {trainable + frozen + left_out:,} parameters"


def _table(stages: list[StageSummary]) -> Table:
    table = Table(title="parameters", title_justify="left")
    table.add_column("stage")
    for column in ("trainable", "frozen", "lr factor", "BatchNorm"):
        table.add_column(column, justify="right")
    for s in stages:
        table.add_row(s.stage, f"{s.trainable:,}", f"{s.frozen:,}", s.lr_scale or "-", s.batch_norm or "-")
    return table
