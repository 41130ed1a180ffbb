"""Move pictures into the folders of the classes that the list of labels gives them, and back; overwrite no file."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol, runtime_checkable

from tlearn.base.errors import TlearnError
from tlearn.base.files import write_whole
from tlearn.base.name_forms import composed, path_form
from tlearn.data.class_names import Spelling
from tlearn.data.datamodule import Split
from tlearn.data.files.exclusions import kept_positions, read_exclusions
from tlearn.data.files.folder_layout import TEST, TRAIN, VAL
from tlearn.data.files.listing import is_hidden, listed, number_of
from tlearn.data.labels.applied import Applied, ListedLabels
from tlearn.data.labels.label_list import LABELS, Decision, LabelList
from tlearn.data.labels.moving import is_there, move_file, remove_if_empty

log = logging.getLogger(__name__)

UNDO = "tlearn-labels-undo.json"
_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_TOGETHER = 100  # files that are moved before the list is written: a kill leaves so many rows behind at most
_LONGEST_BYTES = 255  # of a folder's name, on nearly every disk


class Move(NamedTuple):
    """A picture that changes its folder.

    Attributes:
        source: Its path now, relative to the root.
        target: Its path then; no file is there.
        row: The decision of the list.
        label: Its class then, as the folder is called.
    """

    source: str
    target: str
    row: Decision
    label: str


class ListedData(Protocol):
    """Data whose labels a list may change."""

    root: Path
    test_fraction: float

    @property
    def listed(self) -> ListedLabels:
        """What the list changes."""

    def list_split(self, split: Split) -> Any:
        """List the files of a split, which applies the list to them."""


@runtime_checkable
class InClassFolders(Protocol):
    """Data whose labels are folders."""

    def class_folders(self, split: Split) -> tuple[str, list[str]] | None:
        """Return the beginning of the paths of a split's class folders, and their names; ``None`` without the split."""


def planned_moves(data: ListedData) -> list[Move]:
    """Plan which pictures to move so that folders say what the list of labels does; nothing is moved.

    Pictures that are left out stay where they are, and so does their row in the list. A name that is taken in the new
    folder gets a number behind it.

    Args:
        data: A folder of pictures in class folders, `ImageFolderDataModule`.

    Raises:
        TlearnError: The labels are no folders but a table, or a label cannot be the name of a folder.
    """
    if not isinstance(data, InClassFolders):
        raise TlearnError(f"moving is for class folders, these labels are in a table: {LABELS} stays beside it")
    taken, moves = set[str](), list[Move]()
    for split in _SPLITS:
        place = data.class_folders(split)
        if place is None or data.list_split(split) is None:
            continue
        prefix, folders = place
        spelling = Spelling(folders)
        for applied in _with_a_class(data.root, split, data.listed):
            folder = spelling.of(applied.row.label)
            inside = applied.path.removeprefix(prefix).removeprefix(f"{applied.given}/" if applied.given else "")
            if (wanted := f"{prefix}{folder}/{inside}") != applied.path:
                _check_folder(folder, is_beside_splits=not prefix)
                moves.append(Move(applied.path, _free(data.root, wanted, taken), applied.row, folder))
    if moves and data.test_fraction:
        log.warning("what is held back to test on is drawn by the paths of pictures: those that move are drawn anew")
    return moves


def apply_moves(root: Path, moves: Sequence[Move]) -> Path:
    """Move pictures, and let the list say of each what was decided at its new place.

    Args:
        root: The folder of the pictures.
        moves: What `planned_moves` has returned.

    Returns:
        ``tlearn-labels-undo.json`` in the root, which is written before the first picture moves; `undo_moves` reads it.

    Raises:
        TlearnError: There is nothing to move, a picture has gone or a place is taken meanwhile, or the disk refuses.
    """
    batches, labels = _batches(root), LabelList(root)
    if batches:
        _settle(root, batches[-1], labels)
    if not moves:
        raise TlearnError(f"nothing to move: no row of {LABELS} gives a picture another class than its folder")
    missing = [move.source for move in moves if not is_there(root / move.source)]
    if missing:
        raise TlearnError(f"no file at {listed(missing, most=3)} in {root.absolute()} any more; plan the moves anew")
    undo = root / UNDO
    _write_batches(root, [*batches, moves])
    for start in range(0, len(moves), _TOGETHER):
        part = moves[start : start + _TOGETHER]
        for move in part:
            move_file(root, move.source, move.target)
        labels.decide([row_after(move) for move in part], instead_of=[move.row.path for move in part])
    for folder in {(root / move.source).parent for move in moves}:
        remove_if_empty(folder, root)  # an empty class folder would be a class without pictures
    return undo


def _settle(root: Path, moves: Sequence[Move], labels: LabelList) -> None:
    """Let the list follow pictures that have moved before a process was killed."""
    rows = {path_form(path) for path in labels.read()}
    left = [
        move
        for move in moves
        if path_form(move.row.path) in rows and is_there(root / move.target) and not is_there(root / move.source)
    ]
    if left:
        labels.decide([row_after(move) for move in left], instead_of=[move.row.path for move in left])


def row_after(move: Move) -> Decision:
    """Return the row of a picture that has moved: its label is that of its folder."""
    return Decision(move.target, move.label, move.label, "keep", move.row.time, move.row.doubt)


def undo_moves(root: Path) -> int:
    """Move the pictures of the last `apply_moves` back, and put the rows of the list back.

    Returns:
        How many were moved back.

    Raises:
        TlearnError: There is nothing to undo, the file is damaged, a place is taken, or the disk refuses.
    """
    batches = _batches(root)
    if not batches:
        raise TlearnError(f"nothing to undo: there is no {UNDO} in {root.absolute()}")
    moves = batches.pop()
    back = [move for move in moves if is_there(root / move.target)]
    taken = [move.source for move in back if is_there(root / move.source)]
    if taken:
        raise TlearnError(f"{listed(taken, most=3)}: a file is there again in {root.absolute()}; move it away first")
    if len(back) < len(moves):
        told = "is not where it was moved to; its row is put back"
        log.warning("%s %s", number_of(len(moves) - len(back), "picture"), told)
    for move in reversed(back):
        move_file(root, move.target, move.source)
    LabelList(root).decide([move.row for move in moves], instead_of=[move.target for move in moves])
    _write_batches(root, batches)
    for folder in {(root / move.target).parent for move in back}:
        remove_if_empty(folder, root)
    return len(back)


def _with_a_class(root: Path, split: str, labels: ListedLabels) -> list[Applied]:
    every = [each for each in labels.applied if each.split == split and each.effect in ("changed", "labelled", "kept")]
    kept = kept_positions([each.path for each in every], read_exclusions(root))  # whose list goes by paths, too
    return [every[number] for number in kept]


def _check_folder(name: str, is_beside_splits: bool) -> None:
    """Refuse a label that is no name of a class folder.

    Raises:
        TlearnError: It leads elsewhere, is hidden or too long, or would be taken for a split.
    """
    why = ""
    if name != name.strip() or not name.isprintable() or "/" in name or "\\" in name:
        why = "a name without / and \\, and without blanks around it"
    elif is_hidden(name):
        why = "a name that does not begin with a dot, nor is one of an operating system"
    elif len(os.fsencode(name)) > _LONGEST_BYTES:
        why = f"at most {_LONGEST_BYTES} bytes"
    elif is_beside_splits and name.lower() in (*TRAIN, *VAL, *TEST):
        why = "no name of a split, beside the class folders"
    if why:
        raise TlearnError(f"the label {name[:100]!r} can be no folder, expected {why}; change it in {LABELS}")


def _free(root: Path, target: str, taken: set[str]) -> str:
    """Return a path that no file has, nor gets; letter case and form make no difference on some disks."""
    path, number = PurePosixPath(target), 1
    while is_there(root / path) or composed(str(path)).casefold() in taken:
        number += 1
        first = PurePosixPath(target)
        path = first.with_name(f"{first.stem}_{number}{first.suffix}")
    taken.add(composed(str(path)).casefold())
    return str(path)


def _batches(root: Path) -> list[list[Move]]:
    """Read the undo file: of each `apply_moves`, the moves.

    Raises:
        TlearnError: It is damaged, or leads out of the root.
    """
    place = root / UNDO
    if not place.is_file():
        return []
    try:
        content = json.loads(place.read_text(encoding="utf-8"))["batches"]
        batches = [
            [Move(source, target, Decision(*row), label) for source, target, row, label in batch] for batch in content
        ]
        is_sound = all(_lies_inside(move.source, move.target) for batch in batches for move in batch)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TlearnError(f"{place.absolute()} is not readable as JSON of moves ({error}); remove it") from error
    if not is_sound:
        raise TlearnError(f"{place.absolute()}: a path in it leads out of the folder; remove the file")
    return batches


def _write_batches(root: Path, batches: Sequence[Sequence[Move]]) -> None:
    if batches:
        write_whole(root / UNDO, json.dumps({"batches": batches}, indent=1))  # with escapes: a name need not be text
    else:
        (root / UNDO).unlink()


def _lies_inside(*paths: str) -> bool:
    return not any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in paths)
