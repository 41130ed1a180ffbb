"""Which mean and standard deviation of pixels weights want to see, and how that is known.

timm's weights of one architecture differ in it by their tag. A file seldom says which tag it is, and a wrong mean costs
accuracy without any other sign.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn
from torchvision.models import get_model_weights

from tlearn.base.errors import TlearnError
from tlearn.models.backbones.backbone import TIMM, Backbone
from tlearn.models.backbones.input_channels import RGB
from tlearn.models.backbones.timm_networks import timm_configs

_TENSORFLOW = re.compile(r"(?<![a-z0-9])(tf|tensorflow)(?![a-z0-9])")


class Statistics(NamedTuple):
    """What pixels scaled to [0, 1] are normalised by.

    Attributes:
        mean: Per channel.
        std: Per channel.
        source: How they are known.
        doubt: What to warn of; empty for nothing.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    doubt: str = ""

    def __str__(self) -> str:
        """Say them in a part of a line."""
        return f"pixels normalised by {_words(self.mean, self.std)} ({self.source})"


def given_statistics(mean: Sequence[float] | None, std: Sequence[float] | None, channels: int) -> Statistics | None:
    """Return what the user says of their weights; ``None`` where they say nothing.

    Args:
        mean: ``model.pixel_mean``, of each channel, scaled to [0, 1].
        std: ``model.pixel_std``, likewise.
        channels: ``model.in_channels``.

    Raises:
        TlearnError: One of them without the other, another number of channels, or values of another scale.
    """
    if mean is None and std is None:
        return None
    told = f"model.pixel_mean {mean} and model.pixel_std {std}"
    each = "three numbers each (red, green, blue)" if channels == RGB else f"one number for each of {channels} channels"
    if mean is None or std is None or len(mean) != channels or len(std) != channels:
        raise TlearnError(f"{told} go together, {each}")
    if not all(isinstance(value, int | float) for value in (*mean, *std)):
        raise TlearnError(f"{told} are {each}")
    if not all(0 <= value <= 1 for value in mean) or not all(0 < value <= 1 for value in std):
        raise TlearnError(f"{told} are of pixels scaled to 0 to 1; divide those of 0 to 255 by 255")
    return Statistics(tuple(map(float, mean)), tuple(map(float, std)), "as model.pixel_mean and pixel_std say")


def statistics_of_file(path: str, name: str, backbone: Backbone) -> Statistics:
    """Tell what pixels are normalised by for the weights of a file that does not hold it.

    Args:
        path: Of the weights. A timm ``config.json`` beside it, or a tag in its path, tells more than its tensors.
        name: The backbone's name; a tag in it is the user's word.
        backbone: Gives what its library takes for a name without tag.
    """
    if not backbone.is_plain:
        return Statistics(backbone.mean, backbone.std, "ImageNet's; model.pixel_mean and pixel_std say others")
    if not name.startswith(TIMM):
        return _of_torchvision(name, backbone)
    configs = timm_configs(name)
    architecture, _, typed = name.removeprefix(TIMM).partition(".")
    beside = _config_beside(path, architecture)
    told = _tag_in(path, architecture, configs)
    if typed:
        return _of_typed(typed, configs, told, name)
    if beside is not None:
        return beside
    if told is not None:
        return Statistics(*_pair(configs[told]), f"tag {told}, by the file's path")
    return _of_default(architecture, configs, backbone)


def statistics_of_timm(name: str, backbone: Backbone) -> Statistics:
    """Tell what pixels are normalised by for timm's own weights of a name."""
    tag = name.removeprefix(TIMM).partition(".")[2] or _own_tag(backbone)
    return Statistics(backbone.mean, backbone.std, f"tag {tag}" if tag else "timm's")


def padding_doubt(path: str, backbone: Backbone) -> str:
    """Warn where a file's path says that TensorFlow trained a network that is built with torch's padding."""
    network: Any = backbone.network
    takes = "pad_type" in inspect.signature(type(network)).parameters
    if not takes or any(type(part).__name__.endswith("Same") for part in network.modules()):
        return ""
    if getattr(backbone, "arguments", {}).get("pad_type") or not _TENSORFLOW.search(_tail(path).lower()):
        return ""
    return (
        "the weights' path says TensorFlow, which pads otherwise than this network is built to; if they were trained "
        "there: model.backbone_args: {pad_type: same, bn_eps: 0.001}, or a tf_ network of timm"
    )


def folded_norms(parts: dict[str, nn.Module]) -> list[str]:
    """Name the BatchNorms whose mean is 0 and variance 1 though they have learned: folded into convolutions.

    Args:
        parts: Path to module.
    """
    return [
        path
        for path, part in parts.items()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)
        and part.running_mean is not None
        and part.running_var is not None
        and part.affine
        and not bool(part.running_mean.any())
        and bool((part.running_var - 1).abs().max() < 2 * part.eps)
        and bool(part.bias.any())
    ]


def _of_torchvision(name: str, backbone: Backbone) -> Statistics:
    """Return what all of torchvision's own weights of a name want; only EfficientNetV2-L's differ from ImageNet's."""
    presets = [entry.transforms() for entry in get_model_weights(name)]
    wanted = {(tuple(preset.mean), tuple(preset.std)) for preset in presets}
    if len(wanted) != 1 or wanted == {(backbone.mean, backbone.std)}:
        return Statistics(backbone.mean, backbone.std, "ImageNet's, the file names none")
    return Statistics(*wanted.pop(), f"as all torchvision's weights of {name}, the file names none")


def _of_typed(typed: str, configs: dict[str, Any], told: str | None, name: str) -> Statistics:
    mean, std = _pair(configs[typed])
    doubt = ""
    if told is not None and told != typed and _pair(configs[told]) != (mean, std):
        doubt = (
            f"the weights' path says tag {told}, model.backbone {name} says {typed}, and those were trained on pixels "
            "of another mean or std; check the name"
        )
    return Statistics(mean, std, f"tag {typed}", doubt)


def _of_default(architecture: str, configs: dict[str, Any], backbone: Backbone) -> Statistics:
    pair = (backbone.mean, backbone.std)
    default = _own_tag(backbone)
    others = [tag for tag, config in configs.items() if _pair(config) != pair]
    if not others:
        return Statistics(*pair, f"as all weights of timm/{architecture}" if default else "timm's")
    them = "; ".join(f"{tag} {_words(*_pair(configs[tag]))}" for tag in others[:3])
    more = f"; {len(others) - 3} more" if len(others) > 3 else ""
    doubt = (
        f"weights of a file and timm/{architecture} without its tag: pixels are normalised as its default {default} "
        f"wants, {_words(*pair)}; others want another ({them}{more}) and lose accuracy so; give the tag of your "
        f"file (or model.pixel_mean and pixel_std): --model.backbone {TIMM}{architecture}.{others[0]} or .{default}"
    )
    return Statistics(*pair, f"tag {default}, the default", doubt)


def _config_beside(path: str, architecture: str) -> Statistics | None:
    """Read the ``config.json`` that timm puts beside weights on the Hugging Face Hub."""
    try:
        about = json.loads((Path(path).expanduser().parent / "config.json").read_text(encoding="utf-8"))
        config = about.get("pretrained_cfg", about)
        mean, std = (tuple(float(value) for value in config[key]) for key in ("mean", "std"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if about.get("architecture") != architecture or len(mean) != 3 or len(std) != 3:
        return None
    tag = f"tag {config['tag']}, " if config.get("tag") else ""
    return Statistics(mean, std, f"{tag}by the config.json beside the file")


def _tag_in(path: str, architecture: str, configs: dict[str, Any]) -> str | None:
    tail = _tail(path)
    for tag in sorted(configs, key=len, reverse=True):
        full = rf"(?<![\w]){re.escape(architecture)}\.{re.escape(tag)}(?![\w])"
        file = Path(str(configs[tag].url or configs[tag].file or "")).stem
        if tag and (re.search(full, tail) or (file and Path(path).stem == file)):
            return tag
    return None


def _tail(path: str) -> str:
    """The file's name and the folders that the Hugging Face cache puts round it."""
    return "/".join(Path(path).parts[-4:])


def _words(mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    one, other = (" ".join(f"{value:.4g}" for value in values) for values in (mean, std))
    return f"mean {one} and std {other}"


def _pair(config: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(config.mean), tuple(config.std)


def _own_tag(backbone: Backbone) -> str:
    config: Any = backbone.network.pretrained_cfg
    return str(config.get("tag") or "")
