"""Fit variants on the same images, and keep each finished run so that none is done twice.

Letters: N validation images, K classes, S seeds.
"""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tlearn.analysis.ranking import Scores
from tlearn.base.errors import DivergedError
from tlearn.base.feature_store import key_of
from tlearn.base.files import write_whole
from tlearn.base.places import DEFAULT_ROOT
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
from tlearn.commands.compare.lease import Lease
from tlearn.commands.compare.measured_fit import SCORE, measured_fit
from tlearn.commands.untrained import UntrainedCLI, untrained

RESULT, DIVERGED = "result.json", "diverged.json"
_OUTCOMES = (RESULT, DIVERGED)
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
        checked = self.check(variant)
        if self.variants:
            refuse_other_images(self.variants[0], checked)
        self.variants.append(checked)
        return checked

    def check(self, variant: Variant) -> CheckedVariant:
        """Check a variant, and look at its data, without letting it take part.

        Raises:
            TlearnError: Whatever the parser refuses, or an option that leaves nothing to compare.
        """
        options = [*variant.arguments.options, *([f"{_SEED}=0"] if self._given else [])]
        cli = untrained(replace(variant.arguments, options=options), makes="data")
        refuse_what_leaves_nothing(variant.name, cli.plain, resumes=cli.checkpoint is not None)
        return CheckedVariant(variant, cli.plain, hash_of(cli.plain), self._identity_of(cli))

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

    @property
    def jobs(self) -> list[Job]:
        """Return its runs: of each part one for each seed."""
        return [Job(self.name, part, seed) for of, part in self.parts for seed in of.seeds_of(part)]


@dataclass(frozen=True, eq=False)
class Job:
    """A run of a variant with one seed.

    Attributes:
        entrant: Whose run it is.
        checked: The variant.
        seed: ``seed_everything``.
    """

    entrant: str
    checked: CheckedVariant
    seed: int

    def __str__(self) -> str:
        """Name it, for whoever waits."""
        return f"{self.checked.variant.name}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Return the folder that holds its result and its run folder."""
        return Path(self.checked.plain["trainer"]["default_root_dir"] or DEFAULT_ROOT, self._place)

    def outcome(self) -> RunResult | DivergedError | None:
        """Return what came of it, if it is done and is still one of these options and data."""
        if (found := self._kept(DIVERGED)) is not None:
            return DivergedError(found["says"])
        try:
            result = RunResult(**(self._kept(RESULT) or {}))
        except TypeError:  # none, or another version's
            return None
        return result if not self._is_fold or held_out_of(self.checked, self.seed) else None

    def run(self, lease: Lease) -> RunResult | DivergedError | None:
        """Do the run; another one in its place, or half a one, is replaced.

        Returns:
            What came of it; ``None`` where another worker has taken it meanwhile.

        Raises:
            TlearnError: Whatever the fit refuses.
        """
        self._make_room(lease)
        print(f"\n{self}", flush=True)
        gc.collect()  # the run before is in circles; its memory is not this one's
        variant, data = self.checked.variant, self.checked.data
        options = [*variant.arguments.options, f"{_SEED}={self.seed}"]
        about: dict[str, Any] = {**self._identity, "seed": self.seed, "score": SCORE[data.task]}
        try:
            measured, answers = measured_fit(Arguments("fit", variant.arguments.configs, options), self._place)
        except DivergedError as error:
            if not lease.is_held():
                return None
            write_whole(self.folder / DIVERGED, json.dumps({**about, "says": str(error)}))
            return error
        if not lease.is_held():
            return None
        result = RunResult(**about, **measured)
        if answers is not None:
            answers.save(self.folder / HELD_OUT)
        write_whole(self.folder / RESULT, json.dumps(asdict(result)))
        return result

    def _make_room(self, lease: Lease) -> None:
        left = list(self.folder.glob("version_*"))
        if left:
            changed = any((self.folder / name).exists() for name in _OUTCOMES)
            why = "its config or data changed" if changed else "it was not finished"
            then = "is replaced" if lease.alone else "stays beside the new one: its worker is silent, and may wake"
            print(f"{self}: {why}; the run in {self.folder} {then}", flush=True)
        for name in _OUTCOMES:  # first: it must never speak of another run
            (self.folder / name).unlink(missing_ok=True)
        for run in left if lease.alone else []:
            shutil.rmtree(run)

    @property
    def _place(self) -> str:
        return f"{self.checked.variant.folder}-seed{self.seed}"

    @property
    def _identity(self) -> dict[str, Any]:
        data = self.checked.data
        return {"config_hash": self.checked.config_hash, "train": data.train, "val": data.val}

    @property
    def _is_fold(self) -> bool:
        return (self.checked.plain["data"].get("init_args") or {}).get("folds") is not None

    def _kept(self, name: str) -> dict[str, Any] | None:
        """Read what a run of these options and data left."""
        try:
            found: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
            return found if self._identity.items() <= found.items() else None
        except (OSError, ValueError, AttributeError):  # none, or half a one
            return None


def scores_of(results: Sequence[RunResult]) -> Scores:
    """Return the scores of a variant's runs, (S, N)."""
    return np.array([result.scores for result in results], dtype=np.float64)


def held_out_of(checked: CheckedVariant, seed: int) -> HeldOut | None:
    """Return the answers of a finished run to the images of its fold; ``None`` where it validated on no fold."""
    return saved(Job("", checked, seed).folder / HELD_OUT)
