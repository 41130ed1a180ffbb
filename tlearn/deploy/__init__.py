"""What leaves the project: predictions in a file."""

from tlearn.deploy.predictions import PredictionWriterCallback

__all__ = ["PredictionWriterCallback"]
