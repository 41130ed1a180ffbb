"""What people want to know of a run before they trust its answers: when it was trained, and what it reached."""

from __future__ import annotations

from pathlib import Path

from tlearn.reporting.card.files import read_card
from tlearn.reporting.card.headline import scores


def run_facts(folder: Path) -> dict[str, str | None]:
    """Return what a run's card says.

    Args:
        folder: The run folder.

    Returns:
        ``trained``: when its fit began, ISO 8601 in UTC; ``reached``: what it reached on how many pictures, on its test
        images first. ``None`` where the card does not say, or lies elsewhere.
    """
    card = read_card(folder)
    reached = [" ".join(filter(None, [each.label, each.value, each.of])) for each in scores(card)]
    return {"trained": card.get("started") or None, "reached": "; ".join(reached) or None}
