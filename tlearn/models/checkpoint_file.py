"""Read tensors from a file that may come from anyone: nothing in it is executed, and faults name the file."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from tlearn.errors import TlearnError

_SAFE = "only tensors and plain values are read, for safety: save its state_dict() alone"
_LFS_POINTER = b"version https://git-lfs"


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint or a state dict (``.ckpt``, ``.pth``, ``.pt``, ``.safetensors``) with ``weights_only=True``.

    Raises:
        TlearnError: The file is missing, truncated, no checkpoint at all, or holds more than tensors and plain values.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise TlearnError(f"no checkpoint at {path}; check the path")
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise TlearnError(f"{path} is a Git LFS pointer, not the file itself; run 'git lfs pull'")
    try:
        content = _load(path)
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        raise _refused(path, str(error)) from error
    if not isinstance(content, dict):
        raise TlearnError(f"{path} holds a {type(content).__name__}, expected a state dict or a checkpoint")
    return content


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickle protocols: the error says what the user can mend
        return torch.load(path, map_location="cpu", weights_only=True)


def _refused(path: Path, reason: str) -> TlearnError:
    foreign = re.search(r"(?:GLOBAL|global) ([\w.]+)", reason)
    if foreign:
        return TlearnError(f"{path} holds an object of type {foreign[1]}; {_SAFE}")
    if "Unsupported operand" in reason:  # of the pickle's machine: no file of tensors needs it
        return TlearnError(
            f"{path} holds more than tensors and plain values, or was written by an unusual tool; {_SAFE}"
        )
    return TlearnError(f"{path} is not a readable checkpoint (truncated or damaged?); fetch or train it again")


def state_dict_of(content: dict[str, Any], path: str | Path) -> dict[str, Tensor]:
    """Find the state dict in what a file held, without the prefixes that ``torch.compile`` and wrappers add.

    Raises:
        TlearnError: There are no tensors in it.
    """
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    tensors = {
        name.replace("_orig_mod.", "").removeprefix("module."): value
        for name, value in content.items()
        if isinstance(value, Tensor)
    }
    if not tensors:
        raise TlearnError(f"{path} holds no tensors; expected a state dict or a checkpoint")
    return tensors
