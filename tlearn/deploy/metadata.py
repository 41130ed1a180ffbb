"""What an exported file says of itself, as plain values: enough to read a photograph for it and to name its classes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torchvision

from tlearn.data.files.reading import Framing
from tlearn.deploy.loading import framing_of
from tlearn.deploy.reading_rule import how_to_read
from tlearn.models.backbones.input_channels import RGB
from tlearn.models.network import Network
from tlearn.models.options import NetworkOptions, names_of
from tlearn.version import __version__

_SELDOM = ("backbone_args", "pixel_mean", "pixel_std", "ensemble")  # told where they are set


def metadata_of(module: Network, checkpoint: Path | None) -> dict[str, Any]:
    """Describe a network.

    Args:
        module: The network.
        checkpoint: The file that it came from; its name and hash are told.
    """
    framing = framing_of(module)
    about: dict[str, Any] = {
        "task": module.task,
        "class_names": list(module.class_names),
        "image_size_px": int(framing.size_px),
        "reading": _reading(framing),
        "normalisation": {
            "mean": module.preprocess.mean.tolist(),
            "std": module.preprocess.std.tolist(),
            "of": "pixels scaled to 0 to 1; done inside, the input is uint8",
        },
        **({"channels": channels} if (channels := module.options.in_channels) != RGB else {}),
        "network": _network_options(module),
        **module.calibration._asdict(),
        "versions": {"tlearn": __version__, "torch": torch.__version__, "torchvision": torchvision.__version__},
    }
    if checkpoint is not None:
        about["checkpoint"] = {"name": checkpoint.name, "sha256": _sha256(checkpoint)}
    return about


def _reading(framing: Framing) -> dict[str, Any]:
    square = asdict(framing)
    numbers = square.pop("reading")
    return square | {"numbers": numbers, "how": how_to_read(framing)}


def pictures_in(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint keeps of reading pictures from what an export says of it."""
    told = {name: value for name, value in reading.items() if name not in ("how", "numbers")}
    return told | ({"reading": reading["numbers"]} if "numbers" in reading else {})


def _network_options(module: Network) -> dict[str, Any]:
    """Return the options that build the same network again, weights aside."""
    options = {name: getattr(module.options, name) for name in names_of(NetworkOptions) if name != "weights"}
    given = {name: value for name, value in options.items() if value is not None or name not in _SELDOM}
    if module.options.in_channels == RGB:
        del given["in_channels"]
    return given | {"class_names": list(module.class_names)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
