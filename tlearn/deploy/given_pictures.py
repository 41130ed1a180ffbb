"""Pictures in every form that a predictor takes. C channels, H and W pixels, S the side that the network was given."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.decoding.samples import lacks_extra
from tlearn.data.files.reading import Framing, framed, read_and_remark, reason_of

Picture = str | Path | Image.Image | Tensor


def pixels_of(picture: Picture, framing: Framing) -> tuple[Tensor, str]:
    """Return a picture as uint8 (C, S, S), and what sets it apart from the training pictures.

    Raises:
        TlearnError: It gives no picture; it is named.
    """
    if isinstance(picture, Tensor):
        channels = framing.reading.num_channels
        if picture.dtype != torch.uint8 or picture.ndim != 3 or len(picture) != channels:
            told = f"{str(picture.dtype).removeprefix('torch.')} {tuple(picture.shape)}"
            raise TlearnError(f"expected a picture as uint8 ({channels}, H, W), got {told}")
        return framed(picture.cpu(), framing), ""
    try:
        return read_and_remark(picture if isinstance(picture, Image.Image) else Path(picture), framing)
    except Exception as error:  # an image that Pillow opened may still turn out damaged, in every way that there is
        name = "an image" if isinstance(picture, Image.Image) else str(Path(picture).absolute())
        reason = reason_of(error)
        raise TlearnError(f"{name}: {reason}{'' if lacks_extra(reason) else '; mend it or leave it out'}") from error
