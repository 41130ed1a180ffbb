"""Inspect a picture file by decoding it once; the result is stored until the file changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from tlearn.base.machine import cores_allowed
from tlearn.base.progress import tracked
from tlearn.data.decoding.channels import channels_of, chosen_samples
from tlearn.data.decoding.colour import colour_space, profiled
from tlearn.data.decoding.decode import opened, profile_of, reason_of, samples_of, to_rgb
from tlearn.data.decoding.formats.heif import heif_version
from tlearn.data.decoding.header import Header, header_of
from tlearn.data.decoding.intensity import quantiles_of
from tlearn.data.decoding.pillow_file import draft_within, open_image
from tlearn.data.decoding.pillow_samples import frames_of
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import UnreadableImageError
from tlearn.data.decoding.science_extra import science_version
from tlearn.data.files.duplicates import perceptual_hashes
from tlearn.data.files.inspection_store import InspectionStore, stamp_of
from tlearn.data.files.reading import read_source

_HASHED_PX = 32
_SEEN_PX = 128  # a perceptual hash sees 32 px; JPEG files decode to this eight times as fast
_SAMPLED_PX = 512  # the short side that suffices for quantiles; files of gigapixels are read at twice that
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
        mode: Pillow's name of the mode, such as ``RGB``, ``L``, ``P``; for other numbers ``uint16``, ``5 x uint16``.
        width: In pixels, after the EXIF orientation.
        height: In pixels, after the EXIF orientation.
        perceptual_hash: 64 bits, of which few differ between pictures that look alike (pHash: the lowest 8 x 8
            coefficients of the cosine transform of the upright 32 x 32 px grey picture, against their median).
        thumb: 8 x 8 RGB pixels of the upright picture, 192 bytes.
        turned_hashes: Perceptual hashes of the picture turned and mirrored, 8 bytes for each of `WAYS`.
        bits: Bits per channel: 1, 8, 16 or 32, or another number in a TIFF file.
        jpeg_quality: 1 to 100, by the nearest of libjpeg's tables; 0 for other formats.
        sample_type: The type of the numbers, such as ``uint16``; see `tlearn.data.decoding.samples`.
        channels: How many numbers a pixel has.
        planes: How many planes, pages or frames the file has.
        quantiles: Of the numbers that are read, at `tlearn.data.decoding.intensity.SHARES`, float64; empty for 8 bits.
        profile: The colour space from which it is converted to sRGB; see `tlearn.data.decoding.colour.colour_space`.
        series: How many series of planes the file has, of which the first is read.
        unmeasured: Share of the numbers that are NaN, infinite or marked as no data.
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
    sample_type: str = ""
    channels: int = 0
    planes: int = 1
    quantiles: bytes = b""
    profile: str = ""
    series: int = 1
    unmeasured: float = 0.0


def inspect_file(path: Path, reading: Reading | None = None) -> Inspection:
    """Decode a file, a JPEG at an eighth of its size, which also finds truncated files.

    Args:
        path: The file.
        reading: Which plane and which bands are looked at.
    """
    reading = reading or Reading()
    try:
        source = read_source(path)
        digest = _digest(source)
    except UnreadableImageError as error:
        return Inspection(str(error))  # without a digest, so that it is read again next time
    except OSError as error:
        return Inspection(error.strerror or str(error))
    try:
        with opened(source) as file:
            header = header_of(file, reading.max_megapixels)
            is_plain = header.decoder == "pillow" and reading.is_coloured and reading.page == "first"
            return _of_pillow(file, digest, header, reading) if is_plain else _of_samples(file, digest, header, reading)
    except MemoryError:
        return Inspection("not enough memory")
    except Exception as error:  # a damaged file fails in every way that its bytes can be misread
        return Inspection(reason_of(error, source if isinstance(source, bytes) else b""), digest)


def _digest(source: bytes | Path) -> bytes:
    if isinstance(source, bytes):
        return hashlib.blake2b(source, digest_size=16).digest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def _of_pillow(file: BinaryIO, digest: bytes, header: Header, reading: Reading) -> Inspection:
    with open_image(file, reading.max_megapixels, header.first_page) as image:
        about = str(image.format), image.mode, *_upright_size(image)
        encoding = _bits_of(image), jpeg_quality_of(image)
        planes = header.tiff.planes if header.tiff else frames_of(image)
        channels, profile = len(image.getbands()), colour_space(image)
        draft_within(image, reading.max_megapixels, _SEEN_PX)
        ImageOps.exif_transpose(image, in_place=True)
        small = to_rgb(image)
    return Inspection("", digest, *about, *_looks_of(small), *encoding, "uint8", channels, planes, b"", profile)


def _of_samples(file: BinaryIO, digest: bytes, header: Header, reading: Reading) -> Inspection:
    found = samples_of(file, header, reading, _SAMPLED_PX)
    header = replace(header, channels=header.channels or found.values.shape[2])
    samples = chosen_samples(found, reading, header.what)
    width, height = _full_size(header, samples.values.shape[1], samples.values.shape[0])
    is_deep, is_shown = samples.sample_type != "uint8", samples.values.shape[2] in (1, 3)
    quantiles = quantiles_of(samples) if is_deep else None
    shown = Reading("percentile" if is_deep else "type", channels=None if is_shown else (1,))
    seen = np.array(channels_of(samples, shown, header.what))
    format_name, planes = header.format, header.tiff.planes if header.tiff else 1
    if not header.tiff and header.decoder == "pillow":
        with open_image(file, reading.max_megapixels) as image:
            format_name, planes = str(image.format), frames_of(image)
    mode = samples.sample_type if header.channels == 1 else f"{header.channels} x {samples.sample_type}"
    about, there = (format_name, mode, width, height), samples.measured
    profile = profile_of(file, header) if reading.is_coloured else b""
    return Inspection(
        *("", digest, *about, *_looks_of(Image.fromarray(seen)), header.bits, 0),
        *(samples.sample_type, header.channels, planes, b"" if quantiles is None else quantiles.tobytes()),
        profile=colour_space(profiled(Image.fromarray(seen), profile)) if profile else "",
        series=header.tiff.series if header.tiff else 1,
        unmeasured=0.0 if there is None else 1 - float(there.mean()),
    )


def _full_size(header: Header, width: int, height: int) -> tuple[int, int]:
    """Return width and height of an upright picture that may have been read at a fraction."""
    if min(header.size) <= min(width, height):
        return width, height
    is_turned = (header.size[0] < header.size[1]) != (width < height)
    return header.size[::-1] if is_turned else header.size


def _looks_of(picture: Image.Image) -> tuple[int, bytes, bytes]:
    """Return perceptual hash, thumbnail and hashes turned of a picture in red, green and blue."""
    small = picture.reduce(max(1, min(picture.size) // _SEEN_PX))
    thumb = small.resize((_THUMB_PX, _THUMB_PX), Image.Resampling.BOX).tobytes()
    grey = small.convert("L").resize((_HASHED_PX, _HASHED_PX), Image.Resampling.LANCZOS)
    hashed, turned = perceptual_hashes(np.asarray(grey))
    return hashed, thumb, turned


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


def jpeg_quality_of(image: Image.Image) -> int:
    """Return the quality whose libjpeg luminance table has nearly the sum of the file's; 0 without a table."""
    tables: dict[int, list[int]] = getattr(image, "quantization", None) or {}
    if not tables:
        return 0
    percent = 100 * sum(tables[min(tables)]) / _LIBJPEG_SUM
    return round(max(1.0, 100 - percent / 2 if percent <= 100 else 5000 / percent))


def inspect_files(
    paths: Sequence[Path], what: str = "checking pictures", reading: Reading | None = None
) -> list[Inspection]:
    """Inspect files in threads; results of unchanged files come from the store.

    Args:
        paths: The files.
        what: Text before the progress bar, which only a terminal shows.
        reading: Which plane and which bands are looked at.
    """
    return inspect_and_stamp(paths, what, reading or Reading())[0]


def inspect_and_stamp(paths: Sequence[Path], what: str, reading: Reading) -> tuple[list[Inspection], list[str]]:
    """Inspect files as `inspect_files` does; return also the state each was in, as `stamp_of_file` gives it."""
    decoders = f"{heif_version()}{science_version()}"
    seen = f"{decoders} {reading.page} {reading.channels} {reading.num_channels} {reading.max_megapixels}"
    stamps = [stamp_of(path, seen) for path in paths]
    with InspectionStore() as store:
        known = store.load(paths, stamps)
        facts = [Inspection(*row) if row else None for row in known]
        missing = [number for number, each in enumerate(facts) if each is None]
        found = zip(
            missing, _inspected((paths[number] for number in missing), len(missing), what, reading), strict=True
        )
        while block := list(islice(found, _AT_ONCE)):
            for number, each in block:
                facts[number] = each
            store.save((paths[number], stamps[number], each) for number, each in block if each.digest)
    return [each for each in facts if each is not None], [" ".join(stamp.split(" ", 3)[:3]) for stamp in stamps]


def _inspected(paths: Iterable[Path], count: int, what: str, reading: Reading) -> Iterator[Inspection]:
    with ThreadPoolExecutor(cores_allowed()) as pool:
        rest = iter(paths)
        blocks = iter(lambda: list(islice(rest, _AT_ONCE)), [])  # so that not all results wait in memory
        results = (facts for block in blocks for facts in pool.map(lambda path: inspect_file(path, reading), block))
        yield from tracked(results, what, count, "files")


def quantiles_by_type(facts: Iterable[Inspection]) -> dict[str, NDArray[np.float64]]:
    """Collect the quantiles of files by the type of their numbers: (N, Q) of the N files of each type."""
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for each in facts:
        if each.quantiles:
            rows.setdefault(each.sample_type, []).append(np.frombuffer(each.quantiles))
    return {kind: np.stack(found) for kind, found in rows.items()}
