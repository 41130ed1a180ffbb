"""Labelled pictures of other folders, which train beside those of a folder: ``data.init_args.also``. N pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from tlearn.base.errors import TlearnError
from tlearn.base.next_command import command_line
from tlearn.data.files.exclusions import kept_positions, read_exclusions
from tlearn.data.files.file_list import FileList
from tlearn.data.files.listing import find_pictures, number_of
from tlearn.data.groups.rule import groups_of_paths
from tlearn.data.labels.applied import ListedLabels
from tlearn.data.labels.label_list import LABELS, LabelList

OPTION = "data.init_args.also"


@dataclass
class LabelledElsewhere:
    """Pictures of other folders that their lists label.

    Attributes:
        names: N paths relative to the folder that they are added to.
        labels: N labels as they are written.
        groups: N names of groups; ``None`` where no groups are known.
        told: What was added, for the log.
    """

    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    groups: list[str | None] | None = None
    told: list[str] = field(default_factory=list)

    def added_to(self, files: FileList, number_of_class: Callable[[str, str], int | None]) -> FileList:
        """Return the training files of a folder with these behind them.

        Args:
            files: Those of the folder.
            number_of_class: Returns the class of a name with its label, ``None`` to leave it out.
        """
        if not self.names:
            return files
        numbers = [number_of_class(name, label) for name, label in zip(self.names, self.labels, strict=True)]
        rows = [row for row, number in enumerate(numbers) if number is not None]
        targets = torch.tensor([numbers[row] for row in rows], dtype=torch.int64)
        groups = files.groups
        if groups is not None and self.groups is not None:
            groups = [*groups, *(self.groups[row] for row in rows)]
        return replace(
            files,
            names=[*files.names, *(self.names[row] for row in rows)],
            targets=torch.cat([files.targets, targets]),
            remarks="; ".join(filter(None, [*self.told, files.remarks])),
            groups=groups,
        )


def labelled_elsewhere(root: Path, folders: str | Sequence[str] | None, group: int | str | None) -> LabelledElsewhere:
    """Read the lists of other folders.

    Args:
        root: The folder that the pictures are added to.
        folders: The others, each with a `LABELS` of its own.
        group: The option; a folder level counts from each other folder.

    Raises:
        TlearnError: There is no such folder, it is the same one, or it has no labelled picture.
    """
    found = LabelledElsewhere(groups=None if group is None else [])
    for word in [folders] if isinstance(folders, str) else folders or ():
        folder = Path(word).expanduser()
        if not folder.is_dir():
            raise TlearnError(f"{OPTION} {word}: no folder at {folder.absolute()}")
        if folder.resolve() == root.resolve():
            raise TlearnError(f"{OPTION} {word} is data.init_args.root itself; drop it")
        rows = ListedLabels(folder, LabelList(folder).read().values())
        decided = rows.labels_alone("train", find_pictures(folder).names)
        labels = {name: label for name, label in decided.items() if label}
        names = [list(labels)[number] for number in kept_positions(list(labels), read_exclusions(folder))]
        if not names:
            way = command_line("label", word)
            raise TlearnError(f"{OPTION} {word}: no picture has a label in {folder.absolute() / LABELS}; {way}")
        above = Path(os.path.relpath(folder.resolve(), root.resolve())).as_posix()  # "..", where one is a link
        found.names += [f"{above}/{name}" for name in names]
        found.labels += [labels[name] for name in names]
        if found.groups is not None:
            found.groups += groups_of_paths(group, names) or []
        found.told.append(f"{number_of(len(names), 'picture')} of {word} labelled by its {LABELS}")
    return found
