"""Fit variants of a config on the same images, measured, each finished run kept so that none is done twice.

Letters: N validation images, K classes, S seeds.
"""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tlearn.app import TransferCLI, run_as
from tlearn.arguments import Arguments
from tlearn.data import ImageDataModule
from tlearn.doctoring import DataCLI
from tlearn.errors import TlearnError
from tlearn.feature_store import key_of
from tlearn.models import TransferModule, fingerprint
from tlearn.outputs import write_whole
from tlearn.reporting import BestCheckpoint, RunRecordCallback, hyper_parameters
from tlearn.runs import DEFAULT_ROOT
from tlearn.strategies import PeakMemory, Scores, run_over_split, sample_f1
from tlearn.types import LABEL_THRESHOLD, Task
from tlearn.version import __version__

RESULT = "result.json"
SCORE = {"classification": "accuracy", "multilabel": "F1", "regression": "absolute error"}
_SEED = "--seed_everything"
_FORMAT = 1
# Neither these nor the seed make a run another one; what lies under the data's root is checked by itself.
_PLACES = {"trainer": ("default_root_dir", "logger"), "data.init_args": ("root", "download")}


@dataclass
class PlacedArguments(Arguments):
    """A command line whose run has a place of its own under the root of runs.

    Attributes:
        place: Such as ``compare/a_vs_b/a-seed0``.
    """

    place: str = "default"

    @property
    def run_name(self) -> str:
        """Name the run after its place."""
        return self.place


@dataclass(frozen=True)
class Variant:
    """What to fit.

    Attributes:
        name: In the table.
        folder: Its runs lie in ``<folder>-seed<k>``, under the root of runs.
        arguments: The command line of ``fit`` without a seed.
    """

    name: str
    folder: str
    arguments: Arguments


@dataclass(frozen=True)
class Entry:
    """A variant whose options have been checked and whose data have been looked at.

    Attributes:
        variant: What to fit.
        plain: Its whole config.
        config_hash: Of all in it that decides the result, but the seed.
        data: Fingerprint of the training source.
        val: Fingerprint of the validation images, their targets and their order.
        task: One class an image, any number, or a value.
        class_names: K names.
        images: N.
    """

    variant: Variant
    plain: dict[str, Any]
    config_hash: str
    data: str
    val: str
    task: Task
    class_names: list[str]
    images: int


@dataclass(frozen=True)
class Result:
    """A finished run, as `RESULT` holds it.

    Attributes:
        config_hash: See `Entry`.
        data: See `Entry`.
        val: See `Entry`.
        seed: ``seed_everything``.
        metric: Name of what chose the best epoch.
        value: Its value there.
        score: What an image's score is.
        scores: Of the best epoch, one for each validation image (N).
        seconds: Of the fit, without imports and reading the data.
        peak_memory_bytes: See `PeakMemory`.
        peak_memory_since: ``now`` for the fit, ``start`` for the whole process.
        trainable_parameters: Those that trained at any time.
        checkpoint: Path of the best epoch.
        device: ``cpu``, or the GPU's name.
        versions: Of what decides bits and speed.
    """

    config_hash: str
    data: str
    val: str
    seed: int
    metric: str
    value: float
    score: str
    scores: list[float]
    seconds: float
    peak_memory_bytes: int
    peak_memory_since: str
    trainable_parameters: int
    checkpoint: str
    device: str
    versions: dict[str, str]


class Field:
    """The variants that meet on the same images.

    Args:
        seeds: S; each variant is fitted with the seeds 0 to S - 1.
    """

    def __init__(self, seeds: int) -> None:
        self.seeds = seeds
        self.entries: list[Entry] = []
        self._data: dict[str, ImageDataModule] = {}

    def enter(self, variant: Variant) -> Entry:
        """Check a variant before anything is trained.

        Raises:
            TlearnError: Whatever the parser refuses, an option that leaves nothing to compare, or other validation
                images, task or classes than the first variant's.
        """
        cli = run_as(DataCLI, replace(variant.arguments, options=[*variant.arguments.options, f"{_SEED}=0"]))
        _refuse_what_leaves_nothing(variant.name, cli.plain)
        data = self._opened(cli)
        entry = Entry(
            variant=variant,
            plain=cli.plain,
            config_hash=_hash_of(cli.plain),
            data=data.data_fingerprint,
            val=_fingerprint_of_val(data),
            task=data.task,
            class_names=data.class_names,
            images=len(data.dataset("val")),
        )
        if self.entries:
            _refuse_other_images(self.entries[0], entry)
        self.entries.append(entry)
        return entry

    def fit(self, entry: Entry) -> list[Result]:
        """Fit a variant with every seed, but for runs that are finished already."""
        return [_finished(entry, seed) or _run(entry, seed) for seed in range(self.seeds)]

    def _opened(self, cli: DataCLI) -> ImageDataModule:
        # Of variants with the same options of the data one is read, and it is let go when others come.
        key = key_of({"data": cli.config[cli.verb].data.as_dict()})
        if key not in self._data:
            cli.data.setup("fit")
            self._data = {key: cli.data}
        return self._data[key]


def scores_of(results: list[Result]) -> Scores:
    """Return the scores of a variant's runs, (S, N)."""
    return np.array([result.scores for result in results], dtype=np.float64)


def _refuse_what_leaves_nothing(name: str, plain: Mapping[str, Any]) -> None:
    trainer = plain["trainer"]
    faults = {
        "ckpt_path resumes one run": plain.get("ckpt_path"),
        "trainer.fast_dev_run leaves nothing behind": trainer["fast_dev_run"],
        "trainer.logger: the runs have places of their own": trainer["logger"] not in (None, True),
        "trainer.enable_checkpointing false keeps no best epoch": trainer["enable_checkpointing"] is False,
        "trainer.limit_val_batches 0 leaves no validation": trainer["limit_val_batches"] == 0,
    }
    for fault, is_so in faults.items():
        if is_so:
            raise TlearnError(f"{name}: {fault}, there would be nothing to compare; drop the option")


def _refuse_other_images(first: Entry, entry: Entry) -> None:
    both = f"{first.variant.name} and {entry.variant.name}"
    if first.task != entry.task:
        raise TlearnError(f"{both} have other tasks: {first.task} and {entry.task}; compare like with like")
    if first.class_names != entry.class_names:
        names = " and ".join(", ".join(each.class_names) for each in (first, entry))
        raise TlearnError(f"{both} have other classes: {names}; compare like with like")
    if first.val != entry.val:
        raise TlearnError(
            f"{both} validate on different images ({first.images} and {entry.images}); give both the same data, "
            "val_fraction and split_seed"
        )


def _hash_of(plain: Mapping[str, Any]) -> str:
    kept = json.loads(json.dumps({key: value for key, value in plain.items() if key not in ("seed_everything",)}))
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


def _fingerprint_of_val(data: ImageDataModule) -> str:
    images = data.dataset("val")
    # How large files are decoded may differ between variants, the pictures may not.
    pictures = getattr(images, "pictures", None)
    source = data.fingerprint_of("val") if pictures is None else pictures.fingerprint()
    return key_of({"source": source, "rows": fingerprint(images.indices), "targets": fingerprint(images.targets)})


def _place(entry: Entry, seed: int) -> str:
    return f"{entry.variant.folder}-seed{seed}"


def _folder(entry: Entry, seed: int) -> Path:
    return Path(entry.plain["trainer"]["default_root_dir"] or DEFAULT_ROOT, _place(entry, seed))


def _finished(entry: Entry, seed: int) -> Result | None:
    """Return what a finished run left, unless it was another one; that one, or half a one, is removed."""
    folder, who = _folder(entry, seed), f"{entry.variant.name}, seed {seed}"
    try:
        found = Result(**json.loads((folder / RESULT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        found = None
    if found and (found.config_hash, found.data, found.val) == (entry.config_hash, entry.data, entry.val):
        print(f"{who}: finished before, taken from {folder / RESULT}", flush=True)
        return found
    if list(folder.glob("version_*")):
        why = "its config or data changed" if found else "it was not finished"
        print(f"{who}: {why}; the run in {folder} is replaced", flush=True)
    (folder / RESULT).unlink(missing_ok=True)
    for run in folder.glob("version_*"):
        shutil.rmtree(run)
    return None


def _run(entry: Entry, seed: int) -> Result:
    print(f"\n{entry.variant.name}, seed {seed}", flush=True)
    gc.collect()  # the run before is in circles; its memory is not this one's
    arguments, place = entry.variant.arguments, _place(entry, seed)
    options = [*arguments.options, f"{_SEED}={seed}"]
    measured = run_as(_MeasuredCLI, PlacedArguments("fit", arguments.configs, options, place)).measured
    result = Result(
        config_hash=entry.config_hash, data=entry.data, val=entry.val, seed=seed, score=SCORE[entry.task], **measured
    )
    write_whole(_folder(entry, seed) / RESULT, json.dumps(asdict(result)))
    return result


class _MeasuredCLI(TransferCLI):
    """The command line of ``fit``, whose run is measured."""

    @property
    def measured(self) -> dict[str, Any]:
        """Return what was measured."""
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        return next(c for c in callbacks if isinstance(c, _MeasuringCallback)).measured

    def own_callbacks(self, config: dict[str, Any]) -> list[Callback]:
        """Measure where the run is recorded."""
        own = super().own_callbacks(config)
        return [_MeasuringCallback(self.plain) if isinstance(c, RunRecordCallback) else c for c in own]


class _MeasuringCallback(RunRecordCallback):
    """Record the run, with its costs in the hparams tab, and what its best epoch answers on each validation image.

    Attributes:
        measured: Part of a `Result`.
    """

    measured: dict[str, Any]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start the clock: the data are read by now, no feature is computed yet."""
        self._peak = PeakMemory(trainer.strategy.root_device)
        self._start_s = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait: checkpoints may not be written yet, and TensorBoard takes one set of hparams a run."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, log, and let the best epoch answer.

        Raises:
            TlearnError: No validation ran.
        """
        assert isinstance(pl_module, TransferModule)
        seconds, peak = time.perf_counter() - self._start_s, self._peak.bytes()
        best = next(c for c in trainer.checkpoint_callbacks if isinstance(c, BestCheckpoint))
        if best.best_model_score is None:
            raise TlearnError("no validation ran, there is nothing to compare; trainer.check_val_every_n_epoch 1")
        value, trainable = float(best.best_model_score), _trained(trainer, pl_module)
        costs = {"seconds": seconds, "peak_memory_mb": peak / 1e6, "trainable_parameters": trainable}
        trainer.logger.log_hyperparams(hyper_parameters(self.config), {f"best/{best.monitor}": value, **costs})  # type: ignore[union-attr]  # TensorBoard's, by `_refuse_what_leaves_nothing`
        self.measured = {
            "metric": best.monitor,
            "value": value,
            "scores": _best_scores(trainer, pl_module, best.best_model_path).tolist(),
            "seconds": seconds,
            "peak_memory_bytes": peak,
            "peak_memory_since": self._peak.since,
            "trainable_parameters": trainable,
            "checkpoint": best.best_model_path,
            "device": _name_of(trainer.strategy.root_device),
            "versions": {"tlearn": __version__, **{name: version(name) for name in ("torch", "lightning")}},
        }


def _trained(trainer: Trainer, module: TransferModule) -> int:
    last = max(trainer.current_epoch - 1, 0)  # at the end of fit Lightning has counted on
    return sum(module.get_parameter(name).numel() for name, rule in module.rules.items() if rule.trains_in(last))


def _name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _best_scores(trainer: Trainer, module: TransferModule, best: str) -> Scores:
    checkpoint = trainer.strategy.checkpoint_io.load_checkpoint(best)
    module.load_state_dict(checkpoint["state_dict"])
    answers, targets = run_over_split(trainer, module, "val", module.answer)
    return image_scores(module.task, answers, targets)


def image_scores(task: Task, answers: Tensor, targets: Tensor) -> Scores:
    """Score every image: 1 for right and 0 for wrong, the F1 of its labels, or the absolute error.

    Args:
        task: Which of the three.
        answers: Probabilities (N, K), or values (N, 1).
        targets: Class numbers (N,), 0 and 1 (N, K), or values (N, 1).
    """
    if task == "regression":
        return (answers.flatten() - targets.flatten()).abs().double().numpy()
    if task == "multilabel":
        return sample_f1((answers >= LABEL_THRESHOLD).numpy(), (targets > 0).numpy())
    return (answers.argmax(dim=1) == targets).double().numpy()
