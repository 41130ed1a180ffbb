"""Open datasets of Hugging Face from disk or from the hub, and look for files that they leave out."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tlearn.base.errors import TlearnError, one_line
from tlearn.base.name_forms import canonical
from tlearn.data.files.listing import find_pictures, listed, number_of
from tlearn.data.sources.folder import class_folders_to_train

log = logging.getLogger(__name__)


_NEEDS = "HuggingFaceDataModule needs: pip install 'tlearn[hf]'"


class HuggingFaceSource:
    """A dataset whose splits are opened one by one.

    Attributes:
        about: Its path and name, for messages.
        splits: Names of its splits; a dataset that was saved without splits is ``train``.
    """

    def __init__(self, path: str, name: str | None, data_dir: str | None) -> None:
        """Find the dataset; one on the hub is downloaded, a folder is read without the network.

        Raises:
            TlearnError: `datasets` is not installed, or there is no such dataset.
        """
        spec = find_spec("datasets")
        if spec is None or spec.origin is None:  # a folder named datasets has no origin
            raise TlearnError(_NEEDS)
        place = Path(path).expanduser()
        self.about = ", ".join([str(place.absolute()) if place.exists() else path, *filter(None, (name, data_dir))])
        with _told(self.about):
            self.splits, self._open = _saved(place) or _built(path, place, name, data_dir)

    def open(self, split: str) -> Any:
        """Open a split.

        Raises:
            TlearnError: It cannot be read.
        """
        with _told(self.about):
            return self._open(split)


def _saved(place: Path) -> tuple[list[str], Callable[[str], Any]] | None:
    """Open a folder of ``save_to_disk``: one dataset, or a folder for each split."""
    if (place / "state.json").is_file():
        return ["train"], partial(_whole, place)
    if (place / "dataset_dict.json").is_file():
        splits = json.loads((place / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        return list(splits), partial(_part, place)
    return None


def _built(path: str, place: Path, name: str | None, data_dir: str | None) -> tuple[list[str], Callable[[str], Any]]:
    from datasets import load_dataset_builder

    if not place.is_dir() and (place.exists() or path.startswith((".", "/", "~"))):
        what = "a file" if place.exists() else "nothing"
        raise TlearnError(f"data.init_args.path: expected a folder or a name on the hub, found {what} at {place}")
    if not place.exists() and data_dir is None:
        log.info("looking for %s on the Hugging Face hub", path)
    builder = load_dataset_builder(str(place) if place.is_dir() else path, name=name, data_dir=data_dir)
    builder.download_and_prepare()
    folder = Path(place if place.is_dir() else "", data_dir or "")
    if folder != Path() and folder.is_dir():
        told = folder_remark(builder, folder)
        if told:
            log.warning("%s: %s", folder.absolute(), told)
    return list(builder.info.splits), partial(_prepared, builder)


# Module-level functions, because a data module is pickled for other processes.
def _whole(place: Path, _: str) -> Any:
    from datasets import load_from_disk

    return load_from_disk(str(place))


def _part(place: Path, split: str) -> Any:
    from datasets import load_from_disk

    return load_from_disk(str(place / split))


def _prepared(builder: Any, split: str) -> Any:
    return builder.as_dataset(split=split)


@contextmanager
def _told(about: str) -> Iterator[None]:
    """Report errors in one line, report nothing to the hub, and print nothing without a terminal."""
    import datasets

    counts, datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = datasets.config.HF_UPDATE_DOWNLOAD_COUNTS, False
    try:
        with _quiet():
            yield
    except TlearnError:
        raise
    except Exception as fault:  # the network, another library's code, and files of any kind
        raise TlearnError(f"{about} cannot be opened as a Hugging Face dataset: {one_line(fault, 250)}") from fault
    finally:
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = counts


@contextmanager
def _quiet() -> Iterator[None]:
    import datasets
    import huggingface_hub.utils as hub

    if sys.stderr.isatty():
        yield
        return
    libraries = (datasets.utils, hub)
    bars = [library for library in libraries if not library.are_progress_bars_disabled()]
    levels = [(library.logging, library.logging.get_verbosity()) for library in libraries]
    for library in bars:
        library.disable_progress_bars()
    for logger, _ in levels:
        logger.set_verbosity(logging.CRITICAL)  # `_told` reports failures
    try:
        yield
    finally:
        for library in bars:
            library.enable_progress_bars()
        for logger, level in levels:
            logger.set_verbosity(level)


def folder_remark(builder: Any, folder: Path) -> str:
    """Say which files have no row, or two, and whether the classes differ from the class folders.

    Args:
        builder: A builder of `datasets` that has read a folder.
        folder: The folder.
    """
    from datasets.packaged_modules.imagefolder.imagefolder import ImageFolder

    read = {
        str(split): [Path(file).absolute() for file in files]
        for split, files in (builder.config.data_files or {}).items()
    }
    if not isinstance(builder, ImageFolder):
        kinds = {file.suffix for files in read.values() for file in files}
        there = [path.absolute() for path in folder.rglob("*") if path.suffix in kinds and path.is_file()]
        return "; ".join(_left_and_doubled(read, there, folder, "file"))
    names = find_pictures(folder).names
    told = list(_left_and_doubled(read, [folder.absolute() / name for name in names], folder, "picture file"))
    told += _other_classes(builder, folder, names)
    way = "for one class a folder: --data ImageFolderDataModule --data.root"
    train, _ = class_folders_to_train(folder)
    layout = "" if train else f", with the class folders in {folder.absolute() / 'train'}"
    return f"{'; '.join(told)}; {way} {folder.absolute()}{layout}" if told else ""


def _left_and_doubled(read: dict[str, list[Path]], there: Sequence[Path], folder: Path, noun: str) -> Iterator[str]:
    counts = Counter(file for files in read.values() for file in set(files))
    left = [path for path in there if path not in counts]
    if left:
        first = left[0].relative_to(folder.absolute())
        yield (
            f"{len(left)} of {number_of(len(there), noun)} are not read, the first {first}: where names of files or "
            "folders say train, val or test, the Hugging Face loader takes no others, nor any that begin with __"
        )
    twice = [path for path in there if counts[path] > 1]
    if twice:
        splits = [split for split, files in read.items() if twice[0] in files]
        first = twice[0].relative_to(folder.absolute())
        yield f"{number_of(len(twice), noun)} in two splits ({' and '.join(splits)}) for what their names say: {first}"


def _other_classes(builder: Any, folder: Path, names: Sequence[str]) -> Iterator[str]:
    train, prefix = class_folders_to_train(folder)
    feature: Any = (builder.info.features or {}).get("label")
    if any(folder.rglob("metadata.*")) or not hasattr(feature, "names"):
        return  # labels come from the metadata, or there are none
    inside = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    wanted = sorted({name.partition("/")[0] for name in inside if "/" in name})
    if len(wanted) > 1 and {canonical(name) for name in wanted} != {canonical(name) for name in feature.names}:
        place = (train or folder).name
        yield f"its classes are the innermost folders ({listed(feature.names)}), those of {place} are {listed(wanted)}"
