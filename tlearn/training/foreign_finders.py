"""Refuse Lightning's callbacks that would change rates or batches behind a run's config."""

from __future__ import annotations

from collections.abc import Iterable

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder

from tlearn.base.errors import TlearnError


def check_finders(callbacks: Iterable[Callback]) -> None:
    """Say what to use in their place.

    Raises:
        TlearnError: There is one of them.
    """
    for callback in callbacks:
        if isinstance(callback, LearningRateFinder):
            raise TlearnError(
                "LearningRateFinder gives every group of parameters one rate; drop it and use --find_lr (from Python "
                "tlearn.strategies.LearningRateFinderCallback), which keeps the ratios of model.lr_scales"
            )
        if isinstance(callback, BatchSizeFinder):
            raise TlearnError(
                "BatchSizeFinder would train with another batch_size than the config says; drop it and set "
                "data.init_args.batch_size (python -m tlearn plan tells the memory that it takes). --find_lr is what "
                "finds a rate"
            )
