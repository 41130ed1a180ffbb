"""Images and targets, from files to whole uint8 batches. Nothing here knows the network."""

from __future__ import annotations

from tlearn.data.datamodule import ImageDataModule, Split
from tlearn.data.doctor.diagnosis import diagnose, summary_of
from tlearn.data.doctor.lists import diagnose_labels, names_and_places, rare_classes, skipped_files
from tlearn.data.files.exclusions import EXCLUSIONS, read_exclusions, write_exclusions
from tlearn.data.files.findings import Finding, Picture
from tlearn.data.files.listing import find_pictures, listed, number_of
from tlearn.data.files.reading import Framing, UnreadableImageError, framed, pixels_of, read_image, reason_of
from tlearn.data.images.augment import Augment, BatchAugment
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.in_memory import InMemoryImages, fingerprint
from tlearn.data.images.keyed_random import key, uniform
from tlearn.data.images.on_disk import StreamedImages, in_threads
from tlearn.data.images.sampling import EpochBatchSampler
from tlearn.data.images.split import stratified_split, take_per_class
from tlearn.data.shards.datamodule import StreamingDataModule
from tlearn.data.shards.writer import write_shards
from tlearn.data.sources.cifar10 import CIFAR10_CLASSES, CIFAR10DataModule
from tlearn.data.sources.digits import DigitsDataModule
from tlearn.data.sources.folder import ImageFolderDataModule
from tlearn.data.sources.huggingface import HuggingFaceDataModule
from tlearn.data.sources.in_memory import InMemoryDataModule
from tlearn.data.sources.labelled_files import ImageFilesDataModule
from tlearn.data.sources.table import ImageTableDataModule
from tlearn.data.sources.to_predict import UNREADABLE, PredictFilesDataModule
from tlearn.data.sources.torchvision import TorchvisionDataModule

__all__ = [
    "CIFAR10_CLASSES",
    "EXCLUSIONS",
    "UNREADABLE",
    "Augment",
    "BatchAugment",
    "BatchKey",
    "CIFAR10DataModule",
    "DigitsDataModule",
    "EpochBatchSampler",
    "Finding",
    "Framing",
    "HuggingFaceDataModule",
    "ImageDataModule",
    "ImageFilesDataModule",
    "ImageFolderDataModule",
    "ImageSet",
    "ImageTableDataModule",
    "InMemoryDataModule",
    "InMemoryImages",
    "Picture",
    "PredictFilesDataModule",
    "Split",
    "StreamedImages",
    "StreamingDataModule",
    "TorchvisionDataModule",
    "UnreadableImageError",
    "diagnose",
    "diagnose_labels",
    "find_pictures",
    "fingerprint",
    "framed",
    "in_threads",
    "key",
    "listed",
    "names_and_places",
    "number_of",
    "pixels_of",
    "rare_classes",
    "read_exclusions",
    "read_image",
    "reason_of",
    "skipped_files",
    "stratified_split",
    "summary_of",
    "take_per_class",
    "uniform",
    "write_exclusions",
    "write_shards",
]
