"""File endings that are read as pictures, and formats that users take for pictures but nobody reads here."""

from __future__ import annotations

from pathlib import PurePath

# All endings of picture formats that Pillow reads. Left out: .eps and .ps, which run a program; .wmf and .emf, which
# only Windows draws; .mpg and .mpeg; .fits, .grib, .bufr, .hdf and .pfm, which hold measurements; .iim, notes of press.
EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".avifs", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    *(".tga", ".icb", ".vda", ".vst", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".pcx", ".dcx", ".qoi", ".psd"),
    *(".ico", ".icns", ".cur", ".im", ".msp", ".pcd", ".pxr", ".xbm", ".xpm", ".gbr", ".fli", ".flc"),
    *(".dds", ".blp", ".ftc", ".ftu"),
)
_TO_JPEG = "convert it to JPEG or PNG"
_HEIC = f"HEIC, which is not read; {_TO_JPEG}"
_JPEG_XL = f"JPEG XL, which is not read; {_TO_JPEG}"
_RAW = "a camera's raw data, which are not read; develop them to JPEG or PNG"
_DICOM = "DICOM, which is not read; export it to PNG"
_PDF, _SVG = f"PDF, which is not read; {_TO_JPEG}", f"a drawing (SVG), which is not read; {_TO_JPEG}"
_POSTSCRIPT = f"PostScript, which is not read; {_TO_JPEG}"
_MEASURED = "measurements without a range of grey levels, which are not read; scale them and save PNG"
_VIDEO = "a video, which is not read; save its frames as pictures"

# Pillow may read the small preview at the start of raw data, which is no picture to train on.
RAW = (
    *(".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"),
    *(".x3f", ".rwl", ".3fr", ".iiq", ".erf", ".kdc", ".dcr"),
)
_UNREAD = {
    **dict.fromkeys((".heic", ".heif", ".hif", ".heics", ".heifs"), _HEIC),
    ".jxl": _JPEG_XL,
    **dict.fromkeys((".jxr", ".wdp", ".hdp"), f"JPEG XR, which is not read; {_TO_JPEG}"),
    **dict.fromkeys(RAW, _RAW),
    **dict.fromkeys((".dcm", ".dicom"), _DICOM),
    ".pdf": _PDF,
    **dict.fromkeys((".svg", ".svgz"), _SVG),
    **dict.fromkeys((".eps", ".ps", ".ai"), _POSTSCRIPT),
    **dict.fromkeys((".exr", ".hdr", ".pfm", ".fits", ".fit", ".fts", ".nii"), _MEASURED),
}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_BRANDS_END = 16 + 63 * 4  # bytes: no writer lists more brands
_STARTS = (
    (b"\xff\x0a", _JPEG_XL),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", _JPEG_XL),
    (b"%PDF", _PDF),
    (b"%!PS", _POSTSCRIPT),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"II*\x00\x10\x00\x00\x00CR", _RAW),
    (b"\x76\x2f\x31\x01", _MEASURED),
    (b"#?RADIANCE", _MEASURED),
    (b"SIMPLE  =", _MEASURED),
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"version https://git-lfs", "a pointer of Git LFS, no picture; fetch the files with git lfs pull"),
    (b"PK\x03\x04", "a ZIP archive, no picture; unpack it"),
)


def unread_by_name(name: str) -> str | None:
    """Describe a file whose ending is of a picture format that is not read; ``None`` for any other."""
    return _UNREAD.get(PurePath(name).suffix.lower())


def unread_by_content(data: bytes) -> str | None:
    """Describe a file by its first bytes, whatever its name; ``None`` if they say nothing."""
    if data[4:8] == b"ftyp":
        return _of_media_container(data)
    if data[128:132] == b"DICM":
        return _DICOM
    start = data[:1024].lstrip().lower()
    if start.startswith((b"<html", b"<!doctype html")):
        return "a web page, no picture"
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg")) and b"<svg" in start:
        return _SVG
    return next((what for first, what in _STARTS if data.startswith(first)), None)


def _of_media_container(data: bytes) -> str | None:
    """Describe an ISO media file by its main and compatible brands."""
    end = min(int.from_bytes(data[:4], "big"), len(data), _BRANDS_END)  # a damaged file may claim gigabytes
    brands = [data[8:12], *(data[place : place + 4] for place in range(16, end, 4))]
    if any(brand in _HEIC_BRANDS for brand in brands):
        return _HEIC
    if brands[0] == b"crx ":
        return _RAW
    return None if any(brand in (b"avif", b"avis", b"mif1") for brand in brands) else _VIDEO
