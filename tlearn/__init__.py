"""Transfer learning for people with pictures.

Nothing heavy is imported until it is asked for: ``python -m tlearn --help`` must not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tlearn.version import __version__

if TYPE_CHECKING:
    from tlearn.base.errors import TlearnError
    from tlearn.cli import main
    from tlearn.cli.callbacks import callbacks_for
    from tlearn.commands.evaluate import Evaluation, test, validate
    from tlearn.commands.fit import Run, fit
    from tlearn.commands.predict import Predictions, predict
    from tlearn.data.datamodule import ImageDataModule
    from tlearn.data.shards.datamodule import StreamingDataModule
    from tlearn.data.sources.cifar10 import CIFAR10DataModule
    from tlearn.data.sources.digits import DigitsDataModule
    from tlearn.data.sources.folder import ImageFolderDataModule
    from tlearn.data.sources.huggingface import HuggingFaceDataModule
    from tlearn.data.sources.table import ImageTableDataModule
    from tlearn.data.sources.torchvision import TorchvisionDataModule
    from tlearn.deploy.predictor import Prediction, Predictor, load
    from tlearn.training.module import TransferModule

__all__ = [
    "CIFAR10DataModule",
    "DigitsDataModule",
    "Evaluation",
    "HuggingFaceDataModule",
    "ImageDataModule",
    "ImageFolderDataModule",
    "ImageTableDataModule",
    "Prediction",
    "Predictions",
    "Predictor",
    "Run",
    "StreamingDataModule",
    "TlearnError",
    "TorchvisionDataModule",
    "TransferModule",
    "__version__",
    "callbacks_for",
    "fit",
    "load",
    "main",
    "predict",
    "test",
    "validate",
]

_HOMES = {
    "CIFAR10DataModule": "tlearn.data",
    "DigitsDataModule": "tlearn.data",
    "Evaluation": "tlearn.commands.evaluate",
    "HuggingFaceDataModule": "tlearn.data",
    "ImageDataModule": "tlearn.data",
    "ImageFolderDataModule": "tlearn.data",
    "ImageTableDataModule": "tlearn.data",
    "Prediction": "tlearn.deploy",
    "Predictions": "tlearn.commands.predict",
    "Predictor": "tlearn.deploy",
    "Run": "tlearn.commands.fit",
    "StreamingDataModule": "tlearn.data",
    "TlearnError": "tlearn.base.errors",
    "TorchvisionDataModule": "tlearn.data",
    "TransferModule": "tlearn.models",
    "callbacks_for": "tlearn.cli.callbacks",
    "fit": "tlearn.commands.fit",
    "load": "tlearn.deploy",
    "main": "tlearn.cli",
    "predict": "tlearn.commands.predict",
    "test": "tlearn.commands.evaluate",
    "validate": "tlearn.commands.evaluate",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tlearn' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
