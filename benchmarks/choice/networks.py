"""Print two tables of docs/strategies.md: networks frozen on all sets, and strategies at several image sizes.

    python -m benchmarks.choice.networks

Both are of test accuracies of the last epoch, in percent, with 25 labels a class, from ``runs.csv``.
"""

from __future__ import annotations

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
STRATEGIES = ("last", "head", "partial_3e-4", "lp_ft_3e-4")
_LABELS = 25

Reached = dict[tuple[str, str], float]  # scenario and member to percent


def reached() -> Reached:
    """Read what each run of the first seed reached."""
    return {(run.scenario, run.member): 100 * run.last_test_acc for run in read_runs() if run.seed == 0}


def frozen(found: Reached) -> str:
    """Return the networks, fixed, on all sets: a head on all stages, and in brackets on the last one alone."""
    lines = [f"| frozen | {' | '.join(SETS)} | mean |", f"| --- |{' --- |' * (len(SETS) + 1)}"]
    for source, name in NAMES.items():
        pairs = [[found[f"{each}-{_LABELS}-{source}", member] for member in ("head", "last")] for each in SETS]
        pairs.append([mean(pair[place] for pair in pairs) for place in (0, 1)])
        lines.append(f"| {name} | {' | '.join(f'{head:.1f} ({last:.1f})' for head, last in pairs)} |")
    return "\n".join(lines)


def sizes(found: Reached) -> str:
    """Return the strategies on CIFAR-10, whose images have 32 px, at the sizes that EfficientNet-Lite0 saw."""
    sources = {IMAGE_SIZE_PX: "lite0"} | {size_px: f"lite0_{size_px}px" for size_px in SIZES_PX}
    columns = {size_px: sources[size_px] for size_px in sorted(sources)}
    lines = [
        f"| CIFAR-10 | {' | '.join(f'{size_px} px' for size_px in columns)} |",
        f"| --- |{' --- |' * len(columns)}",
    ]
    for member in STRATEGIES:
        cells = [found[f"cifar10-{_LABELS}-{source}", member] for source in columns.values()]
        lines.append(f"| {member} | {' | '.join(f'{cell:.1f}' for cell in cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print both."""
    found = reached()
    print(frozen(found), "", sizes(found), sep="\n")


if __name__ == "__main__":
    main()
