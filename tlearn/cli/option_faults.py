"""Say in one line what is wrong with an option: where it stands, what was expected, the nearest right name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import torch

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.program import program
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import leaves
from tlearn.cli.trusted_names import refused_name
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.images.augment import Augment

_REFUSED = (
    r"does not accept option '([^']+)'",
    r"Option '([^']+)' is not accepted",
    r"unrecognized arguments: --([\w.+/-]+)",
)
_NOT_A_NUMBER = (
    r"Not of type \w+: (.+) not an (integer)",
    r"could not convert string to (float): '?(.+?)'?$",
    r"invalid literal for (int)\(\) with base 10: '(.+)'",
)
_PARENTS = ("data", "model.optimizer", "model.lr_scheduler")
_KINDS = ("int", "float", "bool", "str", "list", "dict")
_OF_SWEEPS = ("--sweep", "--seeds", "--trials", "--storage", "--no-wait")
_MOST_NAMED = 3


def explain(message: str, keys: Sequence[str], arguments: Arguments) -> str:
    """Put jsonargparse's message into one line: the key, where it stands, what was expected, the nearest right key.

    Args:
        message: As jsonargparse gave it, often over many lines.
        keys: All keys that the parser knows.
        arguments: The command line.
    """
    message = message.replace(f"{arguments.verb}.", "")
    if beside := _beside_class_path(message, arguments):
        return beside
    outer = re.search(r'(?<!- )Parser key "([^"]+)"', message)
    for pattern in _REFUSED:
        if refused := re.search(pattern, message):
            return _unknown_key(refused[1], keys, arguments)
    if words := _about_words(message, outer[1] if outer else "", arguments):
        return words
    key = re.search(r'- Parser key "([^"]+)"', message) or outer
    if reason := refused_name(message):
        return f"{_locate(key[1], arguments)}: {reason}" if key else reason
    return _about_value(message, _locate(key[1], arguments) if key else "", arguments)


def _about_words(message: str, outer: str, arguments: Arguments) -> str | None:
    """Explain words that stand alone, are missing, or may not be given."""
    if linked := re.search(r'Linked "([^"]+)" must be given', message):
        return f"{_locate(linked[1], arguments)}: this comes from the data and is no option; drop it"
    if missing := re.search(r"arguments are required: ([\w.]+)", message):
        if missing[1] == "data":
            return f"no pictures are named: a folder, a table or a config, such as {program()} fit my_pictures"
        key = f"{outer}.init_args.{missing[1]}" if outer else missing[1]
        return f"{key} is missing; give --{key} or name it in a config"
    if empty := re.search(r"^Unexpected config: (\w+):", message):
        return f"{_locate(empty[1], arguments)} has nothing under it; fill it, or drop it"
    if stray := re.search(r"unrecognized arguments: (\S+)", message):
        hint = f"; a config is named by --config {stray[1]}" if stray[1].endswith((".yaml", ".yml")) else ""
        return f"unexpected word '{stray[1]}', which stands behind no option that takes it{hint}"
    if flag := re.search(r"argument (--\w+)/--no_\w+: ignored explicit argument", message):
        return f"{flag[1]} takes no value: type it, or leave it out"
    if empty := re.search(r"argument (-\S+): expected (?:one|1) argument", message):
        return f"{empty[1]} needs a value behind it"
    return None


def _about_value(message: str, where: str, arguments: Arguments) -> str:
    given = re.search(r"(?:Got|Given) value: (.+)", message)  # the first is the innermost
    value = given[1] if given else "something else"
    if bound := re.search(r"Not of type \w+: (?:(\S+) )?does not conform to restriction v(\S+)", message):
        return f"{where}: expected a value {bound[2]}, got {bound[1] or value}"
    for pattern in _NOT_A_NUMBER:
        if number := re.search(pattern, message, re.MULTILINE):
            whole = number[1] == "int" or number[2] == "integer"
            held = number[1] if number[2] == "integer" else number[2]
            return f"{where}: expected {'a whole number' if whole else 'a number'}, got {held}"
    wanted = _wanted(message)
    name = re.search(r"Expected a dot import path string: (\S+)|Unexpected import path format: (.+)", message)
    if name and not {"int", "float"} & set(wanted):
        nothing = ", and there is no such folder or file" if arguments.verb == "predict" else ""
        called = name[1] or name[2]
        return f"{where}: no class is named '{called}'{nothing}{_nearest(called, _class_names())}"
    if "float" in wanted and value.lstrip("+-").lower() in ("inf", "nan", "infinity"):
        return f"{where}: expected a finite number, got {value}"
    if wanted and where:
        return f"{where}: expected {' or '.join(wanted)}, got {value}"
    return one_line(message)


def _wanted(message: str) -> list[str]:
    """List what a value could have been: kinds, choices, and null where something else could be, too."""
    kinds = re.findall(r"Expected a <class '(\w+)'>", message)
    choices = re.findall(r"Expected a typing\.Literal\[(.+?)\]", message)
    found = [kind for kind in _KINDS if kind in kinds]
    found += [", ".join(dict.fromkeys(choice.replace("'", "") for part in choices for choice in part.split(", ")))]
    found = [each for each in found if each]
    return [*found, "null"] if found and "NoneType" in kinds else found


def _beside_class_path(message: str, arguments: Arguments) -> str | None:
    """Explain options of a class that stand beside its ``class_path``, not under ``init_args``."""
    if "Option 'class_path' is not accepted" not in message and "Not a valid subclass" not in message:
        return None
    for config in reversed(arguments.configs):
        for key, names in _misplaced(config.content, ""):
            return f"{key} in {config}: {', '.join(names)} must stand under init_args, which stands beside class_path"
    return None


def _misplaced(config: Any, key: str) -> Iterator[tuple[str, list[str]]]:
    parts = dict(config) if isinstance(config, Mapping) else dict(enumerate(config)) if isinstance(config, list) else {}
    others = [str(name) for name in parts if name not in ("class_path", "init_args")]
    if "class_path" in parts and others:
        yield key, others
    for name, value in parts.items():
        yield from _misplaced(value, f"{key}.{name}" if key else str(name))


def _unknown_key(key: str, keys: Sequence[str], arguments: Arguments) -> str:
    where = _locate(key, arguments)
    typed = where.partition(" ")[0]
    known = [*(option.removeprefix("--") for option in arguments.own or _OF_SWEEPS), *keys]
    owner, its = _class_at_hand(typed, arguments)
    begun = list(dict.fromkeys(name for name in (*known, *its) if name.startswith(typed)))
    if 1 <= len(begun) <= _MOST_NAMED:
        return f"unknown option {where}; did you mean {' or '.join(begun)}?"
    if typed.partition(".init_args.")[0] not in (typed, *_PARENTS):  # a callback, a logger
        return f"unknown option {where}"
    near = _nearest(key, its if owner else [*known, *its])
    return f"unknown option {where}{near}" if near or not owner else f"unknown option {where}, {owner} has none like it"


def _class_at_hand(typed: str, arguments: Arguments) -> tuple[str, list[str]]:
    """Return the class that an option is of, if it is of one, with all options of that class.

    Where it is of none, or nothing names the class, the options of all that it may be.
    """
    choices = (_data_modules(), _optimizers(), _schedulers())
    named = {each: _named(kinds, _class_of(each, arguments)) for each, kinds in zip(_PARENTS, choices, strict=True)}
    options = {parent: _init_args(f"{parent}.init_args", classes) for parent, classes in named.items()}
    options["data"] += _init_args("data.init_args.augment", [Augment])
    for parent, classes in named.items():
        if typed.startswith(f"{parent}.") and len(classes) == 1:
            return classes[0].__name__, options[parent]
    return "", [option for parent in ("data", "model.optimizer") for option in options[parent]]


def _class_of(parent: str, arguments: Arguments) -> str | None:
    """Return the last name of the class that is chosen for an option."""
    names = (parent, f"{parent}.class_path")
    typed = [value for option, value in arguments.pairs() if option.removeprefix("--") in names]
    written = [value for config in arguments.configs for key, value in leaves(config.content) if key in names]
    default = "SGD" if parent == "model.optimizer" else None
    last = next((value for value in reversed([*written, *typed]) if isinstance(value, str)), None)
    return last.rpartition(".")[2] if last else default


def _named(classes: list[type], name: str | None) -> list[type]:
    return [kind for kind in classes if kind.__name__ == name] or classes


def _init_args(key: str, classes: Sequence[type]) -> list[str]:
    constructors = (base.__dict__.get("__init__") for kind in classes for base in kind.__mro__ if base is not object)
    names = {name for make in constructors if make for name in inspect.signature(make).parameters}
    return [f"{key}.{name}" for name in sorted(names - {"self", "options", "params", "optimizer"})]


def _data_modules() -> list[type]:
    found: list[type[ImageDataModule]] = ImageDataModule.__subclasses__()
    for kind in found:
        found += kind.__subclasses__()  # grows while it is walked: subclasses of subclasses too
    return [kind for kind in found if not inspect.isabstract(kind)]


def _optimizers() -> list[type]:
    return [kind for kind in vars(torch.optim).values() if inspect.isclass(kind)]


def _schedulers() -> list[type]:
    return [kind for kind in vars(torch.optim.lr_scheduler).values() if inspect.isclass(kind)]


def _class_names() -> list[str]:
    return [kind.__name__ for kind in (*_data_modules(), *_optimizers(), *_schedulers())]


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
            return f"{typed} {arguments.where}"
    for config in reversed(arguments.configs):
        for typed in sorted(_keys_of(config.content), key=lambda each: each != key):  # the key itself first
            if _leaf(typed) == _leaf(key) or f".{key}." in f".{typed}.":
                return f"{typed if _leaf(typed) == _leaf(key) else key} in {config}"
    return key


def _keys_of(config: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted key of every value, also of those in lists."""
    if isinstance(config, list):
        for item in config:
            yield from _keys_of(item, prefix)
    elif isinstance(config, Mapping) and config:
        for name, value in config.items():
            yield from _keys_of(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix


def _leaf(key: str) -> str:
    return key.rpartition(".")[2]


_KEY = "model.lr_scheduler"


def check_scheduler_name(arguments: Arguments) -> None:
    """Look at the name that counts: the one on the command line, or else that of the last config with one.

    Raises:
        TlearnError: It is one that takes other schedulers, or the ReduceLROnPlateau that knows no metric.
    """
    name = _name(arguments)
    if nested := re.search(r"\b(SequentialLR|ChainedScheduler)\b", name):
        raise TlearnError(
            f"{_KEY}: {nested[1]} holds schedulers that a config cannot give; for a warm-up before any scheduler use "
            "model.warmup_steps or model.warmup_epochs, from Python give TransferModule a function that makes it"
        )
    if re.search(r"(?<!lightning\.pytorch\.cli\.)\bReduceLROnPlateau\b", name):
        raise TlearnError(
            f"{_KEY}: torch's ReduceLROnPlateau does not say which metric it follows; take "
            "lightning.pytorch.cli.ReduceLROnPlateau, with its monitor: val/loss"
        )


def _name(arguments: Arguments) -> str:
    for key in (f"--{_KEY}.class_path", f"--{_KEY}"):
        if typed := arguments.value_of(key):
            return typed
    for config in reversed(arguments.configs):
        options = dict(leaves(config.content))
        for key in (f"{_KEY}.class_path", _KEY):
            if key in options:
                return str(options[key])
    return ""
