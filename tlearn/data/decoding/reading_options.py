"""How the numbers of a picture file become uint8 channels: the options, which a checkpoint keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from tlearn.base.errors import TlearnError
from tlearn.base.plain_values import plain_values

Intensity = Literal["auto", "type", "percentile"] | tuple[float, float]
Page = Literal["first", "max", "mean", "middle"] | int
Range = tuple[float, float]

MAX_MEGAPIXELS = 179.0  # 2 ** 29 / 3 pixels, where Pillow refuses a file as a decompression bomb
_TYPED = ("intensity", "channels", "num_channels", "page", "max_megapixels")  # options of a data module
_INTENSITIES, _PAGES = ("auto", "type", "percentile"), ("first", "max", "mean", "middle")


@dataclass(frozen=True)
class Reading:
    """How a file's numbers become uint8 channels.

    Attributes:
        intensity: What becomes 0 and 255. ``auto``: ``ranges``, learned from the training pictures; ``type``: all that
            the file's type can hold; ``percentile``: the 0.1 and 99.9 percentiles of each picture alone; or two
            numbers, for all pictures. Files of 8 bits stay as they are, but for ``percentile`` and two numbers.
        ranges: Sample type, such as ``uint16``, to the range that ``auto`` takes. ``None`` before the training pictures
            were looked at: then a picture that is read has its own.
        channels: Bands by number, from 1, or by name, in the order in which the network gets them.
        num_channels: C, how many channels the network gets.
        page: Which plane of a stack: by number, from 1, or the brightest or mean value of all at each place.
        max_megapixels: A file that decodes to more is refused; it may be made to fill the memory.
        converts_colour: Colours of another space than sRGB are converted. Only checkpoints of before this option lack
            it.
    """

    intensity: Intensity = "auto"
    ranges: Mapping[str, Range] | None = None
    channels: tuple[int | str, ...] | None = None
    num_channels: int = 3
    page: Page = "first"
    max_megapixels: float = MAX_MEGAPIXELS
    converts_colour: bool = True

    def __post_init__(self) -> None:
        """Take lists for tuples, and refuse what means nothing.

        Raises:
            TlearnError: An option holds something else.
        """
        intensity, channels, page = plain_values(intensity=self.intensity, channels=self.channels, page=self.page)
        object.__setattr__(self, "intensity", _intensity(intensity))
        object.__setattr__(self, "channels", _channels(channels, self.num_channels))
        object.__setattr__(self, "page", _page(page))
        if self.ranges is not None:
            object.__setattr__(self, "ranges", {name: (low, high) for name, (low, high) in self.ranges.items()})
        if not self.max_megapixels > 0:
            raise TlearnError(f"data.init_args.max_megapixels: expected more than 0, got {self.max_megapixels}")

    @property
    def is_coloured(self) -> bool:
        """Tell whether the network gets red, green and blue, not bands that somebody chose."""
        return self.channels is None and self.num_channels == 3

    def as_stored(self, stored: Reading) -> Reading:
        """Return these options with what a checkpoint has learned, and how it converts colours.

        The default of a checkpoint of before these options is what they all were read by.
        """
        intensity = self.intensity if stored.converts_colour or self.intensity != "auto" else stored.intensity
        return replace(self, intensity=intensity, ranges=stored.ranges or {}, converts_colour=stored.converts_colour)


def reading_in(plain: Mapping[str, Any]) -> Reading:
    """Return the options that `stored_reading` gives.

    Raises:
        TlearnError: They were written by a newer tlearn.
    """
    unknown = plain.keys() - {each.name for each in fields(Reading)}
    if unknown:
        raise TlearnError(f"pictures were read with {', '.join(sorted(unknown))}, unknown here; install a newer tlearn")
    return Reading(**plain)


def stored_reading(pictures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint's ``pictures`` say of reading, in plain values; `BEFORE` if it is older than that."""
    said = pictures.get("reading")
    return dict(said) if said is not None else asdict(BEFORE)


def options_in(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a data module that reads as a checkpoint did, in plain values."""
    named = {name: stored[name] for name in _TYPED if name in stored}
    return named | {"stored_reading": dict(stored)}


def _intensity(value: Any) -> Intensity:
    if isinstance(value, str) and value in _INTENSITIES:
        return value  # type: ignore[return-value]  # one of the three literals
    if isinstance(value, list) and len(value) == 2 and all(isinstance(each, (int, float)) for each in value):
        low, high = value
        if low < high:
            return low, high
        raise TlearnError(f"data.init_args.intensity: a range from {low:g} to {high:g} is empty; give [low, high]")
    raise TlearnError(f"data.init_args.intensity: expected auto, type, percentile or [low, high], got {value!r}")


def _channels(value: Any, num_channels: int) -> tuple[int | str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(each, (int, str)) for each in value):
        raise TlearnError(f"data.init_args.channels: expected numbers from 1 or names of bands, got {value!r}")
    if any(isinstance(each, int) and each < 1 for each in value):
        raise TlearnError(f"data.init_args.channels: bands are numbered from 1, got {value}")
    if len(value) != num_channels and not (len(value) == 1 and num_channels == 3):
        raise TlearnError(
            f"data.init_args.channels names {len(value)} bands, the network takes {num_channels}; name as many, or set "
            "model.in_channels"
        )
    return tuple(value)


def _page(value: Any) -> Page:
    if value in _PAGES or (type(value) is int and value >= 1):
        return value  # type: ignore[no-any-return]  # one of the literals, or a number
    raise TlearnError(f"data.init_args.page: expected first, max, mean, middle or a number from 1, got {value!r}")


# Checkpoints of before these options were trained on pictures that were read so.
BEFORE = Reading(intensity="type", converts_colour=False)
