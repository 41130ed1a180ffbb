"""The pictures that may be asked for, those that have a label already, and the classes.

Letters: N pictures that may be asked for, M others that have a label, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from tlearn.analysis.pool.labelled_pool import LabelledPool
from tlearn.analysis.pool.unlabelled_pool import UnlabelledPool
from tlearn.analysis.query.choose import UNLABELLED
from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import path_form
from tlearn.data.labels.alike import refuse_alike
from tlearn.data.labels.label_list import LabelList


class AskedPictures:
    """The pictures of a folder by number, and after them the labelled pictures of elsewhere.

    Attributes:
        names: N paths relative to the folder.
        features: float32 (N + M, D).
        given: int64 (N + M,), labels that were there before; `UNLABELLED` for those of the folder.
        class_names: The classes that they have.
        copies: How many files of the folder are copies of another one.
        labelled_here: How many files of the folder have a label already, such as by a class folder.
    """

    def __init__(self, pool: UnlabelledPool, labelled: LabelledPool | None) -> None:
        """Leave out copies, those without an answer first, and pictures of the folder that have a label elsewhere.

        Args:
            pool: All pictures of the folder.
            labelled: Pictures with labels, if there are any.

        Raises:
            TlearnError: No picture is left, or the list cannot tell two of them apart.
        """
        self.pool = pool
        refuse_alike(pool.names)
        decided = {path_form(path) for path in LabelList(pool.root).read()}
        own = {path_form(name): row for row, name in enumerate(pool.names)}
        others, known = list[int](), set[int]()
        for row in range(0 if labelled is None else len(labelled)):
            assert labelled is not None
            place = _inside(labelled.path(row), pool.root)
            if place is None or place not in own:
                others.append(row)
            elif place not in decided:  # it has its label by its folder or table
                others.append(row)
                known.add(own[place])
        answered = {own[path] for path in decided & own.keys()}
        copies = _copies_in(pool.contents, [*sorted(answered), *range(len(pool))]) - answered
        kept = [row for row in range(len(pool)) if row not in known and row not in copies]
        if not kept:
            raise TlearnError(f"every picture in {pool.root.absolute()} has a label already; there is nothing to ask")
        self._rows, self.names = kept, [pool.names[row] for row in kept]
        self.copies, self.labelled_here = len(copies), len(known)
        self.class_names = [] if labelled is None else list(labelled.class_names)
        features, given = [pool.features[kept]], [torch.full((len(kept),), UNLABELLED)]
        if labelled is not None:
            features.append(labelled.features[others])
            given.append(labelled.labels[others])
        self.features, self.given = torch.cat(features), torch.cat(given)
        self._number = {path_form(name): number for number, name in enumerate(self.names)}

    def __len__(self) -> int:
        """Count the pictures that may be asked for."""
        return len(self.names)

    def checked(self, number: int) -> int:
        """Return the number of a picture.

        Raises:
            TlearnError: There is none.
        """
        if not 0 <= number < len(self):
            raise TlearnError(f"there is no picture {number}, they are 0 to {len(self) - 1}")
        return number

    def path(self, number: int) -> Path:
        """Return the file of a picture."""
        return self.pool.path(self._rows[number])

    def number_of(self, path: str) -> int | None:
        """Return the number of a picture by its path; ``None`` if it is not asked for."""
        return self._number.get(path_form(path))


def _copies_in(contents: Sequence[bytes], order: Iterable[int]) -> set[int]:
    """Return the pictures that hold the same as an earlier one in this order."""
    first = dict[bytes, int]()
    return {row for row in order if contents[row] and first.setdefault(contents[row], row) != row}


def _inside(path: Path, root: Path) -> str | None:
    try:
        return path_form(path.resolve().relative_to(root.resolve()).as_posix())
    except ValueError:
        return None
