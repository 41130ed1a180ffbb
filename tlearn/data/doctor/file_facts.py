"""What the headers of picture files say: how large they are and how strongly they are compressed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from tlearn.data.files.inspection import jpeg_quality_of
from tlearn.data.images.on_disk import in_threads

_UNKNOWN = float("nan")
_BOX = "#xywh="  # see `tlearn.data.files.boxes.name_with_box`


class FileFacts(NamedTuple):
    """What a header says.

    Attributes:
        side_px: Side of the square that has as many pixels; NaN where Pillow does not open the file.
        jpeg_quality: 1 to 100, by the nearest of libjpeg's tables; NaN for other formats.
    """

    side_px: float = _UNKNOWN
    jpeg_quality: float = _UNKNOWN


def file_facts(paths: Sequence[str]) -> list[FileFacts]:
    """Read the headers of picture files; no pixel is decoded.

    Args:
        paths: The files; an object's box behind a path is passed over.
    """
    return in_threads(_facts_of, paths)


def _facts_of(path: str) -> FileFacts:
    try:
        with Image.open(Path(path.partition(_BOX)[0])) as image:
            width, height = image.size
            return FileFacts((width * height) ** 0.5, jpeg_quality_of(image) or _UNKNOWN)
    except Exception:  # a damaged file fails in every way; here it has no size
        return FileFacts()
