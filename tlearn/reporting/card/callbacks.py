"""Write ``card.json``, ``card.md`` and ``report.html`` into the run folder, at the end of a fit and of a test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from tlearn.base.errors import one_line
from tlearn.base.places import version_of
from tlearn.models.calibration import Calibration
from tlearn.reporting.best_network import kept_checkpoint, network_behind
from tlearn.reporting.card import facts as card
from tlearn.reporting.card.evaluation_files import write_evaluation, write_training_examples
from tlearn.reporting.card.files import read_card, write_card
from tlearn.reporting.card.markdown import card_markdown
from tlearn.reporting.card.pages import data_page, freeze_plan_page, parameters_page
from tlearn.reporting.ending import EndingCallback
from tlearn.reporting.evaluation import Answers, answers_from
from tlearn.reporting.loggers import attempt, step_of, write
from tlearn.reporting.tensorboard.hparams import found_factor
from tlearn.training.callbacks.checkpoints import (
    BestCheckpoint,
    WrittenCheckpointsCallback,
    best_checkpoint,
    checkpoint_lost,
    run_folder,
    saved_epochs,
)
from tlearn.training.callbacks.freeze_audit import FreezeAuditCallback
from tlearn.training.callbacks.pausing import RunPausedError
from tlearn.training.module import TransferModule, model_of
from tlearn.training.typed import data_of

_FROM_PYTHON = "trainer.fit(model, datamodule=data)"


class RunCardCallback(Callback):
    """Write the card and the report when ``fit`` ends, also by Ctrl-C or an error.

    Args:
        command: The command as it was typed; ``None`` for a run from Python.
        config: The whole config as plain values; ``None`` for a run from Python, whose options are read from its parts.
        audit: The audit of frozen tensors.
        ending: Knows which rule ended the run.
    """

    after: ClassVar = (WrittenCheckpointsCallback, EndingCallback)  # the card reports what they have found

    def __init__(
        self, command: str | None, config: dict[str, Any] | None, audit: FreezeAuditCallback, ending: EndingCallback
    ) -> None:
        self.command, self.audit, self.ending = command or _FROM_PYTHON, audit, ending
        self._given, self.config = config, config or {}
        self._facts: dict[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Collect and log what is known before the first step."""
        module = model_of(trainer)
        self._start_s, self._started = time.perf_counter(), datetime.now(UTC)
        data = data_of(trainer)
        self.config = card.config_of(trainer) if self._given is None else self._given
        splits = ("train", "val") if trainer.enable_validation else ("train",)
        self._facts = {
            **card.network_facts(module),
            "data": card.data_facts(data, self.config, splits),
            "doctor": card.doctor_facts(data, not module.starts_at_random),
            "environment": card.environment_facts(trainer, self.config),
        }
        if trainer.is_global_zero:
            write(trainer, "run/parameters", parameters_page(module))
            write(trainer, "run/freeze_plan", freeze_plan_page(module))
            write(trainer, "run/data", data_page(self._facts["data"], self._facts["doctor"]))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write card and report."""
        status = "interrupted" if self.ending.facts["by"] == "max_time" else "finished"  # it can be resumed
        attempt("the card of the run", lambda: self._write(trainer, model_of(trainer), status))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write what is known; an error in this does not hide the one that ended the run."""
        interrupted = isinstance(exception, (KeyboardInterrupt, SIGTERMException, RunPausedError))
        status = "interrupted" if interrupted else f"failed: {one_line(exception)}"
        attempt("the card of the run", lambda: self._write(trainer, model_of(trainer), status))

    def _write(self, trainer: Trainer, module: TransferModule, status: str) -> None:
        if self._facts is None or not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            logger.save()  # the report shows the curves of metrics.csv
        folder = run_folder(trainer)
        before = read_card(folder)
        best, shown = best_checkpoint(trainer), _shown(trainer, module, before)
        if shown is not None:
            network = network_behind(kept_checkpoint(trainer), module)
            write_evaluation(folder, data_of(trainer), shown, network)
        if shown is not None or not before:
            write_training_examples(folder, data_of(trainer), shown)
        tested = before.get("test")
        if (
            best is not None and best.outputs is not None
        ):  # in a resumed run: the tested checkpoint is no longer the best
            tested = None
            for path in (folder / "evaluation").glob("test*"):
                path.unlink()
        content = {
            **_place(folder),
            "status": status,
            **self._times(before),
            "ended": self.ending.facts,
            "epochs": self._epochs(trainer),
            "best": _best_facts(best, shown, before.get("best") or {}),
            "metrics": card.numbers_of(trainer.callback_metrics, *module.evaluation.stages(self.ending.epoch)),
            "test": tested,
            "audit": self._audit_facts(),
            **_calibration_facts(best, module, shown, before),
            **self._facts,
            "model": card.settings_of(self.config, found_factor(trainer)),
            "advice": card.advice_facts(self.config),
        }
        write_card(folder, content)
        write(trainer, "run/card", card_markdown(content), step_of(trainer))

    def _epochs(self, trainer: Trainer) -> dict[str, int | None]:
        planned = trainer.max_epochs or -1
        epochs = {"done": self.ending.epoch, "planned": planned if planned >= 0 else None}
        return {**epochs, "saved": saved_epochs(trainer)} if checkpoint_lost(trainer) else epochs

    def _times(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """Return command, start and duration; a resumed run keeps those of its beginning."""
        time_s = round(time.perf_counter() - self._start_s + (before.get("time_s") or 0.0), 1)
        if before.get("command") and before.get("started"):
            kept = {key: before[key] for key in ("command", "started")}
            return {**kept, "continued": [*before.get("continued", []), self.command], "time_s": time_s}
        return {"command": self.command, "started": self._started.isoformat(timespec="seconds"), "time_s": time_s}

    def _audit_facts(self) -> dict[str, Any]:
        audit = self.audit
        return {
            "frozen_tensors": len(audit.fingerprints),
            "epochs_checked": audit.epochs_checked,
            "result": "unchanged" if audit.epochs_checked else "not checked",
        }


class TestCardCallback(Callback):
    """Add the results of a test to the card of its run; start a card if the checkpoint lies in no run folder.

    Args:
        command: The command as it was typed.
        config: The whole config as plain values.
        checkpoint: The checkpoint that is tested.
    """

    __test__ = False  # for pytest, which collects classes of this name

    def __init__(self, command: str, config: dict[str, Any], checkpoint: Path) -> None:
        self.command, self.config, self.checkpoint = command, config, checkpoint

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write card, report and tables."""
        module = model_of(trainer)
        data = data_of(trainer)
        last = module.evaluation.last
        if last is None or not trainer.is_global_zero:
            return
        folder = self._run_folder() or run_folder(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        answers = answers_from(module.task, module.class_names, last, module.calibration)
        write_evaluation(folder, data, answers, module)
        content = read_card(folder) or {
            **_place(folder),
            "status": "tested",
            "command": self.command,
            **module.calibration._asdict(),
            **card.network_facts(module),
            "data": card.data_facts(data, self.config, ()),
            "environment": card.environment_facts(trainer, self.config),
            "model": card.settings_of(self.config),
        }
        content["data"]["splits"] |= card.data_facts(data, self.config, ("test",))["splits"]
        inside = self.checkpoint.is_relative_to(folder.absolute())
        content["test"] = {
            "command": self.command,
            "checkpoint": str(self.checkpoint.relative_to(folder.absolute()) if inside else self.checkpoint),
            "images": len(answers.given),
            "metrics": card.numbers_of(trainer.callback_metrics, "test/"),
        }
        write_card(folder, content)
        write(trainer, "run/card", card_markdown(content), step_of(trainer))

    def _run_folder(self) -> Path | None:
        """Return the folder of the run that wrote the checkpoint, or ``None``."""
        folder = self.checkpoint.parent.parent
        inside = self.checkpoint.parent.name == "checkpoints" and (folder / "config.yaml").is_file()
        return folder if inside else None


def _place(folder: Path) -> dict[str, Any]:
    return {"format": 1, "folder": str(folder), "name": folder.parent.name, "version": version_of(folder)}


def _shown(trainer: Trainer, module: TransferModule, before: Mapping[str, Any]) -> Answers | None:
    """Return the answers of the best epoch, or of the last one if neither this run nor its card knows a best epoch."""
    best, last = best_checkpoint(trainer), module.evaluation.last
    if best is not None and best.outputs is not None:
        return answers_from(module.task, module.class_names, best.outputs, best.calibration)
    if last is None or before.get("best") or checkpoint_lost(trainer):
        return None
    return answers_from(module.task, module.class_names, last, module.calibration)


def _calibration_facts(
    best: BestCheckpoint | None, module: TransferModule, shown: Answers | None, before: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the calibration of the answers that are shown, and the images behind it."""
    if shown is None:
        return {name: before.get(name) for name in (*Calibration._fields, "calibrated_on")}
    is_best = best is not None and best.outputs is shown.outputs
    on = best.calibrated_on if best is not None and is_best else module.calibrated_on
    return {**shown.calibration._asdict(), "calibrated_on": on and on._asdict()}


def _best_facts(best: BestCheckpoint | None, shown: Answers | None, known: Mapping[str, Any]) -> dict[str, Any] | None:
    if best is None or best.best_model_score is None:
        return None
    return {
        "monitor": best.monitor,
        "value": float(best.best_model_score),
        "epoch": best.best_epoch or known.get("epoch"),
        "images": len(shown.given) if best.outputs is not None and shown is not None else known.get("images"),
        "metrics": card.numbers_of(best.metrics, "train/", "val/") or known.get("metrics", {}),
        "checkpoint": f"checkpoints/{Path(best.best_model_path).name}",
    }
