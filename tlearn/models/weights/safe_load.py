"""Read tensors from a file that may come from anyone: nothing in it is executed, and faults name the file."""

from __future__ import annotations

import re
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.serialization import safe_globals

from tlearn.base.errors import TlearnError
from tlearn.models.weights.file_kinds import other_kind

_SAFE = "only tensors and plain values are read, for safety: save its state_dict() alone"
_MOST_TYPES = 500
# Of packages that could run commands or hold networks: what public checkpoints hold beside their weights.
_HARMLESS = re.compile(
    r"argparse\.Namespace|types\.SimpleNamespace|pathlib\.(Pure)?(Posix|Windows)?Path|collections\.(defaultdict|deque)"
    r"|functools\.partial|datetime\.\w+|decimal\.Decimal|uuid\.UUID|typing\.\w+|torch\.(optim|utils\.data|amp)\.[\w.]+"
    r"|builtins\.(list|dict|tuple|set|frozenset|str|bytes|int|float|bool|complex|slice|range|object)"
)
_NETWORKS = ("torch", "torchvision", "timm")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of tlearn with ``weights_only=True``; safetensors are known by their content.

    Raises:
        TlearnError: The file is missing, truncated, no checkpoint at all, or holds more than tensors and plain values.
    """
    return _read(path, _load)


def read_foreign(path: str | Path) -> dict[str, Any]:
    """Read weights of whatever origin, also with ``weights_only=True``.

    What lies beside the weights (options, a configuration) may be of types that only its author has. An empty type of
    ours stands in for each: nothing of theirs is imported or run.

    Raises:
        TlearnError: The file is missing, truncated or of another kind, or names what could run a command.
    """
    return _read(path, _load_replacing)


def _read(path: str | Path, load: Callable[[Path], Any]) -> dict[str, Any]:
    path = Path(path).absolute()
    if not path.is_file():
        raise TlearnError(f"no checkpoint at {path}; check the path")
    if other := other_kind(path):
        raise TlearnError(f"{path} is {other}")
    try:
        content = load(path)
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        raise _refused(path, str(error)) from error
    if isinstance(content, Replaced):
        raise TlearnError(f"{path} holds an object of type {content.replaces}; {_SAFE}")
    if not isinstance(content, dict):
        raise TlearnError(f"{path} holds a {type(content).__name__}, expected a state dict or a checkpoint")
    return content


class Replaced:
    """Stands for an object whose type is not at hand; keeps nothing of it."""

    replaces = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Replaced:
        """Make an empty one, whatever the type would have taken."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Forget the arguments."""

    def __setstate__(self, state: Any) -> None:
        """Forget the state."""


class _ReplacedDict:
    def __new__(cls, *args: Any, **kwargs: Any) -> OrderedDict[Any, Any]:  # type: ignore[misc]  # torch fills no other
        return OrderedDict()


class _ReplacedList(list[Any]):
    def __init__(self, *args: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """Forget the state."""


def _load_replacing(path: Path) -> Any:
    """Load with an empty type of ours for each that is not at hand, one more for each that torch stumbles over."""
    kinds: dict[str, type] = {}
    while True:
        try:
            with safe_globals([(_made(kind, name), name) for name, kind in kinds.items()]):
                return _load(path)
        except Exception as error:
            more = _replaceable(path, str(error), kinds)
            if not more or len(kinds) > _MOST_TYPES:
                raise
            kinds |= more


def _replaceable(path: Path, reason: str, kinds: dict[str, type]) -> dict[str, type]:
    filled = re.search(rf"Can only (append|SETITEM).* but got <class '{re.escape(__name__)}\.([\w.]+)'>", reason)
    if filled and kinds.get(filled[2]) is Replaced:
        return {filled[2]: _ReplacedList if filled[1] == "append" else _ReplacedDict}
    missing = _type_in(reason)
    if missing is None or missing in kinds or not _may_be_replaced(missing):
        return {}
    with suppress(Exception):  # torch looks only into its newer files; else they come one by one
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        return dict.fromkeys([missing, *filter(_may_be_replaced, names)], Replaced) | kinds
    return {missing: Replaced}


def _made(kind: type, name: str) -> type:
    return type(name, (kind,), {"replaces": name, "__module__": __name__})


def _may_be_replaced(name: str) -> bool:
    """Refuse what runs commands, and networks, whose weights would be lost; neither could do anything here."""
    package = name.partition(".")[0]
    return bool(_HARMLESS.fullmatch(name)) or (
        "." in name and package not in sys.stdlib_module_names and package not in _NETWORKS
    )


def _load(path: Path) -> Any:
    with path.open("rb") as file:
        header = file.read(9)
        size = int.from_bytes(header[:8], "little")
        if header[8:] == b"{" and size < path.stat().st_size:
            return load_file(path)
        file.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: the error says what the user can mend
            source = file if path.suffix == ".safetensors" else path  # torch believes that name, whatever is inside
            return torch.load(source, map_location="cpu", weights_only=True)


def _type_in(reason: str) -> str | None:
    foreign = re.search(r"(?:GLOBAL|global) ([\w.]+)", reason)
    if foreign is None:
        return None
    return foreign[1] if "." in foreign[1] else f"builtins.{foreign[1]}"  # torch leaves that out of its message


def _refused(path: Path, reason: str) -> TlearnError:
    foreign = _type_in(reason)
    if foreign and foreign.startswith(tuple(f"{package}." for package in _NETWORKS)):
        return TlearnError(f"{path} holds an object of type {foreign}, a network as a whole; {_SAFE}")
    if foreign and _may_be_replaced(foreign):
        return TlearnError(
            f"{path} holds an object of type {foreign}, as no checkpoint of tlearn does; to start from its weights: "
            f"fit --model.weights {path}"
        )
    if foreign:
        return TlearnError(f"{path} holds an object of type {foreign}; {_SAFE}")
    if "Unsupported operand" in reason:  # of the pickle's machine: no file of tensors needs it
        return TlearnError(
            f"{path} holds more than tensors and plain values, or was written by an unusual tool; {_SAFE}"
        )
    return TlearnError(f"{path} is not a readable checkpoint (truncated or damaged?); fetch or train it again")
