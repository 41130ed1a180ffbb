"""Colours of TIFF pages that are not red, green and blue: palettes, inks, luma and chroma."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlearn.data.decoding.samples import UnreadableImageError
from tlearn.data.decoding.tiff.header import CMYK, PALETTE, YCBCR

_DECODED_TO_RGB = (6, 7, 34892)  # compressions: kinds of JPEG
_UNREAD = {
    8: "CIELab colours",
    9: "ICCLab colours",
    10: "ITULab colours",
    32803: "a colour filter's raw data",
    32844: "LogL colours",
    32845: "LogLuv colours",
    34892: "a camera's raw data",
}


def colours_of(values: NDArray[Any], page: Any) -> NDArray[Any]:
    """Turn the numbers of a page, (H, W, C), into red, green and blue where they are other colours.

    Args:
        values: The numbers, as tifffile decodes them.
        page: tifffile's page.

    Raises:
        UnreadableImageError: They are colours that nobody reads here.
    """
    photometric = int(page.keyframe.photometric)
    if photometric in _UNREAD:
        raise UnreadableImageError(f"TIFF of {_UNREAD[photometric]}, which are not read; convert them to RGB")
    if photometric == PALETTE and page.keyframe.colormap is not None:
        return _of_palette(values, page.keyframe.colormap)
    if photometric == CMYK and values.shape[2] >= 4 and values.dtype.kind == "u":
        return _of_inks(values, page.keyframe.bitspersample)
    if photometric == YCBCR and int(page.keyframe.compression) not in _DECODED_TO_RGB:
        return _of_luma(values)
    return values


def _of_palette(values: NDArray[Any], colormap: NDArray[Any]) -> NDArray[np.uint8]:
    levels = colormap if colormap.max() < 256 else colormap >> 8  # some programs write levels of 8 bits
    colours: NDArray[np.uint8] = levels.astype(np.uint8).T
    return np.asarray(colours[values[:, :, 0].clip(max=levels.shape[1] - 1)])


def _of_inks(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Multiply what the inks leave of white, as Pillow does; channels after the fourth stay."""
    most = float(2**bits - 1)
    left = most - values[:, :, :4].astype(np.float64)
    colours = np.rint(left[:, :, :3] * left[:, :, 3:] / most).astype(values.dtype)
    return np.concatenate([colours, values[:, :, 4:]], axis=2)


def _of_luma(values: NDArray[Any]) -> NDArray[Any]:
    """Convert Y, Cb and Cr of the full range by ITU-R BT.601, as JPEG does."""
    if values.dtype != np.uint8 or values.shape[2] != 3:
        raise UnreadableImageError("TIFF of luma and chroma of more than 8 bits, which are not read; convert it to RGB")
    luma, blue, red = np.moveaxis(values.astype(np.float32), 2, 0)
    blue, red = blue - 128, red - 128
    colours = np.stack([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], axis=2)
    return np.asarray(np.rint(colours).clip(0, 255).astype(np.uint8))
