"""How often a changed folder of 50 pictures is found out, and how well its accuracy is expected.

    python -m benchmarks.believe.drift --root DATA [--sets NAME ...]

DATA as for `benchmarks/believe/drift_pictures.py`, which is run before. Each draw takes 50 pictures out of a data set,
as they are or changed in one thing; the reference is 300 others. Five times a head is fitted on the reference, and
calibrated on out-of-fold answers. Every draw is a row of ``drift.csv``; `table` sums them up.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from benchmarks.believe.drift_pictures import CHANGES, SETS_TO_CHOOSE_ON, SETS_TO_REPORT, UNCHANGED, changed
from benchmarks.believe.features import FeatureSet, feature_set
from tlearn.models.calibration import Calibration
from tlearn.models.losses import answers_of
from tlearn.models.reliability.calibrate import fit_calibration
from tlearn.models.reliability.expected_accuracy import expected_accuracy
from tlearn.models.reliability.two_sample import properties_test, two_sample

OUT = Path(__file__).parent / "drift.csv"
NEW, REFERENCE, MEASURED, PERMUTATIONS = 50, 300, 256, 199
_HEADS, _NULLS, _DRAWS, _FOLDS = 5, 200, 40, 5
COLUMNS = (
    *("set", "role", "change", "strength", "draw", "pictures", "p_features", "p_properties", "p"),
    *("right", "held_out", "expected", "low", "high", "confidence", "threshold"),
)


class Head(NamedTuple):
    """A head on fixed features, with answers for its training pictures by heads that have not seen them."""

    model: Any
    scale: float
    calibration: Calibration
    confidence: Tensor
    right: Tensor


def fitted(features: Tensor, labels: Tensor) -> Head:
    """Fit a head; features are brought to one scale."""
    scale = float(features.norm(dim=1).mean()) / 10
    rows, targets = (features / scale).numpy(), labels.numpy()
    whole = LogisticRegression(C=0.1, max_iter=150).fit(rows, targets)
    logits = torch.full((len(labels), len(whole.classes_)), -20.0)
    for train, out in StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(rows, targets):
        part = LogisticRegression(C=0.1, max_iter=150).fit(rows[train], targets[train])
        places = torch.tensor([list(whole.classes_).index(each) for each in part.classes_])
        logits[torch.from_numpy(out)[:, None], places] = _logits(part, rows[out])
    places = torch.tensor([list(whole.classes_).index(each) for each in labels.tolist()])
    calibration = fit_calibration("classification", logits, places)
    sure = answers_of("classification", logits, calibration)
    return Head(whole, scale, calibration, sure.amax(dim=1), (sure.argmax(dim=1) == places).float())


def _logits(model: Any, rows: Any) -> Tensor:
    found = torch.from_numpy(model.decision_function(rows)).float()
    return torch.stack([-found / 2, found / 2], dim=1) if found.ndim == 1 else found


def estimates(head: Head, features: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the truth and what three methods expect of new pictures: shares of right answers."""
    answers = answers_of("classification", _logits(head.model, (features / head.scale).numpy()), head.calibration)
    sure, classes = answers.amax(dim=1), torch.as_tensor(head.model.classes_)[answers.argmax(dim=1)]
    ours = expected_accuracy(head.confidence, head.right, sure)
    threshold = head.confidence.quantile(1 - head.right.mean())
    return {
        "right": float((classes == labels).float().mean()),
        "held_out": ours.before,
        "expected": ours.share,
        "low": ours.low,
        "high": ours.high,
        "confidence": float(sure.mean()),
        "threshold": float((sure >= threshold).float().mean()),  # ATC (Garg et al., 2022)
    }


def draws_of(name: str, root: Path) -> Iterator[dict[str, Any]]:
    """Draw from a data set: without a change 200 times, and 40 times with each change."""
    stored, known, generator = feature_set(name, root), changed(name, root), torch.Generator().manual_seed(1)
    properties = [key.partition(": ")[2] for key in known if key.startswith(f"{UNCHANGED}: ")]
    keys = [(UNCHANGED, ""), *CHANGES]
    for number in range(_HEADS):
        order = torch.randperm(len(known["rows"]), generator=generator)
        pool, rest = order[: len(order) // 2], order[len(order) // 2 :]
        reference = _others(stored, known["rows"][pool], generator)
        head = fitted(stored.features[reference], stored.labels[reference])
        before = torch.stack([known[f"{UNCHANGED}: {each}"][rest[:MEASURED]] for each in properties], dim=1)
        for change, strength in keys:
            key = f"{change} {strength}".strip()
            for draw in range((_DRAWS if strength else _NULLS) // _HEADS):
                new = pool[torch.randperm(len(pool), generator=generator)[:NEW]]
                test, _ = two_sample(stored.features[reference], known[key][new].float(), PERMUTATIONS)
                after = torch.stack([known[f"{key}: {each}"][new] for each in properties], dim=1)
                p = properties_test(before, after, PERMUTATIONS)
                yield {
                    **{"set": name, "role": "choose" if name in SETS_TO_CHOOSE_ON else "report", "change": change},
                    **{"strength": strength, "draw": number * 100 + draw, "pictures": len(new)},
                    **{"p_features": test.p, "p_properties": p, "p": min(1.0, 2 * min(test.p, p))},
                    **estimates(head, known[key][new].float(), stored.labels[known["rows"][new]]),
                }


def _others(stored: FeatureSet, pool: Tensor, generator: torch.Generator) -> Tensor:
    """Draw the reference from all pictures that are not in the pool of new ones."""
    free = torch.ones(len(stored.labels), dtype=torch.bool)
    free[pool] = False
    rows = free.nonzero()[:, 0]
    return rows[torch.randperm(len(rows), generator=generator)[:REFERENCE]]


def table(rows: list[dict[str, str]]) -> Iterator[str]:
    """Return the lines of a summary: power at 5 %, and how far the expected accuracy is from the truth."""
    yield f"{'found by':29} {'features':>9} {'pixels':>7} {'both':>6}   within 5 points (ours, confidence, ATC); held"
    for change, strength in [(UNCHANGED, ""), *CHANGES]:
        found = [row for row in rows if (row["change"], row["strength"]) == (change, strength)]
        if found:
            power = [_share(float(row[p]) <= 0.05 for row in found) for p in ("p_features", "p_properties", "p")]
            near = [
                _share(abs(float(row[each]) - float(row["right"])) <= 0.05 for row in found)
                for each in ("expected", "confidence", "threshold")
            ]
            held = _share(float(row["low"]) <= float(row["right"]) <= float(row["high"]) for row in found)
            told = " ".join(f"{share:.2f}" for share in near)
            shares = f"{power[0]:9.3f} {power[1]:7.3f} {power[2]:6.3f}   {told}   {held:.2f}"
            yield f"{f'{change} {strength}':22} {len(found):6} {shares}"


def _share(hits: Iterator[bool]) -> float:
    found = list(hits)
    return sum(found) / len(found)


def main() -> None:
    """Draw, and write all rows of the data sets that were asked for behind those of others."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=[*SETS_TO_CHOOSE_ON, *SETS_TO_REPORT])
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    if OUT.exists():
        with OUT.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["set"] not in given.sets]
    for name in given.sets:
        found = list(draws_of(name, given.root))
        rows += [
            {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in row.items()}
            for row in found
        ]
        with OUT.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        print(name, *table([row for row in rows if row["set"] == name]), sep="\n", flush=True)
    for role in ("choose", "report"):
        print(role, *table([row for row in rows if row["role"] == role]), sep="\n")


if __name__ == "__main__":
    main()
