"""Images and targets, from files to whole uint8 batches. Nothing here knows the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlearn.base.old_names import old_names

if TYPE_CHECKING:
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
    from tlearn.data.labels.apply import apply_moves, planned_moves, undo_moves
    from tlearn.data.labels.label_list import LABELS, Decision, LabelList
    from tlearn.data.listed.listed_folder import ListedFolderDataModule
    from tlearn.data.shards.datamodule import StreamingDataModule
    from tlearn.data.shards.writer import write_shards
    from tlearn.data.sources.bases import InMemoryDataModule
    from tlearn.data.sources.cifar10 import CIFAR10_CLASSES, CIFAR10DataModule
    from tlearn.data.sources.digits import DigitsDataModule
    from tlearn.data.sources.folder import ImageFolderDataModule
    from tlearn.data.sources.huggingface import HuggingFaceDataModule
    from tlearn.data.sources.labelled_files import ImageFilesDataModule
    from tlearn.data.sources.table import ImageTableDataModule
    from tlearn.data.sources.to_predict import UNREADABLE, PredictFilesDataModule
    from tlearn.data.sources.torchvision import TorchvisionDataModule

__all__ = [
    "CIFAR10_CLASSES",
    "EXCLUSIONS",
    "LABELS",
    "UNREADABLE",
    "Augment",
    "BatchAugment",
    "BatchKey",
    "CIFAR10DataModule",
    "Decision",
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
    "LabelList",
    "ListedFolderDataModule",
    "Picture",
    "PredictFilesDataModule",
    "Split",
    "StreamedImages",
    "StreamingDataModule",
    "TorchvisionDataModule",
    "UnreadableImageError",
    "apply_moves",
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
    "planned_moves",
    "rare_classes",
    "read_exclusions",
    "read_image",
    "reason_of",
    "skipped_files",
    "stratified_split",
    "summary_of",
    "take_per_class",
    "undo_moves",
    "uniform",
    "write_exclusions",
    "write_shards",
]

__getattr__ = old_names(
    __name__,
    {
        "Augment": "tlearn.data.images.augment",
        "BatchAugment": "tlearn.data.images.augment",
        "BatchKey": "tlearn.data.images.image_set",
        "CIFAR10DataModule": "tlearn.data.sources.cifar10",
        "CIFAR10_CLASSES": "tlearn.data.sources.cifar10",
        "Decision": "tlearn.data.labels.label_list",
        "DigitsDataModule": "tlearn.data.sources.digits",
        "EXCLUSIONS": "tlearn.data.files.exclusions",
        "EpochBatchSampler": "tlearn.data.images.sampling",
        "Finding": "tlearn.data.files.findings",
        "Framing": "tlearn.data.files.reading",
        "HuggingFaceDataModule": "tlearn.data.sources.huggingface",
        "ImageDataModule": "tlearn.data.datamodule",
        "ImageFilesDataModule": "tlearn.data.sources.labelled_files",
        "ImageFolderDataModule": "tlearn.data.sources.folder",
        "ImageSet": "tlearn.data.images.image_set",
        "ImageTableDataModule": "tlearn.data.sources.table",
        "InMemoryDataModule": "tlearn.data.sources.bases",
        "InMemoryImages": "tlearn.data.images.in_memory",
        "LABELS": "tlearn.data.labels.label_list",
        "LabelList": "tlearn.data.labels.label_list",
        "ListedFolderDataModule": "tlearn.data.listed.listed_folder",
        "Picture": "tlearn.data.files.findings",
        "PredictFilesDataModule": "tlearn.data.sources.to_predict",
        "Split": "tlearn.data.datamodule",
        "StreamedImages": "tlearn.data.images.on_disk",
        "StreamingDataModule": "tlearn.data.shards.datamodule",
        "TorchvisionDataModule": "tlearn.data.sources.torchvision",
        "UNREADABLE": "tlearn.data.sources.to_predict",
        "UnreadableImageError": "tlearn.data.files.reading",
        "apply_moves": "tlearn.data.labels.apply",
        "diagnose": "tlearn.data.doctor.diagnosis",
        "diagnose_labels": "tlearn.data.doctor.lists",
        "find_pictures": "tlearn.data.files.listing",
        "fingerprint": "tlearn.data.images.in_memory",
        "framed": "tlearn.data.files.reading",
        "in_threads": "tlearn.data.images.on_disk",
        "key": "tlearn.data.images.keyed_random",
        "listed": "tlearn.data.files.listing",
        "names_and_places": "tlearn.data.doctor.lists",
        "number_of": "tlearn.data.files.listing",
        "pixels_of": "tlearn.data.files.reading",
        "planned_moves": "tlearn.data.labels.apply",
        "rare_classes": "tlearn.data.doctor.lists",
        "read_exclusions": "tlearn.data.files.exclusions",
        "read_image": "tlearn.data.files.reading",
        "reason_of": "tlearn.data.files.reading",
        "skipped_files": "tlearn.data.doctor.lists",
        "stratified_split": "tlearn.data.images.split",
        "summary_of": "tlearn.data.doctor.diagnosis",
        "take_per_class": "tlearn.data.images.split",
        "undo_moves": "tlearn.data.labels.apply",
        "uniform": "tlearn.data.images.keyed_random",
        "write_exclusions": "tlearn.data.files.exclusions",
        "write_shards": "tlearn.data.shards.writer",
    },
)
