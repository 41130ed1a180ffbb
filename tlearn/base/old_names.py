"""Public names of a folder, imported when they are first used, and modules under the paths that they had in 0.1."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# Files that configs and scripts may name, for each held a public class. A file that became a folder is not here.
_MOVED = {
    "tlearn.data.augment": "tlearn.data.images.augment",
    "tlearn.data.cifar10": "tlearn.data.sources.cifar10",
    "tlearn.data.digits": "tlearn.data.sources.digits",
    "tlearn.data.huggingface": "tlearn.data.sources.huggingface",
    "tlearn.data.image_files": "tlearn.data.sources.labelled_files",
    "tlearn.data.image_folder": "tlearn.data.sources.folder",
    "tlearn.data.image_set": "tlearn.data.images.image_set",
    "tlearn.data.image_table": "tlearn.data.sources.table",
    "tlearn.data.memory": "tlearn.data.images.in_memory",
    "tlearn.data.predict_files": "tlearn.data.sources.to_predict",
    "tlearn.data.reading": "tlearn.data.files.reading",
    "tlearn.data.sampling": "tlearn.data.images.sampling",
    "tlearn.data.streaming": "tlearn.data.shards.datamodule",
    "tlearn.data.torchvision_dataset": "tlearn.data.sources.torchvision",
    "tlearn.deploy.predictions": "tlearn.deploy.prediction_writer",
    "tlearn.errors": "tlearn.base.errors",
    "tlearn.models.backbone": "tlearn.models.backbones.backbone",
    "tlearn.models.checkpoints": "tlearn.training.callbacks.checkpoints",
    "tlearn.models.module": "tlearn.training.module",
    "tlearn.reporting.gradient_norm": "tlearn.reporting.step_metrics",
    "tlearn.reporting.input_pictures": "tlearn.reporting.pictures",
    "tlearn.reporting.throughput": "tlearn.reporting.step_metrics",
    "tlearn.reporting.weight_histograms": "tlearn.reporting.projector",
    "tlearn.strategies.evaluation_outputs": "tlearn.training.evaluation",
    "tlearn.strategies.feature_cache": "tlearn.training.strategies.feature_cache",
    "tlearn.strategies.finite_loss": "tlearn.training.callbacks.guards",
    "tlearn.strategies.head_probe": "tlearn.training.strategies.solved_head",
    "tlearn.strategies.lr_finder": "tlearn.training.strategies.lr_finder",
    "tlearn.strategies.wise_ft": "tlearn.training.strategies.wise_ft",
    "tlearn.types": "tlearn.base.types",
}


def old_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` (PEP 562) that imports a name from its home when it is first used.

    Args:
        package: The module's own name, for the message about a name that it never had.
        homes: Name to the module that defines it today.
    """

    def attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(homes[name]), name)

    return attribute


class _OldModules(MetaPathFinder, Loader):
    """Makes a module of an old path that looks up every name in its new home."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for the paths that moved."""
        return ModuleSpec(fullname, self) if fullname in _MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Let the module ask its new home."""
        home = _MOVED[module.__name__]
        module.__dict__["__getattr__"] = lambda name: getattr(import_module(home), name)


def find_old_modules() -> None:
    """Find modules under their old paths, from now on; asked last, so that no other import pays for it."""
    if not any(isinstance(finder, _OldModules) for finder in sys.meta_path):
        sys.meta_path.append(_OldModules())
