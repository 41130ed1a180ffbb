"""Datasets of Hugging Face with a column of pictures and a column of classes. Letters: N rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse.typing import PositiveInt
from PIL import Image

from tlearn.base.errors import TlearnError, unknown
from tlearn.data.class_names import Spelling, frequent_classes
from tlearn.data.datamodule import Split
from tlearn.data.files.reading import UnreadableImageError, read_bytes
from tlearn.data.groups.files import numbers_of_groups
from tlearn.data.groups.rule import group_text
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.split import class_numbers
from tlearn.data.sources.huggingface_files import HuggingFaceSource
from tlearn.data.sources.items import ItemsDataModule, LabelledItems, trained_classes
from tlearn.data.sources.table_cells import is_missing

_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "val": ("validation", "val", "valid"),
    "test": ("test",),
}


class _Rows:
    """Rows as items for `ItemPictures`: files, so that no bit is lost, or images where the dataset sets their mode."""

    def __init__(self, rows: Any, column: str) -> None:
        from datasets import Image as ImageFeature

        self.column, self.gives_files = column, rows.features[column].mode is None
        self.rows = rows.cast_column(column, ImageFeature(decode=False)) if self.gives_files else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> tuple[Image.Image | bytes, object]:
        picture = self.rows[position][self.column]
        if picture is None:
            raise UnreadableImageError("the row has no picture")
        return _content(picture) if self.gives_files else picture, None


def _content(picture: dict[str, Any]) -> Image.Image | bytes:
    """Return the bytes of a picture that is stored as bytes or as a path."""
    if picture["bytes"] is not None:
        content: bytes = picture["bytes"]
        return content
    if Path(picture["path"]).is_file():
        return read_bytes(Path(picture["path"]))
    from datasets import Image as ImageFeature

    image: Image.Image = ImageFeature().decode_example(picture)  # an address, or a place in an archive
    return image


class HuggingFaceDataModule(ItemsDataModule):
    """A dataset of the Hugging Face hub, or in a folder."""

    def __init__(
        self,
        path: str,
        name: str | None = None,
        data_dir: str | None = None,
        image_column: str = "image",
        label_column: str = "label",
        classes: list[str] | None = None,
        min_per_class: PositiveInt | None = None,
        group: str | None = None,
        **options: Any,
    ) -> None:
        """Open the training split, which names the classes; no picture is decoded.

        Args:
            path: Name on the hub (``user/name``), a folder that ``save_to_disk`` wrote, a folder of Parquet or picture
                files, or a loader such as ``imagefolder``.
            name: The configuration of the dataset.
            data_dir: The folder that a loader reads, or a folder within the dataset.
            image_column: Column of the pictures.
            label_column: Column of the classes: a ``ClassLabel``, whole numbers or text.
            classes: Names of the classes to use, numbered in the order given; by default all that have training rows,
                in the order of the ``ClassLabel``, or sorted.
            min_per_class: Leave out classes with fewer training rows, and say which; none by default.
            group: Column that names what is never divided between training and validation, such as a site or patient.
            **options: Those of `PictureDataModule` and `ImageDataModule`.

        Raises:
            TlearnError: `datasets` is not installed, or there is no such dataset, split or column, or it has not one
                class a row.
        """
        self._source = HuggingFaceSource(path, name, data_dir)
        self._columns, self.group = (image_column, label_column), group
        self._spelling = Spelling([])
        self._train, declared = self._labelled("train")
        self._seen = trained_classes(self._train, declared)
        chosen = [self._seen[number] for number in class_numbers(classes, self._seen)]
        chosen, rare = frequent_classes(chosen, self._train.counts, min_per_class)
        super().__init__(class_names=chosen, task="classification", **options)
        self.class_remarks = [*self._spelling.remarks(self.class_names), *rare]

    def open_split(self, split: Split) -> ImageSet | None:
        """Serve the training rows that are open already, or open another split.

        Raises:
            TlearnError: There is no such split.
        """
        if split == "val" and self._name_of(split) is None:
            return None
        source = self._train if split == "train" else self._labelled(split)[0]
        images = self._images_of(source, split)
        if self.group is not None and source.groups is not None:
            rows, kept = [f"row {row}" for row in range(len(source.groups))], images.indices.tolist()
            images.groups = numbers_of_groups(split, rows, source.groups, kept, self.group, None, self.group_names)
        return images

    def _name_of(self, split: Split) -> str | None:
        return next((name for name in _NAMES[split] if name in self._source.splits), None)

    def _labelled(self, split: Split) -> tuple[LabelledItems, list[str]]:
        """Open a split; also return all its classes in their order."""
        name = self._name_of(split)
        if name is None:
            raise TlearnError(f"{self._source.about} has no split {split}; it has {', '.join(self._source.splits)}")
        rows = self._source.open(name)
        image_column, label_column = self._columns
        for option, column in (("image_column", image_column), ("label_column", label_column)):
            if column not in rows.features:
                raise unknown(option, column, rows.features)
        written, declared = _labels(rows, label_column, self._source.about)
        is_text = rows.features[label_column].dtype == "string"
        self._spelling.add([name for name in written if name is not None] if is_text else declared)
        labels = [None if name is None else self._spelling.of(name) for name in written]
        declared = list(dict.fromkeys(map(self._spelling.of, declared)))
        pictures = _with_pictures(rows, image_column)
        identity = f"{self._source.about}, {name}, {len(rows)} rows ({pictures._fingerprint})"
        return LabelledItems(_Rows(pictures, image_column), identity, labels, self._groups(rows, split)), declared

    def _groups(self, rows: Any, split: Split) -> list[str | None] | None:
        """Return the group of each row. A split without the column can still be evaluated."""
        if self.group is None or (split != "train" and self.group not in rows.features):
            return None
        if self.group not in rows.features:
            raise unknown("group", self.group, rows.features)
        return [group_text(value) for value in rows.with_format(None).select_columns([self.group])[:][self.group]]


def _labels(rows: Any, column: str, about: str) -> tuple[Sequence[str | None], list[str]]:
    from datasets import ClassLabel

    feature = rows.features[column]
    values = rows.with_format(None).select_columns([column])[:][column]
    if isinstance(feature, ClassLabel):
        names = list(feature.names)
        return [names[value] if value is not None and value >= 0 else None for value in values], names
    if any(not isinstance(value, (int, str)) for value in values if value is not None):
        raise TlearnError(
            f"{about}: label_column {column} is {str(feature)[:80]}, expected one class a row: ClassLabel, whole "
            "numbers or text"
        )
    values = [None if is_missing(value) else value for value in values]
    names = [str(value) for value in sorted({value for value in values if value is not None})]
    return [None if value is None else str(value) for value in values], names


def _with_pictures(rows: Any, column: str) -> Any:
    """Return rows whose column decodes to pictures; plain Parquet holds files as bytes without a type."""
    from datasets import Image as ImageFeature

    rows = rows.with_format(None).select_columns([column])
    feature = rows.features[column]
    if isinstance(feature, ImageFeature) and feature.decode:
        return rows
    try:
        return rows.cast_column(column, ImageFeature())
    except Exception as fault:  # pyarrow's or another library's
        raise TlearnError(
            f"image_column {column} is {str(feature)[:80]}, expected pictures, files as bytes, or paths"
        ) from fault
