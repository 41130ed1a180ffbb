"""Images and targets, from files to whole uint8 batches. Nothing here knows the network."""

from __future__ import annotations

from tlearn.data.augment import Augment, BatchAugment
from tlearn.data.cifar10 import CIFAR10_CLASSES, CIFAR10DataModule
from tlearn.data.datamodule import ImageDataModule, InMemoryDataModule, Split
from tlearn.data.digits import DigitsDataModule
from tlearn.data.doctor import diagnose, summary_of
from tlearn.data.doctor_labels import diagnose_labels
from tlearn.data.doctor_lists import names_and_places, rare_classes, skipped_files
from tlearn.data.exclusions import EXCLUSIONS, read_exclusions, write_exclusions
from tlearn.data.findings import Finding, Picture
from tlearn.data.huggingface import HuggingFaceDataModule
from tlearn.data.image_files import ImageFilesDataModule
from tlearn.data.image_folder import ImageFolderDataModule
from tlearn.data.image_set import BatchKey, ImageSet
from tlearn.data.image_table import ImageTableDataModule
from tlearn.data.keyed_random import key, uniform
from tlearn.data.listing import find_pictures, listed, number_of
from tlearn.data.memory import InMemoryImages, fingerprint
from tlearn.data.predict_files import UNREADABLE, PredictFilesDataModule
from tlearn.data.reading import Framing, UnreadableImageError, framed, pixels_of, read_image, reason_of
from tlearn.data.sampling import EpochBatchSampler
from tlearn.data.shard_writer import write_shards
from tlearn.data.split import stratified_split, take_per_class
from tlearn.data.streamed import StreamedImages, in_threads
from tlearn.data.streaming import StreamingDataModule
from tlearn.data.torchvision_dataset import TorchvisionDataModule

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
