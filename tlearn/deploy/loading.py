"""Open a trained network from its checkpoint alone: no config, no data, no Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from tlearn.base.errors import TlearnError, one_line
from tlearn.data.files.reading import Framing, framing_in
from tlearn.models.about import KEY
from tlearn.models.network import Network, network_in
from tlearn.models.weights.safe_load import read_checkpoint


def load_module(path: str | Path, own: nn.Module | None = None) -> Network:
    """Rebuild the network that a checkpoint holds, in eval mode and without gradients.

    Args:
        path: A checkpoint of tlearn.
        own: The user's own backbone, where it is at hand.

    Raises:
        TlearnError: The file is missing, damaged, or not tlearn's.
    """
    return load_scored(path, own)[0]


def load_scored(path: str | Path, own: nn.Module | None = None) -> tuple[Network, str]:
    """Rebuild a network as `load_module` does, and say what it reached, as ``val/acc 0.9412``; empty if nobody knows.

    Raises:
        TlearnError: As there.
    """
    content = read_checkpoint(path)
    if KEY not in content:
        raise TlearnError(f"{path} is no checkpoint of tlearn; train one with fit")
    try:
        network = network_in(content, own)
    except TlearnError:
        raise
    except Exception as error:  # what is not tlearn's fails in every way that it differs
        raise TlearnError(f"{path} does not hold what a checkpoint of tlearn holds: {one_line(error, 200)}") from error
    network.requires_grad_(False)
    return network.eval(), _score_in(content)


def _score_in(content: Mapping[str, Any]) -> str:
    """Return the metric that chose the best epoch, as the file's own epoch has it."""
    for state in content.get("callbacks", {}).values():
        score = state.get("current_score") if isinstance(state, dict) else None
        if score is not None and state.get("monitor"):
            return f"{state['monitor']} {float(score):.4f}"
    return ""


def framing_of(network: Network) -> Framing:
    """Return how picture files become what a network was trained on.

    Raises:
        TlearnError: Its checkpoint does not say.
    """
    if network.pictures is None:
        raise TlearnError("the checkpoint does not say how pictures were read: it is older than 0.1; train it again")
    return framing_in(network.pictures)
