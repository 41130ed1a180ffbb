"""Put options in place of a target: ``fit my_pictures`` is ``fit --config folder.yaml --data.root my_pictures``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError
from tlearn.base.next_command import PHOTOS
from tlearn.base.places import DEFAULT_ROOT, KEYWORDS
from tlearn.base.program import program
from tlearn.cli.arguments import Arguments, Target
from tlearn.cli.config_files import Config, find_config, read_config
from tlearn.cli.targets.kinds import Kind, kind_of, name_of, names_of_runs, near, runs_named
from tlearn.data.files.folder_layout import refuse_without_folders
from tlearn.data.files.listing import class_folders
from tlearn.data.labels.label_list import are_labels_listed

DATA_VERBS = ("fit", "plan", "probe", "advise", "doctor", "review")
RUN_VERBS = ("validate", "test", "predict", "export")  # report reads its own: it looks for a card
# The config that a target stands for, and the option of its data that names the place.
_MEANT: dict[Kind, tuple[str, str]] = {
    "folder": ("folder.yaml", "root"),
    "table": ("table.yaml", "table"),
    "shards": ("stream.yaml", "root"),
}
_CALLED: dict[Kind, str] = {
    "folder": "a folder",
    "shards": "a folder of shards",
    "table": "a table",
    "config": "a config",
    "run": "a run",
    "runs": "a folder of runs",
    "checkpoint": "a checkpoint",
    "file": "a file of another kind",
}
# Options of the data that belong to a strategy: they hold also for other pictures than those of its config.
_OF_STRATEGY = ("batch_size", "augment")
_FILES = ("--data",)  # takes all words that follow, as a shell makes of *.jpg


def with_target(arguments: Arguments) -> Arguments:
    """Put options in place of the target, where one is typed.

    Raises:
        TlearnError: There is no such thing, the verb takes another kind, or the place is given twice.
    """
    if arguments.verb == "review" and _names_run(arguments):
        return _of_run(arguments)
    if arguments.verb in DATA_VERBS:
        return _of_data(arguments)
    return _of_run(arguments) if arguments.verb in RUN_VERBS else arguments


def _names_run(arguments: Arguments) -> bool:
    words = arguments.take_loose()[0]
    return bool(words) and _are_runs(words[:1])


def _of_data(arguments: Arguments) -> Arguments:
    words, rest = arguments.take_loose()
    if not words:
        return arguments
    word, verb = words[0], f"{arguments.verb}"
    kind = kind_of(word)
    if len(words) > 1:
        configs = [other for other in words if kind_of(other) == "config"]
        way = f"; a config beside it is named by --config {configs[0]}" if len(configs) == 1 else ""
        raise TlearnError(f"{verb} takes one folder, table or config, got {' and '.join(words)}{way}")
    if kind == "config":
        return replace(rest, configs=[Config(find_config(word)), *rest.configs])
    if kind not in _MEANT:
        raise TlearnError(_no_data(verb, word, kind, named=bool(rest.configs)))
    config, option = _MEANT[kind]
    _refuse_place_twice(word, option, rest)
    listed = _listed(Path(word).expanduser(), verb) if kind == "folder" else None
    place = word if "://" in word else str(Path(word))  # without the slash that a shell puts behind it
    if not rest.configs:
        own = (f"--data.init_args.{option}={place}",)
        target = Target(word, name_of(word), options=own)
        beside = [Config({"data": listed})] if listed else []
        meant = [Config(find_config(config)), *beside]
        return replace(rest, target=target, configs=meant, options=[*own, *rest.options])
    plain = listed or read_config(find_config(config))["data"]
    data, said = _data_of(place, plain, option, rest.configs)
    target = Target(word, name_of(word), tuple(rest.configs), said=said)
    stripped = [each.without("data") for each in rest.configs]
    if not _is_place(_given_data(rest.configs)["init_args"].get(option), place):
        stripped = [each.without("advice") for each in stripped]  # what it expects was measured on other pictures
    return replace(rest, target=target, configs=[*stripped, Config({"data": data})])


def _listed(folder: Path, verb: str) -> dict[str, Any] | None:
    """Return the data of a folder whose list alone gives the labels; ``None`` for one of class folders.

    Raises:
        TlearnError: It is neither, and the verb needs labels.
    """
    if not are_labels_listed(folder):
        if class_folders(folder):
            return None
        if verb != "doctor":
            refuse_without_folders(folder)
    return {"class_path": "ListedFolderDataModule", "init_args": {"needs_labels": False} if verb == "doctor" else {}}


def _no_data(verb: str, word: str, kind: Kind, named: bool) -> str:
    """Say what a verb that looks at pictures takes, and what to do with the word; `named` is whether a config is."""
    if kind in ("run", "runs", "checkpoint"):
        run, way = shlex.quote(word), f"{program()} {verb}"
        further = f"; to go on with it: {way} --ckpt_path {run}" if verb == "fit" else ""
        return (
            f"{word} is {_CALLED[kind]}, {verb} takes pictures: a folder, a table or a config; to evaluate it: "
            f"{program()} test {run}{further}"
        )
    if kind == "file":
        return f"{word} is no folder, no table (.csv, .parquet) and no config (.yaml), which is what {verb} takes"
    like = f"; did you mean {near(word)}?" if near(word) else ""
    nothing = f"no folder of pictures, table or config at {Path(word).absolute()}"
    if named:
        return f"unexpected word '{word}': {nothing}, and no option before it takes it{like}"
    return f"{word}: {nothing}{like}"


def _refuse_place_twice(word: str, option: str, arguments: Arguments) -> None:
    names = ("--data", "--data.class_path", f"--data.{option}", f"--data.init_args.{option}")
    if typed := next((name for name, _ in arguments.pairs() if name in names), None):
        raise TlearnError(f"{word} and {typed} both say where the pictures are; drop one")


def _data_of(place: str, plain: dict[str, Any], option: str, configs: Sequence[Config]) -> tuple[dict[str, Any], str]:
    """Return the data of a target beside configs, which give the strategy, and the line that says so."""
    given = _given_data(configs)
    if _class_of(given) == _class_of(plain):
        kept, held = given["init_args"], "the other options of its data hold"
    else:
        kept = {name: value for name, value in given["init_args"].items() if name in _OF_STRATEGY}
        held = f"of its data only {' and '.join(kept)} hold" if kept else "none of its data's options hold"
    data = {**plain, "init_args": {**plain["init_args"], **kept, option: place}}
    return data, f"the pictures are those of {place}, the strategy is that of {Path(str(configs[-1])).name}; {held}"


def _given_data(configs: Sequence[Config]) -> dict[str, Any]:
    """Return the class of the data that configs name, and its options; those of a later config win."""
    found: dict[str, Any] = {"class_path": None, "init_args": {}}
    for config in configs:
        data = config.content.get("data")
        if not isinstance(data, dict):
            continue
        options = data.get("init_args")
        found["class_path"] = data.get("class_path", found["class_path"])
        found["init_args"] |= options if isinstance(options, dict) else {}
    return found


def _is_place(given: Any, place: str) -> bool:
    """Tell whether a config names the same pictures."""
    return isinstance(given, str) and Path(given).expanduser().absolute() == Path(place).expanduser().absolute()


def _class_of(data: dict[str, Any]) -> str:
    return str(data.get("class_path")).rpartition(".")[2]


def _of_run(arguments: Arguments) -> Arguments:
    words, rest = arguments.take_loose(_FILES)
    typed = arguments.value_of("--ckpt_path")
    is_named = typed is not None and (typed not in KEYWORDS or bool(arguments.configs))
    run, others = ([], words) if is_named and not _are_runs(words[:1]) else (words[:1], words[1:])
    if others and _are_runs(others[:1]) and not _are_runs(run):
        raise TlearnError(
            f"the run comes first: {program()} {arguments.verb} {shlex.join([others[0], *run, *others[1:]])}"
        )
    if others and arguments.verb != "predict":
        raise TlearnError(_too_many(f"{arguments.verb}", words))
    options = [*rest.options, *(f"--data={_picture(other)}" for other in others)]
    if not run:
        return replace(rest, options=options)
    return replace(rest, options=[*_without(options, typed), f"--ckpt_path={_checkpoint(arguments, run[0], typed)}"])


def _are_runs(words: Sequence[str]) -> bool:
    return all(kind_of(word) in ("run", "runs", "checkpoint") for word in words)


def _without(options: Sequence[str], keyword: str | None) -> list[str]:
    """Leave out ``--ckpt_path best``, which has become a part of the path."""
    if keyword is None:
        return [*options]
    drops = (f"--ckpt_path={keyword}", "--ckpt_path")
    kept = [word for word in options if word not in drops]
    kept.remove(keyword) if "--ckpt_path" in options else None
    return kept


def _checkpoint(arguments: Arguments, word: str, typed: str | None) -> Path:
    """Return what ``--ckpt_path`` would be given.

    Raises:
        TlearnError: The word names no run.
    """
    kind, verb = kind_of(word), f"{arguments.verb}"
    path = run_of(verb, word)
    if typed is None:
        return path
    if typed not in KEYWORDS or kind == "checkpoint":
        raise TlearnError(f"{word} and --ckpt_path {typed} both name a checkpoint; drop one")
    if kind == "run":
        return path / ("" if path.name == "checkpoints" else "checkpoints") / f"{typed}.ckpt"
    raise TlearnError(f"--ckpt_path {typed} is of one run; name it: {verb} {word}/version_N --ckpt_path {typed}")


def run_of(verb: str, word: str) -> Path:
    """Return the place of a run, a folder of runs or a checkpoint that a word names.

    Raises:
        TlearnError: It names none.
    """
    if not _are_runs([word]):
        raise TlearnError(_no_run(verb, word, kind_of(word)))
    return Path(word)


def _no_run(verb: str, word: str, kind: Kind) -> str:
    start, own = f"{program()} {verb}", runs_named(word)
    if kind == "config":
        return f"{verb} takes a run; for the best one of this config: {start} --config {word} --ckpt_path best"
    if kind in ("folder", "table", "shards") and own is None and (below := names_of_runs(Path(word))):
        return f"{word} holds runs of several names; name one: {', '.join(f'{start} {path}' for path in below[:3])}"
    if kind == "nothing":
        there = [str(path) for path in names_of_runs(Path(DEFAULT_ROOT))[:5]]
        known = f"; there are {', '.join(there)}" if there else f"; {program()} fit makes one"
        return f"no run at {Path(word).absolute()}" + (f"; did you mean {own}?" if own else known)
    if own is not None:
        return f"{word} is {_CALLED[kind]}, {verb} takes a run; of this name there is: {start} {own}"
    way = f"; fit it first: {program()} fit {shlex.quote(word)}" if kind in _MEANT else ""
    return f"{word} is {_CALLED[kind]}, {verb} takes a run, such as {DEFAULT_ROOT}/my_pictures{way}"


def _too_many(verb: str, words: Sequence[str]) -> str:
    said = f"{verb} takes one run, got {' and '.join(words)}"
    if verb == "export" or not any(kind_of(word) == "folder" for word in words[1:]):
        return said
    return f"{said}; for other pictures: {program()} {verb} {words[0]} --data.init_args.root {words[1]}"


def _picture(word: str) -> str:
    """Return what ``--data`` of ``predict`` would be given.

    Raises:
        TlearnError: There is nothing of this name.
    """
    if word == "-" or Path(word).expanduser().exists() or any(mark in word for mark in "*?["):
        return word
    like = f"; did you mean {near(word)}?" if near(word) else ""
    like = f"; {word} stands for your pictures: type a folder or a file" if word == PHOTOS else like
    raise TlearnError(f"predict: no picture, folder or table at {Path(word).absolute()}{like}")
