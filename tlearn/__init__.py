"""Transfer learning for people with pictures.

Nothing heavy is imported until it is asked for: ``python -m tlearn --help`` must not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tlearn.version import __version__

if TYPE_CHECKING:
    from tlearn.cli import main
    from tlearn.data import (
        CIFAR10DataModule,
        DigitsDataModule,
        HuggingFaceDataModule,
        ImageDataModule,
        ImageFolderDataModule,
        ImageTableDataModule,
        StreamingDataModule,
        TorchvisionDataModule,
    )
    from tlearn.deploy import Prediction, Predictor, load
    from tlearn.errors import TlearnError
    from tlearn.models import TransferModule

__all__ = [
    "CIFAR10DataModule",
    "DigitsDataModule",
    "HuggingFaceDataModule",
    "ImageDataModule",
    "ImageFolderDataModule",
    "ImageTableDataModule",
    "Prediction",
    "Predictor",
    "StreamingDataModule",
    "TlearnError",
    "TorchvisionDataModule",
    "TransferModule",
    "__version__",
    "load",
    "main",
]

_HOMES = {
    "CIFAR10DataModule": "tlearn.data",
    "DigitsDataModule": "tlearn.data",
    "HuggingFaceDataModule": "tlearn.data",
    "ImageDataModule": "tlearn.data",
    "ImageFolderDataModule": "tlearn.data",
    "ImageTableDataModule": "tlearn.data",
    "Prediction": "tlearn.deploy",
    "Predictor": "tlearn.deploy",
    "StreamingDataModule": "tlearn.data",
    "TlearnError": "tlearn.errors",
    "TorchvisionDataModule": "tlearn.data",
    "TransferModule": "tlearn.models",
    "load": "tlearn.deploy",
    "main": "tlearn.cli",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tlearn' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
