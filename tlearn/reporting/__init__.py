"""Callbacks: what a run says, shows and leaves behind. Training works without any of them."""

from tlearn.reporting.busy_cores import BusyCoresCallback
from tlearn.reporting.checkpoints import AtomicCheckpointIO, BestCheckpoint, LastCheckpoint, run_folder
from tlearn.reporting.compare_table import About, Cost, print_comparison
from tlearn.reporting.doctor_table import print_findings
from tlearn.reporting.epoch_lines import EpochLinesCallback, OutcomeCallback
from tlearn.reporting.freeze_audit import FreezeAuditCallback
from tlearn.reporting.input_pictures import InputPicturesCallback
from tlearn.reporting.monitors import MonitorCheckCallback
from tlearn.reporting.no_profiler import NoProfiler
from tlearn.reporting.parameter_summary import ParameterSummaryCallback, StageSummary, summarise
from tlearn.reporting.plan_table import print_plan
from tlearn.reporting.progress_bar import LeanProgressBar
from tlearn.reporting.run_record import CONFIG_KEY, RunRecordCallback, hyper_parameters
from tlearn.reporting.step_loss import StepLossCallback
from tlearn.reporting.throughput import ThroughputCallback

__all__ = [
    "CONFIG_KEY",
    "About",
    "AtomicCheckpointIO",
    "BestCheckpoint",
    "BusyCoresCallback",
    "Cost",
    "EpochLinesCallback",
    "FreezeAuditCallback",
    "InputPicturesCallback",
    "LastCheckpoint",
    "LeanProgressBar",
    "MonitorCheckCallback",
    "NoProfiler",
    "OutcomeCallback",
    "ParameterSummaryCallback",
    "RunRecordCallback",
    "StageSummary",
    "StepLossCallback",
    "ThroughputCallback",
    "hyper_parameters",
    "print_comparison",
    "print_findings",
    "print_plan",
    "run_folder",
    "summarise",
]
