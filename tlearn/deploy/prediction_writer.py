"""``predict`` writes a row for each image as the answers come. B images, K classes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.files import whole_file
from tlearn.base.machine import FULL_PRECISION
from tlearn.base.processes import collected, gathered
from tlearn.base.types import Batch
from tlearn.data.files.listing import number_of
from tlearn.deploy.prediction_table import REMARK, columns_of, open_table, rows_of
from tlearn.deploy.reliability.columns import columns_beside, with_assessments
from tlearn.deploy.reliability.head_record import HeadRecord
from tlearn.deploy.reliability.opening import assessor_for
from tlearn.deploy.reliability.options import NOTHING, ReliabilityOptions
from tlearn.deploy.reliability.summary import marks_of, summary_of
from tlearn.models.state import check_answers
from tlearn.training.module import model_of
from tlearn.training.typed import own_data_of

log = logging.getLogger(__name__)

TOP_K = 5
_SHOWN = 3  # files that a warning names


class PredictionWriterCallback(BasePredictionWriter):
    """Stream predictions into a file, in the order of the images; a second run replaces it whole.

    Of several processes the first one writes: the others send it their rows, a batch of each at a time.

    Args:
        out: A name that ends in ``.csv`` or ``.parquet``; by default ``predictions.csv`` in the run folder.
        top_k: How many classes a row lists.
        reliability: What is asked beside the answers.

    Attributes:
        target: The file; set when predicting starts.
        columns: Column names to the type of their cells; set likewise.
        rows: The number of rows written.
        faults: The number of them whose file gave no picture.
        remarks: Row number to what sets its picture apart from the training pictures.
        counts: How many pictures there are of each mark of `marks_of`; none where the run has kept nothing.
    """

    def __init__(self, out: Path | None = None, top_k: int = TOP_K, reliability: ReliabilityOptions = NOTHING) -> None:
        super().__init__(write_interval="batch")
        self.out, self.top_k, self.reliability = out, top_k, reliability
        self.counts = Counter[str]()
        self.rows = self.faults = 0
        self.remarks: dict[int, str] = {}

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the file under a temporary name."""
        module = model_of(trainer)
        self.rows = self.faults = 0
        self.remarks, self.counts = {}, Counter()
        self._first_fault = ""
        self._first_remarked: list[tuple[str, str]] = []
        self._data = own_data_of(trainer)
        self.target = self.out or Path(trainer.log_dir or trainer.default_root_dir) / "predictions.csv"
        batches = torch.cat(gathered(torch.tensor([sum(trainer.num_predict_batches)])))
        self._rounds = int(batches.min())  # in which every process has a batch
        self._rest: list[Any] = []
        first = "path" if self._data is not None and self._data.has_picture_names else "index"
        self.columns = columns_of(module.task, module.class_names, self.top_k, first)
        path = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        self._assessor = assessor_for(module, path, self.reliability)
        if self._assessor is not None:
            error = self.columns.pop("error")
            self.columns |= {**columns_beside(self._assessor), "error": error}
            self._head = HeadRecord(module.head)
        if not trainer.is_global_zero:
            return
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._whole = ExitStack()
        partial = self._whole.enter_context(whole_file(self.target))
        self._table = open_table(partial, self.columns, self.target.suffix)

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write the rows of a batch.

        Raises:
            TlearnError: The network answers what is no number.
        """
        module = model_of(trainer)
        answers: Tensor = prediction["values" if module.task == "regression" else "probabilities"].cpu()
        check_answers(answers, str(trainer.ckpt_path or "the network"))
        middle = rows_of(module.task, module.class_names, self.top_k, answers)
        places = batch.indices.cpu()
        names = None if self._data is None else self._data.picture_names(places)
        first: list[Any] = places.tolist() if names is None else names
        faults, remarks = (texts or [""] * len(places) for texts in (batch.faults, batch.remarks))
        marks: list[tuple[str, ...]] = [()] * len(places)
        if self._assessor is not None:
            seen = self._head.take()
            assessments = self._assessor.assess(seen.features, module.in_unit(seen.output))
            middle = with_assessments(self._assessor, middle, assessments)
            marks = [() if fault else marks_of(each) for fault, each in zip(faults, assessments, strict=True)]
        rows = [
            ([name, *([None] * len(cells) if fault else cells), fault or None], remark, counted)
            for name, cells, fault, remark, counted in zip(first, middle, faults, remarks, marks, strict=True)
        ]
        if batch_idx < self._rounds:
            self._write(collected(rows))
        else:
            self._rest += rows

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the complete file its name.

        Raises:
            TlearnError: No file gives a picture.
        """
        self._write(collected(self._rest))
        if self._assessor is not None:
            self._head.end()
        if not trainer.is_global_zero:
            return
        self._table.close(self.remarks)
        self._whole.close()
        if self.remarks:
            self.columns = self.columns | {REMARK: str}
        note = f", {self.faults} of them unreadable (see the column error)" if self.faults else ""
        if trainer.precision != FULL_PRECISION:
            note += f"; in {trainer.precision}, tlearn.load answers in float32"
        print(f"predictions: {self.target}: {self.rows} row{'s' * (self.rows != 1)}{note}")
        for line in [] if self._assessor is None else summary_of(self._assessor, self.counts):
            print(line)
        if self.remarks:
            log.warning("%s", self._told_of_remarks())
        if self.rows and self.faults == self.rows:
            count = number_of(self.rows, "file")
            raise TlearnError(f"none of {count} gives a picture: {self._first_fault}; {self.target} says why of each")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave nothing half-written.

        Raises:
            TlearnError: The disk was at fault.
        """
        if getattr(self, "_assessor", None) is not None:
            self._head.end()
        if hasattr(self, "_table"):
            self._table.abandon()
        if hasattr(self, "_whole"):
            self._whole.__exit__(type(exception), exception, exception.__traceback__)

    def _write(self, rows: list[tuple[list[Any], str, tuple[str, ...]]]) -> None:
        cells = [row for row, _, _ in rows]
        if cells:
            self._table.write(cells)
        for number, (row, remark, marks) in enumerate(rows, self.rows):
            self.counts.update(marks)
            if remark:
                self.remarks[number] = remark
                if len(self._first_remarked) < _SHOWN:
                    self._first_remarked.append((str(row[0]), remark))
        self.rows += len(rows)
        faults = [f"{row[0]} ({row[-1]})" for row in cells if row[-1] is not None]
        self._first_fault = self._first_fault or next(iter(faults), "")
        self.faults += len(faults)

    def _told_of_remarks(self) -> str:
        texts, more = set(self.remarks.values()), len(self.remarks) - len(self._first_remarked)
        first = [name if len(texts) == 1 else f"{name} ({remark})" for name, remark in self._first_remarked]
        shown = ", ".join(first) + (f" and {more} more" if more else "")
        verb = "is" if len(self.remarks) == 1 else "are"
        why = f" ({texts.pop()})" if len(texts) == 1 else ""
        count = f"{len(self.remarks)} of {number_of(self.rows, 'picture')}"
        return f"{count} {verb} unlike the training pictures{why}: {shown}; see the column {REMARK}"
