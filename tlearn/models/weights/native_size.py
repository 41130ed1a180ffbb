"""At which image size the weights of a network were trained, before any of them is loaded."""

from __future__ import annotations

from pathlib import Path

from torchvision.models import get_model_weights

from tlearn.models.backbones.backbone import TIMM
from tlearn.models.backbones.families import family_of
from tlearn.models.backbones.timm_networks import timm_configs

_CHECKPOINT = ".ckpt"


def native_side_px(backbone: str, weights: str | None) -> int | None:
    """Return the side in pixels; ``None`` where nobody knows it.

    Args:
        backbone: ``model.backbone``.
        weights: ``model.weights``. A run's checkpoint learned from pictures of some size of the user's, and a file for
            one of torchvision's networks does not tell.
    """
    if weights is None or Path(weights).suffix == _CHECKPOINT or Path(weights).is_dir():
        return None
    if backbone.startswith(TIMM):
        configs, tag = timm_configs(backbone), backbone.partition(".")[2]
        config = configs.get(tag) if tag else next(iter(configs.values()), None)
        return None if config is None else int(config.input_size[-1])
    if family_of(backbone) is None:
        return None
    own = get_model_weights(backbone).__members__.get(weights)  # DEFAULT too, an alias
    return None if own is None else int(own.transforms().crop_size[0])
