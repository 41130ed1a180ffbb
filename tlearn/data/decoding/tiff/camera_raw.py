"""Raw data of cameras are TIFF files whose first picture is a small preview, which is no picture to train on."""

from __future__ import annotations

from typing import Any, BinaryIO

from PIL import TiffImagePlugin

from tlearn.data.decoding.foreign_formats import CAMERA_RAW
from tlearn.data.decoding.samples import UnreadableImageError

_SUBFILE_KIND, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 254, 262, 330, 50706
REDUCED = 1  # bit of NewSubfileType
_SENSOR = (32803, 34892)  # PhotometricInterpretation: a sensor's filters, or undeveloped colours
_MOST_SUB_IFDS = 16  # cameras write 3 to 5


def refuse_camera_raw(file: BinaryIO, tags: Any) -> None:
    """Refuse a TIFF file that holds a sensor's numbers, whatever its name.

    Args:
        file: The file; its place changes.
        tags: Those of its first page.

    Raises:
        UnreadableImageError: It is a camera's.
    """
    is_raw = _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _SENSOR
    if not is_raw and tags.get(_SUBFILE_KIND, 0) & REDUCED:  # a preview; the levels of a pyramid need no look
        places = tags.get(_SUB_IFDS, ())
        places = places if isinstance(places, tuple) else (places,)
        is_raw = any(_photometric_at(file, place) in _SENSOR for place in places[:_MOST_SUB_IFDS])
    if is_raw:
        raise UnreadableImageError(CAMERA_RAW)


def _photometric_at(file: BinaryIO, place: int) -> Any:
    file.seek(0)
    head = file.read(8)
    try:
        file.seek(place)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        tags.load(file)
    except Exception:  # a damaged part that nobody reads
        return None
    return tags.get(_PHOTOMETRIC)
