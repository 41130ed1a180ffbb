"""Write ``oof.csv`` at the end of a fit whose head was solved: answers out of fold to its training images."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.base.errors import one_line
from tlearn.data.images.grouped_split import name_of_group
from tlearn.models.losses import answers_of
from tlearn.training.callbacks.checkpoints import run_folder
from tlearn.training.module import TransferModule, model_of
from tlearn.training.out_of_fold_table import FILE, write_out_of_fold
from tlearn.training.typed import is_trial, own_data_of

log = logging.getLogger(__name__)


class OutOfFoldCallback(Callback):
    """Write the answers that `HeadProbeCallback` left, with calibrated probabilities."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file; whatever fails costs the file alone, with a line of warning: the run is finished."""
        if is_trial(trainer) or not trainer.is_global_zero:
            return
        try:
            write(run_folder(trainer) / FILE, trainer, model_of(trainer))
        except Exception as error:  # a full disk, or a name that no text can hold
            log.warning("%s is not written: %s", FILE, one_line(error))


def write(path: Path, trainer: Trainer, module: TransferModule) -> None:
    """Write the answers out of fold of a run, in the order of the source; nothing where it has none.

    Raises:
        TlearnError: The file cannot be written.
    """
    data, found, numbers = own_data_of(trainer), module.out_of_fold, module.out_of_fold_numbers
    if data is None or found is None or numbers is None:
        return
    train, order = data.dataset("train"), found.indices.argsort()
    rows = found.indices[order]
    folds = torch.unique(numbers, return_inverse=True)[1][order] + 1
    names = data.group_names
    groups = [] if train.groups is None else train.groups[rows].tolist()
    write_out_of_fold(
        *(path, module.task, module.class_names),
        answers_of(module.task, found.logits[order], module.calibration),
        found.targets[order],
        data.picture_names(rows, "train") or rows.tolist(),
        folds=folds.tolist(),
        groups=[name_of_group(number, names) for number in groups] if groups else None,
    )
