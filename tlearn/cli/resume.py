"""What a checkpoint says about the options: it answers for those that were not typed, and refuses those that differ."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.places import DEFAULT_ROOT, find_checkpoint, newest_first, run_folder_of
from tlearn.base.program import program
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import Config, last_value, leaves, with_older_options
from tlearn.cli.safe_yaml import check_size
from tlearn.cli.targets.run_places import runs_folder
from tlearn.models.options import NetworkOptions, names_of
from tlearn.models.weights.safe_load import read_checkpoint
from tlearn.training.callbacks.run_folder import CONFIG_KEY
from tlearn.training.exact_resume import finished_epochs

log = logging.getLogger(__name__)

# What makes a network another network; a checkpoint cannot be read into any other.
# What the data say is linked to them, and weights are those of the checkpoint.
_LINKED = ("num_classes", "class_names", "task", "weights")
_ARCHITECTURE = tuple(f"model.{name}" for name in names_of(NetworkOptions) if name not in _LINKED)
# What decides the next step's bits.
_FIXED_ON_RESUME = (
    "seed_everything",
    "model",
    "data",
    "find_lr",
    "trainer.precision",
    "trainer.limit_train_batches",
    "trainer.accumulate_grad_batches",
    "trainer.gradient_clip_val",
    "trainer.gradient_clip_algorithm",
)
_NOTHING = ("null", "None")
_STEPS, _ENDING = ": steps are left", ": all is trained, what a run writes at its end is missing"
# Where data and teacher lie, who reads them and what is kept may change, their content is checked by itself.
_FREE_DATA = tuple(f"data.init_args.{name}" for name in ("root", "download", "num_workers", "picture_cache_gb"))
_FREE_ON_RESUME = (*_FREE_DATA, "model.distill_from")


@dataclass
class Checkpoint:
    """A checkpoint named on the command line.

    Attributes:
        path: The file.
        config: The config of the run that wrote it; empty when it was written from Python.
        epoch: The number of finished epochs.
        steps: The number of finished steps.
        about: What the model says of itself: ``task``, ``class_names``, ``pictures``, ``temperature``.
        members: Of an ensemble: what builds its members again; ``None`` of any other network.
    """

    path: Path
    config: dict[str, Any]
    epoch: int
    steps: int
    about: dict[str, Any]
    members: list[dict[str, Any]] | None = None

    @property
    def class_names(self) -> list[str]:
        """The classes that the network knows."""
        return list(self.about["class_names"])

    @property
    def run_folder(self) -> Path | None:
        """The run folder that the file lies in, if it still does."""
        return run_folder_of(self.path)


def going_on(arguments: Arguments) -> Arguments:
    """Let ``fit`` with ``resume: auto`` go on from its newest unfinished run, if there is one, and say what it does.

    A run that was killed before its first checkpoint is passed over; one that is finished begins no other.

    Raises:
        TlearnError: A run's checkpoint cannot be read.
    """
    typed = [config.content for config in arguments.configs]
    given = arguments.value_of("--ckpt_path") or last_value(typed, "ckpt_path")
    auto = (arguments.value_of("--resume") or last_value(typed, "resume")) == "auto"
    if arguments.verb != "fit" or not auto or given not in (None, *_NOTHING):
        return arguments
    runs = runs_folder(arguments, typed)
    folders = newest_first(runs)
    kept = [folder for folder in folders if (folder / "checkpoints" / "last.ckpt").is_file()]
    if not folders:
        log.info("resume auto: no run under %s yet, a new one begins", runs)
    elif not kept:
        log.info("resume auto: %s was stopped before its first checkpoint, a new run begins", folders[0])
    elif (left := _left_of(kept[0])) == "":
        log.info("resume auto: %s is finished, a new run begins", kept[0])
    else:
        path = kept[0] / "checkpoints" / "last.ckpt"
        log.info("resume auto: going on from %s%s", path, left)
        return replace(arguments, options=[*arguments.options, f"--ckpt_path={path}"])
    return arguments


def _left_of(run: Path) -> str:
    """Say what is left of a run, behind the words that it goes on; nothing of one that is finished.

    A run that ``max_time``, a signal or a fault ended is not finished; one that early stopping ended is.
    """
    checkpoint = read_checkpoint(run / "checkpoints" / "last.ckpt")
    try:
        done, steps, config = finished_epochs(checkpoint), int(checkpoint["global_step"]), checkpoint[CONFIG_KEY]
        is_trained, is_without = _limit_reached(config, done, steps), _takes_no_steps(config)
    except (KeyError, TypeError, ValueError):
        return _STEPS  # not ours: whoever opens it says so
    if _says_finished(run, done, config) or is_without:
        return ""
    if is_trained:
        return _ENDING
    return "" if _has_stopped_early(checkpoint) else _STEPS


def only_ends(checkpoint: Checkpoint, config: Mapping[str, Any]) -> bool:
    """Tell whether a run has all of its steps behind it, and was ended before it wrote its card.

    Args:
        checkpoint: That with which it goes on.
        config: The options with which it does.
    """
    run, reached = checkpoint.run_folder, (checkpoint.epoch, checkpoint.steps)
    if run is None or checkpoint.path.name != "last.ckpt" or not checkpoint.config:
        return False
    is_trained = _limit_reached(config, *reached) and _limit_reached(checkpoint.config, *reached)
    return bool(is_trained) and not _says_finished(run, checkpoint.epoch, checkpoint.config)


def _limit_reached(config: Mapping[str, Any], epochs: int, steps: int) -> str:
    """Say in words which limit of a run leaves nothing to train; empty where none does."""
    if _takes_no_steps(config):
        return ""  # the model refuses to resume it in its own words
    trainer = config["trainer"]
    for limit, unit, done in (("max_epochs", "epochs", epochs), ("max_steps", "steps", steps)):
        planned = trainer.get(limit)
        if planned is not None and 0 <= planned <= done:
            return f"{done} {unit} behind it, none is left: raise trainer.{limit}"
    return ""


def _takes_no_steps(config: Mapping[str, Any]) -> bool:
    """Tell whether a run solves a head, or puts trained networks together."""
    return bool(config["model"].get("head_solver", "sgd") != "sgd" or config["model"].get("ensemble"))


def _says_finished(run: Path, done: int, config: Mapping[str, Any]) -> bool:
    """Tell whether the card speaks of this end, not of an earlier one, and all else is there."""
    if config["model"].get("wise_ft") and not (run / "checkpoints" / "wise_ft.ckpt").is_file():
        return False
    with suppress(OSError, ValueError, KeyError, TypeError):
        card = json.loads((run / "card.json").read_text(encoding="utf-8"))
        return bool(card["status"] == "finished" and card["epochs"]["done"] >= done)
    return False


def _has_stopped_early(checkpoint: Mapping[str, Any]) -> bool:
    callbacks = checkpoint.get("callbacks", {})
    return any(name.startswith("EarlyStopping") and state.get("stopping_reason") for name, state in callbacks.items())


def goes_on(checkpoint: Checkpoint | None) -> bool:
    """Tell whether a resume writes into its run's folder: only from its last epoch, else two histories would mix."""
    return checkpoint is not None and checkpoint.run_folder is not None and checkpoint.path.name == "last.ckpt"


def open_checkpoint(arguments: Arguments) -> Checkpoint | None:
    """Find and read the checkpoint that the command line or a config names.

    Raises:
        TlearnError: ``validate``, ``test`` or ``predict`` without one; a missing or unreadable file; not ours.
    """
    typed = [config.content for config in arguments.configs]
    given = arguments.value_of("--ckpt_path")
    if given == "":
        raise TlearnError("--ckpt_path is empty; name a checkpoint, or drop the option")
    given = given or last_value(typed, "ckpt_path")
    if given in (None, *_NOTHING):
        if arguments.verb == "fit":
            return None
        raise TlearnError(
            f"{arguments.verb} needs a run, without it the head is untrained: {program()} {arguments.verb} "
            f"{DEFAULT_ROOT}/my_pictures; or --ckpt_path best, last, wise_ft, a run folder or a file"
        )
    keyword = "last" if arguments.verb == "fit" else "best"
    path = find_checkpoint(str(given), runs_folder(arguments, typed), keyword)
    if arguments.verb == "fit" and path.name == "wise_ft.ckpt":
        raise TlearnError(f"a mixture has no training to go on with; to start from it: --model.weights {path}")
    content = read_checkpoint(path)
    if "tlearn" not in content:
        raise TlearnError(f"{path} is no checkpoint of tlearn; to start from its weights: fit --model.weights {path}")
    try:
        epoch, steps = finished_epochs(content), int(content["global_step"])
        config, about = with_older_options(dict(content.get(CONFIG_KEY, {}))), dict(content["tlearn"])
        check_size(config)
    except (KeyError, TypeError, ValueError, TlearnError) as error:
        raise TlearnError(f"{path} does not hold what a checkpoint of tlearn holds: {one_line(error, 200)}") from error
    members = content.get("hyper_parameters", {}).get("ensemble")
    return Checkpoint(path, config, epoch, steps, about, members)


def defaults_from(checkpoint: Checkpoint, verb: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that a checkpoint answers for: those that typed configs may override, and those they may not.

    ``fit`` resumes, so everything comes from the checkpoint first; what is typed differently is checked afterwards.
    The other verbs take the model as it is in the file, even where a config says otherwise.
    """
    config = {key: value for key, value in checkpoint.config.items() if key != "ckpt_path"}
    if verb == "fit":
        return config, {}
    precision = config.get("trainer", {}).get("precision")
    before: dict[str, Any] = {key: config[key] for key in ("seed_everything", "data") if key in config}
    before["trainer"] = {} if verb == "predict" else {"precision": precision}  # see `settle_machine`
    return before, {"model": config["model"]} if "model" in config else {}


def overridden_model_options(checkpoint: Checkpoint, configs: Iterable[Config]) -> list[str]:
    """List, as lines to print, what configs say of the network and the checkpoint knows better."""
    stored, lines = dict(leaves(checkpoint.config)), []
    for config in configs:
        for key, value in leaves(config.content):
            if key in _ARCHITECTURE and key in stored and stored[key] != value:
                where = Path(str(config)).name
                lines.append(f"{key}: {stored[key]!r} as in the checkpoint, not {value!r} as in {where}")
    return lines


def check_evaluation(checkpoint: Checkpoint, config: Mapping[str, Any]) -> None:
    """Refuse an architecture typed differently from the checkpoint's.

    Raises:
        TlearnError: The option, with both values.
    """
    _refuse(checkpoint, config, _ARCHITECTURE, (), "the network is the checkpoint's: drop the option")


def check_resume(checkpoint: Checkpoint, config: Mapping[str, Any]) -> None:
    """Refuse to resume with other options than those that wrote the checkpoint, or when nothing is left to do.

    Raises:
        TlearnError: Every option that differs, with both values and the way that allows the change.
    """
    remedy = f"a resume goes on exactly as before; to start anew from its weights: --model.weights {checkpoint.path}"
    _refuse(checkpoint, config, _FIXED_ON_RESUME, _FREE_ON_RESUME, f"{remedy} (without --ckpt_path)")
    reached = _limit_reached(config, checkpoint.epoch, checkpoint.steps)
    if reached and not only_ends(checkpoint, config):
        raise TlearnError(f"{checkpoint.path} has {reached}")


def _refuse(
    checkpoint: Checkpoint, config: Mapping[str, Any], fixed: tuple[str, ...], free: tuple[str, ...], remedy: str
) -> None:
    stored = dict(leaves(checkpoint.config))
    if not stored:
        return
    given = dict(leaves(config))
    differing = [
        f"{key} is {stored.get(key)!r} in the checkpoint, {given.get(key)!r} was given"
        for key in [*stored, *(key for key in given if key not in stored)]
        if stored.get(key) != given.get(key) and _covers(fixed, key) and not _covers(free, key)
    ]
    if differing:
        raise TlearnError(f"{'; '.join(differing)}; {remedy}")


def _covers(prefixes: tuple[str, ...], key: str) -> bool:
    return any(key == prefix or key.startswith(prefix + ".") for prefix in prefixes)
