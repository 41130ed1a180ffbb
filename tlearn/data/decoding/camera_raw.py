"""Raw data of cameras are TIFF files whose first picture is a small preview, which is no picture to train on."""

from __future__ import annotations

from typing import Any, BinaryIO

from PIL import TiffImagePlugin

from tlearn.data.decoding.foreign_formats import CAMERA_RAW
from tlearn.data.decoding.samples import UnreadableImageError

_PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 262, 330, 50706
_SENSOR = (32803, 34892)  # PhotometricInterpretation: the colours of a sensor's filters, or linear ones before development
_MOST_SUB_IFDS = 16  # cameras write 3 to 5


def refuse_camera_raw(file: BinaryIO, head: bytes, tags: Any) -> None:
    """Refuse a TIFF file that holds a sensor's numbers, whatever its name.

    Args:
        file: The file; its place changes.
        head: The file's header, 8 bytes, or 16 of BigTIFF.
        tags: Those of its first page.

    Raises:
        UnreadableImageError: It is a camera's.
    """
    places = tags.get(_SUB_IFDS, ())
    places = (places if isinstance(places, tuple) else (places,))[:_MOST_SUB_IFDS]
    is_raw = _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _SENSOR
    if is_raw or any(_photometric_at(file, head, place) in _SENSOR for place in places):
        raise UnreadableImageError(CAMERA_RAW)


def _photometric_at(file: BinaryIO, head: bytes, place: int) -> Any:
    file.seek(place)
    tags = TiffImagePlugin.ImageFileDirectory_v2(head)
    try:
        tags.load(file)
    except Exception:  # a damaged part that nobody reads
        return None
    return tags.get(_PHOTOMETRIC)
