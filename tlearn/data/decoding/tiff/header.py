"""The tags of a TIFF file: its planes, and what its numbers are. Pillow parses the tags of all files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import TiffImagePlugin

from tlearn.data.decoding.tiff.camera_raw import REDUCED, refuse_camera_raw
from tlearn.data.decoding.tiff.text import band_names, is_slide, stack_text

_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MASK = 4  # a bit of NewSubfileType, as REDUCED is
_KINDS = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "complex int", 6: "complex"}
WHITE_IS_ZERO, _BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8
_COLOUR_CHANNELS = {RGB: 3, YCBCR: 3, CMYK: 4, CIELAB: 3, 9: 3, 10: 3}  # the last two are other kinds of Lab
_ASSOCIATED, _UNASSOCIATED = 1, 2  # of ExtraSamples
# Bits of one channel, by kind, that Pillow reads as numbers. It reads int8 and uint32 as other types of the same bits.
_SINGLE = {"uint": (1, 2, 4, 8, 12, 16, 32), "int": (8, 16, 32), "float": (32,)}
LARGE_MEGAPIXELS = 64.0  # from here on a page is read at a fraction where that suffices
_JPEG_COMPRESSION = 7
_MOST_PAGES = 100_000


@dataclass(frozen=True)
class TiffHeader:
    """What the tags say.

    Attributes:
        pages: Numbers of the pages that are planes, or planes of one channel: no thumbnails, levels of a pyramid, or
            masks.
        planes: How many planes there are.
        series: How many series of planes, of which the first is read.
        width: Of the first plane, in pixels.
        height: Of the first plane, in pixels.
        channels: How many numbers a pixel has.
        bits: Bits of a number.
        kind: ``uint``, ``int``, ``float`` or another.
        photometric: The tag PhotometricInterpretation.
        compression: The tag Compression.
        orientation: The tag Orientation, 1 to 8.
        alpha: The channel that is called transparency, from 0.
        is_premultiplied: The colours were multiplied by the transparency.
        nodata: GDAL's number for what was not measured.
        is_known_to_pillow: Pillow reads such numbers right.
        is_hyperstack: The pages are channels, depths or times, as a microscope's text in the file says.
        names: Names of the channels, by GDAL or OME.
        profile: The colour profile.
    """

    pages: tuple[int, ...]
    planes: int
    series: int
    width: int
    height: int
    channels: int
    bits: int
    kind: str
    photometric: int
    compression: int
    orientation: int
    alpha: int | None
    is_premultiplied: bool
    nodata: float | None
    is_known_to_pillow: bool
    is_hyperstack: bool
    names: tuple[str, ...] = ()
    profile: bytes = b""

    @property
    def white_is_zero(self) -> bool:
        """Tell whether the smallest number is white."""
        return self.photometric == WHITE_IS_ZERO

    @property
    def is_cmyk(self) -> bool:
        """Tell whether the colours are inks of 8 bits."""
        return self.photometric == CMYK and self.channels == 4 and self.bits == 8

    @property
    def is_plain(self) -> bool:
        """Tell whether its colours are those that means of boxes are right of: no Lab, and no luma with less chroma."""
        photometric, compression = self.photometric, self.compression
        return photometric <= CMYK or (photometric == YCBCR and compression == _JPEG_COMPRESSION)

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
        UnreadableImageError: It holds a camera's raw data.
    """
    pages = list(_tags_of(file))
    refuse_camera_raw(file, pages[0])
    kinds = [_subfile_kind(tags) for tags in pages]
    planes = [number for number, kind in enumerate(kinds) if not kind & (REDUCED | MASK)] or [0]
    tags = pages[planes[0]]
    planes = planes[:1] if is_slide(tags) else planes
    text = stack_text(tags)
    samples, extra = int(tags.get(277, 1)), tags.get(338, ())
    is_hyperstack = text is not None and (text.channels * text.planes > samples or text.series > 1)
    channels = max(samples, text.channels) if text is not None and is_hyperstack else samples
    alphas = [samples - len(extra) + place for place, each in enumerate(extra) if each in (_ASSOCIATED, _UNASSOCIATED)]
    named = text.names if text is not None and len(text.names) == channels else ()
    return TiffHeader(
        pages=tuple(planes),
        planes=text.planes if text is not None and is_hyperstack else len(planes),
        series=text.series if text is not None else 1,
        width=int(tags[256]),
        height=int(tags[257]),
        channels=channels,
        bits=int(max(tags.get(258, (1,)))),
        kind=_KINDS.get(tags.get(339, (1,))[0], "unknown"),
        photometric=int(tags.get(262, 1)),
        compression=int(tags.get(259, 1)),
        orientation=int(tags.get(274, 1)),
        alpha=alphas[0] if alphas and alphas[0] >= 0 else None,
        is_premultiplied=_ASSOCIATED in extra,
        nodata=_nodata(tags),
        is_known_to_pillow=_is_known_to_pillow(tags),
        is_hyperstack=is_hyperstack,
        names=named or band_names(tags, channels),
        profile=bytes(tags.get(34675) or b""),
    )


def _is_known_to_pillow(tags: Any) -> bool:
    bits_of_all, kinds = tags.get(258, (1,)), tags.get(339, (1,))
    bits, kind = int(max(bits_of_all)), _KINDS.get(kinds[0], "unknown")
    photometric, channels, extra = tags.get(262, 1), int(tags.get(277, 1)), tags.get(338, ())
    if len(set(bits_of_all)) > 1 or len(set(kinds)) > 1:
        return False
    if channels == 1:
        is_small = kind == "uint" and bits <= 8
        is_known = bits in _SINGLE.get(kind, ()) and photometric == _BLACK_IS_ZERO
        return (is_small and bits in _SINGLE[kind]) or (is_known and not _is_swapped(tags, kind, bits))
    colours = _COLOUR_CHANNELS.get(photometric, 1)
    if kind != "uint" or bits != 8 or photometric > CIELAB:
        return False
    if channels == colours:
        return not extra
    is_separate, is_alpha = tags.get(284, 1) == 2, extra and extra[0] in (_ASSOCIATED, _UNASSOCIATED)
    return channels == colours + 1 and bool(is_alpha) and not is_separate


def _is_swapped(tags: Any, kind: str, bits: int) -> bool:
    """Tell whether Pillow misreads the bytes of numbers whose first byte is the highest.

    libtiff hands out numbers in the machine's order, and Pillow swaps those of compressed files again, but for uint16.
    """
    if tags.prefix != b"MM":
        return False
    return (kind, bits) == ("uint", 32) or (bits > 8 and tags.get(259, 1) != 1 and (kind, bits) != ("uint", 16))


def _tags_of(file: BinaryIO) -> Iterator[Any]:
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
    return int(tags.get(254, REDUCED if old == 2 else 0))


def _nodata(tags: Any) -> float | None:
    try:
        return float(str(tags.get(42113, "")).strip("\0 "))
    except ValueError:
        return None
