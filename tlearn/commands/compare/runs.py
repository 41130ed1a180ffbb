"""Fit variants on the same images, and keep each finished run so that none is done twice.

Letters: N validation images, K classes, S seeds.
"""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tlearn.analysis.ranking import Scores
from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import key_of
from tlearn.base.files import write_whole
from tlearn.base.places import DEFAULT_ROOT
from tlearn.base.progress import Progress
from tlearn.base.types import Task
from tlearn.cli.arguments import Arguments
from tlearn.cli.defaults import FOLLOWED
from tlearn.commands.compare.measured_fit import SCORE, measured_fit
from tlearn.commands.untrained import UntrainedCLI, untrained
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.images.on_disk import StreamedImages
from tlearn.models.state import fingerprint

RESULT = "result.json"
_SEED = "--seed_everything"
# These options and the seed do not change a run's identity. The data are identified by their fingerprint, not by path.
_PLACES = {"trainer": ("default_root_dir", "logger"), "data.init_args": ("root", "download")}


@dataclass(frozen=True)
class Variant:
    """A variant to fit.

    Attributes:
        name: Name in the table.
        folder: The runs lie in ``<folder>-seed<k>``, under the root of runs.
        arguments: The command line of ``fit`` without a seed.
    """

    name: str
    folder: str
    arguments: Arguments


@dataclass(frozen=True)
class DataIdentity:
    """The properties of a variant's data that must be those of every other.

    Attributes:
        task: One class an image, any number, or a value.
        class_names: K names.
        images: N.
        train: Fingerprint of the training source.
        val: Fingerprint of the validation images, their targets and their order.
    """

    task: Task
    class_names: list[str]
    images: int
    train: str
    val: str


@dataclass(frozen=True)
class CheckedVariant:
    """A variant whose options have been checked and whose data have been looked at.

    Attributes:
        variant: The variant.
        plain: The whole config as plain values.
        config_hash: Hash of everything in the config that decides the result, but the seed.
        data: The identity of its data.
    """

    variant: Variant
    plain: dict[str, Any]
    config_hash: str
    data: DataIdentity


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
        seeds: S; each variant is fitted with the seeds 0 to S - 1.
    """

    def __init__(self, seeds: int) -> None:
        self.seeds = seeds
        self.variants: list[CheckedVariant] = []
        self._identities: dict[str, DataIdentity] = {}

    def enter(self, variant: Variant) -> CheckedVariant:
        """Check a variant before anything is trained.

        Raises:
            TlearnError: Whatever the parser refuses, an option that leaves nothing to compare, or other validation
                images, task or classes than the first variant's.
        """
        options = [*variant.arguments.options, f"{_SEED}=0"]
        cli = untrained(replace(variant.arguments, options=options), makes="data")
        _refuse_what_leaves_nothing(variant.name, cli.plain, resumes=cli.checkpoint is not None)
        checked = CheckedVariant(variant, cli.plain, _hash_of(cli.plain), self._identity_of(cli))
        if self.variants:
            _refuse_other_images(self.variants[0], checked)
        self.variants.append(checked)
        return checked

    def fit(self, checked: CheckedVariant, progress: Progress) -> list[RunResult]:
        """Fit a variant with every seed, each a step of progress, but for runs that are finished already."""
        return [_finished_or_run(checked, seed, progress) for seed in range(self.seeds)]

    def _identity_of(self, cli: UntrainedCLI) -> DataIdentity:
        # Of variants with the same options of the data these are read once, and never kept: runs read their own.
        followed = {name: cli.plain["model"][name] for name in FOLLOWED}
        key = key_of({"data": cli.plain["data"], **followed})
        if key not in self._identities:
            cli.data.setup("fit")
            self._identities[key] = _look(cli.data)
        return self._identities[key]


def scores_of(results: list[RunResult]) -> Scores:
    """Return the scores of a variant's runs, (S, N)."""
    return np.array([result.scores for result in results], dtype=np.float64)


def _refuse_what_leaves_nothing(name: str, plain: Mapping[str, Any], resumes: bool) -> None:
    trainer = plain["trainer"]
    faults = {
        "ckpt_path resumes one run": resumes,
        "trainer.fast_dev_run keeps no run": trainer["fast_dev_run"],
        "trainer.logger puts runs elsewhere, or nowhere": trainer["logger"] not in (None, True),
        "trainer.enable_checkpointing is false": trainer["enable_checkpointing"] is False,
        "trainer.limit_val_batches is 0": trainer["limit_val_batches"] == 0,
    }
    for fault, is_so in faults.items():
        if is_so:
            raise TlearnError(f"{name}: {fault}, which leaves nothing to compare; drop the option")


def _refuse_other_images(first: CheckedVariant, checked: CheckedVariant) -> None:
    both, one, other = f"{first.variant.name} and {checked.variant.name}", first.data, checked.data
    if one.task != other.task:
        raise TlearnError(f"{both} have different tasks, {one.task} and {other.task}; compare like with like")
    if one.class_names != other.class_names:
        names = " and ".join(", ".join(each.class_names) for each in (one, other))
        raise TlearnError(f"{both} have different classes, {names}; compare like with like")
    if one.val != other.val:
        raise TlearnError(
            f"{both} validate on different images ({one.images} and {other.images}); give both the same data, "
            "val_fraction and split_seed"
        )


def _hash_of(plain: Mapping[str, Any]) -> str:
    kept = deepcopy({key: value for key, value in plain.items() if key != "seed_everything"})
    for parent, names in _PLACES.items():
        options = kept
        for key in parent.split("."):
            options = options.get(key) or {}
        for name in names:
            options.pop(name, None)
    weights = Path(str(kept["model"]["weights"]))
    if weights.is_file():  # the name stays when the content changes
        with weights.open("rb") as file:
            kept["weights"] = hashlib.file_digest(file, "sha256").hexdigest()
    return key_of(kept)


def _look(data: ImageDataModule) -> DataIdentity:
    images = data.dataset("val")
    # How large files are decoded may differ between variants, the pictures may not.
    source = images.pictures.fingerprint() if isinstance(images, StreamedImages) else data.fingerprint_of("val")
    val = {"source": source, "rows": fingerprint(images.indices), "targets": fingerprint(images.targets)}
    return DataIdentity(data.task, data.class_names, len(images), data.data_fingerprint, key_of(val))


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
    return found if (found.config_hash, found.train, found.val) == wanted else None


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
    measured = measured_fit(Arguments("fit", arguments.configs, options), place)
    data = checked.data
    about: dict[str, Any] = {
        "config_hash": checked.config_hash,
        "train": data.train,
        "val": data.val,
        "score": SCORE[data.task],
    }
    result = RunResult(**about, seed=seed, **measured)
    write_whole(_folder(checked, seed) / RESULT, json.dumps(asdict(result)))
    return result
