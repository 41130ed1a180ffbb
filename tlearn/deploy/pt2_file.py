"""A network as a file of torch.export. Letters: N images, C channels, S pixels."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tlearn.deploy.exported_network import ExportedNetwork, traced

METADATA = "metadata.json"


def write_pt2(network: ExportedNetwork, path: Path, about: Mapping[str, Any]) -> list[Path]:
    """Write a network; return the files.

    Args:
        network: What to write.
        path: Where to.
        about: Goes in beside it as ``metadata.json``.
    """
    content = io.BytesIO()  # not the file itself: on a full disk torch's own writer ends the whole process
    torch.export.save(traced(network), content, extra_files={METADATA: json.dumps(about, ensure_ascii=False)})
    path.write_bytes(content.getbuffer())
    return [path]


def outputs_of_pt2(path: Path) -> Callable[[Tensor], list[Tensor]]:
    """Return what gives all outputs for uint8 (N, C, S, S)."""
    network = torch.export.load(path).module()

    def outputs(images: Tensor) -> list[Tensor]:
        found = network(images)
        return [found] if isinstance(found, Tensor) else list(found)

    return outputs


def engine() -> str:
    """Name what answers."""
    return f"torch.export {torch.__version__}"
