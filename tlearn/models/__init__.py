"""The network in plain torch: preprocessing, backbone, head, freezing rules and weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlearn.base.old_names import old_names

if TYPE_CHECKING:
    from tlearn.models.backbones.backbone import Backbone
    from tlearn.models.calibration import AS_TRAINED, Calibration
    from tlearn.models.freezing import Rule, assign_rules, frozen_modules, group_by_rule, rules_from_options
    from tlearn.models.losses import answers_of, compute_loss
    from tlearn.models.metrics import metric_names
    from tlearn.models.preprocess import Preprocess
    from tlearn.models.reliability.calibrate import fit_calibration, fit_temperature
    from tlearn.models.state import (
        check_answers,
        evaluating,
        fingerprint,
        how_to_lower,
        keeping_modes,
        not_finite,
        rates_text,
    )
    from tlearn.models.target_unit import AS_IT_IS, TargetUnit, change_unit, unit_of
    from tlearn.models.weights.safe_load import read_checkpoint

__all__ = [
    "AS_IT_IS",
    "AS_TRAINED",
    "Backbone",
    "Calibration",
    "Preprocess",
    "Rule",
    "TargetUnit",
    "answers_of",
    "assign_rules",
    "change_unit",
    "check_answers",
    "compute_loss",
    "evaluating",
    "fingerprint",
    "fit_calibration",
    "fit_temperature",
    "frozen_modules",
    "group_by_rule",
    "how_to_lower",
    "keeping_modes",
    "metric_names",
    "not_finite",
    "rates_text",
    "read_checkpoint",
    "rules_from_options",
    "unit_of",
]

__getattr__ = old_names(
    __name__,
    {
        "AS_IT_IS": "tlearn.models.target_unit",
        "AS_TRAINED": "tlearn.models.calibration",
        "AtomicCheckpointIO": "tlearn.training.callbacks.checkpoints",
        "Backbone": "tlearn.models.backbones.backbone",
        "Calibration": "tlearn.models.calibration",
        "BestCheckpoint": "tlearn.training.callbacks.checkpoints",
        "LastCheckpoint": "tlearn.training.callbacks.checkpoints",
        "Preprocess": "tlearn.models.preprocess",
        "Rule": "tlearn.models.freezing",
        "TargetUnit": "tlearn.models.target_unit",
        "TransferModule": "tlearn.training.module",
        "WrittenCheckpointsCallback": "tlearn.training.callbacks.checkpoints",
        "answers_of": "tlearn.models.losses",
        "assign_rules": "tlearn.models.freezing",
        "best_checkpoint": "tlearn.training.callbacks.checkpoints",
        "change_unit": "tlearn.models.target_unit",
        "check_answers": "tlearn.models.state",
        "checkpoint_lost": "tlearn.training.callbacks.checkpoints",
        "compute_loss": "tlearn.models.losses",
        "evaluating": "tlearn.models.state",
        "fingerprint": "tlearn.models.state",
        "finished_epochs": "tlearn.training.exact_resume",
        "fit_calibration": "tlearn.models.reliability.calibrate",
        "fit_temperature": "tlearn.models.reliability.calibrate",
        "flush_checkpoints": "tlearn.training.callbacks.checkpoints",
        "frozen_modules": "tlearn.models.freezing",
        "grad_cam": "tlearn.reporting.grad_cam",
        "group_by_rule": "tlearn.models.freezing",
        "how_to_lower": "tlearn.models.state",
        "keeping_modes": "tlearn.models.state",
        "last_checkpoint": "tlearn.training.callbacks.checkpoints",
        "metric_names": "tlearn.models.metrics",
        "not_finite": "tlearn.models.state",
        "peak_rates": "tlearn.training.optimizer",
        "rates_text": "tlearn.models.state",
        "read_checkpoint": "tlearn.models.weights.safe_load",
        "rising_share": "tlearn.training.optimizer",
        "rules_from_options": "tlearn.models.freezing",
        "run_folder": "tlearn.training.callbacks.checkpoints",
        "saved_epochs": "tlearn.training.callbacks.checkpoints",
        "scale_rates": "tlearn.training.optimizer",
        "steps_done": "tlearn.training.exact_resume",
        "unit_of": "tlearn.models.target_unit",
    },
)
