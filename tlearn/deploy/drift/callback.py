"""Say at the end of ``predict`` whether the pictures are like the training pictures."""

from __future__ import annotations

import logging
from collections.abc import Sized
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from tlearn.base.errors import one_line
from tlearn.base.next_command import PHOTOS, command_line
from tlearn.base.places import run_folder_of
from tlearn.base.types import Batch
from tlearn.deploy.drift.new_pictures import NewPictures
from tlearn.deploy.drift.words import predict_line
from tlearn.deploy.reliability.head_record import HeadRecord
from tlearn.models.reliability.drift import LEVEL
from tlearn.models.reliability.evidence import Evidence, evidence_of
from tlearn.training.module import model_of
from tlearn.training.typed import own_data_of

log = logging.getLogger(__name__)

LEAST = 20  # pictures: of fewer a change must be large to be seen, and a line would promise more


class DriftCallback(Callback):
    """Compare the pictures of ``predict`` with what the run kept, by features that are computed anyway.

    Of several processes the first one compares its part. Nothing is said without evidence, of fewer than 20
    pictures, nor of the run's own, which are asked about where no others are named.

    Attributes:
        line: What was said; empty if nothing was.
    """

    line = ""

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for the evidence, and keep what the head sees."""
        self.line, self._evidence = "", self._found(trainer)
        if self._evidence is None:
            return
        self._pictures = NewPictures(_count_in(trainer.predict_dataloaders))
        self._head = HeadRecord(model_of(trainer).head)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what is compared of a batch."""
        if self._evidence is None:
            return
        seen = self._head.take()
        if batch.faults is None:
            return
        data = own_data_of(trainer)
        paths = data.picture_names(batch.indices.cpu()) if data is not None and data.has_picture_names else None
        faulty = [bool(fault) for fault in batch.faults]
        self._pictures.add(batch.images, seen.features, seen.output, paths or [], faulty)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say it; whatever fails costs the line alone: the predictions are written."""
        if self._evidence is None:
            return
        self._head.end()
        if len(self._pictures) < LEAST:
            return
        try:
            found = self._pictures.compared(self._evidence, model_of(trainer).calibration, LEVEL)
        except Exception as error:
            log.warning("whether these pictures are like the training pictures cannot be said: %s", one_line(error))
            return
        if found is not None:
            run = run_folder_of(Path(str(trainer.ckpt_path))) or trainer.ckpt_path
            self.line = predict_line(found, command_line("doctor", PHOTOS, "--against", str(run)))
            print(self.line)

    @staticmethod
    def _found(trainer: Trainer) -> Evidence | None:
        if not trainer.is_global_zero or not trainer.ckpt_path:
            return None
        return evidence_of(Path(trainer.ckpt_path)).evidence


def _count_in(loaders: Any) -> int:
    """Count the pictures, or return 0 where nobody knows."""
    loaders = loaders if isinstance(loaders, (list, tuple)) else [loaders]
    datasets = [getattr(loader, "dataset", None) for loader in loaders]
    return sum(len(dataset) for dataset in datasets if isinstance(dataset, Sized))
