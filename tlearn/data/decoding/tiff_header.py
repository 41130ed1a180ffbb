"""The tags of a TIFF file: its planes, and what its numbers are. Pillow parses the tags of all files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import TiffImagePlugin

_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_KINDS = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "complex int", 6: "complex"}
_CMYK, _PALETTE, _WHITE_IS_ZERO, _YCBCR, _RGB = 5, 3, 0, 6, 2
_COLOUR_CHANNELS = {_RGB: 3, _YCBCR: 3, _CMYK: 4, 8: 3, 9: 3, 10: 3}  # the last three are CIELab's
_ALPHA = (1, 2)  # of ExtraSamples: associated, unassociated
# Bits of one channel, by kind, that Pillow reads as numbers. It reads int8 and uint32 as other types of the same bits.
_SINGLE = {"uint": (1, 2, 4, 8, 12, 16, 32), "int": (8, 16, 32), "float": (32,)}
_MOST_PAGES = 100_000


@dataclass(frozen=True)
class TiffHeader:
    """What the tags say.

    Attributes:
        pages: Numbers of the pages that are planes: no thumbnails, levels of a pyramid, or masks.
        width: Of the first plane, in pixels.
        height: Of the first plane, in pixels.
        channels: How many numbers a pixel has.
        bits: Bits of a number.
        kind: ``uint``, ``int``, ``float`` or another.
        alpha: The channel that is called transparency, from 0.
        nodata: GDAL's number for what was not measured.
        white_is_zero: The smallest number is white.
        is_cmyk: The colours are inks.
        is_known_to_pillow: Pillow reads such numbers right.
        is_hyperstack: The pages are channels, depths or times, as a microscope's text in the file says.
        names: Names of the channels, by GDAL.
    """

    pages: tuple[int, ...]
    width: int
    height: int
    channels: int
    bits: int
    kind: str
    alpha: int | None
    nodata: float | None
    white_is_zero: bool
    is_cmyk: bool
    is_known_to_pillow: bool
    is_hyperstack: bool
    names: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """Say what it holds, such as ``TIFF with 13 bands of 16 bits``."""
        numbers = f"{self.bits} bits" if self.kind == "uint" else f"{self.kind}{self.bits}"
        return f"TIFF with {self.channels} bands of {numbers}" if self.channels > 1 else f"TIFF of {numbers}"


def is_tiff(start: bytes) -> bool:
    """Tell whether a file that starts so is TIFF or BigTIFF."""
    return start.startswith(_STARTS)


def tiff_header(file: BinaryIO) -> TiffHeader:
    """Read the tags of all pages.

    Raises:
        SyntaxError, KeyError, ValueError, OSError: The tags are damaged.
    """
    pages = list(_tags_of(file))
    kinds = [_subfile_kind(tags) for tags in pages]
    planes = [number for number, kind in enumerate(kinds) if not kind & (_REDUCED | _MASK)] or [0]
    tags = pages[planes[0]]
    bits_of_all = tags.get(258, (1,))
    photometric, channels = tags.get(262, 1), int(tags.get(277, 1))
    kind = _KINDS.get(tags.get(339, (1,))[0], "unknown")
    extra = tags.get(338, ())
    alphas = [channels - len(extra) + place for place, each in enumerate(extra) if each in _ALPHA]
    bits, is_separate = int(max(bits_of_all)), tags.get(284, 1) == 2
    colours = _COLOUR_CHANNELS.get(photometric, 1)
    is_alike = len(set(bits_of_all)) == 1
    if channels == 1:
        is_known = bits in _SINGLE.get(kind, ()) and not (bits > 8 and photometric == _PALETTE)
    else:
        is_known = kind == "uint" and bits == 8 and channels in (colours, colours + 1) and photometric < 9 and is_alike
        is_known = is_known and not (is_separate and len(extra) > 0)
    return TiffHeader(
        pages=tuple(planes),
        width=int(tags[256]),
        height=int(tags[257]),
        channels=channels,
        bits=bits,
        kind=kind,
        alpha=alphas[0] if alphas else None,
        nodata=_nodata(tags),
        white_is_zero=photometric == _WHITE_IS_ZERO,
        is_cmyk=photometric == _CMYK and channels == 4 and bits == 8,
        is_known_to_pillow=is_known,
        is_hyperstack=len(planes) > 1 and _is_hyperstack(tags),
    )


def _tags_of(file: BinaryIO) -> Any:
    file.seek(0)
    head = file.read(8)
    if head[2:4] in (b"+\0", b"\0+"):
        head += file.read(8)  # BigTIFF
    place, seen = TiffImagePlugin.ImageFileDirectory_v2(head).next, set[int]()
    while place and place not in seen and len(seen) < _MOST_PAGES:
        seen.add(place)
        file.seek(place)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        tags.load(file)
        yield tags
        place = tags.next


def _subfile_kind(tags: Any) -> int:
    old = tags.get(255)  # 2 is a reduced picture
    return int(tags.get(254, _REDUCED if old == 2 else 0))


def _nodata(tags: Any) -> float | None:
    try:
        return float(str(tags.get(42113, "")).strip("\0 "))
    except ValueError:
        return None


def _is_hyperstack(tags: Any) -> bool:
    text = str(tags.get(270, ""))
    return "<OME" in text[:4096] or (text.startswith("ImageJ=") and "channels=" in text)
