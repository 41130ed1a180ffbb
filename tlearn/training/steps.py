"""Steps and passes of a run: losses, metrics, the answers of an evaluation. B images, K classes."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any, Literal

from torch import Tensor

from tlearn.base.processes import own_share
from tlearn.base.types import Batch
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.reading import Framing
from tlearn.data.plain.batches import Wanted, as_batch
from tlearn.models.alone import answered_alone
from tlearn.models.calibration import CalibratedOn
from tlearn.models.distillation.teacher import Distillation
from tlearn.models.losses import Objective, compute_loss
from tlearn.models.metrics import EpochMetrics
from tlearn.models.reliability.calibrate import fit_calibration
from tlearn.models.state import check_loss, check_network
from tlearn.models.target_unit import TargetUnit, change_unit, unit_of
from tlearn.training.channels import check_channels, check_framing, learn_statistics
from tlearn.training.checkpoint_content import ResumableModule
from tlearn.training.ddp import weight_among_processes
from tlearn.training.evaluation import Evaluation, Outputs, calibration_errors
from tlearn.training.exact_resume import missing_factor, scale_gradients
from tlearn.training.typed import own_data_of, plain_data_of

log = logging.getLogger(__name__)


class SteppingModule(ResumableModule):
    """A network with the steps of training, validation, test and prediction.

    Attributes:
        objective: What training minimises.
        evaluation: The answers of the last validation or test pass.
        out_of_fold: Of a head that is solved: an answer for each training image by a head that has seen neither it nor
            its group, before the first validation; the pass is called ``train``, of epoch 1. ``None`` otherwise.
        out_of_fold_numbers: int64 (N,), the fold of each of these images, from 0.
        calibrated_on: The images that `calibration` was fitted to in this fit; ``None`` before the first validation.
        loss_weight: What the loss of this process counts in the mean over all processes; ``None`` where it is alone.
    """

    objective: Objective
    evaluation: Evaluation
    val_metrics: EpochMetrics
    test_metrics: EpochMetrics
    out_of_fold: Outputs | None = None
    out_of_fold_numbers: Tensor | None = None
    calibrated_on: CalibratedOn | None = None
    loss_weight: Tensor | None = None

    def measure(self, objective: Objective, distillation: Distillation) -> None:
        """Begin to count; called once by the constructor.

        Args:
            objective: What training minimises.
            distillation: What a teacher adds to it, if there is one.
        """
        self.objective, self.distillation, self.evaluation = objective, distillation, Evaluation()
        self.train_metrics, self.val_metrics, self.test_metrics = (
            EpochMetrics(self.task, self.num_outputs, stage, self.class_names) for stage in ("train", "val", "test")
        )
        if self._unit is not None:  # of the file whose head was loaded
            self.answer_in(self._unit)

    def answer_in(self, unit: TargetUnit) -> None:
        """Answer in this unit from now on, whatever the head has learned so far."""
        super().answer_in(unit)
        for metrics in (self.train_metrics, self.val_metrics, self.test_metrics):
            metrics.unit = unit

    def meet_pictures(self) -> None:
        """Check the channels of the run's pictures, and remember how they are read.

        Raises:
            TlearnError: They have other channels than the network sees.
        """
        data = own_data_of(self._trainer)
        if data is not None:
            check_channels(self, data)
            if self.options.ensemble and self._trainer is not None and self._trainer.state.fn == "fit":
                check_framing(self, data, "model.ensemble: its members")
        if self.pictures is None:
            self.learn_of_pictures()
        if self.distillation and self._trainer is not None and self._trainer.state.fn == "fit":
            self.meet_teacher(data)

    def meet_teacher(self, data: ImageDataModule | None) -> None:
        """Open the teacher, if there is one, and check that it can teach this network on the run's pictures.

        Args:
            data: Set up; ``None`` for data of another kind, whose pictures nobody knows yet.

        Raises:
            TlearnError: It cannot.
        """
        if self.distillation:
            teacher = self.distillation.meet(self)
            if data is not None:
                check_framing(teacher, data, "model.distill_from: the teacher")

    def measure_pixels(self) -> None:
        """Measure mean and std of the training pictures where nobody tells them; a resumed run goes on with its own.

        Raises:
            TlearnError: The data are none of tlearn's.
        """
        if not self.preprocess.is_known:
            learn_statistics(self, own_data_of(self._trainer))

    def measure_unit(self) -> None:
        """Learn a regression's values in a unit in which the training values have mean 0 and deviation 1.

        Raises:
            TlearnError: They are constant.
        """
        if self.options.ensemble:
            return  # its members have their own
        data = own_data_of(self._trainer)
        if data is None:
            log.warning("values are learned as they are, without a data module of tlearn: bring them to deviation 1")
            return
        train = data.dataset("train")
        new = unit_of(train.targets[train.indices].reshape(len(train), -1), self.class_names)
        if self._unit is not None:
            change_unit(self.head, self._unit, new)
        self.answer_in(new)

    def learned(self, targets: Tensor) -> Tensor:
        """Turn targets as the data give them into what the head learns: values standardised, all others as they are."""
        return self.unit.standardised(targets) if self.task == "regression" else targets

    def training_loss(self, output: Tensor, targets: Tensor) -> Tensor:
        """Return what training minimises (a scalar), with label smoothing and class weights; validation has neither."""
        loss: Tensor = self.objective(output, self.learned(targets))
        return loss

    def batch_loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the loss of a training batch (a scalar): that of the labels, and a teacher's where there is one."""
        return self.distillation.mixed(self.training_loss(output, batch.targets), self, output, batch.images)

    def _apply_batch_transfer_handler(self, batch: Any, device: Any = None, dataloader_idx: int = 0) -> Any:
        """Move a batch to the device, as Lightning does; what is no `Batch` yet becomes one, or is refused."""
        moved = super()._apply_batch_transfer_handler(batch, device, dataloader_idx)
        if isinstance(moved, Batch):
            return moved
        wanted = Wanted(self.task, self.num_outputs, self.options.in_channels)
        taken = as_batch(moved, wanted, self.evaluation.count)
        channels, height, width = taken.images.shape[1:]
        if self.pictures is None:
            reading = Reading(ranges={}, num_channels=channels)
            self.pictures = asdict(Framing(size_px=min(height, width), crop_pct=1.0, reading=reading))
        if (view := plain_data_of(self._trainer)) is not None:
            view.meet(taken)
        return taken

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of a batch; metrics are gathered and logged once an epoch."""
        output = self(batch.images)
        loss = self.batch_loss(output, batch)
        self.train_metrics.update(output, loss, self.learned(batch.targets))
        processes = own_share().processes
        if processes > 1:
            weights = self.objective.class_weights
            self.loss_weight = weight_among_processes(self.task, batch.targets, weights, processes)
        return loss

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Compute gradients, whose mean over the processes is that of all their images.

        The last window of an epoch's accumulation is the mean of its batches, see `tlearn.training.exact_resume`.
        """
        loss = loss if self.loss_weight is None else loss * self.loss_weight
        if (factor := missing_factor(self.trainer)) != 1.0:
            scale_gradients(self.parameters(), factor)  # those of the window's batches so far
            loss = loss * factor
        super().backward(loss, *args, **kwargs)

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Gather loss and metrics of a batch; callbacks get its ``output`` (B, K): logits, or values in their unit."""
        return self._evaluate(self.val_metrics, batch)

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Gather loss and metrics of a batch; callbacks get its ``output`` (B, K): logits, or values in their unit."""
        return self._evaluate(self.test_metrics, batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return ``indices`` (B,) with ``probabilities`` (B, K) or ``values`` (B, K), float32 in any precision.

        They do not depend on the batch; see `tlearn.models.alone`.
        """
        answers = answered_alone(self, batch.images).answers
        return {"indices": batch.indices, "values" if self.task == "regression" else "probabilities": answers}

    def on_validation_start(self) -> None:
        """Refuse to validate a network that is no number, where that is all that is asked.

        Raises:
            TlearnError: A weight is NaN or infinite.
        """
        self.evaluation.begin()
        if self.trainer.state.fn == "validate":
            check_network(self.network_state(), str(self.trainer.ckpt_path or "the network"))

    def on_test_start(self) -> None:
        """Refuse to test a network that is no number.

        Raises:
            TlearnError: A weight is NaN or infinite.
        """
        self.evaluation.begin()
        check_network(self.network_state(), str(self.trainer.ckpt_path or "the network"))

    def on_fit_end(self) -> None:
        """Remember the epochs behind the network, for a test of the same object."""
        self.loaded_epochs = self.current_epoch

    def on_train_epoch_end(self) -> None:
        """Log ``train/loss`` and ``train/acc`` of the epoch."""
        self._log_epoch(self.train_metrics)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/*``; every image counts once, whatever the batch size."""
        self._finish_pass("val")
        self._log_epoch(self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log ``test/*``."""
        self._finish_pass("test")
        self._log_epoch(self.test_metrics)

    def _evaluate(self, metrics: EpochMetrics, batch: Batch) -> dict[str, Tensor]:
        output, wanted = self(batch.images), self.learned(batch.targets)
        metrics.update(output, compute_loss(self.task, output, wanted), wanted)
        answer = self.unit.restored(output) if self.task == "regression" else output
        self.evaluation.add(answer, batch)
        return {"output": answer}

    def _log_epoch(self, metrics: EpochMetrics) -> None:
        if not self.trainer.sanity_checking:
            found = metrics.compute()
            if self.trainer.state.fn != "fit":
                check_loss(float(found[f"{metrics.stage}/loss"]), str(self.trainer.ckpt_path or "the network"))
            for name, value in found.items():
                self.log(name, value, prog_bar=name in ("val/acc", "val/mae", "val/f1"))
        metrics.reset()

    def _finish_pass(self, split: Literal["val", "test"]) -> None:
        """Gather the answers, calibrate in the validation of a fit, and log how far they can be believed."""
        verb = self.trainer.state.fn
        if self.trainer.sanity_checking:
            return
        found = self.evaluation.finish(split, self.current_epoch + 1 if verb == "fit" else self.loaded_epochs)
        if found is None or self.task == "regression":
            return
        if verb == "fit":
            self._calibrate(found)
        if verb != "validate":  # which shows the metrics alone
            for name, value in calibration_errors(self.task, found, self.calibration).items():
                self.log(name, value)

    def _calibrate(self, validated: Outputs) -> None:
        """Fit the calibration on out-of-fold answers: validation chose the head's penalty, so they flatter less."""
        held_out = self.out_of_fold or validated
        self.calibrated_on = CalibratedOn(
            "out-of-fold" if held_out is self.out_of_fold else "validation", len(held_out.targets)
        )
        self.calibration = fit_calibration(self.task, held_out.logits, held_out.targets)
        for name, value in self.calibration._asdict().items():
            self.log(f"val/{name}", value)
