"""Boxes of a table: objects inside larger pictures, each a picture of its own. N rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.files.inspection import Inspection

Box = tuple[int, int, int, int]  # x and y of the upper left corner, width and height, in pixels of the upright picture

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_PARTS = ("x", "y", "w", "h")


def read_boxes(columns: Sequence[Sequence[Any]], rows: Iterable[int], where: Callable[[int], str]) -> Tensor:
    """Read the boxes of rows, rounded to whole pixels.

    Args:
        columns: One column of ``x,y,w,h`` (a text, or a list), or four columns of one number each.
        rows: The rows to read.
        where: Names a row, for messages.

    Returns:
        int64 (N, 4).

    Raises:
        TlearnError: A cell holds no box; its row is named.
    """
    return torch.tensor([_box([column[row] for column in columns], where(row)) for row in rows]).reshape(-1, 4)


def _box(cells: Sequence[Any], where: str) -> list[int]:
    cell = cells if len(cells) > 1 else cells[0]
    texts = _NUMBER.findall(cell) if isinstance(cell, str) else [str(part) for part in _parts(cell)]
    try:
        box = [round(float(text)) for text in texts]
    except ValueError:
        box = []
    if len(box) != len(_PARTS) or min(box[2:]) < 1:
        raise TlearnError(f"{where}: '{cell}' is no box; expected x,y,w,h in pixels, w and h of 1 or more")
    return box


def _parts(cell: Any) -> list[Any]:
    return list(cell) if isinstance(cell, Iterable) else [cell]


def clipped(box: Box, width: int, height: int) -> Box:
    """Return the part of a box that lies in a picture; its width or height is 0 or less if none does."""
    x, y, w, h = box
    left, top = max(0, x), max(0, y)
    return left, top, min(width, x + w) - left, min(height, y + h) - top


def of_box(facts: Inspection, box: Box) -> Inspection:
    """Return the inspection of a box in a picture: its own size and digest, or that it lies outside."""
    if facts.error:
        return facts
    _, _, width, height = clipped(box, facts.width, facts.height)
    if min(width, height) < 1:
        told = f"the box {','.join(map(str, box))} lies outside of its {facts.width} x {facts.height} px"
        return facts._replace(error=told)
    digest = hashlib.blake2b(facts.digest + repr(box).encode(), digest_size=16).digest()
    return facts._replace(digest=digest, width=width, height=height)


def cut(pixels: Tensor, box: Box) -> Tensor:
    """Cut a box out of uint8 (C, H, W)."""
    x, y, width, height = clipped(box, pixels.shape[2], pixels.shape[1])
    return pixels[:, y : y + height, x : x + width]


def name_with_box(name: str, box: Box) -> str:
    """Name an object inside a picture as the W3C's media fragments do: ``photo.jpg#xywh=10,20,30,40``."""
    return f"{name}#xywh={','.join(map(str, box))}"
