"""Inspect a picture file by decoding it once; the result is stored until the file changes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from tlearn.base.machine import cores_allowed
from tlearn.data.files.duplicates import perceptual_hashes
from tlearn.data.files.inspection_store import InspectionStore, stamp_of
from tlearn.data.files.progress import tracked
from tlearn.data.files.reading import UnreadableImageError, read_bytes, reason_of, to_rgb

_HASHED_PX = 32
_SEEN_PX = 128  # a perceptual hash sees 32 px; JPEG files decode to this eight times as fast
_THUMB_PX = 8
_AT_ONCE = 256
_BITS_OF_MODE = {"1": 1, "I": 32, "F": 32}
_TIFF_BITS = 258  # the tag BitsPerSample
_LIBJPEG_SUM = 3689  # of libjpeg's luminance table at quality 50


class Inspection(NamedTuple):
    """The result of decoding a file.

    Attributes:
        error: Why it cannot be decoded; empty for a good file.
        digest: BLAKE2b of its content, 16 bytes; empty if reading failed, which may pass.
        format: Pillow's name of the format, such as ``JPEG``.
        mode: Pillow's name of the mode, such as ``RGB``, ``L``, ``P``, ``I;16``.
        width: In pixels, after the EXIF orientation.
        height: In pixels, after the EXIF orientation.
        perceptual_hash: 64 bits, of which few differ between pictures that look alike (pHash: the lowest 8 x 8
            coefficients of the cosine transform of the upright 32 x 32 px grey picture, against their median).
        thumb: 8 x 8 RGB pixels of the upright picture, 192 bytes.
        turned_hashes: Perceptual hashes of the picture turned and mirrored, 8 bytes for each of `WAYS`.
        bits: Bits per channel: 1, 8, 16 or 32, or another number in a TIFF file.
        jpeg_quality: 1 to 100, by the nearest of libjpeg's tables; 0 for other formats.
    """

    error: str = ""
    digest: bytes = b""
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    perceptual_hash: int = 0
    thumb: bytes = b""
    turned_hashes: bytes = b""
    bits: int = 0
    jpeg_quality: int = 0


def inspect_file(path: Path) -> Inspection:
    """Decode a file, a JPEG at an eighth of its size, which also finds truncated files."""
    try:
        data = read_bytes(path)
    except UnreadableImageError as error:
        return Inspection(str(error))  # without a digest, so that it is read again next time
    digest = hashlib.blake2b(data, digest_size=16).digest()
    try:
        with Image.open(io.BytesIO(data)) as image:
            about = str(image.format), image.mode, *_upright_size(image)
            encoding = _bits_of(image), _jpeg_quality_of(image)
            image.draft(image.mode, (_SEEN_PX, _SEEN_PX))
            ImageOps.exif_transpose(image, in_place=True)
            small = to_rgb(image)
        small = small.reduce(max(1, min(small.size) // _SEEN_PX))
        thumb = small.resize((_THUMB_PX, _THUMB_PX), Image.Resampling.BOX).tobytes()
        grey = small.convert("L").resize((_HASHED_PX, _HASHED_PX), Image.Resampling.LANCZOS)
        hashed, turned = perceptual_hashes(np.asarray(grey))
        return Inspection("", digest, *about, hashed, thumb, turned, *encoding)
    except MemoryError:
        return Inspection("not enough memory")
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        return Inspection(reason_of(error, data), digest)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height after the EXIF orientation, which Pillow itself applies only to TIFF files."""
    turns = image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    return image.size[::-1] if turns else image.size


def _bits_of(image: Image.Image) -> int:
    """Return the bits per channel of a picture that is opened and not loaded yet."""
    tags: Any = getattr(image, "tag_v2", None)
    if tags is not None and tags.get(_TIFF_BITS):
        return int(max(tags[_TIFF_BITS]))
    tiles: Any = getattr(image, "tile", None)
    layout = str(tiles[0][3]) if tiles else ""
    return 16 if image.mode.startswith("I;16") or ";16" in layout else _BITS_OF_MODE.get(image.mode, 8)


def _jpeg_quality_of(image: Image.Image) -> int:
    """Return the quality whose libjpeg luminance table has nearly the sum of the file's; 0 without a table."""
    tables: dict[int, list[int]] = getattr(image, "quantization", None) or {}
    if not tables:
        return 0
    percent = 100 * sum(tables[min(tables)]) / _LIBJPEG_SUM
    return round(max(1.0, 100 - percent / 2 if percent <= 100 else 5000 / percent))


def inspect_files(paths: Sequence[Path], what: str = "checking pictures") -> list[Inspection]:
    """Inspect files in threads; results of unchanged files come from the store.

    Args:
        paths: The files.
        what: Text before the progress bar, which only a terminal shows.
    """
    stamps = [stamp_of(path) for path in paths]
    with InspectionStore() as store:
        known = store.load(paths, stamps)
        facts = [Inspection(*row) if row else None for row in known]
        missing = [number for number, each in enumerate(facts) if each is None]
        found = zip(missing, _inspected((paths[number] for number in missing), len(missing), what), strict=True)
        while block := list(islice(found, _AT_ONCE)):
            for number, each in block:
                facts[number] = each
            store.save((paths[number], stamps[number], each) for number, each in block if each.digest)
    return [each for each in facts if each is not None]


def _inspected(paths: Iterable[Path], count: int, what: str) -> Iterator[Inspection]:
    with ThreadPoolExecutor(cores_allowed()) as pool:
        rest = iter(paths)
        blocks = iter(lambda: list(islice(rest, _AT_ONCE)), [])  # so that not all results wait in memory
        results = (facts for block in blocks for facts in pool.map(inspect_file, block))
        yield from tracked(results, what, count)
