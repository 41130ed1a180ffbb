"""What a network reached, as rows of a small table: names and values in words. Pure functions. N images, K classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tlearn.base.intervals import share_words
from tlearn.base.types import Task
from tlearn.reporting.card.format import MAIN_METRIC, METRICS, SPLITS, figure
from tlearn.training.evaluation import Outputs

Row = tuple[str, str]
_ORDER = ("acc", "f1", "mae", "acc_macro", "acc_top5", "map", "rmse", "r2", "loss", "ece", "ece_scaled")
_SHORT = ("acc", "f1", "mae", "map", "r2", "loss")
_IN_UNIT = ("mae", "rmse")


def result_rows(metrics: Mapping[str, float], outputs: Outputs | None, only: Iterable[str] = _ORDER) -> list[Row]:
    """Return a row for each metric of a pass: the main score first, the loss behind the scores.

    Args:
        metrics: Names such as ``val/acc`` to values, of one split.
        outputs: The answers of the pass, from which right answers are counted; ``None`` where they are not known.
        only: Which metrics, without their split.
    """
    kinds = {name: _kind(name) for name in metrics}
    chosen = set(only)
    names = sorted((name for name in metrics if kinds[name] in chosen), key=lambda name: _ORDER.index(kinds[name]))
    return [(_label(name, kinds[name]), _value(kinds[name], name, metrics[name], outputs)) for name in names]


def short_rows(metrics: Mapping[str, float], outputs: Outputs | None, monitor: str) -> list[Row]:
    """Return the rows at the end of a fit: score and loss, and what the best epoch was chosen by."""
    return result_rows(metrics, outputs, (*_SHORT, _kind(monitor)))


def right_answers(outputs: Outputs) -> int | None:
    """Count the images whose first class is theirs; ``None`` unless each image has one class."""
    if outputs.targets.is_floating_point() or outputs.targets.ndim != 1:
        return None
    return int((outputs.logits.argmax(dim=1) == outputs.targets).sum())


def images_of(outputs: Outputs) -> str:
    """Say how many images a pass saw: ``153 validation images``."""
    count = len(outputs.targets)
    return f"{count:,} {SPLITS[outputs.split]} image" + ("" if count == 1 else "s")


def scores_of(task: Task, metrics: Mapping[str, float], split: str) -> str:
    """Say loss and score of a split in one line: ``train loss 0.5412 acc 81.2 %``; empty where there are none.

    Args:
        task: Which score is the main one.
        metrics: Names such as ``val/acc`` to values.
        split: ``train`` or ``val``.
    """
    names = [name for name in (f"{split}/loss", f"{split}/{MAIN_METRIC[task]}") if name in metrics]
    told = [f"{name.rpartition('/')[2]} {_plain(figure(name, metrics[name]))}" for name in names]
    return " ".join([split, *told]) if told else ""


def table(rows: Sequence[Row]) -> str:
    """Put the values of rows below each other, a line each."""
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _kind(name: str) -> str:
    """Return the metric in a name, without split and column: ``mae`` of ``val/mae_age``."""
    own = name.rpartition("/")[2]
    return own if own in METRICS else next((kind for kind in METRICS if own.startswith(f"{kind}_")), own)


def _label(name: str, kind: str) -> str:
    own = name.rpartition("/")[2]
    column = own[len(kind) + 1 :]
    return METRICS.get(kind, name) + (f", {column}" if column else "")


def _value(kind: str, name: str, value: float, outputs: Outputs | None) -> str:
    right = None if outputs is None or kind != "acc" else right_answers(outputs)
    if outputs is not None and right is not None:
        return share_words(right, len(outputs.targets))
    unit = ", in the unit of the values" if kind in _IN_UNIT else ""
    return _plain(figure(f"/{kind}", value)) + unit


def _plain(text: str) -> str:
    """Write for a terminal, whose lines may break anywhere."""
    return text.replace("\N{NO-BREAK SPACE}", " ")
