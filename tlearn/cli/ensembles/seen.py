"""What a trained network learned from, and whether that validates here."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlearn.models.weights.safe_load import read_checkpoint
from tlearn.training.callbacks.run_folder import CONFIG_KEY

log = logging.getLogger(__name__)

# Options of the data that decide which images validate.
_SPLIT = ("val_fraction", "split_seed", "folds", "fold", "train_per_class", "test_fraction", "groups")


def data_of(checkpoint: Path) -> dict[str, Any] | None:
    """Return the data that a network learned from, as its config has them; augmented images teach nothing here."""
    data = read_checkpoint(checkpoint).get(CONFIG_KEY, {}).get("data")
    if not isinstance(data, dict) or "class_path" not in data:
        return None
    options = {name: value for name, value in (data.get("init_args") or {}).items() if name != "augment"}
    return {"class_path": data["class_path"], "init_args": json.loads(json.dumps(options))}


def warn_of_other_split(checkpoint: Path, config: Mapping[str, Any], then: str) -> None:
    """Warn where a network was trained with another split, and may have learned from images that validate here.

    Args:
        checkpoint: The network's.
        config: Of the command at hand, as plain values.
        then: What follows if it has.
    """
    here = (config.get("data") or {}).get("init_args") or {}
    data = data_of(checkpoint)
    theirs = (data or {}).get("init_args") or {}
    for name in _SPLIT:
        if data is not None and name in here and name in theirs and here[name] != theirs[name]:
            log.warning(
                "%s may have learned from images that validate here: its data.init_args.%s was %s, here it is %s; %s",
                *(checkpoint, name, theirs[name], here[name], then),
            )
