"""The section of ``report.html`` on the race that a run came out of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tlearn.reporting.card.format import duration, part

_CALLED = {"last": "last-stage head", "head": "all-stage head", "random_head": "random features"}


def race_view(content: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what the page shows of ``race.json``: its members, then the averages; ``None`` without a race.

    Args:
        content: Of the file, or ``None``.
    """
    if not content or not isinstance(content.get("members"), list):
        return None
    choice = part(content, "choice")
    single = [each for each in content.get("finishers") or [] if len(each.get("members") or ()) == 1]
    known = {each["members"][0]: each.get("val_loss") for each in single}
    rows = [_row(member, known.get(member.get("name"))) for member in content["members"]]
    rows += [
        {"name": _words(each.get("members")), "epochs": "", "loss": _loss(each.get("val_loss")), "seconds": ""}
        | {"outcome": f"average, {each.get('passes')} passes a picture"}
        for each in content.get("finishers") or []
        if len(each.get("members") or ()) > 1
    ]
    spent = duration(content.get("spent_s"))
    images = f"{content.get('val_images')} validation images"
    return {
        "lede": f"Budget {content.get('budget')}, {spent} spent; compared on {images}.",
        "rows": rows,
        "chosen": _words(choice.get("members")),
        "from_scratch": str(content.get("from_scratch") or ""),
        "reason": str(choice.get("reason") or ""),
    }


def _row(member: Mapping[str, Any], loss: float | None) -> dict[str, str]:
    losses = member.get("val_losses") or []
    shown = loss if loss is not None else losses[-1] if losses else None
    outcome = str(member.get("outcome") or "")
    why = f": {member['why']}" if member.get("why") else ""
    return {
        "name": _CALLED.get(str(member.get("name")), str(member.get("name"))),
        "epochs": f"{member.get('epochs')}/{member.get('planned')}",
        "loss": _loss(shown),
        "seconds": f"{member.get('seconds') or 0:.0f}",
        "outcome": outcome + why,
    }


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _words(members: Any) -> str:
    return " + ".join(_CALLED.get(str(name), str(name)) for name in members or ())
