"""What the Hugging Face loader makes of a folder by its rules for names, where a user would expect something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tlearn.base.name_forms import canonical
from tlearn.data.files.listing import find_pictures, listed, number_of
from tlearn.data.sources.folder import class_folders_to_train


def folder_remark(builder: Any, folder: Path) -> str:
    """Say in a line which files become no row, or two, and where classes are not those of the class folders.

    Args:
        builder: One of `datasets`, which has read a folder.
        folder: That folder.
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
        return  # labels are the metadata's, or there are none
    inside = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    wanted = sorted({name.partition("/")[0] for name in inside if "/" in name})
    if len(wanted) > 1 and {canonical(name) for name in wanted} != {canonical(name) for name in feature.names}:
        place = (train or folder).name
        yield f"its classes are the innermost folders ({listed(feature.names)}), those of {place} are {listed(wanted)}"
