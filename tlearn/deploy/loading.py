"""Open a trained network from its checkpoint alone: no config, no data, no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError, one_line
from tlearn.data.files.reading import Framing
from tlearn.models.weights.safe_load import read_checkpoint
from tlearn.training.module import TransferModule


def load_module(path: str | Path) -> TransferModule:
    """Rebuild the network that a checkpoint holds, in eval mode and without gradients.

    Args:
        path: A checkpoint of tlearn.

    Raises:
        TlearnError: The file is missing, damaged, or not tlearn's.
    """
    content = read_checkpoint(path)
    if "tlearn" not in content:
        raise TlearnError(f"{path} is no checkpoint of tlearn; train one with fit")
    try:
        module = _built(content)
    except TlearnError:
        raise
    except Exception as error:  # what is not tlearn's fails in every way that it differs
        raise TlearnError(f"{path} does not hold what a checkpoint of tlearn holds: {one_line(error, 200)}") from error
    module.requires_grad_(False)
    return module.eval()


def _built(content: dict[str, Any]) -> TransferModule:
    options = {name: value for name, value in content["hyper_parameters"].items() if not name.startswith("_")}
    module = TransferModule(**options)
    module.load_state_dict(content["state_dict"])
    module.on_load_checkpoint(content)
    return module


def framing_of(module: TransferModule) -> Framing:
    """Return how picture files become what a network was trained on.

    Raises:
        TlearnError: Its checkpoint does not say.
    """
    if module.pictures is None:
        raise TlearnError("the checkpoint does not say how pictures were read: it is older than 0.1; train it again")
    return Framing(**module.pictures)
