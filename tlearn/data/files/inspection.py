"""What a picture file is, found by decoding it once; remembered until the file changes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from tlearn.base.machine import cores_allowed
from tlearn.data.files.duplicates import perceptual_hashes
from tlearn.data.files.inspection_store import FactsStore, stamp_of
from tlearn.data.files.progress import tracked
from tlearn.data.files.reading import UnreadableImageError, read_bytes, reason_of, to_rgb
from tlearn.data.files.text_encoding import bits_of, jpeg_quality_of

_HASHED_PX = 32
_SEEN_PX = 128  # a perceptual hash sees 32 px; JPEG files decode to this eight times as fast
_THUMB_PX = 8
_AT_ONCE = 256


class FileFacts(NamedTuple):
    """What was found in a file.

    Attributes:
        error: Why it gives no picture; empty for a good one.
        digest: BLAKE2b of its bytes, 16 of them; empty if they could not be read, and the fault may pass.
        format: Pillow's name, such as ``JPEG``.
        mode: Pillow's, such as ``RGB``, ``L``, ``P``, ``I;16``.
        width: In pixels, as the network sees it: upright by its EXIF orientation.
        height: Likewise.
        perceptual_hash: 64 bits; two pictures that look alike differ in few (pHash: of the upright 32 x 32 px grey
            picture's cosine transform, the lowest 8 x 8 coefficients against their median).
        thumb: 8 x 8 RGB pixels of the upright picture, 192 bytes.
        turned_hashes: Perceptual hashes of the picture turned and mirrored, 8 bytes for each of `WAYS`.
        bits: Of a channel: 1, 8, 16 or 32, and what else a TIFF file says.
        jpeg_quality: 1 to 100, of libjpeg's tables the ones nearest to the file's; 0 for other formats.
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


def inspect_file(path: Path) -> FileFacts:
    """Decode a file, at an eighth where JPEG allows it: a truncated file shows all the same."""
    try:
        data = read_bytes(path)
    except UnreadableImageError as error:
        return FileFacts(str(error))  # without a digest: it may be readable next time
    digest = hashlib.blake2b(data, digest_size=16).digest()
    try:
        with Image.open(io.BytesIO(data)) as image:
            about = str(image.format), image.mode, *_upright_size(image)
            encoding = bits_of(image), jpeg_quality_of(image)
            image.draft(image.mode, (_SEEN_PX, _SEEN_PX))
            ImageOps.exif_transpose(image, in_place=True)
            small = to_rgb(image)
        small = small.reduce(max(1, min(small.size) // _SEEN_PX))
        thumb = small.resize((_THUMB_PX, _THUMB_PX), Image.Resampling.BOX).tobytes()
        grey = small.convert("L").resize((_HASHED_PX, _HASHED_PX), Image.Resampling.LANCZOS)
        hashed, turned = perceptual_hashes(np.asarray(grey))
        return FileFacts("", digest, *about, hashed, thumb, turned, *encoding)
    except MemoryError:
        return FileFacts("not enough memory")
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        return FileFacts(reason_of(error, data), digest)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height after the EXIF orientation, which Pillow heeds by itself in TIFF files alone."""
    turns = image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    return image.size[::-1] if turns else image.size


def inspect_files(paths: Sequence[Path], what: str = "checking pictures") -> list[FileFacts]:
    """Inspect files in threads; those that have not changed since last time are answered from the store.

    Args:
        paths: The files.
        what: Stands before the progress bar, which only a terminal shows.
    """
    stamps = [stamp_of(path) for path in paths]
    with FactsStore() as store:
        known = store.load(paths, stamps)
        facts = [FileFacts(*row) if row else None for row in known]
        missing = [number for number, each in enumerate(facts) if each is None]
        found = zip(missing, _inspected((paths[number] for number in missing), len(missing), what), strict=True)
        while block := list(islice(found, _AT_ONCE)):
            for number, each in block:
                facts[number] = each
            store.save((paths[number], stamps[number], each) for number, each in block if each.digest)
    return [each for each in facts if each is not None]


def _inspected(paths: Iterable[Path], count: int, what: str) -> Iterator[FileFacts]:
    with ThreadPoolExecutor(cores_allowed()) as pool:
        rest = iter(paths)
        blocks = iter(lambda: list(islice(rest, _AT_ONCE)), [])  # a million results need not wait at once
        results = (facts for block in blocks for facts in pool.map(inspect_file, block))
        yield from tracked(results, what, count)
