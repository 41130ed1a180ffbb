"""Picture files without labels, for a network to look at. N files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tlearn.base.errors import TlearnError
from tlearn.data.datamodule import Split
from tlearn.data.files.file_list import FileList
from tlearn.data.files.listing import find_pictures, told_of_unread
from tlearn.data.files.reading import Framing
from tlearn.data.sources.labelled_files import ImageFilesDataModule

_CLASS = "unlabelled"


class UnlabelledFilesDataModule(ImageFilesDataModule):
    """All pictures of a folder, at any depth, as if to train on; those that cannot be read are left out."""

    def __init__(self, root: str, **options: Any) -> None:
        """List nothing yet.

        Args:
            root: The folder.
            **options: Those of `PictureDataModule`.

        Raises:
            TlearnError: There is no such folder.
        """
        place = Path(root).expanduser()
        if not place.is_dir():
            raise TlearnError(f"expected a folder of pictures without labels, found none at {place.absolute()}")
        self._names = [_CLASS]
        settled = {"on_error": "skip", "val_fraction": 0.0, "class_names": [_CLASS]}
        super().__init__(root=place, **{**options, **settled})

    def list_split(self, split: Split) -> FileList | None:
        """List all pictures of the folder.

        Raises:
            TlearnError: There is none.
        """
        if split != "train":
            return None
        found = find_pictures(self.root)
        told = "; ".join(filter(None, [told_of_unread(found.unread), found.left_out()]))
        if not found.names:
            raise TlearnError(f"no picture in {self.root.absolute()}{f'; {told}' if told else ''}")
        return FileList(found.names, torch.zeros(len(found.names), dtype=torch.int64), told)

    @property
    def validates(self) -> bool:
        """Tell so: nothing is trained here that would need it."""
        return True

    def read_as(self, framing: Framing, class_names: list[str]) -> None:
        """Read all pictures as others are, whose features are to be compared with theirs, by a network for theirs."""
        self._framing, self._knows_ranges, self._names = framing, True, class_names

    def setup(self, stage: str) -> None:
        """Open the pictures; then say that they have the classes that the network was made for."""
        super().setup(stage)
        self.class_names, self.num_classes = self._names, len(self._names)

    def _warn_of_copies(self) -> None:
        """Say nothing: of copies one is asked for."""
