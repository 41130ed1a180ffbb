"""The scenarios: a data set, so many labels a class, and a network that learned something else.

The rule of the choice is settled on `SETTLED_ON` and scored on `HELD_BACK`, which nobody looked at before. Both were
named before the first run. The issue that asked for the rule had shown single runs of eight of these sets; its
thresholds are none of this rule's.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.choice.tasks import TASKS

SETTLED_ON = ("cifar10", "hymenoptera", "omniglot_alphabets", "pcb_defects", "sign_digits", "chest_xray")
HELD_BACK = ("fashion_mnist", "grocery_fine", "spoken_digit_spectrograms", "apple_leaves", "bccd_cells")
SETS = (*SETTLED_ON, *HELD_BACK)
IMAGE_SIZE_PX = 96
EPOCHS = {10: 16, 25: 10, 100: 6}
NETWORKS: dict[str, tuple[str, str | None]] = {
    "lite0": ("timm/tf_efficientnet_lite0", "tf_efficientnet_lite0.in1k.safetensors"),
    "lite2": ("timm/tf_efficientnet_lite2", "tf_efficientnet_lite2.in1k.safetensors"),
    "mobilenet": ("timm/mobilenetv2_100", "mobilenetv2_100.in1k.nohead.safetensors"),
    "insects": ("timm/mobilenetv2_100", "mobilenetv2_100.inat_insects_int8.safetensors"),
    "nothing": ("resnet18", None),
}
SIZES_PX = (32, 64, 128, 160, 224)  # beside `IMAGE_SIZE_PX`
_SIZED = {f"lite0_{size_px}px": size_px for size_px in SIZES_PX}
NETWORKS |= dict.fromkeys(_SIZED, NETWORKS["lite0"])


@dataclass(frozen=True)
class Scenario:
    """One of them.

    Attributes:
        dataset: One of `SETS`.
        labels: Training images of a class; validation has a quarter as many.
        source: One of `NETWORKS`; the ones of `SIZES_PX` see images of that size.
    """

    dataset: str
    labels: int
    source: str

    @property
    def name(self) -> str:
        """Name it."""
        return f"{self.dataset}-{self.labels}-{self.source}"

    @property
    def epochs(self) -> int:
        """Count the epochs of a run: fewer labels make fewer steps in one."""
        return EPOCHS[self.labels]

    @property
    def image_size_px(self) -> int:
        """Side of what the network sees."""
        return _SIZED.get(self.source, IMAGE_SIZE_PX)

    @property
    def is_held_back(self) -> bool:
        """Tell whether it scores the rule, and did not settle it."""
        return self.dataset in HELD_BACK


FEW_LABELS = ("hymenoptera", "grocery_fine")  # have no 100 + 25 images of a class
# In this order, so that a part of them is a design too: all sets with one network, then other networks, then sizes.
SCENARIOS = [
    *(Scenario(dataset, 25, "lite0") for dataset in SETS),
    *(Scenario(dataset, 10, "lite0") for dataset in SETS),
    *(Scenario(dataset, 25, "mobilenet") for dataset in SETS),
    *(Scenario(dataset, 100, "lite0") for dataset in SETS if dataset not in FEW_LABELS),
    *(Scenario(dataset, 25, "lite2") for dataset in SETS),
    *(Scenario(dataset, 25, "insects") for dataset in SETS),
    *(Scenario(dataset, 25, "nothing") for dataset in SETS),
]

# Other image sizes, and other tasks than one class an image, see `tasks`; they count apart.
SIZE_SCENARIOS = [Scenario("cifar10", 25, source) for source in _SIZED]
TASK_SCENARIOS = [Scenario(name, 25, "lite0") for name in TASKS]


def scenario_of(name: str) -> Scenario:
    """Return the scenario of a name such as ``pcb_defects-25-lite0``, also of a set that is none of `SETS`."""
    dataset, labels, source = name.rsplit("-", 2)
    if source not in NETWORKS or not labels.isdigit() or int(labels) not in EPOCHS:
        raise SystemExit(f"expected SET-LABELS-NETWORK with {[*EPOCHS]} labels and one of {[*NETWORKS]}, found {name}")
    return Scenario(dataset, int(labels), source)
