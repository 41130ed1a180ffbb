"""What leaves the project: predictions, and the network in other forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlearn.base.old_names import old_names

if TYPE_CHECKING:
    from tlearn.deploy.check import Examples, examples_from_folders
    from tlearn.deploy.export import export_network
    from tlearn.deploy.loading import framing_of, load_module
    from tlearn.deploy.prediction_table import check_output
    from tlearn.deploy.prediction_writer import TOP_K, PredictionWriterCallback
    from tlearn.deploy.predictor import Prediction, Predictor, load
    from tlearn.deploy.state_file import rebuild

__all__ = [
    "TOP_K",
    "Examples",
    "Prediction",
    "PredictionWriterCallback",
    "Predictor",
    "check_output",
    "examples_from_folders",
    "export_network",
    "framing_of",
    "load",
    "load_module",
    "rebuild",
]

__getattr__ = old_names(
    __name__,
    {
        "Examples": "tlearn.deploy.check",
        "Prediction": "tlearn.deploy.predictor",
        "PredictionWriterCallback": "tlearn.deploy.prediction_writer",
        "Predictor": "tlearn.deploy.predictor",
        "TOP_K": "tlearn.deploy.prediction_writer",
        "check_output": "tlearn.deploy.prediction_table",
        "examples_from_folders": "tlearn.deploy.check",
        "export_network": "tlearn.deploy.export",
        "framing_of": "tlearn.deploy.loading",
        "load": "tlearn.deploy.predictor",
        "load_module": "tlearn.deploy.loading",
        "rebuild": "tlearn.deploy.state_file",
    },
)
