"""File endings that are read as pictures, and formats that users take for pictures but nobody reads here."""

from __future__ import annotations

import io
from pathlib import PurePath

from tlearn.data.decoding import science_extra
from tlearn.data.decoding.formats import heif, jpeg_xl
from tlearn.data.decoding.jpeg_header import JPEG, jpeg_frame

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
_JPEG_XR = f"JPEG XR, which is not read; {_TO_JPEG}"
_JPEG_LS = "JPEG-LS, which is not read; convert it to PNG"
CAMERA_RAW = "a camera's raw data, which are not read; develop them to JPEG or PNG"
_TO_TIFF = "save its planes as TIFF, which keeps their numbers"
_DICOM = "DICOM, which is not read; export it to PNG"
_FITS, _NIFTI = f"FITS, which is not read; {_TO_TIFF}", f"NIfTI, which is not read; {_TO_TIFF}"
_HDF5, _MATLAB = f"HDF5, which is not read; {_TO_TIFF}", f"MATLAB's data, which are not read; {_TO_TIFF}"
_NUMPY = f"NumPy's data, which are not read; {_TO_TIFF}"
_MICROSCOPE = f"a microscope's own format, which is not read; {_TO_TIFF}"
_GZIP = "compressed by gzip, no picture; unpack it"
_PDF, _SVG = f"PDF, which is not read; {_TO_JPEG}", f"a drawing (SVG), which is not read; {_TO_JPEG}"
_POSTSCRIPT = f"PostScript, which is not read; {_TO_JPEG}"
_MEASURED = "measurements without a range of grey levels, which are not read; scale them and save PNG"
_VIDEO = "a video, which is not read; save its frames as pictures"

# Read with an extra.
_OF_EXTRAS = (*heif.ENDINGS, *jpeg_xl.ENDINGS)

# Pillow may read the small preview at the start of raw data, which is no picture to train on.
RAW = (
    *(".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"),
    *(".x3f", ".rwl", ".3fr", ".iiq", ".erf", ".kdc", ".dcr"),
)
_UNREAD = {
    **dict.fromkeys((".jxr", ".wdp", ".hdp"), _JPEG_XR),
    ".jls": _JPEG_LS,
    **dict.fromkeys(RAW, CAMERA_RAW),
    **dict.fromkeys((".dcm", ".dicom"), _DICOM),
    ".pdf": _PDF,
    **dict.fromkeys((".svg", ".svgz"), _SVG),
    **dict.fromkeys((".eps", ".ps", ".ai"), _POSTSCRIPT),
    **dict.fromkeys((".exr", ".hdr", ".pfm"), _MEASURED),
    **dict.fromkeys((".fits", ".fit", ".fts"), _FITS),
    ".nii": _NIFTI,
    **dict.fromkeys((".h5", ".hdf5", ".hdf", ".ims"), _HDF5),
    ".mat": _MATLAB,
    **dict.fromkeys((".npy", ".npz"), _NUMPY),
    **dict.fromkeys((".czi", ".nd2", ".lif", ".oib", ".oif", ".mrc"), _MICROSCOPE),
}
_NIFTI_SIZES = (b"\x5c\1\0\0", b"\0\0\1\x5c")  # 348 bytes, the length of the header
_NIFTI_1, _NIFTI_2 = (b"n+1\0", b"ni1\0"), (b"n+2\0", b"ni2\0")
_LOSSLESS_START = b"\xff\xf7"  # the frame's marker of JPEG-LS
_USUAL_BITS = 8
_SEARCHED = 268  # bytes in which the frame's marker of JPEG-LS lies
_STARTS = (
    (b"%PDF", _PDF),
    (b"%!PS", _POSTSCRIPT),
    (b"FUJIFILMCCD-RAW", CAMERA_RAW),
    (b"II*\x00\x10\x00\x00\x00CR", CAMERA_RAW),
    (b"II\xbc", _JPEG_XR),
    (b"\x76\x2f\x31\x01", _MEASURED),
    (b"#?RADIANCE", _MEASURED),
    (b"SIMPLE  =", _FITS),
    (b"\x89HDF\r\n\x1a\n", _HDF5),
    (b"MATLAB 5.0 MAT-file", _MATLAB),
    (b"MATLAB 7.3 MAT-file", _MATLAB),
    (b"\x93NUMPY", _NUMPY),
    (b"ZISRAWFILE", _MICROSCOPE),
    (b"\xda\xce\xbe\x0a", _MICROSCOPE),
    (b"\x1f\x8b", _GZIP),
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"version https://git-lfs", "a pointer of Git LFS, no picture; fetch the files with git lfs pull"),
    (b"PK\x03\x04", "a ZIP archive, no picture; unpack it"),
)


def is_picture_name(name: str) -> bool:
    """Tell whether a file is read as a picture, by its ending and by what is installed."""
    if name.lower().endswith(EXTENSIONS):  # at once: there may be many thousands
        return True
    return PurePath(name).suffix.lower() in _OF_EXTRAS and unread_by_name(name) is None


def unread_by_name(name: str) -> str | None:
    """Describe a file whose ending is of a picture format that is not read; ``None`` for any other."""
    ending = PurePath(name).suffix.lower()
    if ending in _OF_EXTRAS:
        return _missing_for_heic() if ending in heif.ENDINGS else _missing_for_jpeg_xl()
    return _UNREAD.get(ending)


def _missing_for_heic() -> str | None:
    return None if heif.heif_version() else heif.MISSING


def _missing_for_jpeg_xl() -> str | None:
    return None if science_extra.science_version() else jpeg_xl.MISSING


def unread_by_content(data: bytes) -> str | None:
    """Describe a file by its first bytes, whatever its name; ``None`` if they say nothing."""
    if data[4:8] == b"ftyp":
        return _of_media_container(data)
    if data.startswith(jpeg_xl.STARTS):
        return _missing_for_jpeg_xl()
    if data.startswith(JPEG):
        return _of_jpeg(data)
    if data[128:132] == b"DICM":
        return _DICOM
    if (data[:4] in _NIFTI_SIZES and data[344:348] in _NIFTI_1) or data[4:8] in _NIFTI_2:
        return _NIFTI
    start = data[:1024].lstrip().lower()
    if start.startswith((b"<html", b"<!doctype html")):
        return "a web page, no picture"
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg")) and b"<svg" in start:
        return _SVG
    return next((what for first, what in _STARTS if data.startswith(first)), None)


def _of_jpeg(data: bytes) -> str | None:
    """Describe a JPEG file by its frame: few decoders read the standard's rarer kinds."""
    frame = jpeg_frame(io.BytesIO(data))
    if frame is None:
        return _JPEG_LS if _LOSSLESS_START in data[:_SEARCHED] else None
    if frame.bits != _USUAL_BITS:
        return f"JPEG of {frame.bits} bits, which is not read; save it as PNG or TIFF of 16 bits"
    return None


def _of_media_container(data: bytes) -> str | None:
    """Describe an ISO media file by its main and compatible brands."""
    brands = heif.brands_of(data)
    if heif.is_heic(data):
        return _missing_for_heic()
    if brands[0] == b"crx ":
        return CAMERA_RAW
    return None if any(brand in (b"avif", b"avis", b"mif1") for brand in brands) else _VIDEO
