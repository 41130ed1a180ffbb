"""The last line of a fit that solved a head: what training more would cost, and how to have it."""

from __future__ import annotations

from tlearn.analysis.race.recipes import SCRATCH, epochs_of, times_of
from tlearn.cli.arguments import Arguments
from tlearn.cli.transfer_cli import TransferCLI
from tlearn.commands.race.budget import AUTO, AUTO_FACTOR, TRAINING
from tlearn.commands.race.text import length
from tlearn.commands.race.track import typed_of_race
from tlearn.training.strategies.features import pass_s_of
from tlearn.training.typed import is_trial, own_data_of


def say_what_training_costs(arguments: Arguments, cli: TransferCLI) -> None:
    """Say it of a target whose head was solved, where the network's pass was measured: its features were computed.

    Args:
        arguments: The command line of the fit.
        cli: What it made.
    """
    pass_s, data = pass_s_of(cli.model), own_data_of(cli.trainer)
    is_solved = cli.model.head_start.head_solver != "sgd"
    if arguments.target is None or pass_s is None or data is None or not is_solved or is_trial(cli.trainer):
        return
    if typed_of_race(arguments) or not data.validates or cli.model.task != "classification":
        return
    train, val = len(data.dataset("train")), len(data.dataset("val"))
    knows_nothing = cli.plain["model"]["weights"] is None
    epochs = epochs_of(train / max(1, data.num_classes)) * (times_of(SCRATCH) if knows_nothing else 1)
    took_s = AUTO_FACTOR * epochs * pass_s * (TRAINING * train + val)
    print(
        f"train more: about {length(took_s)} ({epochs} epochs at {TRAINING:g} times the network's measured pass, "
        f"x {AUTO_FACTOR:g}):\n  {arguments.as_typed} --budget {AUTO}",
        flush=True,
    )
