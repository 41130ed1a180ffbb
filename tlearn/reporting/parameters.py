"""The table of trainable and frozen parameters, printed before the first step."""

from __future__ import annotations

from dataclasses import dataclass

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table
from torch import nn

from tlearn.models.ensembles.build import members_in
from tlearn.models.freezing import Rule
from tlearn.training.module import TransferModule


@dataclass
class StageSummary:
    """One line of the summary.

    Attributes:
        stage: A stage of the backbone, or ``head``.
        trainable: Number of trainable parameters.
        frozen: Number of frozen parameters.
        left_out: Number of further weights that are idle: in pictures of this size they only multiply zero padding.
            Where the stage trains, they get no gradient, no momentum and no weight decay.
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
    takes_none = bool(module.options.ensemble)  # no step: its heads are left as they are
    free = [name for name in names if module.get_parameter(name).requires_grad and not takes_none]
    trainable = sum(module.get_parameter(name).numel() for name in free)
    frozen = sum(module.get_parameter(name).numel() + module.left_out(name) for name in names if name not in free)
    moving = [] if takes_none else [name for name in names if module.rules[name].lr_scale is not None]
    scales = dict.fromkeys(_rate(module.rules[name]) for name in moving)
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
        """Print a line per stage, the totals, and the size of the network that was taken."""
        if trainer.is_global_zero and isinstance(pl_module, TransferModule):
            stages = summarise(pl_module)
            Console().print(_table(stages))
            idle = sum(s.left_out for s in stages)
            print(totals(sum(s.trainable for s in stages), sum(s.frozen for s in stages), idle))
            print(_of_network(pl_module, stages), flush=True)


def totals(trainable: int, frozen: int, idle: int) -> str:
    """Return the number of parameters of each kind, with a second line where some are idle.

    Args:
        trainable: How many train.
        frozen: How many are frozen.
        idle: How many more see nothing but padding in pictures of this size.
    """
    rest = f" + {idle:,} idle" if idle else ""
    why = "\nidle: these weights only multiply zero padding at this image size" if idle else ""
    return f"{trainable:,} trainable + {frozen:,} frozen{rest} = {trainable + frozen + idle:,} parameters{why}"


def _of_network(module: TransferModule, stages: list[StageSummary]) -> str:
    """Say how large the network is that was taken, which readers may know, and what of it is not used."""
    if described := module.options.ensemble:
        passes = len({each.network for each in members_in(described)})
        size_mb = sum(value.nbytes for value in module.network_state().values()) / 1e6
        plural = "" if passes == 1 else "es"
        each = f"{passes} pass{plural} over a network for each picture"
        return f"{module.options.backbone}: {each}, {size_mb:,.1f} MB of weights"
    built = sum(s.trainable + s.frozen + s.left_out for s in stages if s.stage != "head")
    behind = module.backbone.behind_tap
    unused = f", {behind:,} of them behind the tap: not used" if behind else ""
    return f"{module.options.backbone} without its old classifier has {built + behind:,}{unused}"


def _table(stages: list[StageSummary]) -> Table:
    table = Table(title="parameters", title_justify="left")
    table.add_column("stage")
    for column in ("trainable", "frozen", "lr factor", "BatchNorm"):
        table.add_column(column, justify="right")
    for s in stages:
        table.add_row(s.stage, f"{s.trainable:,}", f"{s.frozen:,}", s.lr_scale or "-", s.batch_norm or "-")
    return table
