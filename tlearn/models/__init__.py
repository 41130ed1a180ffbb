"""The network: preprocess, backbone and head, what of it is frozen, and where its weights come from."""

from tlearn.models.backbone import Backbone
from tlearn.models.calibration import fit_temperature
from tlearn.models.checkpoint_file import read_checkpoint
from tlearn.models.checkpoints import (
    AtomicCheckpointIO,
    BestCheckpoint,
    LastCheckpoint,
    WrittenCheckpointsCallback,
    best_checkpoint,
    checkpoint_lost,
    flush_checkpoints,
    last_checkpoint,
    run_folder,
    saved_epochs,
)
from tlearn.models.fingerprint import fingerprint
from tlearn.models.finite import check_answers, how_to_lower, not_finite, rates_text
from tlearn.models.freezing import Rule, assign_rules, frozen_modules, group_by_rule, rules_from_options
from tlearn.models.grad_cam import grad_cam
from tlearn.models.losses import answers_of, compute_loss
from tlearn.models.metrics import metric_names
from tlearn.models.mid_epoch import finished_epochs, steps_done
from tlearn.models.modes import evaluating, keeping_modes
from tlearn.models.module import TransferModule
from tlearn.models.preprocess import Preprocess
from tlearn.models.rates import peak_rates, scale_rates
from tlearn.models.target_unit import AS_IT_IS, TargetUnit, change_unit, unit_of
from tlearn.models.warm_up import rising_share

__all__ = [
    "AS_IT_IS",
    "AtomicCheckpointIO",
    "Backbone",
    "BestCheckpoint",
    "LastCheckpoint",
    "Preprocess",
    "Rule",
    "TargetUnit",
    "TransferModule",
    "WrittenCheckpointsCallback",
    "answers_of",
    "assign_rules",
    "best_checkpoint",
    "change_unit",
    "check_answers",
    "checkpoint_lost",
    "compute_loss",
    "evaluating",
    "fingerprint",
    "finished_epochs",
    "fit_temperature",
    "flush_checkpoints",
    "frozen_modules",
    "grad_cam",
    "group_by_rule",
    "how_to_lower",
    "keeping_modes",
    "last_checkpoint",
    "metric_names",
    "not_finite",
    "peak_rates",
    "rates_text",
    "read_checkpoint",
    "rising_share",
    "rules_from_options",
    "run_folder",
    "saved_epochs",
    "scale_rates",
    "steps_done",
    "unit_of",
]
