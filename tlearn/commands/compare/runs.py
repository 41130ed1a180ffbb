"""Fit variants on the same images, and keep each finished run so that none is done twice.

Letters: N validation images, K classes, S seeds.
"""

from __future__ import annotations

import gc
import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tlearn.analysis.ranking import Scores
from tlearn.base.feature_store import key_of
from tlearn.base.files import write_whole
from tlearn.base.places import DEFAULT_ROOT
from tlearn.base.progress import Progress
from tlearn.cli.arguments import Arguments
from tlearn.cli.defaults import FOLLOWED
from tlearn.commands.compare.held_out import HELD_OUT, HeldOut, saved
from tlearn.commands.compare.identity import (
    CheckedVariant,
    DataIdentity,
    Variant,
    hash_of,
    look,
    refuse_other_images,
    refuse_what_leaves_nothing,
)
from tlearn.commands.compare.measured_fit import SCORE, measured_fit
from tlearn.commands.untrained import UntrainedCLI, untrained

RESULT = "result.json"
_SEED = "--seed_everything"


@dataclass(frozen=True)
class RunResult:
    """A finished run, as `RESULT` holds it.

    Attributes:
        config_hash: See `CheckedVariant`.
        train: See `DataIdentity`.
        val: See `DataIdentity`.
        seed: ``seed_everything``.
        metric: Name of what chose the best epoch.
        value: The value of that metric in the best epoch.
        score: Kind of an image's score.
        scores: The score of each validation image (N) in the best epoch.
        seconds: Seconds of the fit, without imports and reading the data.
        keeps_features: Features of a frozen backbone were kept, or found: they are in ``seconds`` of one run at most.
        peak_memory_bytes: See `PeakMemory`.
        peak_memory_since: ``now`` for the fit, ``start`` for the whole process.
        trainable_parameters: Number of parameters that trained at any time.
        checkpoint: Path of the best epoch.
        device: ``cpu``, or the GPU's name.
        versions: Versions of the packages that decide bits and speed.
    """

    config_hash: str
    train: str
    val: str
    seed: int
    metric: str
    value: float
    score: str
    scores: list[float]
    seconds: float
    keeps_features: bool
    peak_memory_bytes: int
    peak_memory_since: str
    trainable_parameters: int
    checkpoint: str
    device: str
    versions: dict[str, str]


class Experiment:
    """The variants that meet on the same images.

    Args:
        seeds: S; each variant is fitted with the seeds 0 to S - 1. ``None`` fits it once, with the seed of its own.
    """

    def __init__(self, seeds: int | None) -> None:
        self._given, self.seeds = seeds, seeds or 1
        self.variants: list[CheckedVariant] = []
        self._identities: dict[str, DataIdentity] = {}

    def enter(self, variant: Variant) -> CheckedVariant:
        """Check a variant before anything is trained.

        Raises:
            TlearnError: Whatever the parser refuses, an option that leaves nothing to compare, or other validation
                images, task or classes than the first variant's.
        """
        options = [*variant.arguments.options, *([f"{_SEED}=0"] if self._given else [])]
        cli = untrained(replace(variant.arguments, options=options), makes="data")
        refuse_what_leaves_nothing(variant.name, cli.plain, resumes=cli.checkpoint is not None)
        checked = CheckedVariant(variant, cli.plain, hash_of(cli.plain), self._identity_of(cli))
        if self.variants:
            refuse_other_images(self.variants[0], checked)
        self.variants.append(checked)
        return checked

    def fit(self, checked: CheckedVariant, progress: Progress) -> list[RunResult]:
        """Fit a variant with every seed, each a step of progress, but for runs that are finished already."""
        return [_finished_or_run(checked, seed, progress) for seed in self.seeds_of(checked)]

    def seeds_of(self, checked: CheckedVariant) -> list[int]:
        """Return the seeds of a variant's runs."""
        own = checked.plain["seed_everything"]
        return list(range(self._given)) if self._given else [own if type(own) is int else 0]

    @property
    def entrants(self) -> list[Entrant]:
        """Return what is to be fitted."""
        return [Entrant(checked.variant.name, [(self, checked)]) for checked in self.variants]

    def _identity_of(self, cli: UntrainedCLI) -> DataIdentity:
        # Of variants with the same options of the data these are read once, and never kept: runs read their own.
        followed = {name: cli.plain["model"][name] for name in FOLLOWED}
        key = key_of({"data": cli.plain["data"], **followed})
        if key not in self._identities:
            cli.data.setup("fit")
            self._identities[key] = look(cli.data)
        return self._identities[key]


@dataclass(frozen=True)
class Entrant:
    """What is fitted under one name.

    Attributes:
        name: Its name in the table.
        parts: Its variants, one for each fold where there are folds, with the experiment that each is of.
    """

    name: str
    parts: list[tuple[Experiment, CheckedVariant]]

    def fit(self, progress: Progress) -> list[RunResult]:
        """Fit each part with every seed, each a step of progress, but for runs that are finished already."""
        return [run for experiment, checked in self.parts for run in experiment.fit(checked, progress)]

    @property
    def open_runs(self) -> int:
        """Count the runs that are still to be done."""
        return sum(finished(part, seed) is None for of, part in self.parts for seed in of.seeds_of(part))


def scores_of(results: list[RunResult]) -> Scores:
    """Return the scores of a variant's runs, (S, N)."""
    return np.array([result.scores for result in results], dtype=np.float64)


def _place(checked: CheckedVariant, seed: int) -> str:
    return f"{checked.variant.folder}-seed{seed}"


def _folder(checked: CheckedVariant, seed: int) -> Path:
    return Path(checked.plain["trainer"]["default_root_dir"] or DEFAULT_ROOT, _place(checked, seed))


def finished(checked: CheckedVariant, seed: int) -> RunResult | None:
    """Return what a run gave, if it is done and is still one of these options and data."""
    try:
        found = RunResult(**json.loads((_folder(checked, seed) / RESULT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # none, half a one, or another version's
        return None
    wanted = (checked.config_hash, checked.data.train, checked.data.val)
    if (found.config_hash, found.train, found.val) != wanted:
        return None
    return found if not _is_fold(checked) or held_out_of(checked, seed) else None


def held_out_of(checked: CheckedVariant, seed: int) -> HeldOut | None:
    """Return the answers of a finished run to the images of its fold; ``None`` where it validated on no fold."""
    return saved(_folder(checked, seed) / HELD_OUT)


def _is_fold(checked: CheckedVariant) -> bool:
    return (checked.plain["data"].get("init_args") or {}).get("folds") is not None


def _finished_or_run(checked: CheckedVariant, seed: int, progress: Progress) -> RunResult:
    """Take a finished run; another one in its place, or half a one, is replaced."""
    folder, who = _folder(checked, seed), f"{checked.variant.name}, seed {seed}"
    if found := finished(checked, seed):
        print(f"{who}: finished before, taken from {folder / RESULT}", flush=True)
        return found
    progress.next(who)
    if list(folder.glob("version_*")):
        why = "its config or data changed" if (folder / RESULT).exists() else "it was not finished"
        print(f"{who}: {why}; the run in {folder} is replaced", flush=True)
    (folder / RESULT).unlink(missing_ok=True)  # first: it must never speak of another run
    for run in folder.glob("version_*"):
        shutil.rmtree(run)
    return _run(checked, seed)


def _run(checked: CheckedVariant, seed: int) -> RunResult:
    print(f"\n{checked.variant.name}, seed {seed}", flush=True)
    gc.collect()  # the run before is in circles; its memory is not this one's
    arguments, place = checked.variant.arguments, _place(checked, seed)
    options = [*arguments.options, f"{_SEED}={seed}"]
    measured, answers = measured_fit(Arguments("fit", arguments.configs, options), place)
    data = checked.data
    about: dict[str, Any] = {
        "config_hash": checked.config_hash,
        "train": data.train,
        "val": data.val,
        "score": SCORE[data.task],
    }
    result = RunResult(**about, seed=seed, **measured)
    if answers is not None:
        answers.save(_folder(checked, seed) / HELD_OUT)
    write_whole(_folder(checked, seed) / RESULT, json.dumps(asdict(result)))
    return result
