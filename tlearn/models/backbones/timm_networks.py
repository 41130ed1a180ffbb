"""Build timm's networks by name, tag, size and arguments, and read weights as timm reads them."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from tlearn.base.errors import TlearnError, one_line, unknown
from tlearn.base.imports.stand_ins import quick_imports
from tlearn.models.backbones.backbone import TIMM
from tlearn.models.backbones.input_channels import RGB
from tlearn.models.backbones.patches import not_divided
from tlearn.models.weight_search import needed_names

# What tlearn sets itself, and the option that says it.
_RESERVED = {
    "img_size": "model.image_size",
    "num_classes": "the data's classes",
    "in_chans": "model.in_channels",
    "features_only": "model.tap",
    "out_indices": "model.tap",
    **dict.fromkeys(("pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"), "model.weights"),
}
_POSITIONS = re.compile(r"pos_embed|position|rel_pos")


def timm_package() -> Any:
    """Return timm.

    Raises:
        TlearnError: It is not installed.
    """
    try:
        with quick_imports():
            import timm
    except ImportError as error:
        raise TlearnError("a timm/ backbone needs timm; run: pip install 'tlearn[timm]'") from error
    return timm


def timm_configs(name: str) -> dict[str, Any]:
    """Return tag to timm's configuration of pretrained weights (mean, std, ...); a tag in the name is ignored."""
    timm = timm_package()
    found = timm.models.get_arch_pretrained_cfgs(name.removeprefix(TIMM))
    return {full.partition(".")[2]: config for full, config in found.items()}


def create_network(
    name: str, image_size: int | None = None, arguments: Mapping[str, Any] | None = None, in_channels: int = RGB
) -> nn.Module:
    """Build a network with random weights and without a classifier.

    Args:
        name: ``NETWORK`` or ``NETWORK.TAG``, without ``timm/``.
        image_size: Side in pixels, for networks that take one size alone; others do without.
        arguments: Of the network, as timm names them: ``{"pad_type": "same"}``.
        in_channels: C, the channels of the pictures.

    Raises:
        TlearnError: An unknown network, tag or argument, or a size or number of channels that the network cannot have.
    """
    timm = timm_package()
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = timm.list_models(f"*{architecture[:6]}*") or timm.list_models("resnet*")
        raise unknown("model.backbone timm/", architecture, near)
    tags = timm_configs(name)
    if tag and tag not in tags:
        raise unknown(f"tag of timm/{architecture}", tag, [each for each in tags if each])
    given = dict(arguments or {})
    for argument in given:
        if argument in _RESERVED:
            raise TlearnError(f"model.backbone_args {argument} is set by {_RESERVED[argument]}; drop it")
    if in_channels != RGB:
        given["in_chans"] = in_channels
    config = timm.models.get_pretrained_cfg(name)
    native_px = config.input_size[-1] if config is not None and config.fixed_input_size else None
    if native_px and image_size and image_size != native_px and not given.get("dynamic_img_size"):
        return _sized(name, image_size, native_px, given)
    return _created(name, given)


def _created(name: str, arguments: dict[str, Any]) -> nn.Module:
    create: Callable[..., nn.Module] = timm_package().create_model
    if not arguments:
        return create(name, pretrained=False, num_classes=0)
    try:
        return create(name, pretrained=False, num_classes=0, **arguments)
    except Exception as error:  # each network has its own
        raise TlearnError(
            f"{_as_options(arguments)} not suit timm/{name} ({one_line(error, 200)}); give such as it has"
        ) from error


def _as_options(arguments: Mapping[str, Any]) -> str:
    """Name the options that a network was to be built with, and the verb."""
    others = {name: value for name, value in arguments.items() if name != "in_chans"}
    words = [f"model.in_channels {arguments['in_chans']}"] if "in_chans" in arguments else []
    words += [f"model.backbone_args {others}"] if others else []
    return f"{' and '.join(words)} {'do' if others else 'does'}"


def _sized(name: str, size_px: int, native_px: int, arguments: dict[str, Any]) -> nn.Module:
    network = _created(name, arguments)
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", (1,))[0]
    if size_px % patch:
        raise not_divided(f"timm/{name}", size_px, patch)
    create: Callable[..., nn.Module] = timm_package().create_model
    try:
        return create(name, num_classes=0, img_size=size_px, **arguments)
    except Exception as error:  # not all can be built for other sizes
        raise TlearnError(
            f"timm/{name} cannot be built for {size_px} px pictures ({one_line(error, 120)}); set model.image_size to "
            f"{native_px}, or to a multiple of 32 near it"
        ) from error


def converted(network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read tensors as timm does: names of the authors' own files become timm's, position embeddings are resampled.

    Returns:
        The tensors as they were where timm can do nothing with them, or would change more than positions.
    """
    modules = (sys.modules[kind.__module__] for kind in type(network).__mro__)
    convert = next((module.checkpoint_filter_fn for module in modules if hasattr(module, "checkpoint_filter_fn")), None)
    if convert is None:
        return state
    needed = needed_names(network)
    own = {name: state[name] for name in network.state_dict() if name in state}
    # What a tap has left out timm would look for in vain; what has other names it has to see as a whole.
    given = own if all(name in own for name in needed) else state
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how timm calls torch
            found = convert(dict(given), network)
    except Exception:  # a file of another network fails in every way that it differs
        return state
    if _changes_more_than_positions(state, found):
        return state
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


def _changes_more_than_positions(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> bool:
    theirs = {id(value) for value in before.values()}  # renamed ones may take names that stood for others
    return any(
        before[name].numel() != value.numel() and not _POSITIONS.search(name) and id(value) not in theirs
        for name, value in after.items()
        if name in before
    )


def fetch_network(
    name: str, image_size: int | None, arguments: Mapping[str, Any], in_channels: int = RGB
) -> dict[str, Tensor]:
    """Download timm's weights of a network's tag, or take them from the Hugging Face cache.

    Args:
        name: As timm names it, without ``timm/``.
        image_size: Side in pixels that a network is built for; ``None`` is its own.
        arguments: Of the network, as timm names them.
        in_channels: C, the channels of the pictures; timm adapts the first convolution itself.

    Raises:
        TlearnError: They cannot be had.
    """
    options = dict(arguments) | ({"img_size": image_size} if image_size else {})
    options |= {"in_chans": in_channels} if in_channels != RGB else {}
    try:
        network = timm_package().create_model(name, pretrained=True, num_classes=0, **options)
    except Exception as error:  # every layer between here and the network has its own
        reason = str(error).splitlines()[0][:120]
        raise TlearnError(
            f"cannot fetch timm's weights of {TIMM}{name} ({reason}); is there a network? Or type --model.weights FILE "
            "for weights of your own (null: random, no transfer)"
        ) from error
    return dict(network.state_dict())
