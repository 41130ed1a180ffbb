"""What came of a run and what was trained, in a few words: the head of ``card.md`` and ``report.html``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tlearn.base.intervals import FEW_IMAGES, share_words
from tlearn.reporting.card.format import MAIN_METRIC, SPLITS, figure, metric_words, part, percent

_TESTED_BY = {"test": "test images", "val": "validation images"}


class Score(NamedTuple):
    """One result.

    Attributes:
        label: ``test accuracy``, ``best validation accuracy``.
        value: ``81.0 %``.
        of: Its interval and the number of images, ``[74.1, 86.5], 124 of 153 test images``; empty if not known.
        note: ``epoch 4``, counted from 1; empty for a test.
    """

    label: str
    value: str
    of: str
    note: str


def scores(card: Mapping[str, Any], images: Mapping[str, int] | None = None) -> list[Score]:
    """Return the results of a run, that of the test first: it alone was measured on images that chose nothing.

    Args:
        card: The card.
        images: How many images each split was evaluated on, where the card is older and does not say.
    """
    return [score for score in (_tested(card, images or {}), _best(card, images or {})) if score is not None]


def _tested(card: Mapping[str, Any], images: Mapping[str, int]) -> Score | None:
    test = part(card, "test")
    metrics = part(test, "metrics")
    names = [f"test/{MAIN_METRIC.get(card.get('task') or '', 'acc')}", "test/loss", *metrics]
    name = next((name for name in names if metrics.get(name) is not None), None)
    if name is None:
        return None
    value, of = _with_interval(name, metrics[name], test.get("images") or images.get("test") or _counted(card, "test"))
    return Score(metric_words(name), value, of, "")


def _best(card: Mapping[str, Any], images: Mapping[str, int]) -> Score | None:
    best = part(card, "best")
    if best.get("value") is None:
        return None
    name, epoch = str(best.get("monitor") or "val/loss"), best.get("epoch")
    value, of = _with_interval(name, best["value"], best.get("images") or images.get("val") or _counted(card, "val"))
    return Score(f"best {metric_words(name)}", value, of, f"epoch {epoch}" if epoch else "")


def _counted(card: Mapping[str, Any], split: str) -> int | None:
    images = part(part(part(card, "data"), "splits"), split).get("images")
    return int(images) if images else None


def _with_interval(name: str, value: float, images: int | None) -> tuple[str, str]:
    """Return a value, and its interval with the number of images; only a share of right answers has an interval."""
    split, _, metric = name.partition("/")
    what = _TESTED_BY.get(split, "images")
    if images is None:
        return figure(name, value), ""
    if metric != "acc" or not 0 <= value <= 1:
        return figure(name, value), f"{images:,} {what}"
    words = share_words(value * images, images)
    share, _, rest = words.partition(" %")
    return f"{share}\N{NO-BREAK SPACE}%", f"{rest.lstrip(', ')} {what}"


def interval_note(card: Mapping[str, Any], images: Mapping[str, int] | None = None) -> str:
    """Say what the brackets are, where there are any."""
    few = any("[" in score.of for score in scores(card, images))
    return f"In brackets: the 95 % interval, given for fewer than {FEW_IMAGES:,} images." if few else ""


def trained_words(card: Mapping[str, Any]) -> str:
    """Say what was trained and what was expected: ``LP-FT at 128 px; advised; expected accuracy 92.9 % [86, 97]``."""
    model = part(card, "model")
    if not model or card.get("status") == "tested":
        return ""
    side = model.get("image_size") or max(part(card, "data").get("shape_px") or [0])
    words = [_strategy(model) + (f" at {side} px" if side else ""), *_advised(part(card, "advice"))]
    if teacher := model.get("distill_from"):
        words.insert(1, f"taught by {teacher}")
    return "; ".join(words)


def _strategy(model: Mapping[str, Any]) -> str:
    """Name the strategy by the options that decide it; an option that is missing is at its default."""
    if members := model.get("ensemble"):
        return "Average of trained networks" + (f": {members}" if isinstance(members, str) else "")
    solver, behind = model.get("head_solver"), model.get("freeze_until")
    is_solved, is_fixed = solver not in (None, "sgd"), _is_true(model.get("freeze_backbone"))
    what = f"what lies behind {behind}" if behind else ""
    is_random = "weights" not in model
    if is_solved or is_fixed:
        head = f"A head solved by {solver}" if is_solved else "A new head"
        return f"{head} on the fixed network" + (" of random weights" if is_random else "")
    if is_random:
        return f"Training of {what}, from random weights" if behind else "Everything trained from random weights"
    if model.get("head_init") == "probe":
        return f"LP-FT of {what}" if behind else "LP-FT"
    return f"Fine-tuning of {what or 'everything'}"


def _is_true(value: Any) -> bool:
    return value in (True, "True", "true")


def _advised(advice: Mapping[str, Any]) -> list[str]:
    if not advice:
        return []
    changed = advice.get("changed") or []
    if changed:
        return [f"advised, then changed ({', '.join(f'model.{name}' for name in changed)})"]
    score, low, high = (advice.get(name) for name in ("score", "low", "high"))
    if score is None or low is None or high is None:
        return ["advised"]
    expected = f"{percent(score)} [{100 * low:.0f}, {100 * high:.0f}]"
    return ["advised", f"expected {advice.get('of') or 'score'} {expected}"]


def splits_words(card: Mapping[str, Any], shown: list[str]) -> str:
    """Say what a test and a validation tell apart, as far as they are shown."""
    if "val" not in shown:
        return ""
    chose = "" if part(card, "calibrated_on").get("source") == "out-of-fold" else " (and the calibration)"
    words = f"The {SPLITS['val']} images chose the epoch{chose}, so they flatter a little"
    return f"{words}; the test images chose nothing." if shown == ["test", "val"] else f"{words}."
