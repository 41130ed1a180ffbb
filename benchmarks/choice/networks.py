"""Print two tables of docs/strategies.md: networks that stay fixed, on all sets, and at several image sizes.

    python -m benchmarks.choice.networks

Both are of test accuracies of the last epoch, in percent, with 25 labels a class, from ``runs.csv``.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from benchmarks.choice.members import read_runs
from benchmarks.choice.scenarios import IMAGE_SIZE_PX, SETS, SIZES_PX

NAMES = {
    "lite0": "EfficientNet-Lite0, ImageNet",
    "lite2": "EfficientNet-Lite2, ImageNet",
    "mobilenet": "MobileNetV2, ImageNet",
    "insects": "MobileNetV2, iNaturalist's insects",
    "nothing": "ResNet18, random weights",
}
HEADS = ("last", "head")
_LABELS = 25
NOT_RUN = "not run"

Reached = dict[tuple[str, str], float]  # scenario and member to percent


def reached() -> Reached:
    """Read what each run of the first seed reached."""
    return {(run.scenario, run.member): 100 * run.last_test_acc for run in read_runs() if run.seed == 0}


def frozen(found: Reached) -> str:
    """Return the networks, fixed, on all sets: a head on all stages, and in brackets on the last one alone."""
    lines = [f"| frozen | {' | '.join(SETS)} | mean |", f"| --- |{' --- |' * (len(SETS) + 1)}"]
    for source, name in NAMES.items():
        heads, lasts = ([found.get((f"{each}-{_LABELS}-{source}", kind)) for each in SETS] for kind in ("head", "last"))
        cells = [_pair(head, last) for head, last in zip(heads, lasts, strict=True)]
        lines.append(f"| {name} | {' | '.join(cells)} | {_pair(_mean(heads), _mean(lasts))} |")
    return "\n".join(lines)


def _pair(head: float | None, last: float | None) -> str:
    return NOT_RUN if head is None or last is None else f"{head:.1f} ({last:.1f})"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None


def sizes(found: Reached) -> str:
    """Return both heads on CIFAR-10, whose images have 32 px, at the sizes that EfficientNet-Lite0 saw."""
    sources = {IMAGE_SIZE_PX: "lite0"} | {size_px: f"lite0_{size_px}px" for size_px in SIZES_PX}
    columns = {size_px: f"cifar10-{_LABELS}-{sources[size_px]}" for size_px in sorted(sources)}
    lines = [
        f"| CIFAR-10 | {' | '.join(f'{size_px} px' for size_px in columns)} |",
        f"| --- |{' --- |' * len(columns)}",
    ]
    for member in HEADS:
        values = [found.get((scenario, member)) for scenario in columns.values()]
        cells = [NOT_RUN if value is None else f"{value:.1f}" for value in values]
        lines.append(f"| {member} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print both."""
    found = reached()
    print(frozen(found), "", sizes(found), sep="\n")


if __name__ == "__main__":
    main()
