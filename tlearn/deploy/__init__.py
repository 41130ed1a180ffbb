"""What leaves the project: predictions, and the network in other forms."""

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
