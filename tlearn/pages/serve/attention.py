"""Where a network looked, as a picture to be laid over the one that was sent.

Letters: C channels, H and W of the picture in pixels, S the side that the network is given.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from tlearn.data.decoding.decode import decode
from tlearn.data.files.reading import Framing, check_bytes, framed, shown_part
from tlearn.models.alone import answered_alone
from tlearn.models.network import Network
from tlearn.pages.serve.uploads import Upload
from tlearn.reporting.grad_cam import grad_cam

SIDE_PX = 640  # the longer one of the overlay, as the page shows pictures


class Looked(NamedTuple):
    """What is kept of a picture while it waits: its square, and its sides; all of its pixels may be 500 MB.

    Attributes:
        square: uint8 (C, S, S).
        height: H.
        width: W.
    """

    square: Tensor
    height: int
    width: int


def looked_at(upload: Upload, framing: Framing) -> Looked:
    """Decode a picture as a whole, upright, and frame it.

    Raises:
        UnreadableImageError: It gives no picture.
    """
    data = upload.data()
    check_bytes(data, upload.name)
    pixels = decode(data, framing.reading)
    return Looked(framed(pixels, framing), *pixels.shape[-2:])


def attention_png(network: Network, framing: Framing, output: int | None, pictures: Sequence[Looked]) -> list[bytes]:
    """Return what spoke for an output of each picture, as a PNG with its shape: colours, transparent where cold.

    Args:
        network: What answers.
        framing: How pictures become its squares. What it does not see is transparent.
        output: The number of the class or column; ``None`` for the surest class.
        pictures: From `looked_at`.
    """
    return [_attention_png(network, framing, output, picture) for picture in pictures]


def _attention_png(network: Network, framing: Framing, output: int | None, picture: Looked) -> bytes:
    square = picture.square[None]
    if output is None:
        with torch.inference_mode():
            output = int(answered_alone(network, square.to(network.preprocess.mean.device)).answers[0].argmax())
    heat = grad_cam(network, square, torch.tensor([output]))[0]
    return _png(_coloured(_over(heat, framing, picture.height, picture.width)))


def _over(heat: Tensor, framing: Framing, height: int, width: int) -> Tensor:
    """Spread the heat of a square over its picture, at most `SIDE_PX` a side; what was not shown has none."""
    scale = min(1.0, SIDE_PX / max(height, width))
    (top, left, high, wide), bars = shown_part(framing, height, width)
    if bars is not None:  # the whole picture is inside the square
        side = heat.shape[-1] / framing.size_px
        y, x, inner_high, inner_wide = (round(each * side) for each in bars)
        heat = heat[y : y + max(1, inner_high), x : x + max(1, inner_wide)]
    sides = [max(1, round(high * scale)), max(1, round(wide * scale))]
    over = torch.zeros(max(sides[0], round(height * scale)), max(sides[1], round(width * scale)))
    top, left = (min(round(at * scale), over.shape[i] - sides[i]) for i, at in enumerate((top, left)))
    over[top : top + sides[0], left : left + sides[1]] = F.resize(heat[None].nan_to_num(0), sides, antialias=True)[0]
    return over


def _coloured(heat: Tensor) -> Tensor:
    """Return heat (H, W) in colours, scaled to its own maximum, uint8 (H, W, 4)."""
    from matplotlib import colormaps

    share = heat.clamp_min(0) / heat.max().clamp_min(1e-12)
    colours = torch.from_numpy(colormaps["inferno"](share.numpy()))
    colours[..., 3] = share.sqrt()
    return (colours * 255).round().to(torch.uint8)


def _png(pixels: Tensor) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(pixels.contiguous().numpy()).save(file, "PNG")
        return file.getvalue()
