"""All pictures of a folder that may be labelled, with their features. N pictures, D features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch import Trainer
from torch import Tensor

from tlearn.analysis.pool.unlabelled_files import UnlabelledFilesDataModule
from tlearn.data.files.reading import Framing
from tlearn.data.images.on_disk import FilePictures, StreamedImages
from tlearn.training.module import TransferModule
from tlearn.training.strategies.feature_cache import features_of
from tlearn.training.typed import data_of


@dataclass(frozen=True)
class UnlabelledPool:
    """Pictures of a folder, and what a fixed network sees in them.

    Attributes:
        root: The folder.
        names: N paths relative to it, with ``/``.
        features: float32 (N, D).
        contents: N hashes of what the files hold: copies have the same.
        framing: How a picture file is brought to the form that the network sees.
        unreadable: Path -> reason, of files that hold no picture and are left out.
    """

    root: Path
    names: list[str]
    features: Tensor
    contents: list[bytes]
    framing: Framing
    unreadable: dict[str, str]

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.names)

    def path(self, row: int) -> Path:
        """Return the file of a picture."""
        return self.root / self.names[row]


def unlabelled_pool(trainer: Trainer, module: TransferModule) -> UnlabelledPool:
    """Gather the pictures of `UnlabelledFilesDataModule` with their features, from the cache where they are there.

    Args:
        trainer: Gives data, precision and device, inside `tlearn.analysis.rig.rigged`.
        module: The network, whose backbone is frozen.
    """
    data = data_of(trainer)
    assert isinstance(data, UnlabelledFilesDataModule)
    images = data.dataset("train")
    assert isinstance(images, StreamedImages)
    assert isinstance(images.pictures, FilePictures)
    rows = images.indices.tolist()
    return UnlabelledPool(
        root=data.root,
        names=[images.pictures.name(row) for row in rows],
        features=features_of(trainer, module, "train")[0],
        contents=[images.pictures.contents[row] for row in rows],
        framing=data.framing,
        unreadable={each.name: each.facts.error for each in data.pictures_of("train") if each.facts.error},
    )
