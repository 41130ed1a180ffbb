"""Remarks on a run before its first step: options that would do nothing, and weights that the pictures do not suit."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from lightning.pytorch import Trainer
from torch import nn

from tlearn.base.errors import TlearnError
from tlearn.base.name_forms import canonical
from tlearn.data.datamodule import ImageDataModule
from tlearn.models.backbones.backbone import Backbone
from tlearn.models.freezing import Rule
from tlearn.models.network import Network
from tlearn.models.weights.statistics import folded_norms
from tlearn.training.options import CacheOptions, HeadStartOptions
from tlearn.training.typed import images_of, options_served, plain_data_of

log = logging.getLogger(__name__)

_WAY = "acts through a callback that this Trainer lacks; give it callbacks=tlearn.callbacks_for(model)"


def check_served(trainer: Trainer, start: HeadStartOptions, caching: CacheOptions, backbone_trains: bool) -> None:
    """Check that options which act through callbacks have theirs: the command line adds them, Python does not.

    Args:
        trainer: Has the callbacks.
        start: Options of the head's start: without their callback the run would be another one.
        caching: Options of the feature cache: without its callback the run is slower, which is said.
        backbone_trains: The backbone trains, from the start or later.

    Raises:
        TlearnError: An option would do nothing.
    """
    served = options_served(trainer)
    wanted = {
        "head_init": ("head_init: probe", start.head_init == "probe"),
        "head_solver": (f"head_solver: {start.head_solver}", start.head_solver != "sgd"),
        "wise_ft": ("wise_ft", start.wise_ft),
    }
    for option, (said, is_wanted) in wanted.items():
        if is_wanted and option not in served:
            raise TlearnError(f"model.{said} {_WAY}")
    if caching.feature_cache != "off" and not backbone_trains and "feature_cache" not in served:
        log.warning("the frozen backbone runs anew in every epoch: model.feature_cache %s", _WAY)


def check_plain(trainer: Trainer, start: HeadStartOptions, caching: CacheOptions, finds_rate: bool) -> None:
    """Refuse what a data module of the user's own cannot serve, and say once what it goes without.

    Args:
        trainer: Set up to fit.
        start: Options of the head's start.
        caching: Options of the feature cache.
        finds_rate: A range test is to find the learning rate.

    Raises:
        TlearnError: An option goes through the images in order, as they are, or several processes share them.
    """
    view = plain_data_of(trainer)
    if view is None:
        return
    wanted = {
        "model.head_init probe": start.head_init == "probe",
        f"model.head_solver {start.head_solver}": start.head_solver != "sgd",
        "model.feature_cache refresh": caching.feature_cache == "refresh",
        f"model.cache_views {caching.cache_views}": caching.cache_views > 1,
        "find_lr": finds_rate,
        f"a run of {trainer.world_size} processes": trainer.world_size > 1,
    }
    for what in (what for what, is_wanted in wanted.items() if is_wanted):
        images_of(trainer, what)
    if trainer.is_global_zero:
        log.info(
            "%s is a data module of your own, whose loaders serve as they are: floats from 0 to 1 become 8 bits; "
            "no feature cache, no names of pictures; a resume is exact from the end of an epoch on, not inside it",
            view.kind_name,
        )


def check_suits(network: Network, data: ImageDataModule | None) -> None:
    """Check that a network answers what its data ask; the command line makes one from the other.

    Args:
        network: Gets the data's class names, if it was made without names.
        data: The run's; ``None`` for data of another kind.

    Raises:
        TlearnError: Another task, another number of classes, or the same classes in another order. Names of the
            user's own are taken as they are.
    """
    if data is None:
        return
    way = "make it with TransferModule(data.num_classes, data.class_names, task=data.task)"
    if network.task != data.task:
        raise TlearnError(f"the network is for {network.task}, the data are for {data.task}; {way}")
    if network.num_classes != data.num_classes:
        raise TlearnError(f"the network has {network.num_classes} outputs, the data ask for {data.num_classes}; {way}")
    if network.options.class_names is None:
        network.class_names = list(data.class_names)
        return
    theirs, own = ([canonical(name) for name in each.class_names] for each in (data, network))
    if theirs != own and sorted(theirs) == sorted(own):
        orders = f"{', '.join(network.class_names)}, the data {', '.join(data.class_names)}"
        raise TlearnError(f"the network has the classes in the order {orders}; {way}")


def warn_of_small_pictures(side_px: int, native_size_px: int | None) -> None:
    """Warn of pictures that are much smaller than those which the weights were trained on.

    Args:
        side_px: What the network sees.
        native_size_px: What its weights were trained at; ``None`` where nobody knows.
    """
    if native_size_px and side_px < native_size_px / 2:
        log.warning(
            "the network sees pictures of %d px and was pretrained at %d px: accuracy suffers; try "
            "--model.image_size 128",
            *(side_px, native_size_px),
        )


def warn_of_folded_norms(backbone: Backbone, rules: Mapping[str, Rule]) -> None:
    """Warn of BatchNorms that would follow the batches, though they were folded into the convolutions before.

    Args:
        backbone: With the weights of a file.
        rules: Parameter name to rule.
    """
    if not backbone.batch_norm_follows or not backbone.is_plain:
        return
    training = {name.rpartition(".")[0] for name, rule in rules.items() if rule.lr_scale is not None}
    parts: dict[str, nn.Module] = {
        path: part for path, part in backbone.named_modules(prefix="backbone") if path in training
    }
    if found := folded_norms(parts):
        log.warning(
            "%d BatchNorms (first: %s) have mean 0 and variance 1 for all channels: they were folded into the "
            "convolutions, and the network breaks as soon as they follow the batches; set --model.batch_norm fixed",
            *(len(found), found[0]),
        )
