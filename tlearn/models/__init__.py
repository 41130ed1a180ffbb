"""The network in plain torch: preprocessing, backbone, head, freezing rules and weights."""

from __future__ import annotations

from tlearn.base.old_names import old_names
from tlearn.models.backbones.backbone import Backbone
from tlearn.models.calibration import fit_temperature
from tlearn.models.freezing import Rule, assign_rules, frozen_modules, group_by_rule, rules_from_options
from tlearn.models.losses import answers_of, compute_loss
from tlearn.models.metrics import metric_names
from tlearn.models.preprocess import Preprocess
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
    "Backbone",
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
        "AtomicCheckpointIO": "tlearn.training.checkpoints",
        "BestCheckpoint": "tlearn.training.checkpoints",
        "LastCheckpoint": "tlearn.training.checkpoints",
        "TransferModule": "tlearn.training.module",
        "WrittenCheckpointsCallback": "tlearn.training.checkpoints",
        "best_checkpoint": "tlearn.training.checkpoints",
        "checkpoint_lost": "tlearn.training.checkpoints",
        "finished_epochs": "tlearn.training.exact_resume",
        "flush_checkpoints": "tlearn.training.checkpoints",
        "grad_cam": "tlearn.reporting.grad_cam",
        "last_checkpoint": "tlearn.training.checkpoints",
        "peak_rates": "tlearn.training.optimizer",
        "rising_share": "tlearn.training.optimizer",
        "run_folder": "tlearn.training.checkpoints",
        "saved_epochs": "tlearn.training.checkpoints",
        "scale_rates": "tlearn.training.optimizer",
        "steps_done": "tlearn.training.exact_resume",
    },
)
