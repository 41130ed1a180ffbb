"""The network that `tlearn.load` would open after a run: that of ``best.ckpt``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from lightning.pytorch import Trainer

from tlearn.models.network import Network, network_in
from tlearn.models.reliability.evidence import fingerprint_of
from tlearn.models.weights.safe_load import read_checkpoint
from tlearn.training.callbacks.checkpoints import best_checkpoint, last_checkpoint
from tlearn.training.module import TransferModule


def kept_checkpoint(trainer: Trainer) -> Path | None:
    """Return the file that answers for a run: ``best.ckpt``, or ``last.ckpt`` where nothing validated, once written."""
    best, last = best_checkpoint(trainer), last_checkpoint(trainer)
    places = [Path(best.best_model_path)] if best is not None and best.best_model_path else [last] if last else []
    return next((path for path in places if path.is_file()), None)


def network_behind(path: Path | None, module: TransferModule) -> Network:
    """Return the network of a checkpoint of this run: the run's own, unless training went on behind the checkpoint.

    The weights tell. That no validation followed would not: not every epoch need be validated.

    Args:
        path: The checkpoint; without one the network is as training left it.
        module: The network of the run.
    """
    if path is None or not path.is_file():
        return module
    about = path.stat()
    if _fingerprint_in(path, about.st_mtime_ns, about.st_size) == fingerprint_of(module.state_dict()):
        return module
    with torch.random.fork_rng(devices=[]):  # a new head draws random numbers
        return network_in(read_checkpoint(path)).to(module.device)


@lru_cache(maxsize=1)
def _fingerprint_in(path: Path, changed_ns: int, size: int) -> str:
    """Return the fingerprint of a checkpoint; the report and what its answers can be doubted with both ask for it."""
    return fingerprint_of(read_checkpoint(path)["state_dict"])
