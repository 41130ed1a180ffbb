"""What to do with a pretrained network beyond plain training: solve the head, average, find rates, plan."""

from tlearn.strategies.comparison import Scores, Standing, is_mcnemar, rank, sample_f1
from tlearn.strategies.evaluation_outputs import EvaluationOutputsCallback, Outputs
from tlearn.strategies.feature_cache import FeatureCacheCallback, obstacle_to_storing
from tlearn.strategies.features import run_over_split
from tlearn.strategies.finite_loss import FiniteLossCallback
from tlearn.strategies.head_probe import HeadProbeCallback
from tlearn.strategies.head_solver import SolvedHead, solve_head
from tlearn.strategies.lr_finder import LearningRateFinderCallback
from tlearn.strategies.peak_memory import PeakMemory
from tlearn.strategies.plan import GroupPlan, Plan, PlanCallback
from tlearn.strategies.temperature import TemperatureCallback
from tlearn.strategies.wise_ft import WiseFTCallback, interpolate

__all__ = [
    "EvaluationOutputsCallback",
    "FeatureCacheCallback",
    "FiniteLossCallback",
    "GroupPlan",
    "HeadProbeCallback",
    "LearningRateFinderCallback",
    "Outputs",
    "PeakMemory",
    "Plan",
    "PlanCallback",
    "Scores",
    "SolvedHead",
    "Standing",
    "TemperatureCallback",
    "WiseFTCallback",
    "interpolate",
    "is_mcnemar",
    "obstacle_to_storing",
    "rank",
    "run_over_split",
    "sample_f1",
    "solve_head",
]
