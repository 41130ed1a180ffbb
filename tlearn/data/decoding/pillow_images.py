"""Pictures that come as Pillow's images: unread ones are decoded as their files are, others by what is in memory."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from tlearn.data.decoding.header import header_of
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import Samples, UnreadableImageError, type_range

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # TIFF's tags
_WAY = "give its path, or the image as Image.open returns it"
_one_reads = Lock()  # one image may be in a list twice, and two threads would move the place in its file


def unread_file_of(image: Image.Image, reading: Reading) -> bytes | None:
    """Return the file of an image that was opened, and not read or changed since; the image is left so.

    Args:
        image: Any image.
        reading: Which plane is wanted.

    Returns:
        ``None`` where there is none, or where Pillow reads it right as 8 bits.
    """
    if not isinstance(image, ImageFile.ImageFile) or image.tell() > 0:  # another frame is what the user chose
        return None
    with _one_reads:
        file: Any = image.fp
        if not image.tile or file is None:
            return None
        place = file.tell()
        file.seek(0)
        is_needed = header_of(file).decoder != "pillow" or reading.page != "first"
        data: bytes | None = file.read() if is_needed else None
        file.seek(place)
    return data


def samples_in_memory(image: Image.Image, reading: Reading) -> Samples:
    """Return the numbers of an image.

    Raises:
        UnreadableImageError: Nobody can tell what its numbers are.
    """
    upright, bits = ImageOps.exif_transpose(image), _file_bits(image)
    if image.mode not in ("1", "L", "I", "F", "RGB", "RGBA", "CMYK") and not image.mode.startswith("I;16"):
        upright = upright.convert("RGBA" if image.has_transparency_data else "RGB")
    values: NDArray[Any] = np.asarray(upright)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * 255
    if image.mode == "I":
        values = _whole_numbers(image, values, reading)
    is_negative = bits > 8 and _tags(image).get(_PHOTOMETRIC) == 0
    alpha = 3 if upright.mode == "RGBA" else None
    stored = values.dtype.itemsize * 8
    values = values[:, :, None] if values.ndim == 2 else values
    return Samples(values, min(bits or stored, stored), alpha=alpha, white_is_zero=is_negative)


def check_bits(image: Image.Image, reading: Reading) -> None:
    """Refuse an image of which Pillow has read the upper eight bits, where other bits are what is wanted.

    Raises:
        UnreadableImageError: It is one.
    """
    bits, whole = _file_bits(image), type_range("uint16")
    is_cut = bits > 8 and image.mode not in ("I", "F") and not image.mode.startswith("I;16")
    are_wanted = reading.intensity == "auto" and (reading.ranges or {}).get("uint16", whole) == whole
    if is_cut and reading.intensity != "type" and not are_wanted:
        raise UnreadableImageError(f"Pillow has read 8 of its {bits} bits; {_WAY}")


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})  # only an image of a TIFF file has them


def _file_bits(image: Image.Image) -> int:
    return int(max(_tags(image).get(_BITS, (0,))))


def _whole_numbers(image: Image.Image, values: NDArray[Any], reading: Reading) -> NDArray[Any]:
    """Give numbers of Pillow's mode I, 32 bits with a sign, the type that their file had."""
    bits, least, most = _file_bits(image), int(values.min()), int(values.max())
    if bits >= 16:
        return values.astype(f"{'i' if _tags(image).get(_SAMPLE_FORMAT, (1,))[0] == 2 else 'u'}{bits // 8}")
    if least >= 0 and most < 2**16:  # grey PGM, and pictures that users make of numbers
        return values.astype(np.uint16)
    if isinstance(reading.intensity, tuple) or reading.intensity == "percentile":
        return values
    raise UnreadableImageError(f"mode I with numbers from {least} to {most}, of an unknown type; {_WAY}")
