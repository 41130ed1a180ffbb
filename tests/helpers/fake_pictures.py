"""Small picture folders in easy colours, as the command line meets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"cat": (200, 40, 40), "dog": (40, 200, 40), "eel": (40, 40, 200), "fox": (200, 200, 40)}


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


# What is inside, and what is said of it, whatever the name.
FOREIGN = {
    "heic": (media_file(b"heic", b"mif1", b"heic"), "HEIC, which is not read; convert it to JPEG or PNG"),
    "heif": (media_file(b"mif1", b"mif1", b"heix"), "HEIC, which is not read; convert it to JPEG or PNG"),
    "jxl": (b"\xff\x0a" + bytes(64), "JPEG XL, which is not read; convert it to JPEG or PNG"),
    "jxl_boxed": (b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(64), "JPEG XL, which is not read; convert it"),
    "cr3": (media_file(b"crx ", b"isom"), "a camera's raw data, which are not read; develop them to JPEG or PNG"),
    "mov": (media_file(b"qt  ", b"qt  "), "a video, which is not read; save its frames as pictures"),
    "pdf": (b"%PDF-1.7", "PDF, which is not read; convert it to JPEG or PNG"),
    "svg": (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "a drawing (SVG), which is not read; convert it"),
    "dcm": (bytes(128) + b"DICM", "DICOM, which is not read; export it to PNG"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, no picture"),
    "text": (b"hello", "no picture format"),
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
        "huge.png": "190,000,000 pixels: too large to be safe (decompression bomb)",
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
