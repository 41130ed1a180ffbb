"""A network as its weights, and a JSON file that says what to load them into. N images, C channels, S pixels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor

from tlearn.base.errors import TlearnError, one_line
from tlearn.deploy.exported_network import ExportedNetwork
from tlearn.deploy.metadata import pictures_in
from tlearn.models.calibration import calibration_in
from tlearn.models.network import Network
from tlearn.models.options import NetworkOptions, options_from

_PARTS = ("preprocess", "backbone", "head")


def write_state(network: ExportedNetwork, path: Path, about: Mapping[str, Any]) -> list[Path]:
    """Write ``preprocess.*``, ``backbone.*`` and ``head.*``, and ``about`` as JSON; return both files.

    Args:
        network: What to write.
        path: Where to; the JSON file has the same stem.
        about: Holds under ``network`` the options that build the network again, and the two numbers of its calibration.
    """
    state = {name: value for name, value in network.state_dict().items() if name.startswith(_PARTS)}
    save_file({name: value.contiguous().clone() for name, value in state.items()}, path)
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")
    path.chmod(beside.stat().st_mode)  # safetensors lets nobody but the owner read it
    return [path, beside]


def rebuild(path: str | Path) -> Network:
    """Build a network again from what `write_state` wrote.

    Args:
        path: The ``.safetensors``; the JSON file lies beside it.

    Raises:
        TlearnError: One of them is missing, damaged, or not of tlearn.
    """
    try:
        return _rebuilt(Path(path))
    except TlearnError:
        raise
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        raise TlearnError(f"{path} and its .json are not what tlearn exports: {one_line(error, 200)}") from error


def _rebuilt(path: Path) -> Network:
    about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    module = Network(options_from(NetworkOptions, about["network"]))
    module.load_state_dict(module.state_dict() | load_file(path))
    module.calibration = calibration_in(about)
    module.pictures = pictures_in(about["reading"])
    return module.requires_grad_(False).eval()


def outputs_of_state(path: Path) -> Callable[[Tensor], list[Tensor]]:
    """Return what answers for uint8 (N, C, S, S), as its only output."""
    network = rebuild(path)
    return lambda images: [network.answer(images)]


def engine() -> str:
    """Name what answers."""
    return f"safetensors {safetensors.__version__}"
