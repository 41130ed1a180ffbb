"""Write `reliability.pt` at the end of a fit: what its answers can be doubted with. N images, D features, K outputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tlearn.base.progress import Progress
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.doctor.file_facts import file_facts
from tlearn.data.images.image_set import ImageSet
from tlearn.models.network import Network
from tlearn.models.reliability.evidence import FILE, Evidence, Source, fingerprint_of
from tlearn.models.reliability.properties import properties_of, properties_of_files
from tlearn.models.reliability.strangers import StrangerDetector, fit_detector, held_out_scores, scores_of
from tlearn.models.state import evaluating
from tlearn.reporting.best_network import kept_checkpoint, network_behind
from tlearn.reporting.card.reliability import write_reliability
from tlearn.reporting.loggers import attempt
from tlearn.training.callbacks.checkpoints import best_checkpoint, run_folder
from tlearn.training.evaluation import Outputs
from tlearn.training.module import TransferModule, model_of
from tlearn.training.typed import FitSplit, is_trial, own_data_of

MOST_KNOWN = 10_000  # pictures: with 1,280 features 26 MB, and the nearest of them is near enough
MOST_COMPUTED = 2_000  # where their features are not kept: each is one more pass over the network
MOST_REFERENCE = 2_000  # what a test of two samples can use in a second
MOST_MEASURED = (
    256  # training pictures whose simple properties are kept: a mean is known to 6 % of a standard deviation
)
_MEASURED_AT_ONCE = 32
_MOST_NUMBERS = 5_000_000  # of held-out logits: 20 MB
_FEWEST_IN_BATCH, _PIXELS = 8, 2**18


class ReliabilityCallback(Callback):
    """Keep held-out answers and features of the network that a run keeps; one more pass where it was not frozen."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file; whatever fails costs the file alone, with a line of warning."""
        if not is_trial(trainer) and trainer.is_global_zero:
            attempt(FILE, lambda: _write(trainer, model_of(trainer)))


def _write(trainer: Trainer, module: TransferModule) -> None:
    data, checkpoint = own_data_of(trainer), kept_checkpoint(trainer)
    if data is None or checkpoint is None:
        return
    network = network_behind(checkpoint, module)
    evidence, held = _gather(trainer, module, network, data)
    folder = run_folder(trainer)
    evidence.write(folder / FILE)
    write_reliability(folder, data, evidence, network.calibration, held.split, held.looked, held.scores)


def _gather(
    trainer: Trainer, module: TransferModule, network: Network, data: ImageDataModule
) -> tuple[Evidence, _Held]:
    source, outputs = _held_out(trainer, module)
    train = data.dataset("train")
    known = _spread(len(train), _most(data))
    features = _features(trainer, network, data, "train", known)
    targets = train.targets[train.indices[known]]
    detector = fit_detector(
        features, targets, torch.empty(0, module.num_outputs) if outputs is None else outputs.logits
    )
    if outputs is None or source is None:
        nothing = Outputs("val", 0, torch.empty(0, module.num_outputs), targets[:0], known[:0])
        held = _Held("val", nothing, None, nothing.indices, features, torch.empty(0))
    else:
        held = _look(trainer, network, data, source, outputs, detector)
    reference, images = _spread(len(held.features), MOST_REFERENCE), data.dataset(held.split)
    evidence = Evidence(
        network=fingerprint_of(network.network_state()),
        task=module.task,
        class_names=list(module.class_names),
        training_pictures=len(train),
        source=source,
        logits=held.outputs.logits,
        targets=held.outputs.targets,
        groups=held.groups,
        stranger_scores=held.scores,
        strangers=dict(detector.state_dict()),
        known_features=features.half(),
        known_targets=targets,
        known_names=_names(data, train, known),
        reference_features=held.features[reference].half(),
        properties=_properties(data, train),
        reference_groups=None if images.groups is None else images.groups[held.looked[reference]],
    )
    return evidence, held


def _held_out(trainer: Trainer, module: TransferModule) -> tuple[Source | None, Outputs | None]:
    """Return the answers of pictures that were not learned from, in the order of their source, and who gave them."""
    if module.out_of_fold is not None:
        return "out of fold", module.out_of_fold
    best = best_checkpoint(trainer)
    outputs = best.outputs if best is not None else None
    return (None if outputs is None else "validation"), outputs


class _Held(NamedTuple):
    """Held-out pictures.

    Attributes:
        split: Where they are from.
        outputs: The answers to them.
        groups: int64 (N,), or ``None``.
        looked: Positions in the source of those whose features are known: all, or evenly spread ones.
        features: Of these.
        scores: How strange these are.
    """

    split: FitSplit
    outputs: Outputs
    groups: Tensor | None
    looked: Tensor
    features: Tensor
    scores: Tensor


def _look(
    trainer: Trainer,
    network: Network,
    data: ImageDataModule,
    source: Source,
    outputs: Outputs,
    detector: StrangerDetector,
) -> _Held:
    split: FitSplit = "train" if source == "out of fold" else "val"
    images = data.dataset(split)
    held = _some(outputs, max(1, _MOST_NUMBERS // outputs.logits.shape[1]))
    looked = _some(held, _most(data))
    features = _features(trainer, network, data, split, _positions(images, looked.indices))
    groups, among = (None if images.groups is None else images.groups[each.indices] for each in (held, looked))
    if source == "validation":
        scores = scores_of(detector, features, looked.logits)
    else:
        scores = held_out_scores(features, looked.targets, looked.logits, among, detector)
    return _Held(split, held, groups, looked.indices, features, scores)


def _most(data: ImageDataModule) -> int:
    return MOST_KNOWN if data.serves_features else MOST_COMPUTED


def _some(outputs: Outputs, most: int) -> Outputs:
    rows = _spread(len(outputs.logits), min(most, MOST_KNOWN))
    return outputs._replace(logits=outputs.logits[rows], targets=outputs.targets[rows], indices=outputs.indices[rows])


def _features(trainer: Trainer, network: Network, data: ImageDataModule, split: FitSplit, positions: Tensor) -> Tensor:
    """Return what the head sees of some images of a split, float32 (N, D) on the CPU: kept, or computed."""
    if data.serves_features:
        return data.features(split)[0].cpu()[positions].float()
    images = data.dataset(split)
    with Progress("looking at the pictures again", len(positions), "pictures") as progress:
        parts = list[Tensor]()
        for part in _computed(trainer, network, images, positions):
            parts.append(part)
            progress.advance(len(part))
    return torch.cat([torch.empty(0, network.backbone.num_features), *parts])


def _computed(trainer: Trainer, network: Network, images: ImageSet, positions: Tensor) -> Iterator[Tensor]:
    side_px = network.preprocess.image_size or max(images.shape_px)
    size = max(_FEWEST_IN_BATCH, min(256, _PIXELS // side_px**2))
    device = network.preprocess.mean.device
    with evaluating(network), trainer.precision_plugin.forward_context():
        for rows in images.indices[positions].split(size):
            pixels, _ = images.serve(rows, 0)
            yield network.features(pixels.to(device)).float().cpu()


def _positions(images: ImageSet, rows: Tensor) -> Tensor:
    """Return where in a set those images are whose positions in the source are given."""
    order = images.indices.argsort()
    return order[torch.searchsorted(images.indices[order], rows)]


def _properties(data: ImageDataModule, train: ImageSet) -> dict[str, Tensor]:
    """Measure a few training pictures: decoding 256 photographs takes about a second."""
    rows = train.indices[_spread(len(train), MOST_MEASURED)]
    parts = [properties_of(train.serve(part, 0)[0].cpu()) for part in rows.split(_MEASURED_AT_ONCE)]
    found = {name: torch.cat([part[name] for part in parts]) for name in (parts[0] if parts else {})}
    return found | properties_of_files(file_facts(data.picture_names(rows, "train") or []))


def _names(data: ImageDataModule, train: ImageSet, known: Tensor) -> list[str]:
    rows = train.indices[known]
    names = data.picture_names(rows, "train")
    if names is None:
        return [str(row) for row in rows.tolist()]
    root = Path(data.root or "").absolute()
    paths = [Path(name).absolute() for name in names]
    return [str(path.relative_to(root) if path.is_relative_to(root) else path) for path in paths]


def _spread(count: int, most: int) -> Tensor:
    """Return up to so many positions, evenly spread: folders list one class after the other."""
    return torch.linspace(0, max(count - 1, 0), min(count, most)).long()
