"""Transfer learning for people with pictures.

Nothing heavy is imported until it is asked for: ``tlearn --help`` must not wait for torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlearn.base.old_names import find_old_modules, old_names
from tlearn.version import __version__

if TYPE_CHECKING:
    from tlearn.analysis.plan import Plan
    from tlearn.analysis.probe import Probe
    from tlearn.base.errors import TlearnError
    from tlearn.base.types import Batch
    from tlearn.cli import main
    from tlearn.cli.callbacks import callbacks_for
    from tlearn.commands.advise.advise import Advice, advise
    from tlearn.commands.compare.compare import compare
    from tlearn.commands.compare.comparison import Comparison
    from tlearn.commands.compare.folds import FoldedRun
    from tlearn.commands.doctor import doctor
    from tlearn.commands.evaluate import Evaluation, test, validate
    from tlearn.commands.export import Export, export
    from tlearn.commands.fit import Run, fit
    from tlearn.commands.optimize import optimize
    from tlearn.commands.pages.label import NextPicture, label
    from tlearn.commands.pages.review import review
    from tlearn.commands.pages.serve import serve
    from tlearn.commands.plan import plan
    from tlearn.commands.predict import Predictions, predict
    from tlearn.commands.probe import probe
    from tlearn.commands.report import report
    from tlearn.commands.soup.soup import Soup, soup
    from tlearn.data.datamodule import ImageDataModule
    from tlearn.data.files.findings import Finding
    from tlearn.data.listed.listed_folder import ListedFolderDataModule
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
    "Advice",
    "Batch",
    "CIFAR10DataModule",
    "Comparison",
    "DigitsDataModule",
    "Evaluation",
    "Export",
    "Finding",
    "FoldedRun",
    "HuggingFaceDataModule",
    "ImageDataModule",
    "ImageFolderDataModule",
    "ImageTableDataModule",
    "ListedFolderDataModule",
    "NextPicture",
    "Plan",
    "Prediction",
    "Predictions",
    "Predictor",
    "Probe",
    "Run",
    "Soup",
    "StreamingDataModule",
    "TlearnError",
    "TorchvisionDataModule",
    "TransferModule",
    "__version__",
    "advise",
    "callbacks_for",
    "compare",
    "doctor",
    "export",
    "fit",
    "label",
    "load",
    "main",
    "optimize",
    "plan",
    "predict",
    "probe",
    "report",
    "review",
    "serve",
    "soup",
    "test",
    "validate",
]

_HOMES = {
    "Advice": "tlearn.commands.advise.advise",
    "Batch": "tlearn.base.types",
    "CIFAR10DataModule": "tlearn.data",
    "Comparison": "tlearn.commands.compare.comparison",
    "DigitsDataModule": "tlearn.data",
    "Evaluation": "tlearn.commands.evaluate",
    "Export": "tlearn.commands.export",
    "FoldedRun": "tlearn.commands.compare.folds",
    "Finding": "tlearn.data.files.findings",
    "HuggingFaceDataModule": "tlearn.data",
    "ImageDataModule": "tlearn.data",
    "ImageFolderDataModule": "tlearn.data",
    "ImageTableDataModule": "tlearn.data",
    "ListedFolderDataModule": "tlearn.data",
    "NextPicture": "tlearn.commands.pages.label",
    "Plan": "tlearn.analysis.plan",
    "Prediction": "tlearn.deploy.predictor",
    "Predictions": "tlearn.commands.predict",
    "Predictor": "tlearn.deploy.predictor",
    "Probe": "tlearn.analysis.probe",
    "Run": "tlearn.commands.fit",
    "Soup": "tlearn.commands.soup.soup",
    "StreamingDataModule": "tlearn.data",
    "TlearnError": "tlearn.base.errors",
    "TorchvisionDataModule": "tlearn.data",
    "TransferModule": "tlearn.training.module",
    "advise": "tlearn.commands.advise.advise",
    "callbacks_for": "tlearn.cli.callbacks",
    "compare": "tlearn.commands.compare.compare",
    "doctor": "tlearn.commands.doctor",
    "export": "tlearn.commands.export",
    "fit": "tlearn.commands.fit",
    "label": "tlearn.commands.pages.label",
    "load": "tlearn.deploy.predictor",
    "main": "tlearn.cli",
    "optimize": "tlearn.commands.optimize",
    "plan": "tlearn.commands.plan",
    "predict": "tlearn.commands.predict",
    "probe": "tlearn.commands.probe",
    "report": "tlearn.commands.report",
    "serve": "tlearn.commands.pages.serve",
    "review": "tlearn.commands.pages.review",
    "soup": "tlearn.commands.soup.soup",
    "test": "tlearn.commands.evaluate",
    "validate": "tlearn.commands.evaluate",
}


__getattr__ = old_names(__name__, _HOMES)


def __dir__() -> list[str]:
    """List what is public, for completion in a notebook."""
    return sorted(__all__)


find_old_modules()
