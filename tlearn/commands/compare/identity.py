"""What variants must share to be compared, and what decides the result of a run.

Letters: N validation images, K classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import key_of
from tlearn.base.types import Task
from tlearn.cli.arguments import Arguments
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.images.on_disk import StreamedImages
from tlearn.models.state import fingerprint

# These options and the seed do not change a run's identity. The data are identified by their fingerprint, not by path.
_PLACES = {"trainer": ("default_root_dir", "logger"), "data.init_args": ("root", "download", "picture_cache_gb")}


@dataclass(frozen=True)
class Variant:
    """A variant to fit.

    Attributes:
        name: Name in the table.
        folder: The runs lie in ``<folder>-seed<k>``, under the root of runs.
        arguments: The command line of ``fit`` without a seed.
    """

    name: str
    folder: str
    arguments: Arguments


@dataclass(frozen=True)
class DataIdentity:
    """The properties of a variant's data that must be those of every other.

    Attributes:
        task: One class an image, any number, or a value.
        class_names: K names.
        images: N.
        train: Fingerprint of the training source.
        val: Fingerprint of the validation images, their targets and their order.
    """

    task: Task
    class_names: list[str]
    images: int
    train: str
    val: str


@dataclass(frozen=True)
class CheckedVariant:
    """A variant whose options have been checked and whose data have been looked at.

    Attributes:
        variant: The variant.
        plain: The whole config as plain values.
        config_hash: Hash of everything in the config that decides the result, but the seed.
        data: The identity of its data.
    """

    variant: Variant
    plain: dict[str, Any]
    config_hash: str
    data: DataIdentity


def refuse_what_leaves_nothing(name: str, plain: Mapping[str, Any], resumes: bool) -> None:
    """Refuse options of a variant that leave nothing to compare.

    Raises:
        TlearnError: There are some.
    """
    trainer = plain["trainer"]
    faults = {
        "ckpt_path resumes one run": resumes,
        "trainer.fast_dev_run keeps no run": trainer["fast_dev_run"],
        "trainer.logger puts runs elsewhere, or nowhere": trainer["logger"] not in (None, True),
        "trainer.enable_checkpointing is false": trainer["enable_checkpointing"] is False,
        "trainer.limit_val_batches is 0": trainer["limit_val_batches"] == 0,
    }
    for fault, is_so in faults.items():
        if is_so:
            raise TlearnError(f"{name}: {fault}, which leaves nothing to compare; drop the option")


def refuse_other_images(first: CheckedVariant, checked: CheckedVariant) -> None:
    """Refuse a variant that has another task, other classes or other validation images than the first.

    Raises:
        TlearnError: It has.
    """
    both, one, other = f"{first.variant.name} and {checked.variant.name}", first.data, checked.data
    if one.task != other.task:
        raise TlearnError(f"{both} have different tasks, {one.task} and {other.task}; compare like with like")
    if one.class_names != other.class_names:
        names = " and ".join(", ".join(each.class_names) for each in (one, other))
        raise TlearnError(f"{both} have different classes, {names}; compare like with like")
    if one.val != other.val:
        raise TlearnError(
            f"{both} validate on different images ({one.images} and {other.images}); give both the same data, "
            "val_fraction and split_seed"
        )


def hash_of(plain: Mapping[str, Any]) -> str:
    """Hash everything in a config that decides the result, but the seed."""
    kept = deepcopy({key: value for key, value in plain.items() if key != "seed_everything"})
    for parent, names in _PLACES.items():
        options = kept
        for key in parent.split("."):
            options = options.get(key) or {}
        for name in names:
            options.pop(name, None)
    weights = Path(str(kept["model"]["weights"]))
    if weights.is_file():  # the name stays when the content changes
        with weights.open("rb") as file:
            kept["weights"] = hashlib.file_digest(file, "sha256").hexdigest()
    return key_of(kept)


def look(data: ImageDataModule) -> DataIdentity:
    """Return the identity of data that are open."""
    images = data.dataset("val")
    # How large files are decoded may differ between variants, the pictures may not.
    source = images.pictures.fingerprint() if isinstance(images, StreamedImages) else data.fingerprint_of("val")
    val = {"source": source, "rows": fingerprint(images.indices), "targets": fingerprint(images.targets)}
    return DataIdentity(data.task, data.class_names, len(images), data.data_fingerprint, key_of(val))
