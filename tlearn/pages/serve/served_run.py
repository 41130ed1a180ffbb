"""A run that is served: its network, what its answers are worth, and what is told of it. C channels, S side in px."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from itertools import chain, count
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from tlearn.base.machine import device_of
from tlearn.base.places import DEFAULT_ROOT, find_checkpoint, run_folder_of
from tlearn.deploy.loading import load_scored
from tlearn.deploy.predictor import Prediction, Predictor
from tlearn.deploy.reliability.assessor import Assessor
from tlearn.deploy.reliability.opening import assessor_of
from tlearn.deploy.reliability.options import ReliabilityOptions
from tlearn.models.alone import pictures_at_once
from tlearn.models.reliability.evidence import Evidence, Found, evidence_of, fingerprint_of
from tlearn.models.reliability.strangers import LEAST_HELD_OUT
from tlearn.pages.serve.run_facts import run_facts
from tlearn.reporting.card.files import read_card

_KEPT_RULES = 16  # sets of options; each is fitted on the held-out pictures in some milliseconds

Compute = Callable[[Sequence[Tensor]], Sequence[Prediction]]


class ServedRun:
    """A network that answers, read once.

    Args:
        run: A run folder, whose best checkpoint is taken, or a checkpoint.
        device: Where it computes, as torch names it.

    Attributes:
        checkpoint: Its file.
        folder: Its run folder; where the checkpoint was moved elsewhere, that of the checkpoint.
        name: What it is called among those that are served; `name_runs` makes it unique.
        predictor: What answers.
        score: What it reached, in words.
        facts: When it was trained, and what it reached on how many pictures, as its card says.
        fingerprint: Of the weights.
        at_once: How many pictures are computed together.

    Raises:
        TlearnError: There is no checkpoint, it cannot be read, or there is no such device.
    """

    def __init__(self, run: str | Path, device: str = "cpu") -> None:
        where = device_of(device)
        self.checkpoint = find_checkpoint(str(run), Path(DEFAULT_ROOT), "best")
        self.folder = _folder_of(self.checkpoint)
        self.name = _name_of(self.checkpoint, self.folder)
        network, self.score = load_scored(self.checkpoint)
        self.predictor = Predictor(network.to(where), str(self.checkpoint), self.score, self.checkpoint)
        self.fingerprint = fingerprint_of(network.state_dict())
        side_px = self.predictor.framing.size_px
        self.at_once = pictures_at_once(network, side_px, side_px)
        self.facts = run_facts(self.folder)
        self._found: Found = evidence_of(self.checkpoint)
        self._computes: OrderedDict[ReliabilityOptions, Compute] = OrderedDict()
        self._lock = Lock()
        self._root = _root_of(read_card(self.folder))

    @property
    def evidence(self) -> Evidence | None:
        """Return what the run kept, ``None`` if nothing."""
        return self._found.evidence

    @cached_property
    def _rows(self) -> dict[str, int]:
        names = self.evidence.known_names if self.evidence else []
        return {name: row for row, name in enumerate(names)}

    def row_of(self, name: str) -> int | None:
        """Return the row of a known training picture, by which `path_of` finds it; ``None`` where that finds none."""
        row = self._rows.get(name)
        return None if row is None or self.path_of(row) is None else row

    def path_of(self, row: int) -> Path | None:
        """Return where a known training picture should lie, inside the folder of the data; ``None`` if nowhere.

        Raises:
            IndexError: There is no such row.
        """
        names = self.evidence.known_names if self.evidence else []
        name = PurePosixPath(names[row].partition("#xywh=")[0])  # an object's box is not cut out
        if self._root is None or name.is_absolute() or ".." in name.parts:
            return None
        return self._root / name

    def compute_for(self, options: ReliabilityOptions) -> Compute:
        """Return what answers for pictures, each uint8 (C, S, S); the same one for the same options.

        Raises:
            TlearnError: The run has kept too little for them.
        """
        with self._lock:
            if options not in self._computes:
                assessor = assessor_of(self.predictor.module, self._found, options)
                self._computes[options] = partial(_answers, self.predictor, assessor)
                while len(self._computes) > _KEPT_RULES:
                    self._computes.popitem(last=False)
            self._computes.move_to_end(options)
            return self._computes[options]


def name_runs(runs: Sequence[ServedRun]) -> None:
    """Give runs of one name a number."""
    taken = set[str]()
    for run in runs:
        names = chain([run.name], (f"{run.name}-{number}" for number in count(2)))
        run.name = next(name for name in names if name not in taken)
        taken.add(run.name)


def about_run(run: ServedRun) -> dict[str, Any]:
    """Say what is served, in plain values."""
    network, evidence = run.predictor.module, run.evidence
    can = {"coverage": True, "min_accuracy": True, "strangers": True, "nearest": True}
    if evidence is None:
        can = dict.fromkeys(can, False)
    else:
        can["coverage"] = bool(evidence.held_out)
        can["min_accuracy"] = bool(evidence.held_out) and network.task != "regression"
        can["strangers"] = len(evidence.stranger_scores) >= LEAST_HELD_OUT and bool(evidence.strangers)
        can["nearest"] = len(evidence.known_features) > 0
    return {
        "run": run.name,
        "task": network.task,
        "class_names": network.class_names,
        "network": f"{network.options.backbone} at {network.options.image_size or run.predictor.framing.size_px} px",
        "fingerprint": run.fingerprint,
        "checkpoint": run.checkpoint.name,
        "pictures": evidence.training_pictures if evidence else None,
        "score": run.score,
        **run.facts,
        **can,
    }


def _folder_of(checkpoint: Path) -> Path:
    """Return the run folder that a checkpoint lies in, also a renamed one; else the checkpoint's own folder."""
    folder = checkpoint.parent
    is_run = folder.name == "checkpoints" and read_card(folder.parent) != {}
    return run_folder_of(checkpoint) or (folder.parent if is_run else folder)


def _root_of(card: Mapping[str, Any]) -> Path | None:
    """Return the folder that the names of training pictures start from; ``None`` if they are no files, or not here."""
    options = card.get("data", {}).get("options", {})
    root, table = options.get("root"), options.get("table")
    if root is None and table is None:
        return None
    found = Path(root if root is not None else Path(table).parent).expanduser().absolute()
    return found if found.is_dir() else None


def _name_of(checkpoint: Path, folder: Path) -> str:
    parts = [folder.parent.name, folder.name] if folder.name.startswith("version_") else [folder.name, checkpoint.stem]
    parts += [checkpoint.stem] * (checkpoint.stem != "best" and checkpoint.stem not in parts)
    return re.sub(r"[^\w.-]+", "_", "-".join(filter(None, parts))) or "run"


def _answers(predictor: Predictor, assessor: Assessor | None, pictures: Sequence[Tensor]) -> list[Prediction]:
    return predictor.answered(torch.stack(list(pictures)), assessor)
