"""Pages of Markdown about a run for TensorBoard and other loggers that take text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tlearn.models.freezing import Rule, group_by_rule
from tlearn.reporting.card.markdown import table
from tlearn.reporting.parameters import summarise
from tlearn.training.module import TransferModule

_SHOWN = 50  # classes in a table


def parameters_page(module: TransferModule) -> str:
    """List the stages with their parameters."""
    rows = [
        (s.stage, f"{s.trainable:,}", f"{s.frozen:,}", f"{s.left_out:,}", s.lr_scale or "-", s.batch_norm or "-")
        for s in summarise(module)
    ]
    return _table(("stage", "trainable", "frozen", "idle (zero padding)", "lr factor", "BatchNorm"), rows)


def freeze_plan_page(module: TransferModule) -> str:
    """Return a table of the stages: when they train, at which factor of the learning rate, and by which option."""
    rows = []
    for rule, members in group_by_rule(module.rules).values():
        stages = ", ".join(dict.fromkeys(module.stages[name] for name in members))
        rows.append((stages, _when(rule), f"{rule.lr_scale:g}", rule.option))
    frozen = {module.stages[name]: rule for name, rule in module.rules.items() if rule.lr_scale is None}
    rows += [(stage, "never", "-", rule.option) for stage, rule in frozen.items()]
    return _table(("stages", "trains", "lr factor", "because of"), rows)


def data_page(data: Mapping[str, Any], doctor: Mapping[str, Any]) -> str:
    """Return tables of the images of each class and split, and of the doctor's findings, as the card has them."""
    splits = data["splits"]
    names = list(dict.fromkeys(name for split in splits.values() for name in split["classes"]))
    rows = [("all", *(f"{split['images']:,}" for split in splits.values()))]
    rows += [(name, *(f"{split['classes'].get(name, 0):,}" for split in splits.values())) for name in names[:_SHOWN]]
    if len(names) > _SHOWN:
        rows.append((f"and {len(names) - _SHOWN} more", *("" for _ in splits)))
    found = [(each["severity"], each["what"]) for each in doctor["findings"]] or [("nothing found", doctor["note"])]
    return f"{_table(('class', *splits), rows)}\n\n{_table(('doctor', 'found'), found)}"


def _when(rule: Rule) -> str:
    return f"from epoch {rule.from_epoch + 1} on" if rule.from_epoch else "from the start"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return "\n".join(table(columns, rows, *["---"] * len(columns)))
