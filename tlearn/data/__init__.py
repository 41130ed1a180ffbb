"""Images and targets, from files to whole uint8 batches. Nothing here knows the network."""

from __future__ import annotations

from tlearn.data.augment import Augment, BatchAugment
from tlearn.data.cifar10 import CIFAR10_CLASSES, CIFAR10DataModule
from tlearn.data.datamodule import ImageDataModule, InMemoryDataModule
from tlearn.data.digits import DigitsDataModule
from tlearn.data.image_files import ImageFilesDataModule
from tlearn.data.image_folder import ImageFolderDataModule
from tlearn.data.image_set import BatchKey, ImageSet
from tlearn.data.image_table import ImageTableDataModule
from tlearn.data.keyed_random import key, uniform
from tlearn.data.memory import EpochBatchSampler, InMemoryImages, fingerprint
from tlearn.data.reading import Framing, UnreadableImageError, framed, pixels_of, read_image
from tlearn.data.split import stratified_split, take_per_class

__all__ = [
    "CIFAR10_CLASSES",
    "Augment",
    "BatchAugment",
    "BatchKey",
    "CIFAR10DataModule",
    "DigitsDataModule",
    "EpochBatchSampler",
    "Framing",
    "ImageDataModule",
    "ImageFilesDataModule",
    "ImageFolderDataModule",
    "ImageSet",
    "ImageTableDataModule",
    "InMemoryDataModule",
    "InMemoryImages",
    "UnreadableImageError",
    "fingerprint",
    "framed",
    "key",
    "pixels_of",
    "read_image",
    "stratified_split",
    "take_per_class",
    "uniform",
]
