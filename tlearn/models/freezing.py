"""One ordered table of rules decides what trains and how fast. Pure functions, no Lightning.

The idea (first match wins, a parameter without a rule is an error, no rate means frozen) is that of big_vision's
optimizer table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from tlearn.base.errors import TlearnError, unknown
from tlearn.models.options import FreezeOptions


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Attributes:
        pattern: ``backbone``, ``head``, a stage (``layer2``), or a shell pattern over parameter names
            (``backbone.layer3.*.bn1.*``).
        lr_scale: Factor on the learning rate; ``None`` means frozen.
        option: The option that made the rule, for messages.
        from_epoch: The epoch, counted from 0, that starts to train what the rule speaks of; frozen until then.
    """

    pattern: str
    lr_scale: float | None
    option: str
    from_epoch: int = 0

    def trains_in(self, epoch: int) -> bool:
        """Tell whether what the rule speaks of trains in an epoch, counted from 0."""
        return self.lr_scale is not None and epoch >= self.from_epoch

    def matches(self, name: str, stage: str) -> bool:
        """Tell whether the rule speaks of this parameter."""
        if self.pattern in ("backbone", "head"):
            return name.startswith(self.pattern + ".")
        return self.pattern == stage or fnmatchcase(name, self.pattern)


REST = Rule("*", 1.0, "the default")
_LR_SCALES, _UNFREEZE = "model.lr_scales", "model.unfreeze"


def rules_from_options(
    stages: Sequence[str],
    freeze_backbone: bool = False,
    freeze_until: str | None = None,
    lr_scales: Mapping[str, float] | None = None,
    rules: Mapping[str, float | None] | None = None,
    unfreeze: Mapping[str, int] | None = None,
) -> list[Rule]:
    """Turn the shorthands into the table they stand for.

    Args:
        stages: The backbone's stages, shallow to deep.
        freeze_backbone: Freeze all of them: the network is a fixed feature extractor.
        freeze_until: Freeze the stages up to and including this one.
        lr_scales: Pattern to factor on the learning rate; what is not named keeps factor 1.
        rules: The whole table, pattern to factor or ``None`` for frozen; it must cover every parameter.
        unfreeze: Stage, or ``backbone`` for all that are left, to the epoch that starts to train it. Stages that it
            does not name stay frozen.

    Raises:
        TlearnError: An unknown stage, or ``rules`` beside a shorthand.
    """
    if rules is not None:
        if freeze_backbone or freeze_until or lr_scales or unfreeze:
            raise TlearnError(
                "model.rules is the whole table: give it alone, without freeze_backbone, freeze_until, lr_scales or "
                "unfreeze"
            )
        return [Rule(pattern, scale, "model.rules") for pattern, scale in rules.items()]
    table = _frozen_prefix(stages, freeze_until)
    if unfreeze:
        table += _schedule(stages, unfreeze, {rule.pattern for rule in table})
    elif freeze_backbone:
        table.insert(0, Rule("backbone", None, "model.freeze_backbone"))
    table += [Rule(pattern, scale, _LR_SCALES) for pattern, scale in (lr_scales or {}).items()]
    return [*table, REST]


def _frozen_prefix(stages: Sequence[str], until: str | None) -> list[Rule]:
    if until is None:
        return []
    if until not in stages:
        raise unknown("stage in model.freeze_until", until, stages)
    return [Rule(stage, None, "model.freeze_until") for stage in stages[: stages.index(until) + 1]]


def _schedule(stages: Sequence[str], unfreeze: Mapping[str, int], frozen: set[str]) -> list[Rule]:
    for stage in unfreeze:
        if stage not in (*stages, "backbone"):
            raise unknown("stage in model.unfreeze", stage, [*stages, "backbone"])
    named = [Rule(stage, 1.0, _UNFREEZE, int(epoch)) for stage, epoch in unfreeze.items() if stage != "backbone"]
    if "backbone" in unfreeze:
        return [*named, Rule("backbone", 1.0, _UNFREEZE, int(unfreeze["backbone"]))]
    rest = [stage for stage in stages if stage not in frozen and stage not in unfreeze]
    return [*named, *(Rule(stage, None, "model.unfreeze (not named in it)") for stage in rest)]


def assign_rules(stage_of: Mapping[str, str], rules: Sequence[Rule]) -> dict[str, Rule]:
    """Give every parameter its rule: the first that matches.

    Args:
        stage_of: Parameter name to stage, for all parameters, in the model's order.
        rules: The table.

    Raises:
        TlearnError: A parameter that no rule matches, a rule that decides nothing, or nothing left to train.
    """
    assigned: dict[str, Rule] = {}
    used: set[Rule] = set()
    for name, stage in stage_of.items():
        matching = [rule for rule in rules if rule.matches(name, stage)]
        if not matching:
            raise TlearnError(f"no rule in model.rules matches parameter '{name}'; end the table with '*: 1.0'")
        rule = matching[0]
        used.add(rule)
        rate = next((other for other in matching if other.option == _LR_SCALES), None)
        if rate is not None and rule.option == _UNFREEZE:  # the schedule says when, lr_scales how fast
            used.add(rate)
            rule = replace(rule, lr_scale=rate.lr_scale)
        assigned[name] = rule
    for rule in rules:
        if rule is not REST and rule not in used:
            raise _idle(rule, stage_of)
    if all(rule.lr_scale is None for rule in assigned.values()):
        options = ", ".join(sorted({rule.option for rule in assigned.values()}))
        raise TlearnError(f"nothing to train: {options} freezes all {len(assigned)} parameters; leave the head free")
    return assigned


def _idle(rule: Rule, stage_of: Mapping[str, str]) -> TlearnError:
    if any(rule.matches(name, stage) for name, stage in stage_of.items()):
        return TlearnError(
            f"{rule.option}: '{rule.pattern}' decides nothing, earlier rules took all it matches; drop it"
        )
    choices = ["backbone", "head", *dict.fromkeys(s for s in stage_of.values() if s != "head")]
    error = unknown(f"pattern in {rule.option}", rule.pattern, choices)
    return TlearnError(f"{error}, or a shell pattern over parameter names such as '{next(iter(stage_of))}'")


def group_by_rule(rules: Mapping[str, Rule]) -> dict[str, tuple[Rule, list[str]]]:
    """Gather what trains, now or later, into named groups with one rule each, in the model's order.

    Args:
        rules: Parameter name to rule.

    Returns:
        Group name, as TensorBoard shows it, to its rule and the names of its parameters.
    """
    members: dict[Rule, list[str]] = {}
    for name, rule in rules.items():
        if rule.lr_scale is not None:
            members.setdefault(rule, []).append(name)
    groups: dict[str, tuple[Rule, list[str]]] = {}
    for rule, names in members.items():
        name = _group_name(rule, names)
        for longer in (name, f"{name} x{rule.lr_scale:g}", f"{name} x{rule.lr_scale!r}"):
            if longer not in groups:
                groups[longer] = (rule, names)
                break
    return groups


def _group_name(rule: Rule, names: Sequence[str]) -> str:
    if rule is not REST:
        return rule.pattern
    return "head" if all(name.startswith("head.") for name in names) else "rest"


class FreezeSchedule:
    """Decides for each parameter of a network whether it trains, from when on, and how fast.

    Attributes:
        options: What the rules were made from.
        stages: Parameter name to stage (``stem``, ``layer1``, ..., ``head``), in the model's order.
        rules: Parameter name to its rule.
    """

    def __init__(self, options: FreezeOptions, stages: Mapping[str, str], order: Sequence[str]) -> None:
        """Give every parameter its rule.

        Args:
            options: What the user asks for.
            stages: Parameter name to stage, in the model's order.
            order: The backbone's stages, shallow to deep.

        Raises:
            TlearnError: A stage that does not exist, options that exclude each other, or nothing left to train.
        """
        self.options, self.stages = options, dict(stages)
        shorthands = (options.freeze_backbone, options.freeze_until, options.lr_scales, options.rules, options.unfreeze)
        self.rules = assign_rules(self.stages, rules_from_options(order, *shorthands))

    @property
    def trained_by(self) -> str | None:
        """Return the option that lets the backbone train, from the start or later; ``None`` if it never does."""
        found = (rule for name, rule in self.rules.items() if name.startswith("backbone.") and rule.lr_scale)
        return next((rule.option for rule in found), None)

    def open_stages(self, network: nn.Module, epoch: int) -> bool:
        """Let the parameters train that their rules open in this epoch, and freeze those not open yet.

        A parameter that trains from the start is left as it is: a callback of the user's may hold it.

        Args:
            network: Has the parameters.
            epoch: Counted from 0.

        Returns:
            Whether a parameter that was frozen trains now.
        """
        opened = False
        for name, rule in self.rules.items():
            parameter = network.get_parameter(name)
            if not rule.trains_in(epoch):
                parameter.requires_grad_(False)
                parameter.grad = None
            elif rule.from_epoch and not parameter.requires_grad:
                parameter.requires_grad_(True)
                opened = True
        return opened

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Return an optimizer's groups of what trains, now or later; ``lr_scale`` is the factor on the rate of each."""
        return [
            {
                "name": name,
                "params": [network.get_parameter(member) for member in members],
                "lr_scale": rule.lr_scale,
                "from_epoch": rule.from_epoch,
            }
            for name, (rule, members) in group_by_rule(self.rules).items()
        ]

    def never_open(self, epochs: int | None) -> list[Rule]:
        """Return the rules that open nothing in a run of so many epochs; ``None`` or a negative number has no end."""
        if epochs is None or epochs < 0:
            return []
        late = (rule for rule in dict.fromkeys(self.rules.values()) if rule.from_epoch)
        return [rule for rule in late if epochs <= rule.from_epoch]


def frozen_modules(root: nn.Module) -> Iterator[nn.Module]:
    """Yield the largest modules below ``root`` whose parameters are all frozen.

    These must stay in eval mode: with ``requires_grad`` alone a BatchNorm's running mean moved by 1.2 in one epoch.
    """
    for child in root.children():
        parameters = list(child.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            yield child
        else:
            yield from frozen_modules(child)


def hold_frozen_in_eval(root: nn.Module) -> None:
    """Put the frozen modules below ``root`` in eval mode; called after every ``train()``."""
    for module in frozen_modules(root):
        module.eval()
