"""Small picture folders in easy colours, as the command line meets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tlearn.data.sources.bases import InMemoryDataModule

COLOURS = {"cat": (200, 40, 40), "dog": (40, 200, 40), "eel": (40, 40, 200), "fox": (200, 200, 40)}


class BandsDataModule(InMemoryDataModule):
    """Pictures in memory of any number of channels: noise, brighter in channel 0 where the class is 1."""

    def __init__(self, bands: int = 5, size_px: int = 16, count: int = 32, **options: Any) -> None:
        super().__init__(class_names=["dim", "bright"], **options)
        self.bands, self.size_px, self.count = bands, size_px, count

    def load_split(self, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        return bands_of(self.bands, self.size_px, self.count, seed=int(split == "test"))


def bands_of(bands: int, size_px: int, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Make uint8 (N, C, H, W), whose channel c has values around 20 c, and classes."""
    targets = torch.arange(count) % 2
    noise = torch.randint(0, 60, (count, bands, size_px, size_px), generator=torch.Generator().manual_seed(seed))
    images = noise + 20 * torch.arange(bands)[:, None, None]
    images[:, 0] += 100 * targets[:, None, None]
    return images.to(torch.uint8), targets


def picture(name: str, number: int, size_px: int = 64) -> Image.Image:
    """A class's colour under noise that the number decides."""
    draws = np.random.default_rng([*name.encode(), number])
    pixels = np.asarray(COLOURS[name], float) + draws.normal(0, 25, (size_px, size_px, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_folder(
    folder: Path, classes: tuple[str, ...] = ("cat", "dog", "eel"), count: int = 8, start: int = 0
) -> Path:
    """Write ``folder/<class>/<class>000.png`` and so on."""
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(start, start + count):
            picture(name, number).save(folder / name / f"{name}{number:03d}.png")
    return folder


def write_splits(root: Path, train: int = 8, held_back: int = 4) -> Path:
    """Write ``train``, ``val`` and ``test``, no picture twice."""
    write_folder(root / "train", count=train)
    write_folder(root / "val", count=held_back, start=500)
    write_folder(root / "test", count=held_back, start=700)
    return root


def write_flat(folder: Path, count: int = 7) -> list[Path]:
    """Write pictures without labels: ``00_cat.png``, ``01_dog.png``, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        name = ("cat", "dog", "eel")[number % 3]
        paths.append(folder / f"{number:02d}_{name}.png")
        picture(name, 900 + number).save(paths[-1])
    return paths


def write_table(folder: Path, count: int = 24) -> Path:
    """Write ``table.csv`` with the columns path and label, and the pictures that it names."""
    paths = write_flat(folder / "table_pictures", count)
    rows = [f"{path.relative_to(folder)},{path.stem[3:]}" for path in paths]
    table = folder / "table.csv"
    table.write_text("\n".join(["path,label", *rows]))
    return table


def media_file(brand: bytes, *others: bytes) -> bytes:
    """The beginning of an ISO media file of a brand, such as ``heic``."""
    inner = b"ftyp" + brand + bytes(4) + b"".join(others)
    return (4 + len(inner)).to_bytes(4, "big") + inner + bytes(64)


HEIC = "HEIC, which needs pillow-heif: pip install 'tlearn[heif]'"
JPEG_XL = "JPEG XL, which needs imagecodecs: pip install 'tlearn[science]'"


def without_extras(patch: pytest.MonkeyPatch) -> None:
    """Let it seem that neither pillow-heif nor tifffile and imagecodecs are installed."""
    patch.setattr("tlearn.data.decoding.formats.heif.heif_version", lambda: "")
    patch.setattr("tlearn.data.decoding.science_extra.science_version", lambda: "")
    for room in ("science", "header"):
        patch.setattr(f"tlearn.data.decoding.{room}.science_version", lambda: "")


# What is inside, and what is said of it, whatever the name, without the extras.
FOREIGN = {
    "heic": (media_file(b"heic", b"mif1", b"heic"), HEIC),
    "heif": (media_file(b"mif1", b"mif1", b"heix"), HEIC),
    "jxl": (b"\xff\x0a" + bytes(64), JPEG_XL),
    "jxl_boxed": (b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(64), JPEG_XL),
    "cr3": (media_file(b"crx ", b"isom"), "a camera's raw data, which are not read; develop them to JPEG or PNG"),
    "mov": (media_file(b"qt  ", b"qt  "), "a video, which is not read; save its frames as pictures"),
    "pdf": (b"%PDF-1.7", "PDF, which is not read; convert it to JPEG or PNG"),
    "svg": (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "a drawing (SVG), which is not read; convert it"),
    "dcm": (bytes(128) + b"DICM", "DICOM, which is not read; export it to PNG"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, no picture"),
    "text": (b"hello", "no picture format"),
    "fits": (b"SIMPLE  =                    T" + bytes(64), "FITS, which is not read; save its planes as TIFF"),
    "nifti": (b"\x5c\1\0\0" + bytes(340) + b"n+1\0", "NIfTI, which is not read; save its planes as TIFF"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5, which is not read; save its planes as TIFF"),
    "mat": (b"MATLAB 5.0 MAT-file, ", "MATLAB's data, which are not read; save its planes as TIFF"),
    "npy": (b"\x93NUMPY\1\0", "NumPy's data, which are not read; save its planes as TIFF"),
    "czi": (b"ZISRAWFILE", "a microscope's own format, which is not read; save its planes as TIFF"),
    "gz": (b"\x1f\x8b\x08", "compressed by gzip, no picture; unpack it"),
    "cr2": (b"II*\0\x10\0\0\0CR\2\0", "a camera's raw data, which are not read; develop them to JPEG or PNG"),
}


def write_broken(folder: Path) -> dict[str, str]:
    """Write four files that give no picture, and return name -> reason."""
    photograph = folder / "whole.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(photograph)
    (folder / "half.jpg").write_bytes(photograph.read_bytes()[: photograph.stat().st_size // 2])
    photograph.unlink()
    (folder / "zero.jpg").touch()
    (folder / "page.jpg").write_text("<html>404</html>")
    Image.new("1", (20000, 9500)).save(folder / "huge.png")
    return {
        "half.jpg": "truncated",
        "huge.png": "20,000 x 9,500 px = 190 megapixels; the limit is 179: data.init_args.max_megapixels",
        "page.jpg": "a web page, no picture",
        "zero.jpg": "the file is empty",
    }


CONFIG = """
seed_everything: 0
trainer: {max_epochs: 2, accelerator: cpu, precision: 32-true}
model:
  weights: null
  tap: layer1
  image_size: 32
  optimizer: {class_path: SGD, init_args: {lr: 0.05, momentum: 0.9}}
data:
  class_path: ImageFolderDataModule
  init_args: {root: pictures, batch_size: 8}
"""


PRIMARIES = {  # x and y of red, green and blue; white is D65
    "sRGB": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "Display P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "Adobe RGB (1998)": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
}
_D65 = (0.3127, 0.3290)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])


def rgb_profile(name: str, gamma: float | None = None) -> bytes:
    """An ICC profile, version 2, of primaries and a curve: a power, or sRGB's."""
    xyz = np.stack([_xyz(*each) for each in PRIMARIES.get(name, PRIMARIES["sRGB"])], axis=1)
    white = _xyz(*_D65)
    to_d50 = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white)) @ _BRADFORD
    colours = to_d50 @ xyz @ np.diag(np.linalg.solve(xyz, white))
    curve = _curve(gamma)
    tags = {b"rXYZ": _xyz_tag(colours[:, 0]), b"gXYZ": _xyz_tag(colours[:, 1]), b"bXYZ": _xyz_tag(colours[:, 2])}
    return _profile(name, b"mntr", b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of grey levels with a power for a curve."""
    return _profile(f"Gray Gamma {gamma}", b"mntr", b"GRAY", {b"kTRC": _curve(gamma)})


def ink_profile() -> bytes:
    """An ICC profile of four made-up inks: none as pure as a screen's colours, black not quite black."""
    levels = np.linspace(0, 1, 9)
    inks = np.stack(np.meshgrid(levels, levels, levels, levels, indexing="ij"), axis=4).reshape(-1, 4)
    absorbed = np.array([[0.85, 0.30, 0.10], [0.15, 0.85, 0.40], [0.05, 0.10, 0.90], [0.97, 0.97, 0.97]])
    linear = np.prod(1 - inks[:, :, None] * absorbed, axis=1)
    to_xyz = np.array([[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
    scaled = (linear @ to_xyz.T / _D50).clip(0, 1)
    cubes = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    lab = np.stack([116 * cubes[:, 1] - 16, 500 * (cubes[:, 0] - cubes[:, 1]), 200 * (cubes[:, 1] - cubes[:, 2])], 1)
    codes = np.rint([652.8, 256, 256] * (lab + np.array([0, 128, 128]))).clip(0, 65535).astype(">u2")
    head = b"mft2" + bytes(4) + bytes([4, 3, 9, 0]) + np.eye(3, dtype=">i4").tobytes().replace(b"\0\0\0\1", b"\0\1\0\0")
    ramp = np.array([0, 65535], ">u2").tobytes()
    table = head + np.array([2, 2], ">u2").tobytes() + ramp * 4 + codes.tobytes() + ramp * 3
    return _profile("Made-up inks", b"prtr", b"CMYK", {b"A2B0": table}, b"Lab ")


def _xyz(x: float, y: float) -> np.ndarray:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz_tag(xyz: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + bytes(np.rint(65536 * xyz).astype(">i4"))


def _curve(gamma: float | None) -> bytes:
    if gamma is not None:
        return b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(256 * gamma).to_bytes(2, "big")
    level = np.linspace(0, 1, 1024)
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return b"curv" + bytes(4) + (1024).to_bytes(4, "big") + bytes(np.rint(65535 * linear).astype(">u2"))


def _profile(name: str, kind: bytes, space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    text = name.encode() + b"\0"
    about = b"desc" + bytes(4) + len(text).to_bytes(4, "big") + text + bytes(78)
    every = {b"desc": about, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz_tag(_D50)} | tags
    place, rows, content = 132 + 12 * len(every), b"", b""
    for tag, data in every.items():
        rows += tag + (place + len(content)).to_bytes(4, "big") + len(data).to_bytes(4, "big")
        content += data + bytes(-len(data) % 4)
    rest = (
        b"\x02\x10\0\0" + kind + space + connection + bytes(12) + b"acsp" + bytes(28) + _xyz_tag(_D50)[8:] + bytes(48)
    )
    whole = (place + len(content)).to_bytes(4, "big") + bytes(4) + rest + len(every).to_bytes(4, "big") + rows + content
    return whole
