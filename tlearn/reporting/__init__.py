"""Callbacks that show a run: terminal, TensorBoard, run card. Training works without any of them."""

from __future__ import annotations

from tlearn.base.old_names import old_names

__all__ = []

__getattr__ = old_names(
    __name__,
    {
        "About": "tlearn.commands.compare_table",
        "BusyCoresCallback": "tlearn.reporting.busy_cores",
        "Cost": "tlearn.commands.compare_table",
        "EndingCallback": "tlearn.reporting.ending",
        "EpochLinesCallback": "tlearn.reporting.epoch_lines",
        "EvaluationPagesCallback": "tlearn.reporting.evaluation_figures",
        "FreezeAuditCallback": "tlearn.training.freeze_audit",
        "GradientNormCallback": "tlearn.reporting.gradient_norm",
        "HyperParametersCallback": "tlearn.reporting.hparams",
        "InputPicturesCallback": "tlearn.reporting.input_pictures",
        "LeanProgressBar": "tlearn.reporting.progress_bar",
        "MonitorCheckCallback": "tlearn.training.monitors",
        "OutcomeCallback": "tlearn.reporting.epoch_lines",
        "ParameterSummaryCallback": "tlearn.reporting.parameters",
        "ProjectorCallback": "tlearn.reporting.projector",
        "StageSummary": "tlearn.reporting.parameters",
        "StepLossCallback": "tlearn.reporting.step_loss",
        "ThroughputCallback": "tlearn.reporting.throughput",
        "WeightHistogramsCallback": "tlearn.reporting.weight_histograms",
        "hyper_parameters": "tlearn.reporting.hparams",
        "print_comparison": "tlearn.commands.compare_table",
        "print_findings": "tlearn.commands.doctor_table",
        "print_plan": "tlearn.commands.plan_table",
        "summarise": "tlearn.reporting.parameters",
    },
)
