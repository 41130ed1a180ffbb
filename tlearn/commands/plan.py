"""The verb ``plan``, and `tlearn.plan`: what a fit would do and cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint, LearningRateMonitor
from lightning.pytorch.loggers.logger import DummyLogger
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tlearn.analysis.plan import Plan, PlanCallback
from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of, write_whole
from tlearn.cli.arguments import Arguments, VerbParser, with_own
from tlearn.cli.callbacks import head_and_rate
from tlearn.cli.isolation import called_from_python
from tlearn.cli.targets.calls import arguments_of
from tlearn.cli.transfer_cli import TransferCLI, as_list, run_as
from tlearn.reporting.parameters import totals
from tlearn.training.callbacks.freeze_audit import FreezeAuditCallback
from tlearn.training.callbacks.guards import MonitorCheckCallback


def print_plan(plan: Plan) -> None:
    """Print the timeline, the totals and the costs."""
    # Few lines and little padding: seven columns fit into 80 characters, and no number is ever cut.
    table = Table(title=f"plan: {plan.epochs} epochs", title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in ("group", "stages", "BatchNorm"):
        table.add_column(column, overflow="fold")
    table.add_column("parameters", justify="right", no_wrap=True)
    shown = _epochs_to_show(plan)
    for epoch in shown:
        table.add_column(f"lr\nepoch {epoch + 1}", justify="right", no_wrap=True)
    for group in plan.groups:
        rates = [f"{group.learning_rates[epoch]:.3g}" if group.learning_rates[epoch] else "-" for epoch in shown]
        stages = group.stages[0] if len(group.stages) == 1 else f"{group.stages[0]} to {group.stages[-1]}"
        table.add_row(group.name, stages, group.batch_norm or "-", f"{group.parameters:,}", *rates)
    Console().print(table)
    print(totals(plan.trainable, plan.frozen, plan.left_out))
    if plan.warmup_steps:
        print(f"the rates rise in the first {plan.warmup_steps} steps to those of the scheduler")
    if plan.adaptive:
        print("the scheduler follows a metric: its later rates cannot be told in advance")
    if plan.probe_time_s:
        print(f"before the first step the head is solved: the pass over the images takes {plan.probe_time_s:.1f} s")
    if plan.features_time_s:
        print(f"what is frozen runs once and what it gives is kept: that takes {plan.features_time_s:.1f} s")
    changes = [epoch for epoch in shown if epoch == 0 or plan.epoch_time_s[epoch] != plan.epoch_time_s[epoch - 1]]
    times = [f"{plan.epoch_time_s[epoch]:.1f} s" for epoch in changes]
    each = ", then ".join(
        time if epoch == 0 else f"{time} from epoch {epoch + 1}" for time, epoch in zip(times, changes, strict=True)
    )
    print(f"an epoch takes {each}; the run {plan.run_time_s:.0f} s; peak memory {plan.peak_memory_bytes / 1e9:.1f} GB")


def _epochs_to_show(plan: Plan, most: int = 5) -> list[int]:
    """Choose the first epoch, those that open a stage, and, while there is room, the middle and the last."""
    opening = {group.from_epoch for group in plan.groups if group.from_epoch is not None}
    wanted = [0, *sorted(opening - {0}), plan.epochs - 1, plan.epochs // 2]
    rates = {group.name: group.learning_rates for group in plan.groups}
    if all(len({rate for rate in of if rate}) <= 1 for of in rates.values()):
        wanted = wanted[:-2]  # constant rates: what they are at the end is no news
    return sorted([epoch for epoch in dict.fromkeys(wanted) if epoch < plan.epochs][:most])


class PlanCLI(TransferCLI):
    """The command line of ``fit`` with a trainer that writes nothing and stops before its first step."""

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Take away what would write: logger, checkpoints, and the user's callbacks that need them."""
        given = as_list(self.option("trainer").get("callbacks"))
        kept = [callback for callback in given if not isinstance(callback, (Checkpoint, LearningRateMonitor))]
        quiet = {"logger": DummyLogger(), "enable_checkpointing": False, "enable_progress_bar": False}
        quiet |= {"min_epochs": None, "min_steps": None}  # else the trainer would not stop at once
        return super().instantiate_trainer(**quiet, callbacks=kept, **kwargs)

    def own_callbacks(self, config: dict[str, Any]) -> list[Callback]:
        """Check what ``fit`` would check, then plan."""
        finder = head_and_rate(self.model, True) if self.option("find_lr") else []
        self.planner = PlanCallback()
        return [MonitorCheckCallback(), FreezeAuditCallback(), *finder, self.planner]


def plan(
    config: str | Path | Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
) -> Plan:
    """Work out what `tlearn.fit` would do with the same config and options, and what it would cost on this machine.

    Args:
        config: A folder of pictures, a table or a config, as for `tlearn.fit`.
        options: Dotted option names to values; they beat the config.
        out: A JSON file to write the plan to.

    Raises:
        TlearnError: Whatever `tlearn.fit` would refuse, or ``out`` lies in a folder that does not exist.
    """
    with called_from_python():
        made, place = _plan(arguments_of("plan", config, with_own(options, out=out)))
        _write(made, place)
        return made


def run(arguments: Arguments) -> None:
    """Print the plan of what ``fit`` would do with the same words, and write it where ``--out`` says."""
    made, place = _plan(arguments)
    print_plan(made)
    _write(made, place)


def _plan(arguments: Arguments) -> tuple[Plan, Path | None]:
    parser = VerbParser()
    parser.option("--out", "the name of a file to write", Path)
    own, arguments = parser.take(arguments)
    if arguments.value_of("--ckpt_path"):
        raise TlearnError("plan tells of a whole run, not of the rest of one; drop --ckpt_path")
    if own.out is not None:
        check_folder_of(own.out)
    made = run_as(PlanCLI, replace(arguments, verb="fit")).planner.plan
    assert made is not None
    return made, own.out


def _write(made: Plan, place: Path | None) -> None:
    if place is not None:
        write_whole(place, json.dumps(asdict(made), indent=1))
