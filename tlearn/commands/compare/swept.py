"""Read ``--sweep OPTION=VALUES``, and name the variants that come of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from tlearn.base.errors import TlearnError, one_line
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import check_typed
from tlearn.commands.compare.identity import Variant

SWEEP = "--sweep"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
_LONGEST = 150  # a name in the file system; most allow 255 bytes


@dataclass(frozen=True)
class Swept:
    """An option that is swept.

    Attributes:
        option: As typed: ``model.optimizer.lr``.
        values: To try; none where there is a range.
        ends: The lowest and the highest number to draw from.
    """

    option: str
    values: tuple[Any, ...] = ()
    ends: tuple[float, float] | None = None


def take_sweeps(arguments: Arguments) -> tuple[list[Swept], Arguments]:
    """Take what is swept out of a command line.

    Raises:
        TlearnError: A fault in the words.
    """
    found, words, kept = list[Swept](), list(arguments.options), list[str]()
    while words:
        option, given, text = words.pop(0).partition("=")
        if option != SWEEP:
            kept.append(option + given + text)
            continue
        found.append(_read(text if given else words.pop(0) if words else ""))
    twice = {swept.option for swept in found if [each.option for each in found].count(swept.option) > 1}
    if twice:
        raise TlearnError(f"{SWEEP} {twice.pop()} is given twice; put all values behind one, with commas")
    return found, replace(arguments, options=kept)


def _read(text: str) -> Swept:
    option, given, values = text.partition("=")
    option = option.removeprefix("--")
    if not option or not given or not values:
        raise TlearnError(f"{SWEEP}: expected OPTION=VALUE,VALUE,... or OPTION=LOWEST..HIGHEST, got '{text}'")
    if ends := _RANGE.fullmatch(values):
        lowest, highest = (_as_number(end) for end in ends.groups())
        if lowest >= highest:
            raise TlearnError(f"{SWEEP} {option}: expected LOWEST..HIGHEST, got '{values}'")
        return Swept(option, ends=(lowest, highest))
    try:
        # A list in YAML's short form: commas inside brackets and quotes are not between values.
        check_typed(f"{SWEEP} {option}", f"[{values}]")
        read = yaml.safe_load(f"[{values}]")
    except yaml.YAMLError as error:
        raise TlearnError(f"{SWEEP} {option}: '{values}' is no list of YAML values: {one_line(error)}") from error
    return Swept(option, tuple(map(_as_number, read)))


def _as_number(value: Any) -> Any:
    """Turn text into the number that it is, also ``1e-4``, which YAML 1.1 takes for text."""
    if not isinstance(value, str) or not re.fullmatch(_NUMBER, value):
        return value
    return int(value) if re.fullmatch(r"[-+]?\d+", value) else float(value)


def variant_of(arguments: Arguments, choice: Mapping[str, Any]) -> Variant:
    """Make the variant of a command line that has these values, by option."""
    name = name_of(choice)
    words = [f"--{option}={as_typed(value)}" for option, value in choice.items()]
    varied = replace(arguments, options=[*arguments.options, *words])
    return Variant(name, f"sweep/{arguments.run_name}/{_as_folder(name.replace(', ', ','))}", varied)


def name_of(choice: Mapping[str, Any]) -> str:
    """Name a variant by the last words of its options, where no two share theirs."""
    last = [option.rpartition(".")[2] for option in choice]
    named = zip(choice.items(), last, strict=True)
    return ", ".join(
        f"{short if last.count(short) == 1 else option}={_shown(value)}" for (option, value), short in named
    )


def _shown(value: Any) -> str:
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, list) else as_typed(value)


def as_typed(value: Any) -> str:
    """Write a value so that the parser reads it back: JSON is YAML, but for texts by themselves."""
    return value if isinstance(value, str) else json.dumps(value)


def _as_folder(name: str) -> str:
    """Make a name that any file system takes; what was changed is told apart by a hash."""
    safe = re.sub(r"[^\w.=,+-]+", "_", name)[:_LONGEST]
    return safe if safe == name else f"{safe}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"
