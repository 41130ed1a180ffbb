"""Callbacks: what a run says, shows and leaves behind. Training works without any of them."""

from tlearn.reporting.busy_cores import BusyCoresCallback
from tlearn.reporting.compare_table import About, Cost, print_comparison
from tlearn.reporting.doctor_table import print_findings
from tlearn.reporting.ending import EndingCallback
from tlearn.reporting.epoch_lines import EpochLinesCallback, OutcomeCallback
from tlearn.reporting.freeze_audit import FreezeAuditCallback
from tlearn.reporting.gradient_norm import GradientNormCallback
from tlearn.reporting.hparams import HyperParametersCallback, hyper_parameters
from tlearn.reporting.input_pictures import InputPicturesCallback
from tlearn.reporting.monitors import MonitorCheckCallback
from tlearn.reporting.pages import EvaluationPagesCallback
from tlearn.reporting.parameter_summary import ParameterSummaryCallback, StageSummary, summarise
from tlearn.reporting.plan_table import print_plan
from tlearn.reporting.progress_bar import LeanProgressBar
from tlearn.reporting.projector import ProjectorCallback
from tlearn.reporting.step_loss import StepLossCallback
from tlearn.reporting.throughput import ThroughputCallback
from tlearn.reporting.weight_histograms import WeightHistogramsCallback

__all__ = [
    "About",
    "BusyCoresCallback",
    "Cost",
    "EndingCallback",
    "EpochLinesCallback",
    "EvaluationPagesCallback",
    "FreezeAuditCallback",
    "GradientNormCallback",
    "HyperParametersCallback",
    "InputPicturesCallback",
    "LeanProgressBar",
    "MonitorCheckCallback",
    "OutcomeCallback",
    "ParameterSummaryCallback",
    "ProjectorCallback",
    "StageSummary",
    "StepLossCallback",
    "ThroughputCallback",
    "WeightHistogramsCallback",
    "hyper_parameters",
    "print_comparison",
    "print_findings",
    "print_plan",
    "summarise",
]
