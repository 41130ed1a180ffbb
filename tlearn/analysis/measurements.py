"""Everything that `advise` measures before it decides. N images, V of validation, K classes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from lightning.pytorch import Trainer

from tlearn.analysis.candidates import Candidate, candidates
from tlearn.analysis.learning_curve import Forecast, forecast, measure_curve
from tlearn.analysis.new_group import fold_of_each
from tlearn.analysis.own_size.measured import OwnSize, try_own_size
from tlearn.analysis.pilots import Pilot, PilotResult, run_pilots
from tlearn.analysis.probe import Probe, probe, probe_stages, taps_of
from tlearn.analysis.similarity import batch_norm_shift, mean_logme
from tlearn.analysis.stage_features import StageFeatures, stage_features
from tlearn.analysis.stage_probe import TOGETHER, Labelled, StageProbe, best_of, wanted_outputs
from tlearn.base.machine import PeakMemory
from tlearn.base.progress import Progress, tracked
from tlearn.base.types import Task
from tlearn.training.module import TransferModule
from tlearn.training.strategies.alike_features import rounding_of
from tlearn.training.strategies.head_solver import SolvedHead, solve_head
from tlearn.training.strategies.known_labels import known_groups
from tlearn.training.typed import data_of

# Of the steps of a whole run: a pilot's round, at the least and at the most, and rounds.
_PILOT_SHARE, _FEWEST_STEPS, _MOST_STEPS, _ROUNDS = 0.06, 4, 100, 2
_PILOTED = ("partial", "lp_ft", "full")


@dataclass(frozen=True)
class Measurements:
    """Everything that was measured.

    Attributes:
        task: Kind of targets.
        num_outputs: K.
        labels_per_class: Mean number of training images of a class; all of them for other tasks.
        epochs: Length of the strategies that take steps.
        steps: Optimizer steps in that many epochs.
        start_s: Seconds from the command to the first measurement, without imports; a fit needs the same.
        probe: The probes of all stages at all sizes.
        size_px: The image size that was chosen from the probe.
        last: The probe of the last stage at that size.
        best: The probe of where a head on the fixed network should sit, see `choose_tap`.
        taps: The stages of `best`.
        start: The probe of the head that training begins with: on all stages side by side, or the last where those
            are too wide.
        neighbours_gap: Score of ridge regression less that of nearest neighbours, for `best`.
        random_score: Score of the best stage of the same network with random weights; ``None`` where it has these, and
            there is nothing to transfer.
        logme: LogME of the last stage.
        batch_norm_shift: Stage to how far its inputs are from the statistics that the weights bring.
        forecast: The worth of twice the labels; ``None`` if there are too few to tell.
        solve_time_s: Seconds to solve the head that training begins with.
        frozen_val_loss: Loss of that head on validation; ``None`` if it cannot be solved.
        pilots: The trained strategies, the best on validation first.
        candidates: All strategies.
        time_s: Seconds of all measurements.
        pass_peak_bytes: Peak memory of the passes over the fixed network.
        own_size: A head at the size that the weights were trained at; ``None`` where that is not larger, or unknown.
    """

    task: Task
    num_outputs: int
    labels_per_class: float
    epochs: int
    steps: int
    start_s: float
    probe: Probe
    size_px: int
    last: StageProbe
    best: StageProbe
    taps: list[str]
    start: StageProbe
    neighbours_gap: float
    random_score: float | None
    logme: float
    batch_norm_shift: dict[str, float]
    forecast: Forecast | None
    solve_time_s: float
    frozen_val_loss: float | None
    pilots: list[PilotResult]
    candidates: list[Candidate]
    time_s: float
    pass_peak_bytes: int | None = None
    own_size: OwnSize | None = None


def measure(
    trainer: Trainer,
    module: TransferModule,
    sizes_px: Sequence[int],
    epochs: int,
    start_s: float,
    kept: dict[str, Any],
    folds: int | None = None,
    own_px: int | None = None,
) -> Measurements:
    """Measure everything that `decide` needs.

    Args:
        trainer: See `rigged`.
        module: Gives the pretrained network; left as it is.
        sizes_px: Image sizes to probe; empty for its own.
        epochs: Length of the strategies that take steps.
        start_s: See `Measurements`.
        kept: Options of the model that the user set, for every strategy.
        folds: See `tlearn.analysis.probe.probe`.
        own_px: A larger size to look at too, see `Measurements`.

    Raises:
        TlearnError: A class has fewer than two training images, or the features are of no use.
    """
    begin_s, peak = time.perf_counter(), PeakMemory(module.device)
    found, seen = probe(trainer, module, sizes_px, folds)
    pass_peak_bytes, size = peak.bytes(), choose_size(found)
    features = next(each for each in seen if each.image_size_px == size)
    heads = _places_of(module, found, size)
    named = _strategies(module, heads, epochs, kept)
    numbers = fold_of_each(data_of(trainer).dataset("train"), module.task, folds)
    own_size = try_own_size(trainer, module, own_px, features, numbers)
    head, solve_time_s = _solved(module, features, heads.start.stage)
    planned = epochs * len(data_of(trainer).train_dataloader())
    return Measurements(
        task=module.task,
        num_outputs=module.num_classes,
        labels_per_class=found.train_images / (module.num_classes if module.task == "classification" else 1),
        epochs=epochs,
        steps=planned,
        start_s=start_s,
        probe=found,
        size_px=size,
        last=heads.last,
        best=heads.best,
        taps=taps_of(module, heads.best),
        start=heads.start,
        neighbours_gap=heads.best.ridge - heads.best.neighbours,
        random_score=_random_score(trainer, module, size, folds),
        logme=_logme(module, features.train[heads.last.stage]),
        batch_norm_shift=batch_norm_shift(trainer, module),
        forecast=_forecast(module, features, heads.best),
        solve_time_s=solve_time_s,
        frozen_val_loss=head.val_loss if head else None,
        pilots=_piloted(trainer, module, named, size, head, planned),
        candidates=named,
        time_s=time.perf_counter() - begin_s,
        pass_peak_bytes=pass_peak_bytes,
        own_size=own_size,
    )


def parts_of(module: TransferModule, own_px: int | None) -> int:
    """Count the parts of `measure` that are told apart on the screen, where `Progress` has ``parts``."""
    always = 5  # passes, stages, likeness to the images of the weights, fewer images, trials
    always += own_px is not None and module.task == "classification"
    return always + (not module.starts_at_random) + {"classification": 2, "regression": 1, "multilabel": 0}[module.task]


class _Places(NamedTuple):
    """Where a head may sit, see `Measurements`."""

    last: StageProbe
    best: StageProbe
    start: StageProbe


def _places_of(module: TransferModule, found: Probe, size_px: int) -> _Places:
    at_size = [each for each in found.stages if each.image_size_px == size_px]
    last = next(each for each in at_size if each.stage == module.backbone.stages[-1])
    start = next((each for each in at_size if each.stage == TOGETHER), last)
    return _Places(last, choose_tap(at_size, found), start)


def _strategies(module: TransferModule, heads: _Places, epochs: int, kept: Mapping[str, Any]) -> list[Candidate]:
    best, start = taps_of(module, heads.best), taps_of(module, heads.start)
    named = candidates(module.task, module.backbone.tappable, best, start, epochs)
    if module.starts_at_random:  # all others would train what is left of it
        named = [each for each in named if each.name in ("frozen", "scratch")]
    return [replace(each, options=each.options | dict(kept)) for each in named]


def _forecast(module: TransferModule, features: StageFeatures, best: StageProbe) -> Forecast | None:
    train, val = features.train[best.stage], features.val[best.stage]
    return forecast(measure_curve(module.task, train, val, module.num_classes, best.strength))


def pooled(each: StageProbe, found: Probe) -> float:
    """Return the mean of left-out and validation scores, weighted by images: each image was predicted unseen."""
    images = found.train_images + found.val_images
    return (each.left_out * found.train_images + each.ridge * found.val_images) / images


def choose_size(found: Probe) -> int:
    """Return the smallest image size whose best probe is within the noise of the best: larger ones cost more."""
    scores = best_by_size(found)
    most = max(scores.values())
    return min(size for size, score in scores.items() if score >= most - max(0.005, _noise(most, found)))


def best_by_size(found: Probe) -> dict[int, float]:
    """Return the score of the best head at each image size, by all images."""
    sizes = found.pass_time_s
    return {size: max(pooled(p, found) for p in found.stages if p.image_size_px == size) for size in sizes}


def _noise(score: float, found: Probe) -> float:
    """Return the standard deviation of a share, from the images that it was measured on."""
    return float((max(score * (1 - score), 0.0) / (found.train_images + found.val_images)) ** 0.5)


def choose_tap(at_size: Sequence[StageProbe], found: Probe) -> StageProbe:
    """Return where a head should sit: on all stages side by side, unless a single one is better beyond the noise.

    Side by side they were at least as good as the last in most of the scenarios of `benchmarks.advise`, as in Head2Toe
    (Evci et al., 2022, arXiv 2201.03529); which single stage is best is hard to tell from few images.
    """
    single = best_of([each for each in at_size if each.stage != TOGETHER])
    together = next((each for each in at_size if each.stage == TOGETHER), None)
    if together is None:
        return single
    score = pooled(single, found)
    return single if score - pooled(together, found) > _noise(score, found) else together


def _logme(module: TransferModule, rows: Labelled) -> float:
    return mean_logme(known_groups(rows.features, wanted_outputs(module.task, rows.targets, module.num_classes)))


def _solved(module: TransferModule, features: StageFeatures, stage: str) -> tuple[SolvedHead | None, float]:
    if module.task == "multilabel":
        return None, 0.0
    start_s = time.perf_counter()
    head = solve_head(
        module.task,
        features.train[stage],
        features.val[stage],
        module.num_classes,
        class_weights=module.objective.class_weights,
        label_smoothing=module.objective.options.label_smoothing,
    )
    return head, time.perf_counter() - start_s


def _random_score(trainer: Trainer, module: TransferModule, size_px: int, folds: int | None) -> float | None:
    """Probe the same network with random weights: what pretraining is worth is the difference."""
    if module.starts_at_random:
        return None
    names = ("backbone", "in_channels", "backbone_args", "pixel_mean", "pixel_std")
    options: dict[str, Any] = {name: getattr(module.options, name) for name in names}
    fresh = TransferModule(module.num_classes, module.class_names, module.task, weights=None, **options)
    if not fresh.preprocess.is_known:
        fresh.preprocess.load_state_dict(module.preprocess.state_dict())
    fresh.answer_in(module.unit)
    with Progress("random weights"):
        seen = stage_features(trainer, fresh.to(module.device), size_px)
        numbers = fold_of_each(data_of(trainer).dataset("train"), module.task, folds)
        best = best_of(probe_stages(module, [seen], rounding_of(str(trainer.precision)), numbers))
    return (best.left_out + best.ridge) / 2


def _piloted(
    trainer: Trainer,
    module: TransferModule,
    named: Sequence[Candidate],
    size_px: int,
    head: SolvedHead | None,
    planned: int,
) -> list[PilotResult]:
    steps = max(_FEWEST_STEPS, min(round(_PILOT_SHARE * planned), _MOST_STEPS))
    chosen = [each for each in named if each.name in _PILOTED] or [each for each in named if each.trains_backbone]
    with Progress("trials"):
        made = tracked(chosen, "making the networks", len(chosen))
        pilots = [Pilot(trainer, module, each, size_px, head, planned_steps=steps * _ROUNDS) for each in made]
        return run_pilots(pilots, steps, _ROUNDS)
