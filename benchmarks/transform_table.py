"""Which transform the weights of much used networks were evaluated with, and what tlearn does with them.

    python -m benchmarks.transform_table        # the table of docs/transforms.md; nothing is downloaded

torchvision keeps the transform with each of its weights (``Weights.transforms()``), timm in ``pretrained_cfg``.
"""

from __future__ import annotations

from typing import NamedTuple

import timm
from torchvision.models import get_model_weights

from tlearn.data.files.reading import CROP_PCT, DEFAULT_SIZE_PX
from tlearn.models.backbones.backbone import TIMM

# The ten networks, with the weights of each that are taken most.
NETWORKS = (
    ("resnet18", "IMAGENET1K_V1"),
    ("resnet50", "IMAGENET1K_V1"),
    ("resnet50", "IMAGENET1K_V2"),
    ("efficientnet_b0", "IMAGENET1K_V1"),
    ("efficientnet_v2_s", "IMAGENET1K_V1"),
    ("mobilenet_v3_large", "IMAGENET1K_V2"),
    ("convnext_tiny", "IMAGENET1K_V1"),
    ("vit_b_16", "IMAGENET1K_V1"),
    ("swin_t", "IMAGENET1K_V1"),
    ("timm/vit_small_patch16_224", "augreg_in21k_ft_in1k"),
    ("timm/tf_efficientnet_lite0", "in1k"),
)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Wanted(NamedTuple):
    """The transform of some weights' own evaluation.

    Attributes:
        size_px: Side of what the network sees.
        resize_px: Short side of the whole picture before the centre is cut out.
        interpolation: Of the resizing.
        mean: Per channel, of pixels scaled to [0, 1].
        std: Likewise.
    """

    size_px: int
    resize_px: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def crop_pct(self) -> float:
        """Return the share of the short side that the network sees, in thousandths."""
        return round(self.size_px / self.resize_px, 3)


def wanted_by(name: str, weights: str) -> Wanted:
    """Read the transform where the library keeps it.

    Args:
        name: As ``model.backbone`` takes it.
        weights: torchvision's name of them, or timm's tag.
    """
    if name.startswith(TIMM):
        config = timm.models.get_pretrained_cfg(f"{name.removeprefix(TIMM)}.{weights}")
        assert config is not None
        size_px = config.input_size[-1]
        mean, std = tuple(config.mean), tuple(config.std)
        return Wanted(size_px, int(size_px / config.crop_pct), config.interpolation, mean, std)
    preset = get_model_weights(name)[weights].transforms()
    (size_px,), (resize_px,) = preset.crop_size, preset.resize_size
    return Wanted(size_px, resize_px, preset.interpolation.value, tuple(preset.mean), tuple(preset.std))


def options_for(wanted: Wanted) -> str:
    """Return the words that give a network the size and the share of the picture that its weights were tested with."""
    words = []
    if wanted.size_px != DEFAULT_SIZE_PX:
        words.append(f"--model.image_size {wanted.size_px}")
    if wanted.crop_pct != CROP_PCT:
        words.append(f"--data.init_args.crop_pct {wanted.crop_pct:g}")
    return f"`{' '.join(words)}`" if words else "none"


def table() -> str:
    """Write the table as Markdown."""
    lines = [
        "| network, weights | size | resized to | share | interpolation | mean, std | its size and share in tlearn |"
    ]
    lines.append("| --- |" + " --- |" * 6)
    for name, weights in NETWORKS:
        wanted = wanted_by(name, weights)
        pixels = "ImageNet's" if (wanted.mean, wanted.std) == _IMAGENET else f"{wanted.mean[0]:g}, {wanted.std[0]:g}"
        full = f"{name}.{weights}" if name.startswith(TIMM) else f"{name}, {weights.removeprefix('IMAGENET1K_')}"
        cells = (full, f"{wanted.size_px} px", f"{wanted.resize_px} px", f"{wanted.crop_pct:g}", wanted.interpolation)
        lines.append(f"| {' | '.join((*cells, pixels, options_for(wanted)))} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    print(table())


if __name__ == "__main__":
    main()
