"""Put together the words for the parser: those that were typed, and the options that a checkpoint answers for."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError
from tlearn.cli.arguments import Arguments
from tlearn.cli.config_files import Config
from tlearn.cli.ensembles.settle import words_with_members
from tlearn.cli.resume import Checkpoint, defaults_from, overridden_model_options
from tlearn.data.decoding.reading_options import options_in, stored_reading
from tlearn.data.plain.given import GIVEN
from tlearn.models.trust import is_dotted_name

log = logging.getLogger(__name__)


def words_of(arguments: Arguments, checkpoint: Checkpoint | None) -> list[str]:
    """Return the words for the parser, in which a later word beats an earlier one.

    The order is: the checkpoint's options, typed configs, the checkpoint's model where it must not change, and typed
    options. The checkpoint's options are JSON, which the parser takes in place of the path of a config.

    Args:
        arguments: The command line.
        checkpoint: The checkpoint that it names.

    Raises:
        TlearnError: Pictures are named for a checkpoint that does not say how pictures were read.
    """
    own = _own_data(arguments)
    members = words_with_members(arguments) if checkpoint is None else None
    configs = arguments.configs if members is None else members
    typed = [config.word if own is None else _without_other_data(config, own) for config in configs]
    if checkpoint is None:
        return [*typed, *arguments.options]
    named = f"--ckpt_path={checkpoint.path}"
    files, rest = arguments.take_several("--data")
    if arguments.verb == "predict" and (len(files) > 1 or any(map(_is_path, files))):
        return [*_as_config(_options_for_files(rest, checkpoint, files)), *rest.options, named]
    before, after = defaults_from(checkpoint, arguments.verb or "fit")
    if any(word.startswith("--trainer.callbacks") for word in arguments.options):
        before.get("trainer", {}).pop("callbacks", None)  # `callbacks+=`, typed once more, would double them
    if after:
        for line in overridden_model_options(checkpoint, arguments.configs):
            log.warning(line)
    return [*_as_config(before), *typed, *_as_config(after), *arguments.options, named]


def _options_for_files(arguments: Arguments, checkpoint: Checkpoint, files: list[str]) -> dict[str, Any]:
    """Return the options to predict for files; the data of typed configs have labels and are left out."""
    before, after = defaults_from(checkpoint, "predict")
    for config in arguments.configs:
        before |= {key: value for key, value in config.content.items() if key in ("seed_everything", "trainer")}
    pictures = checkpoint.about.get("pictures") or {}
    if not pictures and not arguments.value_of("--data.size_px"):
        raise TlearnError(
            f"{checkpoint.path} does not say how pictures were read: it is older than 0.1; train it again, or say it: "
            "--data.size_px N --data.crop_pct 1"
        )
    options = {
        # One text with a line for each, if possible: jsonargparse takes 9 ms for each item of a list.
        "files": "\n".join(files) if all(name.strip() and "\n" not in name for name in files) else files,
        "stored_classes": checkpoint.class_names,
        "stored_task": checkpoint.about["task"],
        **{name: value for name, value in pictures.items() if name != "reading"},
        **options_in(stored_reading(pictures)),
    }
    data = {"class_path": "tlearn.data.PredictFilesDataModule", "init_args": options}
    return before | after | {"data": data}


def _is_path(text: str) -> bool:
    return text == "-" or Path(text).exists() or any(mark in text for mark in "*?[/\\")


def _own_data(arguments: Arguments) -> str | None:
    """Return the class of the user's own that was typed for the data."""
    typed = arguments.value_of("--data.class_path") or arguments.value_of("--data") or ""
    is_own = "." in typed and is_dotted_name(typed) and not Path(typed).exists()
    return typed if is_own and (not typed.startswith("tlearn.") or typed == GIVEN) else None


def _without_other_data(config: Config, own: str) -> str:
    """Return the word for a config without the options of another data module: they would hold for this one too."""
    data = config.content.get("data")
    if not isinstance(data, dict) or data.get("class_path") == own:
        return config.word
    return _as_config({key: value for key, value in config.content.items() if key != "data"})[0]


def _as_config(options: dict[str, Any]) -> list[str]:
    return [f"--config={json.dumps(options)}"] if options else []
