"""Turn what libraries raise into the one line a user needs."""

from __future__ import annotations

import errno
import inspect
import re
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NoReturn

import torch
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser
from torch.distributed import DistError

from tlearn.arguments import Arguments
from tlearn.config_encoding import read_configs_as_utf8
from tlearn.config_files import leaves, read_config
from tlearn.data import Augment, ImageDataModule
from tlearn.errors import TlearnError, one_line
from tlearn.outputs import known_disk_fault
from tlearn.trusted_names import confine_names, refused_name

_REFUSED = (
    r"does not accept option '([^']+)'",
    r"Option '([^']+)' is not accepted",
    r"unrecognized arguments: --([\w.+/-]+)",
)
_PEER_LOST = r"gloo.*(closed by peer|reset by peer|refused|Timed out)|ncclRemoteError|remote process exited"
_OF_SWEEPS = ("--sweep", "--seeds", "--trials")
_MOST_NAMED = 3
_BATCH_OF_ONE = "Expected more than 1 value per channel"


class ParserFaultError(Exception):
    """What jsonargparse had to say, before it is put into one line.

    Args:
        message: As it came, often over many lines.
        keys: All keys that would have been right.
    """

    def __init__(self, message: str, keys: Sequence[str]) -> None:
        super().__init__(message)
        self.keys = keys


class TransferParser(LightningArgumentParser):
    """LightningCLI's parser; a fault is raised instead of a page of usage, and a config names no class of strangers.

    An option is typed in full: its beginning alone would pass by whatever looks at the words before the parser does.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        read_configs_as_utf8()
        super().__init__(*args, allow_abbrev=False, **options)

    def parse_args(self, args: Any = None, *further: Any, **options: Any) -> Namespace:  # type: ignore[override]
        """Parse the command line, with the configs that it names."""
        confine_names(args or [])
        parsed: Namespace = super().parse_args(args, *further, **options)
        return parsed

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what is wrong, with the keys that would have been right.

        Raises:
            ParserFaultError: Always.
        """
        nested = [
            parser for action in self._actions if isinstance(action.choices, dict) for parser in action.choices.values()
        ]
        raise ParserFaultError(
            message, [action.dest for parser in (self, *nested) for action in parser._actions]
        ) from ex


@contextmanager
def translated_faults(arguments: Arguments) -> Iterator[None]:
    """Turn the faults that users meet inside libraries into a `TlearnError` of one line.

    Args:
        arguments: The command line, to name the config or the word that holds the fault.
    """
    try:
        yield
    except ParserFaultError as fault:
        raise TlearnError(explain(str(fault), fault.keys, arguments)) from fault
    except MisconfigurationException as fault:
        if "No supported gpu backend" in str(fault):
            raise TlearnError("no GPU found; --trainer.accelerator auto takes the best device there is") from fault
        raise TlearnError(one_line(fault)) from fault
    except torch.OutOfMemoryError as fault:
        raise TlearnError("the device is out of memory; lower data.init_args.batch_size or model.image_size") from fault
    except (TlearnError, RuntimeError, ValueError, OSError) as fault:
        known = _known_fault(fault)
        if known is None:
            raise
        raise TlearnError(known) from fault


def _known_fault(fault: Exception) -> str | None:
    if full := known_disk_fault(fault):
        return full
    if said := _of_several_processes(fault):
        return said
    if isinstance(fault, TlearnError):  # a worker process sends its traceback along
        sent = re.search(r"Original Traceback[\s\S]*\n[\w.]*TlearnError: (.+)\s*$", str(fault))
        return sent[1] if sent else None
    if isinstance(fault.__cause__, TlearnError):  # jsonargparse wraps what a constructor raises
        return str(fault.__cause__)
    if missing := re.search(r"class_path '([\w.]+)':\s*(?:\w+: )*Requirement '([^']+)' not met", str(fault)):
        return f"{missing[1].rpartition('.')[2]} needs a package that is not installed: pip install '{missing[2]}'"
    if _BATCH_OF_ONE in str(fault):
        return (
            "a training batch of one image this small leaves BatchNorm a single value; give data.init_args.batch_size "
            "2 or more, or a larger model.image_size, or freeze the backbone"
        )
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    files = getattr(fault, "errno", None) == errno.EMFILE or "Too many open files" in str(fault)
    if files or ("DataLoader worker" in str(fault) and limit < 256):
        return (
            f"too many open files: the limit is {limit} (ulimit -n); raise it, or set data.init_args.num_workers to 0"
        )
    return None


def _of_several_processes(fault: Exception) -> str | None:
    if re.search(_PEER_LOST, str(fault)):
        return (
            "another process of this run ended, and this one cannot go on alone; if it said nothing, it was killed "
            f"(out of memory?): {one_line(fault, 80)}"
        )
    if isinstance(fault, DistError):
        return f"the processes of this run do not reach each other: {one_line(str(fault).strip().splitlines()[-1])}"
    return (
        one_line(fault)
        if str(fault).startswith(("The strategy `", "You set `devices=", "You set `num_nodes="))
        else None
    )


def explain(message: str, keys: Sequence[str], arguments: Arguments) -> str:
    """Put jsonargparse's message into one line: the key, where it stands, what was expected, the nearest right key.

    Args:
        message: As jsonargparse gave it, often over many lines.
        keys: All keys that the parser knows.
        arguments: The command line.
    """
    message = message.replace(f"{arguments.verb}.", "")
    outer = re.search(r'(?<!- )Parser key "([^"]+)"', message)
    for pattern in _REFUSED:
        if refused := re.search(pattern, message):
            return _unknown_key(refused[1], keys, arguments)
    if linked := re.search(r'Linked "([^"]+)" must be given', message):
        return f"{_locate(linked[1], arguments)}: this comes from the data and is no option; drop it"
    if missing := re.search(r"arguments are required: ([\w.]+)", message):
        parent = f"{outer[1]}.init_args." if outer else ""
        return f"{parent}{missing[1]} is missing; give --{parent}{missing[1]} or name it in a config"
    inner = re.search(r'- Parser key "([^"]+)"', message)
    key = inner or outer
    if reason := refused_name(message):
        return f"{_locate(key[1], arguments)}: {reason}" if key else reason
    return _about_value(message, _locate(key[1], arguments) if key else "", arguments)


def _about_value(message: str, where: str, arguments: Arguments) -> str:
    if choice := re.search(r"Expected a typing\.Literal\[(.+?)\]\. Got value: (\S+)", message):
        return f"{where}: expected {choice[1].replace(chr(39), '')}, got {choice[2]}"
    if name := re.search(r"Expected a dot import path string: (\S+)", message):
        nothing = ", and there is no such folder or file" if arguments.verb == "predict" else ""
        return f"{where}: no class is named '{name[1]}'{nothing}{_nearest(name[1], _class_names())}"
    if bound := re.search(r"Not of type \w+: (.+?) does not conform to restriction v(\S+)", message):
        return f"{where}: expected a value {bound[2]}, got {bound[1]}"
    if kind := re.search(r"Expected a <class '(\w+)'>\. Got value: (.+)", message):
        return f"{where}: expected {kind[1]}, got {kind[2]}"
    return one_line(message)


def _unknown_key(key: str, keys: Sequence[str], arguments: Arguments) -> str:
    known = [
        *(option.removeprefix("--") for option in arguments.own or _OF_SWEEPS),
        *keys,
        *_init_args("data.init_args", _data_modules()),
        *_init_args("data.init_args.augment", [Augment]),
    ]
    known += _init_args("model.optimizer.init_args", [torch.optim.SGD, torch.optim.AdamW])
    where = _locate(key, arguments)
    begun = list(dict.fromkeys(name for name in known if name.startswith(where.partition(" ")[0])))
    if 1 <= len(begun) <= _MOST_NAMED:
        return f"unknown option {where}; did you mean {' or '.join(begun)}?"
    return f"unknown option {where}{_nearest(key, known)}"


def _init_args(key: str, classes: Sequence[type]) -> list[str]:
    constructors = (base.__dict__.get("__init__") for kind in classes for base in kind.__mro__ if base is not object)
    names = {name for make in constructors if make for name in inspect.signature(make).parameters}
    return [f"{key}.{name}" for name in sorted(names - {"self", "options"})]


def _data_modules() -> list[type[ImageDataModule]]:
    found: list[type[ImageDataModule]] = ImageDataModule.__subclasses__()
    for kind in found:
        found += kind.__subclasses__()  # grows while it is walked: subclasses of subclasses too
    return [kind for kind in found if not inspect.isabstract(kind)]


def _class_names() -> list[str]:
    optimizers = [name for name, kind in vars(torch.optim).items() if inspect.isclass(kind)]
    return [kind.__name__ for kind in _data_modules()] + optimizers


def _nearest(name: str, known: Sequence[str]) -> str:
    """Name the right key whose last word is nearest: the parents are mostly right, or wrong altogether."""
    leaf = _leaf(name)
    by_leaf = {_leaf(key): key for key in reversed(known)} | {"learning_rate": "model.optimizer.init_args.lr"}
    near = get_close_matches(leaf, by_leaf, n=1, cutoff=0.6)
    return f"; did you mean {by_leaf[near[0]]}?" if near else ""


def _locate(key: str, arguments: Arguments) -> str:
    """Give the key in full, as it was typed, and say where: the command line wins, then the last config."""
    for word in reversed(arguments.options):
        typed = word.partition("=")[0].removeprefix("--").rstrip("+")
        if word.startswith("--") and _leaf(typed) == _leaf(key):
            return f"{typed} on the command line"
    for path in reversed(arguments.configs):
        for typed, _ in leaves(read_config(path)):
            if _leaf(typed) == _leaf(key) or f".{key}." in f".{typed}.":
                return f"{typed if _leaf(typed) == _leaf(key) else key} in {path}"
    return key


def _leaf(key: str) -> str:
    return key.rpartition(".")[2]
