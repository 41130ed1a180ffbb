"""Classify pictures without torch: python torch_free.py model.onnx photo.jpg ... (numpy, pillow, onnxruntime)."""

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

Array = np.ndarray[Any, Any]


def planes_of(name: str, reading: dict[str, Any]) -> tuple[list[Array], int, dict[int, Any]]:
    """Return the planes of a file, (H, W, C) each in the file's own numbers, the bits of a number, and TIFF's tags."""
    try:
        with Image.open(name) as image:
            tags = getattr(image, "tag_v2", {})
            bits = max(tags.get(258, (16 if ";16" in str(image.tile) or image.mode == "I" else 8,)))
            if bits > 8 and len(image.getbands()) > 1:
                raise UnidentifiedImageError(f"{name}: Pillow keeps 8 of its {bits} bits")
            told = {code: tags[code] for code in (262, 42113) if code in tags and (bits > 8 or code > 262)}
            return list(pillow_planes(image, bits, reading)), bits, told  # Pillow itself turns 8 bits of tag 262
    except UnidentifiedImageError:
        return deep_planes(name)


def pillow_planes(image: Image.Image, bits: int, reading: dict[str, Any]) -> Iterator[Array]:
    """Yield the planes of an open file whose numbers Pillow reads right."""
    for frame in range(getattr(image, "n_frames", 1)):
        image.seek(frame)
        tags = getattr(image, "tag_v2", {})
        if tags.get(254, 0) & 5:  # a thumbnail, a level of a pyramid, or a mask
            continue
        plane = ImageOps.exif_transpose(image)
        if bits <= 8 and reading["channels"] is None and reading["num_channels"] == 3:
            plane = in_srgb(plane, reading).convert("RGBA" if plane.has_transparency_data else "RGB")
            if plane.mode == "RGBA":
                plane = Image.alpha_composite(Image.new("RGBA", plane.size, "white"), plane).convert("RGB")
        values = np.asarray(plane)
        if bits > 8 and image.mode == "I":  # Pillow widens 16 bits with a sign, and those of PGM
            values = values.astype({1: "u", 2: "i"}[tags.get(339, (1,))[0]] + str(bits // 8))
        yield values.reshape(*values.shape[:2], -1)


def in_srgb(plane: Image.Image, reading: dict[str, Any]) -> Image.Image:
    """Convert colours of 8 bits by the profile in their file; of a PNG without one by its gamma."""
    profile, gamma = plane.info.get("icc_profile"), plane.info.get("gamma")
    if not reading["converts_colour"]:
        return plane
    colours = plane.convert("RGBA").convert("RGB") if plane.has_transparency_data else plane.convert("RGB")
    if profile:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[source.profile.xcolor_space.strip()]
        if plane.mode not in {"RGB": (*"1LP", "LA", "PA", "RGB", "RGBA"), "L": (*"1L", "LA"), "CMYK": ("CMYK",)}[mode]:
            return plane  # a profile of other colours
        black, relative = ImageCms.Flags.BLACKPOINTCOMPENSATION, ImageCms.Intent.RELATIVE_COLORIMETRIC
        target = ImageCms.createProfile("sRGB")
        given = plane if mode == "CMYK" else colours.convert(mode)
        way = ImageCms.buildTransform(source, target, mode, "RGB", relative, black)
        colours = way.apply(given)
    elif gamma and "srgb" not in plane.info and abs(2.2 * gamma - 1) > 0.05:
        light = np.linspace(0, 1, 256) ** (1 / gamma)
        levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        colours = colours.point(np.rint(255 * levels).astype(int).tolist() * 3)
    else:
        return plane
    if plane.has_transparency_data:
        colours.putalpha(plane.convert("RGBA").getchannel("A"))
    return colours


def deep_planes(name: str) -> tuple[list[Array], int, dict[int, Any]]:
    """Return what `planes_of` does, of a TIFF file that Pillow does not read right."""
    import tifffile  # and imagecodecs, if it is compressed

    with tifffile.TiffFile(name) as file:
        pages = [page for page in (each.aspage() for each in file.pages) if not (page.is_reduced or page.is_mask)]
        planes = [np.moveaxis(page.asarray(), 0, -1) if page.axes == "SYX" else page.asarray() for page in pages]
        tags = {tag.code: tag.value for tag in pages[0].tags}
    return [plane.reshape(*plane.shape[:2], -1) for plane in planes], pages[0].bitspersample, tags


def pixels_of(name: str, reading: dict[str, Any]) -> Array:
    """Return uint8 (H, W, C) by the rule that an export carries as about["reading"]["numbers"]."""
    planes, bits, tags = planes_of(name, reading)
    count, page = len(planes), reading["page"]
    kind = planes[0].dtype
    nodata = float(str(tags.get(42113, "nan")).strip("\0 "))
    if page in ("max", "mean"):  # of what was measured
        stack = np.ma.masked_array(planes, [~np.isfinite(plane) | (plane == nodata) for plane in planes])
        fill = nodata if kind.kind == "f" or nodata == nodata else 0
        values = (stack.max(axis=0) if page == "max" else stack.mean(axis=0)).filled(fill)
        values = (np.rint(values) if kind.kind != "f" else values).astype(kind)
    else:
        values = planes[{"first": 1, "middle": (count + 1) // 2}.get(page, page) - 1]
    if reading["channels"] is not None:
        values = values[:, :, [band - 1 for band in reading["channels"]]]
    taken = (1, 3) if reading["num_channels"] == 3 else (reading["num_channels"],)
    assert values.shape[2] in taken, f"{name}: which of its {values.shape[2]} channels?"
    is_plain = kind == np.uint8 and reading["intensity"] in ("auto", "type")
    pixels = values if is_plain else quantised(values, bits, reading)
    if tags.get(262) == 0:  # the least number is white
        pixels = 255 - pixels
    missing = ~np.isfinite(values) | (values == nodata)
    pixels = np.where(missing, np.uint8(0), pixels)  # not measured, as GDAL's tag says
    return np.broadcast_to(pixels, (*pixels.shape[:2], reading["num_channels"]))


def quantised(values: Array, bits: int, reading: dict[str, Any]) -> Array:
    """Cut the range that stands for black to white into 256 equal steps."""
    whole, intensity = values.dtype.kind != "f", reading["intensity"]
    name = {"u": "uint", "i": "int", "f": "float"}[values.dtype.kind] + str(bits)
    if isinstance(intensity, list):
        low, high = intensity
    elif intensity == "percentile":
        low, high = np.nanquantile(values, (0.001, 0.999))
    elif intensity == "auto" and name in (reading["ranges"] or {}):
        low, high = reading["ranges"][name]
    else:
        assert whole, f"{name} has no range of its own"
        low, high = (0, 2**bits - 1) if values.dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    few = whole and high - low < 255
    steps = (values.astype(float) - low) * ((255 if few else 256) / (high - low + (whole and not few)))
    pixels: Array = np.clip(np.nan_to_num(np.rint(steps) if few else steps), 0, 255).astype(np.uint8)
    return pixels


def square_of(pixels: Array, about: dict[str, Any]) -> Array:
    """Cut the centre out and resize it, uint8 (S, S, C)."""
    size, (height, width) = about["image_size_px"], pixels.shape[:2]
    assert about["reading"]["crop_mode"] == "center", about["reading"]["how"]
    side = max(1, round(about["reading"]["crop_pct"] * min(height, width)))
    top, left = (height - side) // 2, (width - side) // 2
    channels = np.moveaxis(pixels[top : top + side, left : left + side], -1, 0)
    resized = [Image.fromarray(c).resize((size, size), Image.Resampling.BILINEAR) for c in channels]
    return np.stack([np.asarray(c) for c in resized], axis=-1)


if __name__ == "__main__":
    session = onnxruntime.InferenceSession(sys.argv[1])
    about = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}
    for name in sys.argv[2:]:
        square = square_of(pixels_of(name, about["reading"]["numbers"]), about)
        (answer,) = session.run(None, {"images": square.transpose(2, 0, 1)[None]})
        best = answer[0].argmax()
        print(f"{name}\t{about['class_names'][best]}\t{answer[0, best]:.4f}")
