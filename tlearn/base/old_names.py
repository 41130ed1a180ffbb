"""Public names of a folder, imported when they are first used, and modules under the paths that they had in 0.1."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tlearn.base.imports.stand_ins import quick_imports

# Files that configs and scripts may name, for each held a public class. A file that became a folder is not here.
_MOVED = {
    "tlearn.data.augment": "tlearn.data.images.augment",
    "tlearn.data.cifar10": "tlearn.data.sources.cifar10",
    "tlearn.data.class_spelling": "tlearn.data.class_names",
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

# The names of the folder `tlearn/strategies`, which is no more.
_STRATEGIES = {
    "EvaluationOutputsCallback": "tlearn.training.strategies.former",
    "FeatureCacheCallback": "tlearn.training.strategies.feature_cache",
    "FiniteLossCallback": "tlearn.training.callbacks.guards",
    "GroupPlan": "tlearn.analysis.plan",
    "HeadProbeCallback": "tlearn.training.strategies.solved_head",
    "LearningRateFinderCallback": "tlearn.training.strategies.lr_finder",
    "Outputs": "tlearn.training.evaluation",
    "PeakMemory": "tlearn.base.machine",
    "Plan": "tlearn.analysis.plan",
    "PlanCallback": "tlearn.analysis.plan",
    "Scores": "tlearn.analysis.ranking",
    "SolvedHead": "tlearn.training.strategies.head_solver",
    "Standing": "tlearn.analysis.ranking",
    "TemperatureCallback": "tlearn.training.strategies.former",
    "WiseFTCallback": "tlearn.training.strategies.wise_ft",
    "interpolate": "tlearn.models.soups.weights",
    "is_mcnemar": "tlearn.analysis.ranking",
    "obstacle_to_storing": "tlearn.training.strategies.feature_cache",
    "rank": "tlearn.analysis.ranking",
    "run_over_split": "tlearn.training.strategies.features",
    "sample_f1": "tlearn.analysis.ranking",
    "solve_head": "tlearn.training.strategies.head_solver",
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
        with quick_imports():
            home = import_module(homes[name])
        return getattr(home, name)

    return attribute


class _OldModules(MetaPathFinder, Loader):
    """Makes a module of an old path that looks up every name in its new home."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for the paths that moved."""
        if fullname == "tlearn.strategies":
            return ModuleSpec(fullname, self, is_package=True)
        return ModuleSpec(fullname, self) if fullname in _MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Let the module ask its new home."""
        name = module.__name__
        if name in _MOVED:
            module.__dict__["__getattr__"] = lambda attribute: getattr(import_module(_MOVED[name]), attribute)
        else:
            module.__dict__["__getattr__"] = old_names(name, _STRATEGIES)


def find_old_modules() -> None:
    """Find modules under their old paths, from now on; asked last, so that no other import pays for it."""
    if not any(isinstance(finder, _OldModules) for finder in sys.meta_path):
        sys.meta_path.append(_OldModules())
