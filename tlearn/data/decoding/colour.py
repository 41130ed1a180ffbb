"""Convert pictures of 8 bits from other colour spaces to sRGB, the space of the photographs that networks know.

A profile that is embedded in the file says what its numbers mean; in a PNG file without one the gAMA chunk may.
LittleCMS converts with relative colorimetric intent and black point compensation: colours that sRGB has stay exact, as
in browsers, and the darkest ink becomes black, which it would not without.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageCms

UNREADABLE_PROFILE = "an unreadable profile"

_KNOWN_PROFILES = 64  # kept at a time; those of inks have half a megabyte each
_SAME_LEVELS = 3  # of 255: profiles that differ from sRGB by no more are sRGB, in one of its many spellings
_SCREEN_GAMMA = 1 / 2.2  # of a PNG file: what sRGB is nearly
_SAME_GAMMA = 0.05  # as a share
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # by the colour space of a profile
_INKS = "CMYK"
_PAPER = (255, 255, 255)


class _Conversion(NamedTuple):
    """A way to sRGB.

    Attributes:
        name: The colour space's name; empty if it is sRGB, so that nothing is converted.
        mode: Pillow's mode of what goes in.
        transform: LittleCMS's; ``None`` if nothing is converted.
    """

    name: str
    mode: str
    transform: ImageCms.ImageCmsTransform | None


def colour_space(image: Image.Image) -> str:
    """Name the space from which a picture is converted; empty for sRGB, for none, and for one that does not fit.

    `UNREADABLE_PROFILE` stands for a profile that cannot be used; the picture is taken for sRGB then.
    """
    conversion = _conversion_of(image)
    if conversion is not None:
        return conversion.name
    gamma = _gamma_of(image)
    return "" if gamma is None else f"gamma {gamma:.3g}"


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert a picture of 8 bits to sRGB.

    Args:
        image: Of any mode, with what its file says of colours in ``info``.

    Returns:
        Mode RGB, or RGBA if it has transparent pixels, which keep their transparency; the picture itself if it needs no
        conversion.
    """
    conversion = _conversion_of(image)
    if conversion is None:
        gamma = _gamma_of(image)
        return image if gamma is None else _with_alpha_of(image, _rgb_of(image).point(_gamma_table(gamma) * 3))
    if conversion.transform is None:
        return image
    colours = image if image.mode == conversion.mode else _rgb_of(image).convert(conversion.mode)
    return _with_alpha_of(image, conversion.transform.apply(colours))


def profiled(image: Image.Image, profile: bytes) -> Image.Image:
    """Give a picture that was made of a file's numbers the profile in that file."""
    image.info["icc_profile"] = profile
    return image


def over_white(image: Image.Image) -> Image.Image:
    """Lay a picture of mode RGBA over white paper; the result is RGB."""
    return Image.alpha_composite(Image.new("RGBA", image.size, _PAPER), image).convert("RGB")


def rgb_of_lab(image: Image.Image) -> Image.Image:
    """Convert a picture of CIE's L*a*b* to sRGB."""
    return _lab_transform().apply(image)


def _with_alpha_of(image: Image.Image, converted: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        converted.putalpha(image.convert("RGBA").getchannel("A"))
    return converted


def _rgb_of(image: Image.Image) -> Image.Image:
    return image.convert("RGBA").convert("RGB") if image.has_transparency_data else image.convert("RGB")


def _conversion_of(image: Image.Image) -> _Conversion | None:
    """Return the way that the embedded profile gives; ``None`` if there is none, or if it is of other colours."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode == "LAB":
        return None
    conversion = _conversion(bytes(profile))
    if conversion.transform is None:
        return conversion
    if (conversion.mode == _INKS) != (image.mode == _INKS) or (conversion.mode == "L" and not _is_grey(image)):
        return None
    return conversion


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA")


@lru_cache(_KNOWN_PROFILES)
def _conversion(profile: bytes) -> _Conversion:
    """Read a profile; one that cannot be used converts nothing."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES[opened.profile.xcolor_space.strip()]
        name = (opened.profile.profile_description or "").strip(" \0\n") or f"a {mode} profile without a name"
        transform = _transform(opened, mode)
    except Exception:  # a damaged profile fails in every way that its bytes can be misread; the pixels are good
        return _Conversion(UNREADABLE_PROFILE, "", None)
    return _Conversion("", mode, None) if _is_srgb(transform, mode) else _Conversion(name, mode, transform)


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    if mode == _INKS:
        return False
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=3).reshape(1, -1, 3)
    probe = Image.fromarray(grid) if mode == "RGB" else Image.fromarray(levels[None])
    seen = np.asarray(transform.apply(probe), np.int16)
    return bool(np.abs(seen - np.asarray(probe.convert("RGB"), np.int16)).max() <= _SAME_LEVELS)


@lru_cache(1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.ImageCmsTransform(
        profile,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _gamma_of(image: Image.Image) -> float | None:
    """Return the exponent of a PNG file whose numbers have another one than a screen's and no profile."""
    gamma: Any = image.info.get("gamma")
    if not gamma or "srgb" in image.info or image.info.get("icc_profile") or gamma <= 0:
        return None
    return None if abs(gamma / _SCREEN_GAMMA - 1) <= _SAME_GAMMA else float(gamma)


@lru_cache(_KNOWN_PROFILES)
def _gamma_table(gamma: float) -> list[int]:
    """Return what each of 256 levels becomes: linear by the exponent, then sRGB's curve (IEC 61966-2-1)."""
    linear = np.linspace(0, 1, 256) ** (1 / gamma)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: list[int] = np.rint(255 * curved).astype(int).tolist()
    return table
