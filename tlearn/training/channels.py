"""Channels of the pictures: whether data and network agree on them, and their statistics where no weights tell them.

Letters: N pictures, C channels, H and W pixels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import NamedTuple

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.plain_values import leaves_of, plain
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.images.image_set import ImageSet
from tlearn.data.sources.bases import PictureDataModule
from tlearn.models.backbones.input_channels import RGB
from tlearn.models.network import Network

log = logging.getLogger(__name__)

_MOST_FILES = 2048  # a share of them tells a mean to 1 / 45 of the spread between pictures
_AT_ONCE = 64  # pictures in memory


class PixelStatistics(NamedTuple):
    """Mean and standard deviation of pixels scaled to [0, 1], of each of C channels."""

    mean: list[float]
    std: list[float]


def check_channels(network: Network, data: ImageDataModule) -> None:
    """Check that pictures have the channels that a network sees.

    Raises:
        TlearnError: They have another number of them.
    """
    here, wanted = data.num_channels, network.options.in_channels
    if here == wanted:
        return
    choice = "three" if wanted == RGB else str(wanted)
    remedy = f"let {type(data).__name__} return {choice}"
    if isinstance(data, PictureDataModule):
        bands = [3, 2, 1] if wanted == RGB else list(range(1, wanted + 1))
        remedy = f"choose {choice}: data.init_args.channels {bands}"
    raise TlearnError(
        f"the pictures have {here} channel{'s' * (here > 1)}, model.in_channels is {wanted}; set it to {here}, or "
        f"{remedy}"
    )


def check_framing(network: Network, data: ImageDataModule, who: str) -> None:
    """Check that pictures are read as those that a trained network learned from.

    Args:
        network: Answers here.
        data: Set up.
        who: It, for the message: ``model.ensemble: its members``.

    Raises:
        TlearnError: They are not; the first option that differs is named with both values.
    """
    theirs, here = (dict(leaves_of(plain(each))) for each in (network.pictures or {}, asdict(data.framing)))
    for name in theirs.keys() & here.keys():
        if theirs[name] != here[name]:
            raise TlearnError(
                f"{who} learned from pictures read with {name} {theirs[name]}, these data read "
                f"them with {name} {here[name]}; set data.init_args.{name} to the former"
            )


def learn_statistics(network: Network, data: ImageDataModule | None) -> None:
    """Measure mean and std of the training pictures where neither weights nor options tell them, and say so.

    All pictures in memory are looked at; of files at most 2,048, evenly spread. They are sums of whole numbers: every
    process finds the same bits.

    Args:
        network: Gets them.
        data: Set up for fitting; ``None`` for data of another kind.

    Raises:
        TlearnError: The data are of another kind.
    """
    channels = network.options.in_channels
    if data is None:
        raise TlearnError(
            f"mean and std of {channels} channels are measured in data modules of tlearn alone; give model.pixel_mean "
            "and model.pixel_std"
        )
    images = data.dataset("train")
    rows = images.indices if data.is_in_memory else _spread(images.indices, _MOST_FILES)
    found = pixel_statistics(_pixels(images, rows))
    network.preprocess.set_statistics(*found)
    of = f"all {len(rows)}" if len(rows) == len(images) else f"{len(rows)} of {len(images)}"
    mean, std = (" ".join(f"{value:.4g}" for value in values) for values in found)
    of_channels = f"{channels} channel{'s' * (channels > 1)}"
    log.info(
        "pixels of %s normalised by mean %s and std %s, measured in %s training images", of_channels, mean, std, of
    )


def pixel_statistics(batches: Iterable[Tensor]) -> PixelStatistics:
    """Return mean and standard deviation of each channel, over all pixels of all pictures.

    A channel that is the same everywhere has the standard deviation 1: it tells the network nothing, which is logged.

    Args:
        batches: uint8 (N, C, H, W), at least one.
    """
    count, sums, squares = 0, torch.tensor(0), torch.tensor(0)
    for images in batches:
        values = images.to("cpu", torch.int32)
        count += values[:, 0].numel()
        sums = sums + values.sum(dim=(0, 2, 3), dtype=torch.int64)
        squares = squares + values.square().sum(dim=(0, 2, 3), dtype=torch.int64)
    mean = [total / count / 255 for total in sums.tolist()]
    # In whole numbers up to the division: n * sum(x^2) - sum(x)^2 is exact, however many pixels there are.
    spread = [count * square - total**2 for total, square in zip(sums.tolist(), squares.tolist(), strict=True)]
    for number, value in enumerate(spread, start=1):
        if value == 0:
            log.warning(
                "channel %d is %d in all training images that were looked at: it tells the network nothing",
                *(number, round(255 * mean[number - 1])),
            )
    return PixelStatistics(mean, [value**0.5 / count / 255 if value else 1.0 for value in spread])


def _spread(rows: Tensor, most: int) -> Tensor:
    kept = min(len(rows), most)
    return rows[torch.arange(kept) * len(rows) // max(kept, 1)]


def _pixels(images: ImageSet, rows: Tensor) -> Iterator[Tensor]:
    for part in rows.split(_AT_ONCE):
        yield images.serve(part, 0)[0]
