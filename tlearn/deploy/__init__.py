"""What leaves the project: predictions, and the network in other forms."""

from tlearn.deploy.loading import framing_of, load_module
from tlearn.deploy.prediction_table import check_output
from tlearn.deploy.predictions import TOP_K, PredictionWriterCallback
from tlearn.deploy.predictor import Prediction, Predictor, load

__all__ = [
    "TOP_K",
    "Prediction",
    "PredictionWriterCallback",
    "Predictor",
    "check_output",
    "framing_of",
    "load",
    "load_module",
]
