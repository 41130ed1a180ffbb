"""Old names of callbacks and functions that configs and scripts hold; they live in `training` and `analysis`."""

from __future__ import annotations

from tlearn.base.old_names import old_names

__all__ = []

__getattr__ = old_names(
    __name__,
    {
        "EvaluationOutputsCallback": "tlearn.training.strategies.former",
        "FeatureCacheCallback": "tlearn.training.strategies.feature_cache",
        "FiniteLossCallback": "tlearn.training.callbacks.guards",
        "GroupPlan": "tlearn.analysis.plan",
        "HeadProbeCallback": "tlearn.training.strategies.solved_head",
        "LearningRateFinderCallback": "tlearn.training.strategies.lr_finder",
        "Outputs": "tlearn.training.evaluation",
        "PeakMemory": "tlearn.base.machine",
        "Plan": "tlearn.analysis.plan",
        "PlanCallback": "tlearn.analysis.plan",
        "Scores": "tlearn.analysis.ranking",
        "SolvedHead": "tlearn.training.strategies.head_solver",
        "Standing": "tlearn.analysis.ranking",
        "TemperatureCallback": "tlearn.training.strategies.former",
        "WiseFTCallback": "tlearn.training.strategies.wise_ft",
        "interpolate": "tlearn.training.strategies.wise_ft",
        "is_mcnemar": "tlearn.analysis.ranking",
        "obstacle_to_storing": "tlearn.training.strategies.feature_cache",
        "rank": "tlearn.analysis.ranking",
        "run_over_split": "tlearn.training.strategies.features",
        "sample_f1": "tlearn.analysis.ranking",
        "solve_head": "tlearn.training.strategies.head_solver",
    },
)
