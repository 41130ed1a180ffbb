"""Two files whose paths differ in form alone, which one row of a list cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterable

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import path_form
from tlearn.data.labels.label_list import LABELS


def refuse_alike(paths: Iterable[str]) -> None:
    """Refuse paths that are one in a list, such as those of composed and decomposed letters.

    Raises:
        TlearnError: There are some; names the first two.
    """
    first = dict[str, str]()
    for path in paths:
        if (other := first.setdefault(path_form(path), path)) != path:
            raise TlearnError(
                f"{other!a} and {path!a} differ in the form of letters or slashes alone, so {LABELS} cannot "
                "tell them apart; rename one"
            )
