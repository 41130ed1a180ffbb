"""What all members of a race share: the command line, the data, the place of their runs. N images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tlearn.analysis.race.recipes import CHOSEN, LAST, epochs_of, head_epochs_of, options_of
from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import key_of
from tlearn.base.places import DEFAULT_ROOT
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import Config, last_value
from tlearn.commands.compare.identity import DataIdentity, hash_of, look
from tlearn.commands.untrained import untrained
from tlearn.data.datamodule import ImageDataModule

_REFUSED = {
    "--folds": "--folds fits every fold",
    "--sweep": "--sweep compares values that you name",
    "--find_lr": "the race tries several rates",
    "--ckpt_path": "--ckpt_path goes on with one run; a race that was stopped goes on by itself",
    "--model.distill_from": "a race's heads are solved; distil from its result instead",
    "--resume": "a race that was stopped goes on by itself",
}
EPOCHS, WEIGHTS = "--trainer.max_epochs", "--model.weights"
_VALUES_A_CLASS = 10  # a regression has no classes: its epochs are those of so many


@dataclass(frozen=True)
class Track:
    """What the members share.

    Attributes:
        arguments: The command line of `fit`, without the budget.
        place: Where their runs lie, under the root of runs.
        folder: The same, as a path.
        identity: What must not have changed for a run to be gone on with.
        data: The identity of the data.
        epochs: Of a whole run of a trained member.
        train_images: N.
        keeps_tap: The stages that feed the head were typed.
        has_test: The data have images to test.
        has_weights: The network begins with weights that know something, as far as the options say.
    """

    arguments: Arguments
    place: str
    folder: Path
    identity: dict[str, Any]
    data: DataIdentity
    epochs: int
    train_images: int
    keeps_tap: bool
    has_test: bool
    has_weights: bool

    def options(self, member: str, stages: Sequence[str]) -> dict[str, Any]:
        """Return a member's options of the model, but for those that were typed."""
        return options_of(member, stages, self.epochs, self.data.task, self.keeps_tap)

    def arguments_of(self, options: dict[str, Any], epochs: int, checkpoint: Path | None) -> Arguments:
        """Return the command line of a member, which goes on from a checkpoint if there is one."""
        goes_on = [f"--ckpt_path={checkpoint}"] if checkpoint else []
        return with_options(self.arguments, options, epochs, goes_on)

    def identity_of(self, options: dict[str, Any], epochs: int) -> str:
        """Return what tells a member's run from one of other options or data."""
        return key_of({**self.identity, "options": options, "epochs": epochs})


def with_options(arguments: Arguments, options: dict[str, Any], epochs: int, more: Sequence[str] = ()) -> Arguments:
    """Return a command line with other options of the model, which beat those of configs."""
    configs = [*arguments.configs, Config({"model": options})]
    own = [EPOCHS, *(name for name in (WEIGHTS,) if name.removeprefix("--model.") in options)]
    words = [*words_without(arguments, *own), f"{EPOCHS}={epochs}", *more]
    return replace(arguments, configs=configs, options=words, words=[], target=None)


def track_of(arguments: Arguments) -> Track:
    """Check the command line of a race, and look at its data.

    Args:
        arguments: Without ``--budget``.

    Raises:
        TlearnError: An option does not go with a race, or the data do not; or whatever a fit would refuse.
    """
    _refuse(arguments)
    typed = typed_epochs(arguments)
    keeps_tap = any(name == "--model.tap" for name, _ in arguments.pairs())
    place = f"{arguments.run_name}/race"
    cli = untrained(with_options(arguments, options_of(LAST, (), 1, keeps_tap=keeps_tap), 1), makes="data")
    trainer, data = cli.plain["trainer"], cli.data
    _refuse_trainer(trainer)
    if not data.validates:
        raise TlearnError(
            f"a race compares by validation images, and there are none ({data.without_validation}); let some "
            "validate, or drop --budget"
        )
    data.setup("fit")
    _refuse_data(data)
    identity, seed = look(data), cli.plain["seed_everything"]
    images = len(data.dataset("train"))
    classes = _VALUES_A_CLASS if data.task == "regression" else max(data.num_classes, 1)
    return Track(
        arguments=arguments,
        place=place,
        folder=Path(trainer["default_root_dir"] or DEFAULT_ROOT, place),
        identity={"config": hash_of(cli.plain), "train": identity.train, "val": identity.val, "seed": seed},
        data=identity,
        epochs=typed or epochs_of(images / classes),
        train_images=images,
        keeps_tap=keeps_tap,
        has_test=data.has_split("test"),
        has_weights=cli.plain["model"]["weights"] is not None,
    )


def epochs_of_head(track: Track) -> int:
    """Return how many epochs a head has."""
    return head_epochs_of(track.data.task)


def replaced(arguments: Arguments) -> list[str]:
    """List the options that typed configs set and a race sets itself."""
    typed = arguments.target.configs if arguments.target else arguments.configs
    given = {name for config in typed for name in config.content.get("model") or {}}
    return [f"model.{name}" for name in CHOSEN if name in given]


def _refuse(arguments: Arguments) -> None:
    names = [name for name, _ in arguments.pairs()]
    contents = [config.content for config in arguments.configs]
    for option, why in _REFUSED.items():
        if option in names or last_value(contents, option.removeprefix("--")) not in (None, False):
            raise TlearnError(f"--budget does not go with {option}: {why}; drop one of the two")
    if own := typed_of_race(arguments):
        raise TlearnError(f"the race chooses {own[0].removeprefix('--')} itself; drop it, or drop --budget")


def typed_of_race(arguments: Arguments) -> list[str]:
    """List the options on a command line that a race sets itself."""
    names = [name for name, _ in arguments.pairs() if name.startswith("--model.")]
    return [name for name in names if name.split(".")[1] in CHOSEN]


def _refuse_trainer(trainer: dict[str, Any]) -> None:
    faults = {
        "trainer.fast_dev_run keeps no run": trainer["fast_dev_run"],
        "trainer.barebones keeps no run": trainer["barebones"],
        "trainer.logger puts runs elsewhere, or nowhere": trainer["logger"] not in (None, True),
        "trainer.enable_checkpointing is false": trainer["enable_checkpointing"] is False,
        "trainer.limit_train_batches is 0": trainer["limit_train_batches"] == 0,
        "trainer.limit_val_batches is 0": trainer["limit_val_batches"] == 0,
        "trainer.max_steps ends runs in an epoch": trainer["max_steps"] not in (None, -1),
        "trainer.max_time ends runs by itself": trainer["max_time"] is not None,
    }
    for fault, is_so in faults.items():
        if is_so:
            raise TlearnError(f"{fault}, which leaves nothing to race; drop the option, or drop --budget")
    _refuse_other_epochs(trainer)
    if trainer["devices"] not in (1, "1", "auto") or trainer["num_nodes"] != 1 or trainer["strategy"] != "auto":
        raise TlearnError(
            f"a race trains on one device, got trainer.devices {trainer['devices']}, trainer.num_nodes "
            f"{trainer['num_nodes']} and trainer.strategy {trainer['strategy']}; drop them, or drop --budget"
        )


def _refuse_other_epochs(trainer: dict[str, Any]) -> None:
    """Refuse what ends an epoch without its own validation: members are compared behind each."""
    interval, every = trainer["val_check_interval"], trainer["check_val_every_n_epoch"]
    faults = {
        f"trainer.check_val_every_n_epoch is {'null' if every is None else every}": every != 1,
        f"trainer.val_check_interval is {interval}": interval is not None and repr(interval) != "1.0",  # 1: each batch
        "trainer.overfit_batches takes other batches": bool(trainer["overfit_batches"]),
    }
    for fault, is_so in faults.items():
        if is_so:
            raise TlearnError(f"{fault}, and a race validates behind every epoch; drop the option, or drop --budget")


def _refuse_data(data: ImageDataModule) -> None:
    if data.task == "classification" and data.num_classes < 2:
        raise TlearnError(
            f"a race needs two classes or more, found {data.num_classes} ({', '.join(data.class_names)}): every "
            "network would be right; add the pictures of another class"
        )


def words_without(arguments: Arguments, *options: str) -> list[str]:
    """Return the options of a command line but some, a word each."""
    kept = [(name, value) for name, value in arguments.pairs() if name not in options]
    return [name if value is None else f"{name}={value}" if name else value for name, value in kept]


def typed_epochs(arguments: Arguments) -> int | None:
    """Return the epochs that an option says, else a config that was typed; ``None`` where neither does.

    Raises:
        TlearnError: They are no number from 1 on.
    """
    typed = arguments.target.configs if arguments.target else arguments.configs
    found = arguments.value_of(EPOCHS)
    if found is None:
        found = last_value([config.content for config in typed], EPOCHS.removeprefix("--"))
    if found is None:
        return None
    if not str(found).isdecimal() or int(found) < 1:
        raise TlearnError(f"{EPOCHS}: a race needs a whole number from 1 on, got '{found}'")
    return int(found)
