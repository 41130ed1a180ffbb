"""Callbacks that show a run: terminal, TensorBoard, run card. Training works without any of them."""

from __future__ import annotations

from tlearn.base.old_names import old_names

__all__ = []

__getattr__ = old_names(
    __name__,
    {
        "About": "tlearn.commands.compare.table",
        "BusyCoresCallback": "tlearn.reporting.step_metrics",
        "Cost": "tlearn.commands.compare.table",
        "EndingCallback": "tlearn.reporting.ending",
        "EpochLinesCallback": "tlearn.reporting.terminal.epochs",
        "EvaluationPagesCallback": "tlearn.reporting.evaluation_figures",
        "FreezeAuditCallback": "tlearn.training.callbacks.freeze_audit",
        "GradientNormCallback": "tlearn.reporting.step_metrics",
        "HyperParametersCallback": "tlearn.reporting.tensorboard.hparams",
        "InputPicturesCallback": "tlearn.reporting.pictures",
        "LeanProgressBar": "tlearn.reporting.terminal.bar",
        "MonitorCheckCallback": "tlearn.training.callbacks.guards",
        "OutcomeCallback": "tlearn.reporting.terminal.outcome",
        "ParameterSummaryCallback": "tlearn.reporting.parameters",
        "ProjectorCallback": "tlearn.reporting.projector",
        "StageSummary": "tlearn.reporting.parameters",
        "StepLossCallback": "tlearn.reporting.step_metrics",
        "ThroughputCallback": "tlearn.reporting.step_metrics",
        "WeightHistogramsCallback": "tlearn.reporting.projector",
        "hyper_parameters": "tlearn.reporting.tensorboard.hparams",
        "print_comparison": "tlearn.commands.compare.table",
        "print_findings": "tlearn.commands.doctor",
        "print_plan": "tlearn.commands.plan",
        "summarise": "tlearn.reporting.parameters",
    },
)
