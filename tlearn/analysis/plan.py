"""Plan a run: the rates and stages of each epoch, and its cost on this machine, without running it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from tlearn.analysis.epoch_times import epoch_times, forward_time
from tlearn.base.errors import TlearnError
from tlearn.base.machine import resident_since_start
from tlearn.base.notebook.html_table import html_table
from tlearn.models.freezing import group_by_rule
from tlearn.training.module import TransferModule, model_of
from tlearn.training.optimizer import rising_share, scale_rates
from tlearn.training.strategies.feature_cache import check_views, obstacle, obstacle_to_storing
from tlearn.training.strategies.kept.maps import frozen_epochs


@dataclass(frozen=True)
class GroupPlan:
    """One group of parameters that share a rule.

    Attributes:
        name: As in TensorBoard; ``frozen`` for all that never train.
        stages: The stages it lies in, shallow to deep.
        parameters: How many numbers.
        from_epoch: The epoch, counted from 0, that starts to train it; ``None`` for never.
        learning_rates: The rate at the start of each epoch; 0 while frozen.
        batch_norm: ``follows`` the batches once the group trains, ``fixed`` for good, or empty without BatchNorm.
    """

    name: str
    stages: list[str]
    parameters: int
    from_epoch: int | None
    learning_rates: list[float]
    batch_norm: str


@dataclass(frozen=True)
class Plan:
    """The timeline of a run.

    Attributes:
        groups: In the model's order, frozen ones last.
        trainable: Parameters that train, now or later.
        frozen: Parameters that never train.
        left_out: Weights beside these that meet nothing but padding in pictures of this size, and get no gradient.
        epochs: The number of epochs.
        epoch_time_s: Expected duration of every epoch with its validation.
        probe_time_s: Seconds of the pass over all images that a solved head needs if its features are not kept. Solving
            is not included.
        features_time_s: Seconds of the passes over all images that fill the feature cache, with features or with the
            maps of frozen stages; 0 without it.
        run_time_s: The sum of all three; start-up and checkpoints are not in it.
        peak_memory_bytes: Peak memory of this process, or of the GPU if one is used, after a few real steps.
        adaptive: The scheduler follows a metric: its later rates cannot be told in advance.
        warmup_steps: Steps in which all rates rise to those of the scheduler; 0 without a warm-up.
    """

    groups: list[GroupPlan]
    trainable: int
    frozen: int
    left_out: int
    epochs: int
    epoch_time_s: list[float]
    probe_time_s: float
    features_time_s: float
    run_time_s: float
    peak_memory_bytes: int
    adaptive: bool
    warmup_steps: int

    def _repr_html_(self) -> str:
        """Show the plan in a notebook."""
        rows = [
            (
                each.name,
                ", ".join(each.stages),
                f"{each.parameters:,}",
                "never" if each.from_epoch is None else each.from_epoch + 1,
                max(each.learning_rates, default=0.0) or None,
                each.batch_norm,
            )
            for each in self.groups
        ]
        caption = (
            f"Plan: {self.trainable:,} parameters train, {self.frozen:,} never; {self.epochs} epochs in "
            f"{self.run_time_s:.0f} s, peak memory {self.peak_memory_bytes / 1e9:.1f} GB"
        )
        columns = ("group", "stages", "parameters", "trains from epoch", "highest rate", "BatchNorm")
        return html_table(rows, columns, caption)


def make_plan(trainer: Trainer, module: TransferModule) -> Plan:
    """Work out the plan of a trainer that is about to take its first step.

    The module is trained for a few steps in each phase of its schedule, to time them: it is of no use afterwards.

    Raises:
        TlearnError: The number of epochs is open.
    """
    epochs = trainer.max_epochs or -1
    if epochs < 0:
        raise TlearnError("plan needs trainer.max_epochs, a run without end has no plan")
    if module.caching.cache_views > 1:
        check_views(trainer, module)
    rates = _learning_rates(trainer, module, epochs)
    groups = [
        _group(module, name, members, rule.from_epoch, rates[name])
        for name, (rule, members) in group_by_rule(module.rules).items()
    ]
    never = [name for name, rule in module.rules.items() if rule.lr_scale is None]
    if never:
        groups.append(_group(module, "frozen", never, None, [0.0] * epochs))
    forward_s = forward_time(trainer, module)
    training_pass_s = forward_s * trainer.num_training_batches
    validation_s = forward_s * sum(int(count) for count in trainer.num_val_batches)
    cached = 0 if obstacle(trainer, module) else int(min(epochs, frozen_epochs(module)))
    passes_s = training_pass_s * module.caching.cache_views + validation_s
    keeps = not obstacle_to_storing(trainer, module)
    times, features_time_s = epoch_times(trainer, module, epochs, forward_s, cached)
    features_time_s += passes_s if cached or (module.head_start.solves_head and keeps) else 0.0
    probe_time_s = passes_s if module.head_start.solves_head and not keeps else 0.0
    return Plan(
        groups=groups,
        trainable=sum(group.parameters for group in groups if group.from_epoch is not None),
        frozen=sum(group.parameters for group in groups if group.from_epoch is None),
        left_out=sum(module.left_out(name) for name in module.rules if name not in never),
        epochs=epochs,
        epoch_time_s=times,
        probe_time_s=probe_time_s,
        features_time_s=features_time_s,
        run_time_s=sum(times) + probe_time_s + features_time_s,
        peak_memory_bytes=_peak_memory(module.device),
        adaptive=any(config.reduce_on_plateau for config in trainer.lr_scheduler_configs),
        warmup_steps=module.warmup_length,
    )


def _group(
    module: TransferModule, name: str, members: list[str], from_epoch: int | None, rates: list[float]
) -> GroupPlan:
    owners = {module.get_submodule(member.rpartition(".")[0]) for member in members}
    norms = any(isinstance(owner, nn.modules.batchnorm._BatchNorm) for owner in owners)
    trains = from_epoch is not None
    start = len(rates) if from_epoch is None else from_epoch
    return GroupPlan(
        name=name,
        stages=list(dict.fromkeys(module.stages[member] for member in members)),
        parameters=sum(
            module.get_parameter(member).numel() + (module.left_out(member) if from_epoch is None else 0)
            for member in members
        ),
        from_epoch=from_epoch,
        learning_rates=[0.0 if epoch < start else rate for epoch, rate in enumerate(rates)],
        batch_norm="" if not norms else "follows" if module.backbone.batch_norm_follows and trains else "fixed",
    )


def _learning_rates(trainer: Trainer, module: TransferModule, epochs: int) -> dict[str, list[float]]:
    """Let a fresh optimizer and scheduler run through the epochs without training."""
    configured: Any = module.build_optimizer()
    optimizer = configured["optimizer"] if isinstance(configured, dict) else configured
    config: dict[str, Any] | None = configured["lr_scheduler"] if isinstance(configured, dict) else None
    # The trainer's own optimizer has been through `find_lr`, if that was asked for.
    found = [
        mine["lr"] / fresh["lr"]
        for mine, fresh in zip(trainer.optimizers[0].param_groups, optimizer.param_groups, strict=True)
    ]
    scale_rates(optimizer.param_groups, [config["scheduler"]] if config else [], found)
    rates: dict[str, list[float]] = {group["name"]: [] for group in optimizer.param_groups}
    by_step = config is not None and config["interval"] == "step"
    for epoch in range(epochs):
        share = rising_share(module.steps_before(epoch), module.warmup_length)
        for group in optimizer.param_groups:
            rates[group["name"]].append(float(group["lr"]) * share)
        if config and "monitor" not in config:
            steps = module.steps_before(epoch + 1) - module.steps_before(epoch)
            _step_without_training(config["scheduler"], steps if by_step else 1)
    return rates


def _step_without_training(scheduler: Any, steps: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no optimizer stepped is the point
        for _ in range(steps):
            scheduler.step()


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resident_since_start()


class PlanCallback(Callback):
    """Make the plan where the first step would be, after everything that ``fit`` would have refused; then stop.

    Attributes:
        plan: ``None`` until then.
    """

    def __init__(self) -> None:
        self.plan: Plan | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make it, and take no step."""
        module = model_of(trainer)
        self.plan = make_plan(trainer, module)
        trainer.should_stop = True
