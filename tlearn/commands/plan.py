"""The verb ``plan``: everything that ``fit`` does up to its first step, then the timeline instead of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint, LearningRateMonitor
from lightning.pytorch.loggers.logger import DummyLogger

from tlearn.analysis.plan import Plan, PlanCallback
from tlearn.base.errors import TlearnError
from tlearn.base.files import check_folder_of, write_whole
from tlearn.cli.arguments import Arguments
from tlearn.cli.transfer_cli import TransferCLI, as_list, run_as
from tlearn.commands.plan_table import print_plan
from tlearn.training.freeze_audit import FreezeAuditCallback
from tlearn.training.monitors import MonitorCheckCallback

_OUT = "--out"


class PlanCLI(TransferCLI):
    """The command line of ``fit`` with a trainer that writes nothing and stops before its first step."""

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Take away what would write: logger, checkpoints, and the user's callbacks that need them."""
        given = as_list(self._get(self.config_init, "trainer", {}).get("callbacks"))
        kept = [callback for callback in given if not isinstance(callback, (Checkpoint, LearningRateMonitor))]
        quiet = {"logger": DummyLogger(), "enable_checkpointing": False, "enable_progress_bar": False}
        quiet |= {"min_epochs": None, "min_steps": None}  # else the trainer would not stop at once
        return super().instantiate_trainer(**quiet, callbacks=kept, **kwargs)

    def own_callbacks(self, config: dict[str, Any]) -> list[Callback]:
        """Check what ``fit`` would check, then plan."""
        finder = self.before_the_first_step() if self._get(self.config_init, "find_lr") else []
        return [MonitorCheckCallback(), FreezeAuditCallback(), *finder, PlanCallback()]


def plan(arguments: Arguments) -> Plan:
    """Print the plan of what ``fit`` would do with the same words, and write it where ``--out`` says.

    Raises:
        TlearnError: Whatever ``fit`` would refuse, or a folder to write to that does not exist.
    """
    out, arguments = arguments.take(_OUT, "the name of a file to write")
    if arguments.value_of("--ckpt_path"):
        raise TlearnError("plan tells of a whole run, not of the rest of one; drop --ckpt_path")
    if out is not None:
        check_folder_of(Path(out))
    cli = run_as(PlanCLI, replace(arguments, verb="fit"))
    made = next(c for c in cli.trainer.callbacks if isinstance(c, PlanCallback)).plan  # type: ignore[attr-defined]
    assert made is not None
    print_plan(made)
    if out is not None:
        write_whole(Path(out), json.dumps(asdict(made), indent=1))
    return made
