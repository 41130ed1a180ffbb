"""Where splits and classes lie in a folder: ``root/train/<class>/...``, or plainly ``root/<class>/...``."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from tlearn.base.errors import TlearnError
from tlearn.base.program import program
from tlearn.data.decoding.foreign_formats import is_picture_name, unread_by_name
from tlearn.data.files.listing import Found, class_folders, counted, find_pictures, listed, number_of

TRAIN, VAL, TEST = ("train",), ("val", "valid", "validation"), ("test",)
_NAMES = {"train": TRAIN, "val": VAL, "test": TEST}
LAYOUT = (
    "expected ROOT/train/<class>/*.jpg, with ROOT/val and ROOT/test likewise if there are any, or ROOT/<class>/*.jpg"
)
_SPLIT_WORDS = frozenset(
    {"train", "trn", "training", "trainset", "val", "valid", "validation", "valset", "test", "tst", "testing"}
    | {"testset", "dev", "eval", "evaluation", "holdout"}
)
_FILLERS = frozenset({"set", "data", "dataset", "images", "imgs", "pictures", "split", "new", "final"})


@dataclass(frozen=True)
class FolderLayout:
    """The layout of a folder of pictures.

    Attributes:
        root: The folder.
        train: The folder of the training classes, which is `root` itself in a plain layout; ``None`` if there is none.
        class_names: Names of the folders in it, in the order of their code points.
        note: What was made of a plain folder, a sentence; empty for any other.
        doubts: What may be wrong with the layout, sentences.
    """

    root: Path
    train: Path | None
    class_names: tuple[str, ...]
    note: str = ""
    doubts: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Tell whether class folders lie in the root itself."""
        return self.train == self.root

    def folder_of(self, split: str) -> Path | None:
        """Return the folder of a split, if there is one."""
        if split == "train":
            return self.train
        return None if self.is_plain else split_folder(self.root, split)

    def folders_in(self, split: str) -> list[str]:
        """Return the names of a split's class folders."""
        folder = self.folder_of(split)
        return list(self.class_names) if folder == self.train else [] if folder is None else class_folders(folder)

    def prefix_of(self, split: str) -> str:
        """Return the beginning of the paths of a split's class folders, relative to the root."""
        folder = self.folder_of(split)
        return "" if folder is None or folder == self.root else f"{folder.name}/"

    def find(self, split: str) -> Found | None:
        """List the files of a split, relative to its folder; ``None`` if there is no such folder.

        Of what lies in a plain root beside its class folders only pictures are listed: notes and tables may well.
        """
        folder = self.folder_of(split)
        if folder is None:
            return None
        found = find_pictures(folder)
        return _of_classes(found, self.class_names) if self.is_plain else found


def layout_of(root: Path, needs_train: bool = True, is_grouped: bool = False) -> FolderLayout:
    """Look where splits and classes lie.

    Args:
        root: The folder.
        needs_train: Classes must be found; a checkpoint does not know them.
        is_grouped: Folders of the class folders are groups, as the user has said; so they are no classes.

    Raises:
        TlearnError: There are no classes, or it is not clear which folders are.
    """
    place = root.absolute()
    if not root.is_dir():
        what = "a file, not a folder," if root.exists() else "no folder"
        raise TlearnError(f"data.init_args.root: {what} at {place}; {LAYOUT}")
    train = split_folder(root, "train")
    if train is not None and not class_folders(train) and _is_class(train):
        _refuse_class_called_train(train)
    if train is not None:
        return FolderLayout(root, train, tuple(class_folders(train)), doubts=tuple(_beside(root, train)))
    held_back = [folder.name for split in ("val", "test") if (folder := split_folder(root, split))]
    if held_back and not needs_train:
        return FolderLayout(root, None, ())
    _refuse_without_train(root, held_back)
    return _plain(root, is_grouped)


def refuse_without_folders(root: Path) -> None:
    """Refuse a folder that holds no folder, without a look at any file in it.

    Raises:
        TlearnError: It holds none; what is above it is named if that may be meant.
    """
    if root.is_dir() and not class_folders(root):
        _refuse_without_train(root, [])


def split_folder(root: Path, split: str) -> Path | None:
    """Return ``root/train``, or ``val`` (or ``valid``, ``validation``) or ``test``, if there is one."""
    exact = next((root / name for name in _NAMES[split] if (root / name).is_dir()), None)
    if exact is not None or not root.is_dir():
        return exact
    # Windows and macOS do not distinguish Val from val, so both occur.
    return next((root / name for name in class_folders(root) if name.lower() in _NAMES[split]), None)


def folder_above(root: Path) -> Path | None:
    """Return the folder that may be meant instead of one without folders: one in which several hold pictures."""
    parent = root.absolute().parent
    if not _holds_classes(parent):
        return None
    return parent.parent if _is_split(parent.name) else parent


def _holds_classes(folder: Path) -> bool:
    """Tell whether pictures lie in several of a folder's folders, none looked into deeper."""
    try:
        return (
            sum(any(_is_picture(path.name) for path in (folder / name).iterdir()) for name in class_folders(folder)) > 1
        )
    except (OSError, TlearnError):  # what cannot be looked into is no hint
        return False


def _is_class(folder: Path) -> bool:
    """Tell whether a folder called train may be a class of trains: others with pictures lie beside it."""
    beside = [name for name in class_folders(folder.parent) if not _is_split(name)]
    return bool(find_pictures(folder).names) and any(find_pictures(folder.parent / name).names for name in beside)


def _refuse_class_called_train(train: Path) -> None:
    beside = listed(name for name in class_folders(train.parent) if name != train.name)
    raise TlearnError(
        f"{train.absolute()} holds pictures and no class folders, beside {beside}: if {train.name} is a class, "
        f"move all classes into a folder {train.name}; if all that trains lies in it, give each class a folder there"
    )


def _beside(root: Path, train: Path) -> list[str]:
    """Name folders of pictures beside ``train`` that are no split: somebody may take them for classes."""
    used = {folder.name for split in _NAMES if (folder := split_folder(root, split))}
    counts = {name: len(find_pictures(root / name).names) for name in class_folders(root) if name not in used}
    left = {name: count for name, count in counts.items() if count}
    loose = sum(1 for path in root.iterdir() if path.is_file() and _is_picture(path.name))
    told = [f"folders beside {train.name} are not used: {counted(left)}"] if left else []
    return told + ([f"pictures beside {train.name}, in no class folder, are not used: {loose}"] if loose else [])


def _refuse_without_train(root: Path, held_back: list[str]) -> None:
    """Refuse a folder that is another level of a data set.

    Raises:
        TlearnError: It is one.
    """
    place, names = root.absolute(), class_folders(root)
    inner = [name for name in names if split_folder(root / name, "train")]
    hint = f"; did you mean {place / inner[0]}?" if inner else ""
    if root.name.lower() in TRAIN and names:
        hint = f"; did you mean {place.parent}?"
    if not names and (above := folder_above(root)):
        hint = f"; did you mean {above}?"
    if hint or not names:
        loose = find_pictures(root).names
        of_what = f"{number_of(len(loose), 'picture')} and no folder" if loose and not names else ""
        way = f"; pictures without labels: {program()} label FOLDER" if of_what and not hint else ""
        raise TlearnError(
            f"no folder train in {place}, which holds {of_what or listed(names, 'no folder')}; {LAYOUT}{hint}{way}"
        )
    alike = held_back or _like_splits(names)
    if alike:
        rest = [name for name in names if name not in alike]
        way = f"move {listed(rest)} into {place / 'train'}" if held_back and rest else "call what trains train"
        raise TlearnError(f"no folder train in {place}, but {listed(alike)}, as splits are called; {way}: {LAYOUT}")


def _like_splits(names: list[str]) -> list[str]:
    """Return the names that say a split, as ``Training`` or ``test_set`` do: one wholly, or two in part."""
    words = {name: [word for word in re.split(r"[\W\d_]+", name.lower()) if word] for name in names}
    in_part = [name for name, those in words.items() if _SPLIT_WORDS.intersection(those)]
    wholly = [name for name in in_part if _FILLERS.union(_SPLIT_WORDS).issuperset(words[name])]
    return in_part if len(in_part) > 1 else wholly


def _is_split(name: str) -> bool:
    return any(name.lower() in names for names in _NAMES.values())


def _plain(root: Path, is_grouped: bool) -> FolderLayout:
    place, found = root.absolute(), find_pictures(root)
    counts = Counter(name.partition("/")[0] for name in (*found.names, *found.unread) if "/" in name)
    names = [name for name in class_folders(root) if counts[name]]
    empty = [name for name in class_folders(root) if not counts[name]]
    if len(names) < 2:
        inner = class_folders(root / names[0]) if names else []
        deeper = f", which holds {listed(inner)}" if inner else ""
        hint = f"; did you mean {place / names[0]}?" if len(inner) > 1 else ""
        count = f"found {number_of(len(names), 'class', 'classes')} ({listed(names, 'no folder with pictures')})"
        raise TlearnError(f"{count} in {place}{deeper}; need at least 2: {LAYOUT}{hint}")
    deep = [] if is_grouped else _deeper(place, names, found)
    note = f"{place} has no folder train: its {len(names)} folders are the classes"
    without = f"folders without pictures are no classes: {listed(empty)}"
    return FolderLayout(root, root, tuple(names), note, (*([without] if empty else []), *deep))


def _deeper(place: Path, names: list[str], found: Found) -> list[str]:
    """Look whether the classes may lie a level deeper: no picture lies in the first level, and names repeat.

    Returns:
        A doubt, if all pictures lie deeper and names do not repeat.

    Raises:
        TlearnError: Nobody can tell which level is meant.
    """
    inner: dict[str, set[str]] = defaultdict(set)
    for name in found.names:
        outer, *between = name.split("/")[:-1] or [""]
        if outer and not between:
            return []  # a picture lies in a class folder itself
        if between:
            inner[outer].add(between[0])
    uses = Counter(name for those in inner.values() for name in those)
    repeated = sorted(name for name, count in uses.items() if count > 1)
    if len(repeated) > 1:
        raise TlearnError(
            f"which folders in {place} are the classes? {listed(names, most=3)} hold folders of the same names "
            f"({listed(repeated, most=3)}), and no pictures beside them; if {listed(names, most=3)} are the classes, "
            f"move them into {place / 'train'}, or say that theirs are groups (data.init_args.group 1); if "
            f"{listed(repeated, most=3)} are, put each class into one folder"
        )
    several = sorted(outer for outer, those in inner.items() if len(those) > 1)
    if not several:
        return []
    first = several[0]
    told = f"{first} and not {listed((f'{first}/{name}' for name in sorted(inner[first])), most=2)}"
    return [f"all pictures lie in folders of the class folders; a class is {told}"]


def _is_picture(name: str) -> bool:
    return is_picture_name(name) or unread_by_name(name) is not None


def _of_classes(found: Found, class_names: tuple[str, ...]) -> Found:
    """Leave out what lies in no class folder and is no picture, as tables and lists do beside class folders."""
    known = set(class_names)
    others = [name for name in found.others if name.partition("/")[0] in known or unread_by_name(name)]
    return Found(found.names, found.hidden, Counter(Path(name).suffix.lower() for name in others), others)
