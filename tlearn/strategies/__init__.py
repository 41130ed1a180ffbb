"""What to do with a pretrained network beyond plain training: solve the head, average, find rates, plan."""

from tlearn.strategies.feature_cache import FeatureCacheCallback
from tlearn.strategies.head_probe import HeadProbeCallback
from tlearn.strategies.head_solver import SolvedHead, solve_head
from tlearn.strategies.lr_finder import LearningRateFinderCallback
from tlearn.strategies.plan import GroupPlan, Plan, PlanCallback
from tlearn.strategies.wise_ft import WiseFTCallback, interpolate

__all__ = [
    "FeatureCacheCallback",
    "GroupPlan",
    "HeadProbeCallback",
    "LearningRateFinderCallback",
    "Plan",
    "PlanCallback",
    "SolvedHead",
    "WiseFTCallback",
    "interpolate",
    "solve_head",
]
