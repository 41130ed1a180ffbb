"""The scenarios: a data set, some of its classes, so many labels a class, and a network that learned something else."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.advise.images import CIFAR

ANIMALS = ("bird", "cat", "deer", "dog", "frog", "horse")
VEHICLES = ("airplane", "automobile", "ship", "truck")
SOURCE_HALF = ("airplane", "bird", "deer", "frog", "ship")  # what the ResNet18 of the project learned
OTHER_HALF = ("automobile", "cat", "dog", "horse", "truck")
DIGITS, HIGH_DIGITS = tuple("0123456789"), tuple("56789")
EPOCHS = {10: 16, 25: 10, 80: 8, 95: 8, 100: 6, 500: 3}


@dataclass(frozen=True)
class Scenario:
    """One of them.

    Attributes:
        data: Name of the images, as in the results.
        dataset: ``cifar10``, ``hymenoptera`` or ``digits``.
        classes: Names.
        source: ``imagenet`` (EfficientNet-Lite0), or a ResNet18: ``cifar5``, ``digits5`` or ``random``.
        image_size_px: Side of what the network sees.
        labels: Training images of a class.
    """

    data: str
    dataset: str
    classes: tuple[str, ...]
    source: str
    image_size_px: int
    labels: int

    @property
    def name(self) -> str:
        """Name it."""
        return f"{self.data}-{self.labels}-{self.source}"

    @property
    def epochs(self) -> int:
        """Count the epochs of a run: fewer labels make fewer steps in one."""
        return EPOCHS[self.labels]

    @property
    def backbone(self) -> str:
        """Name the network."""
        return "timm/tf_efficientnet_lite0" if self.source == "imagenet" else "resnet18"


def _several(data: str, dataset: str, classes: tuple[str, ...], source: str, size: int, *labels: int) -> list[Scenario]:
    return [Scenario(data, dataset, classes, source, size, count) for count in labels]


SCENARIOS = [
    *_several("cifar10", "cifar10", CIFAR, "imagenet", 48, 10, 25, 100, 500),
    *_several("animals", "cifar10", ANIMALS, "imagenet", 48, 10, 25, 100),
    *_several("vehicles", "cifar10", VEHICLES, "imagenet", 48, 25, 100),
    *_several("ants_bees", "hymenoptera", ("ants", "bees"), "imagenet", 64, 10, 25, 95),
    *_several("digits", "digits", DIGITS, "imagenet", 32, 10, 25, 80),
    *_several("other_half", "cifar10", OTHER_HALF, "cifar5", 32, 10, 25, 100, 500),
    *_several("digits", "digits", DIGITS, "cifar5", 32, 10, 25, 80),
    *_several("ants_bees", "hymenoptera", ("ants", "bees"), "cifar5", 32, 25, 95),
    *_several("high_digits", "digits", HIGH_DIGITS, "digits5", 32, 10, 25, 80),
    *_several("cifar10", "cifar10", CIFAR, "digits5", 32, 25, 100),
    *_several("cifar10", "cifar10", CIFAR, "random", 32, 25),
    *_several("digits", "digits", DIGITS, "random", 32, 25),
]
