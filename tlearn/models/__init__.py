"""The network: preprocess, backbone and head, what of it is frozen, and where its weights come from."""

from tlearn.models.backbone import Backbone
from tlearn.models.checkpoint_file import read_checkpoint
from tlearn.models.fingerprint import fingerprint
from tlearn.models.freezing import Rule, assign_rules, frozen_modules, group_by_rule, rules_from_options
from tlearn.models.losses import answers_of, compute_loss
from tlearn.models.metrics import metric_names
from tlearn.models.modes import evaluating, keeping_modes
from tlearn.models.module import TransferModule
from tlearn.models.preprocess import Preprocess
from tlearn.models.rates import peak_rates, scale_rates

__all__ = [
    "Backbone",
    "Preprocess",
    "Rule",
    "TransferModule",
    "answers_of",
    "assign_rules",
    "compute_loss",
    "evaluating",
    "fingerprint",
    "frozen_modules",
    "group_by_rule",
    "keeping_modes",
    "metric_names",
    "peak_rates",
    "read_checkpoint",
    "rules_from_options",
    "scale_rates",
]
