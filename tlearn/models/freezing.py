"""One ordered table of rules decides what trains and how fast. Pure functions, no Lightning.

The idea (first match wins, a parameter without a rule is an error, no rate means frozen) is that of big_vision's
optimizer table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from tlearn.errors import TlearnError, unknown


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Attributes:
        pattern: ``backbone``, ``head``, a stage (``layer2``), or a shell pattern over parameter names
            (``backbone.layer3.*.bn1.*``).
        lr_scale: Factor on the learning rate; ``None`` means frozen.
        option: The option that made the rule, for messages.
    """

    pattern: str
    lr_scale: float | None
    option: str

    def matches(self, name: str, stage: str) -> bool:
        """Tell whether the rule speaks of this parameter."""
        if self.pattern in ("backbone", "head"):
            return name.startswith(self.pattern + ".")
        return self.pattern == stage or fnmatchcase(name, self.pattern)


REST = Rule("*", 1.0, "the default")


def rules_from_options(
    stages: Sequence[str],
    freeze_backbone: bool = False,
    freeze_until: str | None = None,
    lr_scales: Mapping[str, float] | None = None,
    rules: Mapping[str, float | None] | None = None,
) -> list[Rule]:
    """Turn the shorthands into the table they stand for.

    Args:
        stages: The backbone's stages, shallow to deep.
        freeze_backbone: Freeze all of them: the network is a fixed feature extractor.
        freeze_until: Freeze the stages up to and including this one.
        lr_scales: Pattern to factor on the learning rate; what is not named keeps factor 1.
        rules: The whole table, pattern to factor or ``None`` for frozen; it must cover every parameter.

    Raises:
        TlearnError: An unknown stage, or ``rules`` beside a shorthand.
    """
    if rules is not None:
        if freeze_backbone or freeze_until or lr_scales:
            raise TlearnError(
                "model.rules is the whole table: give it alone, without freeze_backbone, freeze_until or lr_scales"
            )
        return [Rule(pattern, scale, "model.rules") for pattern, scale in rules.items()]
    table = [Rule("backbone", None, "model.freeze_backbone")] if freeze_backbone else []
    if freeze_until is not None:
        if freeze_until not in stages:
            raise unknown("stage in model.freeze_until", freeze_until, stages)
        frozen = stages[: stages.index(freeze_until) + 1]
        table += [Rule(stage, None, "model.freeze_until") for stage in frozen]
    table += [Rule(pattern, scale, "model.lr_scales") for pattern, scale in (lr_scales or {}).items()]
    return [*table, REST]


def assign_rules(stage_of: Mapping[str, str], rules: Sequence[Rule]) -> dict[str, Rule]:
    """Give every parameter its rule: the first that matches.

    Args:
        stage_of: Parameter name to stage, for all parameters, in the model's order.
        rules: The table.

    Raises:
        TlearnError: A parameter that no rule matches, a rule that decides nothing, or nothing left to train.
    """
    assigned: dict[str, Rule] = {}
    for name, stage in stage_of.items():
        rule = next((rule for rule in rules if rule.matches(name, stage)), None)
        if rule is None:
            raise TlearnError(f"no rule in model.rules matches parameter '{name}'; end the table with '*: 1.0'")
        assigned[name] = rule
    used = set(map(id, assigned.values()))
    for rule in rules:
        if rule is not REST and id(rule) not in used:
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


def group_name(rule: Rule, names: Sequence[str]) -> str:
    """Name the optimizer group of a rule, as TensorBoard shows it.

    Args:
        rule: The group's rule.
        names: Its parameters.
    """
    if rule is not REST:
        return rule.pattern
    return "head" if all(name.startswith("head.") for name in names) else "rest"


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
