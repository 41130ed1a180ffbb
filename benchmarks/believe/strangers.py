"""How well strangers are told from new pictures of the known kind, on features of real pictures.

    python -m benchmarks.believe.strangers --root DATA --weights FILE --out benchmarks/believe/strangers.csv
    python -m benchmarks.believe.strangers --table benchmarks/believe/strangers.csv

``DATA`` and ``FILE`` are those of ``features.py``. Of the known classes, pictures of the training and of the test part
are drawn together, so that new pictures are of the same kind. ``far`` strangers are of another data set, ``near`` ones
of the other half of the classes. Sets of `_CHOSEN_ON` decided which method tlearn uses; others were held out of that.

Pictures of unlike sharpness are told apart by that alone: CIFAR-10's are scaled up, photographs are scaled down.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.believe.features import FeatureSet, feature_set, features_of, network
from benchmarks.believe.stranger_methods import METHODS, Known
from tlearn.models.reliability.strangers import STRANGER_SHARE, fit_detector, held_out_scores, scores_of, stranger_share
from tlearn.training.strategies.head_solver import SolvedHead, solve_head

_CHOSEN_ON = ("cifar10", "hymenoptera")
_FAR = ("cifar10", "hymenoptera", "digits", "omniglot_alphabets")  # strangers of these
_FAR_HELD_OUT = ("fashion_mnist", "chest_xray", "apple_leaves", "grocery_fine", "sign_digits", "pcb_defects")
_HALVED = ("cifar10", "fashion_mnist", "grocery_fine", "sign_digits", "omniglot_alphabets")
_MOST_ASKED = 500
_LABELS = (5, 25, 100, 400)  # a class
_FOLDS = 5
_HEADER = ("known", "classes", "labels", "seed", "stranger", "kind", "chosen_on", "method", "auroc", "held_out", "kept")


def blanks(root: Path, weights: Path | None) -> Tensor:
    """Return features of 60 plain, 60 noisy, 60 blurred and 60 graded pictures, float32 (240, D)."""
    path = root / "believe" / "blanks.tensor"
    if not path.exists():
        assert weights is not None, f"no {path}; give --weights"
        torch.save(features_of(network(weights), _blank_pictures()), path)
    stored: Tensor = torch.load(path, weights_only=True)
    return stored


def _blank_pictures(count: int = 60, side_px: int = 128) -> Tensor:
    generator = torch.Generator().manual_seed(0)

    def levels(*shape: int) -> Tensor:
        return 255 * torch.rand(*shape, generator=generator)

    whole = (count, 3, side_px, side_px)
    plain, noise = levels(count, 3, 1, 1).expand(whole), levels(*whole)
    blurred = F.interpolate(levels(count, 3, 8, 8), size=side_px, mode="bilinear")
    first, last, along = levels(count, 3, 1, 1), levels(count, 3, 1, 1), torch.linspace(0, 1, side_px)
    across, down = along.view(1, 1, 1, -1), along.view(1, 1, -1, 1)
    graded = torch.cat([(first + (last - first) * each).expand(whole)[: count // 2] for each in (across, down)])
    return torch.cat([plain, noise, blurred, graded]).round().to(torch.uint8)


def auroc(known: Tensor, strangers: Tensor) -> float:
    """Return how often a stranger scores above a known picture; ties count half."""
    order = known.double().sort().values
    below, up_to = (torch.searchsorted(order, strangers.double(), side=side) for side in ("left", "right"))
    return float((below + up_to).double().mean()) / 2 / len(known)


def runs(root: Path, weights: Path | None, known: list[str], seeds: int) -> Iterator[tuple[object, ...]]:
    """Yield a row for each draw, stranger and method."""
    sets = {name: feature_set(name, root) for name in {*_FAR, *_FAR_HELD_OUT}}
    blank = blanks(root, weights)
    for name in known:
        for labels in _LABELS:
            for seed in range(seeds):
                yield from _run(name, sets, blank, labels, seed)


def _run(name: str, sets: dict[str, FeatureSet], blank: Tensor, labels: int, seed: int) -> Iterator[tuple[object, ...]]:
    generator = torch.Generator().manual_seed(1000 * labels + seed)
    whole = sets[name]
    count = len(whole.class_names)
    order = torch.randperm(count, generator=generator)
    known, other = (order[: count // 2], order[count // 2 :]) if name in _HALVED else (order, order[:0])
    rows = torch.randperm(len(whole.labels), generator=generator)
    ranks = torch.cat([rows[whole.labels[rows] == each] for each in known])
    classes = torch.full((count,), -1).scatter(0, known, torch.arange(len(known)))
    parts = [ranks[whole.labels[ranks] == each] for each in known]
    held = max(2, labels // 4)
    if min(map(len, parts)) < labels + held + 10:
        return
    train, val, new = (
        torch.cat([part[first:last] for part in parts])
        for first, last in ((0, labels), (labels, labels + held), (labels + held, None))
    )
    asked = whole.features[_some(new, generator)]
    strangers = {"other half": whole.features[_some(rows[torch.isin(whole.labels[rows], other)], generator)]}
    strangers |= {
        each: of.features[_some(torch.arange(len(of.labels)), generator)] for each, of in sets.items() if each != name
    }
    strangers = {each: of for each, of in ({**strangers, "blanks": blank}).items() if len(of)}
    labelled = [(whole.features[each], classes[whole.labels[each]]) for each in (train, val)]
    what = _known(labelled[0], labelled[1], len(known))
    names = ";".join(whole.class_names[each] for each in known) if name in _HALVED else "all"
    number, kept = len(train), round(_kept(what, asked), 4)
    sizes = [len(asked), *map(len, strangers.values())]
    for method, score in METHODS.items():
        new_scores, *rest = score(what, torch.cat([asked, *strangers.values()])).split(sizes)
        for stranger, scores in zip(strangers, rest, strict=True):
            chosen_on = name in _CHOSEN_ON and stranger in (*_FAR, "blanks", "other half")
            kind, share = "near" if stranger == "other half" else "far", kept if method == "tlearn" else ""
            value = round(auroc(new_scores, scores), 4)
            yield name, names, labels, seed, stranger, kind, int(chosen_on), method, value, number, share


def _some(rows: Tensor, generator: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator)[:_MOST_ASKED]]


def _known(train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], count: int) -> Known:
    """Solve the head, and those of five folds for the held-out logits."""
    head = _head(train, val, count)
    folds = torch.arange(len(train[1])) % _FOLDS  # pictures stand by class
    logits = torch.empty(len(train[1]), count)
    for fold in range(_FOLDS):
        rest = folds != fold
        layer = _head((train[0][rest], train[1][rest]), val, count)
        logits[~rest] = F.linear(train[0][~rest], layer.weight, layer.bias)
    return Known(*train, logits, head.weight, head.bias)


def _head(train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], count: int) -> SolvedHead:
    return solve_head("classification", train, val, count)


def _kept(known: Known, features: Tensor) -> float:
    """Return the share of new pictures of the known kind that are no strangers."""
    detector = fit_detector(known.features, known.targets, known.held_out_logits)
    held_out = held_out_scores(known.features, known.targets, known.held_out_logits, None, detector)
    scores = scores_of(detector, features, F.linear(features, known.weight, known.bias))
    return float((stranger_share(scores, held_out) <= STRANGER_SHARE).float().mean())


def table(path: Path) -> None:
    """Print means over draws, and the least pair of sets."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for chosen_on, said in (("1", "chosen on"), ("0", "held out of the choice")):
        for kind in ("far", "near"):
            print(f"\n{kind}, {said}: AUROC, mean and least over (number of) pairs of sets")
            for method in METHODS:
                mine = [
                    row for row in rows if (row["chosen_on"], row["kind"], row["method"]) == (chosen_on, kind, method)
                ]
                print(f"| {method} | " + " | ".join(_cell(mine, labels) for labels in _LABELS) + " |")
    _print_kept(rows)


def _cell(rows: list[dict[str, str]], labels: int) -> str:
    pairs = dict[tuple[str, str], list[float]]()
    for row in rows:
        if row["labels"] == str(labels):
            pairs.setdefault((row["known"], row["stranger"]), []).append(float(row["auroc"]))
    means = [mean(values) for values in pairs.values()]
    return f"{mean(means):.3f}, {min(means):.3f} ({len(means)})" if means else "-"


def _print_kept(rows: list[dict[str, str]]) -> None:
    draws = {(row["known"], row["labels"], row["seed"]): float(row["kept"]) for row in rows if row["kept"]}
    print("\nshare of new pictures of the known kind that are kept, mean and range over draws")
    for known in dict.fromkeys(key[0] for key in draws):
        cells = list[str]()
        for labels in map(str, _LABELS):
            values = [value for key, value in draws.items() if key[:2] == (known, labels)]
            cells.append(f"{labels}: {mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" if values else "")
        print(f"| {known} | " + " | ".join(cells) + " |")


def main() -> None:
    """Measure, or print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--known", nargs="+", default=list(dict.fromkeys((*_CHOSEN_ON, *_HALVED))))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    if given.table:
        table(given.table)
        return
    with given.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        for row in runs(given.root, given.weights, given.known, given.seeds):
            writer.writerow(row)
            file.flush()


if __name__ == "__main__":
    main()
