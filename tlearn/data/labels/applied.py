"""What the list of labels changes in the labels by folder or table. Letters: N pictures."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import path_form, same_name, visible
from tlearn.data.files.listing import listed, number_of
from tlearn.data.labels.alike import refuse_alike
from tlearn.data.labels.label_list import LABELS, Decision

log = logging.getLogger(__name__)

Effect = Literal["changed", "labelled", "left_out", "kept", "unsure", "as_it_was", "out_of_date"]
_SAID: tuple[tuple[Effect, str], ...] = (("labelled", "picture"), ("changed", "label"), ("left_out", "picture"))
_KEY = "label_list"  # in a checkpoint and in split.json
_OF_NO_EFFECT = ("keep", "unsure")


class Applied(NamedTuple):
    """What a row of the list does to a picture.

    Attributes:
        path: The picture, as it is called on the disk, relative to the root.
        row: The row.
        split: The split of the picture.
        given: Its label by folder or table; empty where it has none.
        effect: ``as_it_was`` says that the picture has got the row's label by folder or table meanwhile, and
            ``out_of_date`` that it has got another one, so the row does not count.
    """

    path: str
    row: Decision
    split: str
    given: str
    effect: Effect


class ListedLabels:
    """The decisions of the list of labels, as they were when the data were listed, and what became of them.

    Attributes:
        root: The folder that the pictures' paths are relative to.
    """

    def __init__(self, root: Path, decisions: Iterable[Decision], others: Iterable[Decision] = ()) -> None:
        """Take decisions.

        Args:
            root: The folder that the pictures' paths are relative to.
            decisions: The rows of the list.
            others: Rows that do not count. Where neither folder nor table gives a label, they know what it was.
        """
        self.root = root
        self._rows = {path_form(row.path): row for row in decisions}
        self._others = {path_form(row.path): row for row in others if row.old}
        self._applied: dict[str, Applied] = {}

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._rows)

    def __bool__(self) -> bool:
        """Tell whether anything is said of any picture."""
        return bool(self._rows or self._others)

    def labels_of(self, splits: str | Sequence[str], paths: Sequence[str], given: Sequence[str]) -> list[str | None]:
        """Return the labels of pictures from now on, and note what each row does.

        Args:
            splits: The split of all pictures, or of each (N).
            paths: N paths relative to the root.
            given: N labels by folder or table, empty for a picture that has none.

        Returns:
            N labels; ``None`` for a picture that is left out.

        Raises:
            TlearnError: A row is of two pictures.
        """
        if not self:
            return list(given)
        refuse_alike(path for path in paths if path_form(path) in self._rows)
        labels: list[str | None] = list(given)
        for number, (path, label) in enumerate(zip(paths, given, strict=True)):
            form, split = path_form(path), splits if isinstance(splits, str) else splits[number]
            if (row := self._rows.get(form)) is not None:
                effect = _effect_of(row, label)
                self._applied[form] = Applied(path, row, split, label, effect)
                if effect == "left_out":
                    labels[number] = None
                elif effect in ("changed", "labelled"):
                    labels[number] = row.label
            elif not label and (row := self._others.get(form)) is not None:
                labels[number], self._applied[form] = row.old, Applied(path, row, split, "", "unsure")
        return labels

    def row_of(self, path: str) -> Decision | None:
        """Return the decision on a picture; ``None`` where there is none."""
        return self._rows.get(path_form(path))

    def labels_alone(self, split: str, paths: Sequence[str]) -> dict[str, str | None]:
        """Return picture -> its label where the list alone gives any: empty without one, ``None`` if it is left out."""
        rows = map(self.row_of, paths)
        given = [row.old if row else "" for row in rows]  # no folder says another label
        return dict(zip(paths, self.labels_of(split, paths, given), strict=True))

    def old_of(self, path: str, label: str) -> str:
        """Return the label of a picture by folder or table, empty where the list alone gives one.

        Args:
            path: The picture.
            label: Its label as the data have it.
        """
        applied = self._applied.get(path_form(path))
        return label if applied is None else applied.given

    def is_decided(self, path: str) -> bool:
        """Tell whether somebody has decided on the label that folder or table give a picture, and was sure."""
        applied = self._applied.get(path_form(path))
        return applied is not None and applied.effect in ("changed", "kept", "as_it_was")

    @property
    def applied(self) -> list[Applied]:
        """The rows whose pictures are listed by now, with what they do."""
        return list(self._applied.values())

    @property
    def of_no_picture(self) -> list[Decision]:
        """The rows whose pictures are not listed by now: of a split that was not looked at, moved, or gone."""
        return [row for form, row in self._rows.items() if form not in self._applied]

    @property
    def gone(self) -> list[Decision]:
        """The rows whose files are gone."""
        return [row for row in self.of_no_picture if not (self.root / row.path).is_file()]

    def told(self, split: str, paths: Iterable[str]) -> str:
        """Say what the list does in a split: ``12 labels changed, 3 pictures left out by tlearn-labels.csv``.

        Args:
            split: The split.
            paths: Its pictures, without those that are left out.
        """
        here = {path_form(path) for path in paths} if self._rows else set()
        effects = Counter(
            each.effect
            for form, each in self._applied.items()
            if form in here or (each.effect == "left_out" and each.split == split)
        )
        parts = [
            f"{number_of(effects[effect], noun)} {effect.replace('_', ' ')}"
            for effect, noun in _SAID
            if effects[effect]
        ]
        return f"{', '.join(parts)} by {LABELS}" if parts else ""

    def warn(self, split: str) -> None:
        """Warn of rows that do not count, because the pictures of a split have another label by now."""
        late = [each for each in self._applied.values() if each.split == split and each.effect == "out_of_date"]
        if late:
            log.warning("%s: %s", split, told_of_late(late))

    def warn_of_gone(self) -> None:
        """Warn of rows that would have an effect, but whose files are gone, and of a list that is of other pictures."""
        rows = [row for row in self.gone if row.decision not in _OF_NO_EFFECT]
        if rows:
            log.warning("%s", told_of_gone(rows))
        elif self._rows and not self._applied:
            told = (
                "no row of %s names a picture that trains or validates: its paths are relative to its folder, as in %s"
            )
            log.warning(told, LABELS, visible(next(iter(self._rows.values())).path))

    def record(self, splits: Sequence[str]) -> dict[str, Any]:
        """Return what ``split.json`` says of the list; nothing without one."""
        if not self._rows:
            return {}
        counts = {
            split: dict(Counter(each.effect for each in self._applied.values() if each.split == split))
            for split in splits
        }
        return {_KEY: {"file": LABELS, "digest": self.digest, "decisions": len(self), **counts}}

    def state(self) -> dict[str, str]:
        """Return what a checkpoint keeps of the list; nothing where it changes nothing."""
        return {_KEY: self.digest} if self.digest else {}

    @contextmanager
    def blamed(self, state: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Compare what a checkpoint keeps of the images, and name the list where that is what has changed.

        Args:
            state: What `state` and the images have given to the checkpoint.

        Yields:
            It, as if it were of this list.

        Raises:
            TlearnError: The images have changed, and the list has.
        """
        then = str(state.get(_KEY, ""))
        try:
            yield {key: value for key, value in state.items() if key != _KEY} | self.state()
        except TlearnError as error:
            if then == self.digest:
                raise
            place = (self.root / LABELS).absolute()
            what = "the list is new" if not then else "the list has changed" if self._rows else "the list is gone"
            raise TlearnError(
                f"{place}: {what}, so the labels are not those of the checkpoint; put back what was there, or start "
                "anew from its weights: --model.weights PATH (without --ckpt_path)"
            ) from error

    @property
    def digest(self) -> str:
        """A hash of what the list changes; empty where it changes nothing."""
        rows = sorted((form, *row[1:4]) for form, row in self._rows.items() if row.decision not in _OF_NO_EFFECT)
        return hashlib.blake2b(json.dumps(rows).encode(), digest_size=16).hexdigest() if rows else ""

    def refuse(self, what: str) -> NoReturn:
        """Refuse data that no list can be applied to.

        Args:
            what: Those data.

        Raises:
            TlearnError: Always.
        """
        place = (self.root / LABELS).absolute()
        raise TlearnError(f"{place}: a list of labels is for one class an image, not for {what}; move it away")


def told_of_late(late: Sequence[Applied]) -> str:
    """Say which rows are out of date."""
    first = late[0]
    what = number_of(len(late), f"row of {LABELS} is out of date", f"rows of {LABELS} are out of date")
    has = f"'{visible(first.given)}'" if first.given else "none"
    return (
        f"{what}, because the label by folder or table is another by now: {visible(first.row.path)} has {has}, "
        f"the row says '{visible(first.row.old)}'; decide anew, or remove the row"
    )


def told_of_gone(rows: Sequence[Decision]) -> str:
    """Say which rows name a file that is gone."""
    one, several = f"row of {LABELS} names a file that is", f"rows of {LABELS} name files that are"
    names = listed((visible(row.path) for row in rows), most=3)
    way = "put it back, or remove the row" if len(rows) == 1 else "put them back, or remove the rows"
    return f"{number_of(len(rows), one, several)} not there: {names}; {way}"


def _effect_of(row: Decision, given: str) -> Effect:
    if row.decision in ("change", "label") and same_name(row.label, given):
        return "as_it_was"
    if given and not same_name(row.old, given):
        return "out_of_date"
    if row.decision == "unsure" or (row.decision == "keep" and given):
        return "unsure" if row.decision == "unsure" else "kept"
    if row.decision == "exclude":
        return "left_out"
    return "changed" if given else "labelled"
