"""What it costs to say what answers are worth: at the end of a fit, and in every prediction.

    python -m benchmarks.believe.cost                            # the end of a fit, of 10,000 made pictures
    python -m benchmarks.believe.cost --run RUN --photos FOLDER  # predictions with what the run kept and without

Both ways of predicting take turns in one process, and CPU time is counted, so that another process disturbs neither.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from tlearn.deploy.predictor import Predictor, load
from tlearn.models.reliability.answer_sets import fit_sets
from tlearn.models.reliability.strangers import fit_detector, held_out_scores
from tlearn.training.strategies.head_solver import solve_head, turn
from tlearn.training.strategies.out_of_fold import out_of_fold

_T = TypeVar("_T")

PICTURES, FEATURES, CLASSES = 10_000, 1_280, 10


def end_of_fit() -> dict[str, float]:
    """Return the seconds of each part for made features of that many pictures."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(PICTURES) % CLASSES
    centres = torch.randn(CLASSES, FEATURES, generator=draws)
    features = torch.randn(PICTURES, FEATURES, generator=draws) * 4 + centres[labels]
    split = (features[: PICTURES // 5], labels[: PICTURES // 5])
    solved = solve_head("classification", (features, labels), split, CLASSES, "ridge")
    turned = turn(features, torch.ones(PICTURES))
    seconds = dict[str, float]()
    found = _timed(seconds, "out of fold", lambda: out_of_fold("classification", turned, labels, None, "ridge", solved))
    assert found is not None
    probabilities = found.logits.softmax(dim=1)
    _timed(seconds, "sets", lambda: fit_sets(probabilities, labels, 0.9))
    _timed(seconds, "detector", lambda: fit_detector(features, labels, found.logits))
    _timed(seconds, "scores of strangers", lambda: held_out_scores(features, labels, found.logits))
    return seconds


def predictions(run: Path, photos: list[Path], rounds: int) -> tuple[float, float]:
    """Return the median CPU seconds to predict for photographs, with what the run kept and without."""
    with_it, without = load(run), load(run)
    without._checkpoint = None
    spent = dict[int, list[float]]()
    for number in range(rounds + 1):
        for predictor in (with_it, without) if number % 2 else (without, with_it):
            spent.setdefault(id(predictor), []).append(_cpu_seconds(predictor, photos))
    first, second = (statistics.median(spent[id(each)][1:]) for each in (with_it, without))  # the first round warms up
    return first, second


def _cpu_seconds(predictor: Predictor, photos: list[Path]) -> float:
    start = time.process_time()
    for _ in predictor.stream(photos):
        pass
    return time.process_time() - start


def _timed(seconds: dict[str, float], name: str, work: Callable[[], _T]) -> _T:
    start = time.perf_counter()
    result = work()
    seconds[name] = time.perf_counter() - start
    return result


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    if given.run is not None:
        photos = sorted(each for each in given.photos.iterdir() if each.suffix.lower() in (".jpg", ".png"))
        ours, plain = predictions(given.run, photos, given.rounds)
        print(
            f"predict: {ours:.3f} s with, {plain:.3f} s without: {100 * (ours / plain - 1):+.1f} % (n = {given.rounds})"
        )
        return
    seconds = end_of_fit()
    for name, value in seconds.items():
        print(f"{name}: {value:.2f} s")
    print(f"all: {sum(seconds.values()):.2f} s of {PICTURES:,} x {FEATURES:,}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
