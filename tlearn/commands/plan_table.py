"""Print a plan: a line per group, a column per change of rates."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tlearn.analysis.plan import Plan
from tlearn.reporting.parameters import totals


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
        print(f"the frozen network runs once and its features are kept: that takes {plan.features_time_s:.1f} s")
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
    return sorted({epoch for epoch in dict.fromkeys(wanted) if epoch < plan.epochs})[:most]
