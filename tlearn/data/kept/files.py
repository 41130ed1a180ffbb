"""Large picture files: what they were decoded to is kept, so that each is decoded once. N files, C channels.

Without random crops a file's square is kept, as it is served. With them a box is cut anew in each epoch, from the
JPEG file decoded at a fraction of its size; that is kept. Both are the very bits that decoding gives, so a run is the
same with and without, in its first epoch and in later ones.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
import torchvision
from PIL import features
from torch import Tensor
from torch.utils.data import get_worker_info

from tlearn.base.errors import TlearnError
from tlearn.base.files import large_size
from tlearn.base.plain_values import plain_values
from tlearn.base.program import program
from tlearn.data.decoding.formats.heif import heif_version
from tlearn.data.decoding.science_extra import science_version
from tlearn.data.files.inspection import Inspection
from tlearn.data.files.inspection_store import stamp_of_file
from tlearn.data.files.listing import number_of
from tlearn.data.files.reading import Framing, framed, least_px_of, read_image, unframed
from tlearn.data.kept.store import PLACE, PixelStore, room
from tlearn.data.kept.worth import bytes_of_fraction, fraction_of_jpeg, fractions_of_crops, squares_are_worth
from tlearn.version import __version__

log = logging.getLogger(__name__)

DEFAULT_GB = 10.0  # 66,000 squares of 224 px, or 4,400 photographs of 12 megapixels to cut crops from

_FORMAT = 1
_JPEG = ("JPEG", "MPO")
_LIBRARIES = ("libjpeg_turbo", "littlecms2", "webp", "avif", "jpg_2000", "libtiff")
_SQUARE, _WHOLE = 0, 1  # in place of a fraction


class KeptFiles:
    """What is kept of the files of a split.

    Args:
        framing: How files become squares; for another one nothing is kept.
        facts: N inspections, ``None`` for a file that is not used.
        stamps: N texts, the states that the files were in then, as `stamp_of_file` gives them.
        limit_gb: What all that is kept may take; 0 keeps nothing.
        are_parts: The pictures are objects, cut out of larger ones that are decoded for each.
        least_area: The smallest share of a picture that random crops cut; ``None`` without them.
    """

    def __init__(
        self,
        framing: Framing,
        facts: Sequence[Inspection | None],
        stamps: Sequence[str],
        limit_gb: float,
        are_parts: bool = False,
        least_area: float | None = None,
    ) -> None:
        self.framing, self.are_parts, self.least_area = framing, are_parts, least_area
        self.limit_bytes = int(limit_gb * 1e9)
        size_px, used = int(framing.size_px), [each or Inspection() for each in facts]
        # Blocks of bytes, not lists: every worker process would end up with a copy of those.
        self._contents = np.array([each.digest.ljust(16, b"\0") for each in used], "V16")
        self._stamps = np.array([stamp.encode() for stamp in stamps], np.bytes_)
        self._sizes = np.array([(each.width, each.height) for each in used], np.int32).reshape(-1, 2)
        worth = [are_parts or squares_are_worth(each.width, each.height, size_px) for each in used]
        known = [limit_gb > 0 and bool(each.digest) and not each.error for each in used]
        self._are_kept = np.array(worth, bool) & np.array(known, bool)
        self._are_jpeg = self._are_kept & np.array([each.format in _JPEG and each.bits == 8 for each in used], bool)
        about = {"format": _FORMAT, "versions": _versions(), "reading": asdict(framing.reading)}
        square = {"size_px": size_px, "crop_mode": framing.crop_mode, "crop_pct": framing.crop_pct}
        self._squares = PixelStore(about | {"kept": "squares"} | square, self.limit_bytes)
        self._for_crops = PixelStore(about | {"kept": "for crops"}, self.limit_bytes)
        self.is_full = self.is_said = False

    def __len__(self) -> int:
        """Count the files that are worth keeping."""
        return int(self._are_kept.sum())

    def read(
        self,
        position: int,
        path: Path,
        framing: Framing,
        draws: Tensor | None = None,
        part: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Return what `read_image` does: from what is kept, or decoded, and kept for the next time.

        A file that is not as it was when it was looked at is decoded, as it is now.

        Raises:
            UnreadableImageError: It gives no picture.
        """
        fraction = self._fraction(position, framing, draws)
        if fraction is None or not self._is_unchanged(position, path):
            return read_image(path, framing, draws, part)
        store, key = self._squares if draws is None else self._for_crops, self._key(position, fraction)
        kept = store.get(key)
        if draws is None:
            square = read_image(path, framing, None, part) if kept is None else torch.from_numpy(kept)
            if kept is None:
                self._keep(store, key, square, position, path)
            return square
        pixels = unframed(path, framing, draws, part) if kept is None else torch.from_numpy(kept).permute(2, 0, 1)
        if kept is None and (self.are_parts or self._is_fraction(position, fraction, pixels)):
            self._keep(store, key, pixels.permute(1, 2, 0), position, path)
        return framed(pixels, framing, draws)

    def _fraction(self, position: int, framing: Framing, draws: Tensor | None) -> int | None:
        """Return what of a file is, or is to be, kept for these draws; ``None`` for nothing."""
        if not self._are_kept[position] or (framing is not self.framing and framing != self.framing):
            return None
        if draws is None:
            return _SQUARE
        if self.are_parts:
            return _WHOLE
        width, height = self._sizes[position].tolist()
        fraction = fraction_of_jpeg(width, height, least_px_of(framing, draws))
        return fraction if fraction in self._fractions(position) else None

    def _fractions(self, position: int) -> list[int]:
        """Return what of a file is kept for random crops."""
        if self.least_area is None:
            return []
        if self.are_parts:
            return [_WHOLE]
        width, height = self._sizes[position].tolist()
        worth = fractions_of_crops(width, height, int(self.framing.size_px), self.least_area)
        return worth if self._are_jpeg[position] else []

    def _key(self, position: int, fraction: int) -> bytes:
        return bytes(self._contents[position].tobytes() + fraction.to_bytes(8, "big"))

    def _is_unchanged(self, position: int, path: Path) -> bool:
        return bool(self._stamps[position] == stamp_of_file(path).encode())

    def _is_fraction(self, position: int, fraction: int, pixels: Tensor) -> bool:
        """Tell whether a file was decoded at the fraction that was expected; Pillow decides, by rules of its own."""
        width, height = self._sizes[position].tolist()
        return tuple(pixels.shape[1:]) == (math.ceil(height / fraction), math.ceil(width / fraction))

    def _keep(self, store: PixelStore, key: bytes, pixels: Tensor, position: int, path: Path) -> None:
        if self.is_full or not self._is_unchanged(position, path):  # replaced while it was read
            return
        try:
            self.is_full = not store.put(key, pixels.numpy())
        except (OSError, TlearnError, NotImplementedError) as error:  # the last: a disk that knows no locks
            self.refused(error)
        else:
            if self.is_full:  # by another split, or another run
                self._say(f"{PLACE.absolute()} has no more room: the others are decoded in every epoch; {_remedy()}")

    def refused(self, error: Exception) -> None:
        """Keep nothing more, and say that the disk refuses."""
        self.is_full = True
        self._say(f"pictures cannot be kept ({error}): they are decoded in every epoch")

    def _say(self, text: str) -> None:
        worker, was_said, self.is_said = get_worker_info(), self.is_said, True
        if not was_said and (worker is None or worker.id == 0):
            log.warning("%s", text)

    def missing_bytes(self) -> int:
        """Return how much is to be kept and is not there yet."""
        return sum(self._missing())

    def _missing(self) -> Iterator[int]:
        size_px, channels = int(self.framing.size_px), self.framing.reading.num_channels
        for position in np.flatnonzero(self._are_kept).tolist():
            if self.least_area is None and not self._squares.holds(self._key(position, _SQUARE)):
                yield channels * size_px**2
            width, height = self._sizes[position].tolist()
            for fraction in self._fractions(position):
                if not self._for_crops.holds(self._key(position, fraction)):
                    yield bytes_of_fraction(width, height, fraction, channels)


def checked_gb(limit_gb: Any) -> float:
    """Read the option ``picture_cache_gb``.

    Raises:
        TlearnError: It is no number from 0 on.
    """
    (plain,) = plain_values(picture_cache_gb=limit_gb)
    if isinstance(plain, bool) or not isinstance(plain, (int, float)) or not 0 <= plain < math.inf:
        raise TlearnError(f"data.init_args.picture_cache_gb: expected 0 (keeps none) or more, got {plain}")
    return plain


def kept_files(
    split: str,
    facts: Mapping[int, Inspection],
    stamps: Mapping[int, str],
    count: int,
    framing: Framing,
    limit_gb: float,
    are_parts: bool,
    least_area: float | None,
) -> KeptFiles:
    """Prepare to keep large files of a split, and log what they will take, or that there is no room for all.

    Args:
        split: Its name.
        facts: Inspections of files by their positions.
        stamps: The states that they were in then.
        count: N.
        framing: How files become squares.
        limit_gb: What all that is kept may take.
        are_parts: The pictures are objects, cut out of larger ones.
        least_area: The smallest share of a picture that random crops cut; ``None`` without them.
    """
    positions = range(count)
    inspected, states = [facts.get(n) for n in positions], [stamps.get(n, "") for n in positions]
    kept = KeptFiles(framing, inspected, states, limit_gb, are_parts, least_area)
    if len(kept):
        try:
            _tell_what_is_kept(split, kept)
        except OSError as error:
            kept.refused(error)
    return kept


def _tell_what_is_kept(split: str, kept: KeptFiles) -> None:
    needs_bytes, space_bytes = kept.missing_bytes(), room(kept.limit_bytes)
    what, where = f"{split}: {number_of(len(kept), 'large picture')}", PLACE.absolute()
    if needs_bytes > space_bytes:
        kept.is_said = True
        log.warning(
            "%s would take %s decoded, %s has room for %s: the others are decoded in every epoch; %s",
            *(what, large_size(needs_bytes), where, large_size(space_bytes), _remedy()),
        )
    elif needs_bytes:
        log.info("%s are kept as they are decoded, %s in %s", what, large_size(needs_bytes), PLACE)
    else:
        log.info("%s are read as they were decoded before, from %s", what, PLACE)


def _remedy() -> str:
    return f"raise data.init_args.picture_cache_gb, or make room: {program()} cache rm"


@lru_cache(1)
def _versions() -> dict[str, Any]:
    """Return the versions of all that decodes and resizes."""
    return {
        "tlearn": __version__,
        "pillow": PIL.__version__,
        **{name: features.version(name) for name in _LIBRARIES},
        "others": f"{heif_version()}{science_version()}",
        "torch": f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()}",
        "torchvision": torchvision.__version__,
    }
