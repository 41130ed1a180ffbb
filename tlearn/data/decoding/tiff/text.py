"""The text that microscopes' and satellites' programs write into TIFF files: what the pages are, and names of bands."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DESCRIPTION, _GDAL = 270, 42112
_SLIDE_TAG = 65420  # of Hamamatsu's NDPI
_IMAGE = re.compile(r"<(?:\w+:)?Image[\s>]")
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\s([^>]*)>")
_CHANNEL = re.compile(r"<(?:\w+:)?Channel\s([^>]*)>")
_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_BAND = re.compile(r"<Item\s([^>]*)>([^<]*)</Item>")
_LINE = re.compile(r"^(\w+)=(\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class StackText:
    """What the text says of the first series of pages.

    Attributes:
        channels: How many numbers a pixel has, over all pages of a plane.
        planes: How many depths and times it has.
        series: How many series the file has.
        names: Names of the channels; empty if they have none.
    """

    channels: int
    planes: int
    series: int = 1
    names: tuple[str, ...] = ()


def stack_text(tags: Mapping[int, Any]) -> StackText | None:
    """Read the text of OME or ImageJ; ``None`` if there is none."""
    text = str(tags.get(_DESCRIPTION, ""))
    if "<OME" in text[:4096] or ":OME" in text[:4096]:
        return _of_ome(text.encode("latin-1", "replace").decode("utf-8", "replace"))
    if text.startswith("ImageJ="):
        numbers = {name: int(value) for name, value in _LINE.findall(text)}
        channels = max(1, numbers.get("channels", 1))
        return StackText(channels, max(1, numbers.get("images", 1) // channels))
    return None


def is_slide(tags: Mapping[int, Any]) -> bool:
    """Tell whether the pages after the first are its pyramid, its label and its glass: scanners' own formats."""
    return str(tags.get(_DESCRIPTION, "")).startswith("Aperio") or _SLIDE_TAG in tags


def band_names(tags: Mapping[int, Any], channels: int) -> tuple[str, ...]:
    """Return the descriptions of GDAL's bands, (C,); empty if no band has one."""
    found = {}
    for attributes, name in _BAND.findall(str(tags.get(_GDAL, ""))):
        said = _attributes(attributes)
        if said.get("name", "").upper() == "DESCRIPTION" and said.get("sample", "").isdigit():
            found[int(said["sample"])] = html.unescape(name).strip()
    return tuple(found.get(band) or f"band {band + 1}" for band in range(channels)) if any(found.values()) else ()


def _of_ome(text: str) -> StackText | None:
    start = _PIXELS.search(text)
    if start is None:
        return None
    sizes = {name: int(value) for name, value in _attributes(start[1]).items() if value.isdigit()}
    inside = re.split(r"</(?:\w+:)?Pixels>", text[start.end() :], maxsplit=1)[0]
    channels = [_attributes(each) for each in _CHANNEL.findall(inside)]
    names = tuple(each.get("Name", "") for each in channels)
    count = max(1, sizes.get("SizeC", 1))
    if len(names) != count or not all(names):
        names = ()
    planes = max(1, sizes.get("SizeZ", 1)) * max(1, sizes.get("SizeT", 1))
    return StackText(count, planes, max(1, len(_IMAGE.findall(text))), names)


def _attributes(text: str) -> dict[str, str]:
    return {name: html.unescape(double or single) for name, double, single in _ATTRIBUTE.findall(text)}
