"""The classes of a folder whose pictures have got labels by the list of labels. Letters: N pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tlearn.data.class_names import ClassRemark, Spelling
from tlearn.data.files.listing import counted, listed
from tlearn.data.labels.label_list import LABELS


def classes_with_list(
    folders: Sequence[str], names: Sequence[str], labels: Sequence[str | None]
) -> tuple[list[str], list[ClassRemark]]:
    """Return the classes: the folders, and the labels that the list alone has, without folders that it has emptied.

    Args:
        folders: Names of the class folders.
        names: N paths of training pictures, relative to the folder that holds those.
        labels: N labels, empty outside of any class folder, ``None`` for a picture that is left out.

    Returns:
        The names as they are written, of several spellings the first, and what to say of them.
    """
    spelling = Spelling(folders)
    of_folders = set(spelling.names)
    spelling.add(label for label in labels if label)
    counts = Counter(spelling.of(label) for label in labels if label)
    had = {spelling.of(name.partition("/")[0]) for name in names if "/" in name}
    emptied = [name for name in folders if spelling.of(name) in had and not counts[spelling.of(name)]]
    added = [name for name in spelling.names if name not in of_folders]
    remarks = []
    if added:
        told = counted({name: counts[name] for name in added})
        remarks.append(ClassRemark("listed_classes", "note", f"classes by {LABELS}, without a folder: {told}"))
    if emptied:
        them = f"{listed(emptied)} {'is no class' if len(emptied) == 1 else 'are no classes'}"
        remarks.append(ClassRemark("listed_classes", "note", f"{them}: {LABELS} leaves no picture to train on there"))
    return [*(name for name in folders if name not in set(emptied)), *added], remarks
