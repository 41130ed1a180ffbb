"""Photographs as phones write them: what epochs cost once each has been decoded, and what the first one costs.

    python -m benchmarks.speed.photographs --n 3

ResNet18 is fine-tuned on a folder of 200 made-up photographs of 12 megapixels (JPEG, quality 90, 3.5 MB each). Later
epochs are compared with those on the same squares in memory, in the same process; the first with that of the former
build, in turn. Seconds are those of an epoch's training steps. "Serving" is an epoch without a network.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.loops import best_precision
from benchmarks.machine import Figure, load_now, print_figures
from benchmarks.speed.former import REPOSITORY, former_build, in_build

SIZES_PX = (128, 224)
_WIDTH, _HEIGHT = 4000, 3000
_MARGIN = 200
_GRAIN = 9.0
_CONFIG = """
seed_everything: 0
trainer: {{max_epochs: 2, precision: {precision}, enable_progress_bar: false}}
model: {{weights: null, image_size: {size_px}}}
data:
  class_path: {kind}
  init_args: {{{source}, batch_size: 32, val_fraction: 0.1, num_workers: 0}}
"""
# Prints the seconds of epochs of `fit` on the folder, and, where squares are asked for, of those on them in memory.
_FITS = """
import json, shutil, sys
from pathlib import Path
from benchmarks.command import epoch_rates
sizes, epochs, with_memory = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3] == "memory"
found = {}
for size_px in sizes:
    shutil.rmtree(".cache/tlearn/pictures", ignore_errors=True)
    found[size_px] = {}
    for name in ("folder", "memory")[: 1 + with_memory]:
        words = ["--config", f"{name}-{size_px}.yaml", "--trainer.max_epochs", epochs]
        found[size_px][name] = [1 / rate for rate in epoch_rates(words)]
print(json.dumps(found))
"""
# Prints the seconds a picture of serving, without a network, from files, from what is kept and from memory, and MB.
_SERVING = """
import json, shutil, sys, time
from pathlib import Path
import torch
from tlearn import ImageFolderDataModule
from tlearn.data.images.augment import Augment
from benchmarks.speed.squares import SquaresDataModule
def epoch(data):
    start_s = time.perf_counter()
    count = sum(len(batch.images) for batch in data.train_dataloader())
    return (time.perf_counter() - start_s) / count
def kept_mb():
    return sum(path.stat().st_size for path in Path(".cache/tlearn/pictures").rglob("*")) / 1e6
folder, found = sys.argv[1], {}
for size_px in json.loads(sys.argv[2]):
    shutil.rmtree(".cache/tlearn/pictures", ignore_errors=True)
    for name, augment in (("squares", {}), ("crops", {"resized_crop_area": 0.35})):
        options = {"size_px": size_px, "augment": Augment(**augment)}
        data = ImageFolderDataModule(folder, val_fraction=0.1, batch_size=32, **options)
        data.setup("fit")
        before_mb, first_s = kept_mb(), epoch(data)
        if augment:
            [epoch(data) for _ in range(3)]  # until nearly all that crops need is kept
        later_s = min(epoch(data) for _ in range(3))
        found[f"{size_px} {name}"] = {"first": first_s, "kept": later_s, "MB": kept_mb() - before_mb}
        if not augment:
            images = data.dataset("train")
            pixels = torch.zeros(len(images.targets), 3, size_px, size_px, dtype=torch.uint8)
            for batch in data.train_dataloader():
                pixels[batch.indices] = batch.images
            for batch in data.val_dataloader():
                pixels[batch.indices] = batch.images
            torch.save((pixels, images.targets), f"{size_px}.pt")
            memory = SquaresDataModule(f"{size_px}.pt", val_fraction=0.1, batch_size=32)
            memory.setup("fit")
            found[f"{size_px} {name}"]["memory"] = min(epoch(memory) for _ in range(3))
print(json.dumps(found))
"""


def write_large_photographs(root: Path, images: int) -> float:
    """Write ``root/train/<class>/*.jpg`` of 12 megapixels, soft shapes under grain; return their mean size in MB.

    Grain is drawn once, and each picture has another part of it: drawing it takes ten times as long as encoding.
    """
    grain = np.random.default_rng(0).standard_normal(((_HEIGHT + _MARGIN) // 2, (_WIDTH + _MARGIN) // 2))
    fine = np.kron((grain * _GRAIN).astype(np.int16), np.ones((2, 2), np.int16))
    sizes = []
    for number in range(images):
        draws = np.random.default_rng(number + 1)
        small = Image.fromarray(draws.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        soft = np.asarray(small.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC))
        top, left = draws.integers(0, _MARGIN, 2)
        pixels = soft + fine[top : top + _HEIGHT, left : left + _WIDTH, None]
        folder = root / "train" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:06d}.jpg"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        sizes.append(path.stat().st_size / 1e6)
    return sum(sizes) / len(sizes)


@contextmanager
def _workplace(images: int) -> Iterator[tuple[Path, Path]]:
    """Give a folder of photographs, and an empty one to run in, with a config for each size."""
    with tempfile.TemporaryDirectory() as folder:
        root, place = Path(folder) / "photographs", Path(folder) / "work"
        place.mkdir()
        write_large_photographs(root, images)
        for size_px in SIZES_PX:
            kinds = {"folder": ("ImageFolderDataModule", f"root: {root}, size_px: {size_px}")}
            kinds["memory"] = ("benchmarks.speed.squares.SquaresDataModule", f"squares: {size_px}.pt")
            for name, (kind, source) in kinds.items():
                config = _CONFIG.format(size_px=size_px, precision=best_precision(), kind=kind, source=source)
                (place / f"{name}-{size_px}.yaml").write_text(config, encoding="utf-8")
        yield root, place


def measure(n: int = 3, images: int = 200) -> list[Figure]:
    """Measure ``n`` rounds, each with both sides of every ratio."""
    sizes = json.dumps(SIZES_PX)
    today: list[dict[str, Any]] = []
    former: list[dict[str, Any]] = []
    with _workplace(images) as (root, place):
        os.environ["TLEARN_TRUST"] = "benchmarks"  # a config may name code of its own only so
        serving = in_build(REPOSITORY, _SERVING, place, str(root), sizes)  # also writes the squares
        before = former_build()
        apart = place / "former"
        shutil.copytree(place, apart)
        for number in range(n):
            for build in (REPOSITORY, before)[:: -1 if number % 2 else 1]:
                if build == before:
                    former.append(in_build(build, _FITS, apart, sizes, "1", "files"))
                else:
                    today.append(in_build(build, _FITS, place, sizes, "2", "memory"))
    return [figure for size_px in SIZES_PX for figure in _figures(str(size_px), today, former, serving, images)]


def _figures(
    size_px: str, today: list[dict[str, Any]], former: list[dict[str, Any]], serving: dict[str, Any], images: int
) -> list[Figure]:
    later = [found[size_px]["folder"][1] / found[size_px]["memory"][1] for found in today]
    first = [new[size_px]["folder"][0] / old[size_px]["folder"][0] for new, old in zip(today, former, strict=True)]
    gained = [old[size_px]["folder"][0] / new[size_px]["folder"][1] for new, old in zip(today, former, strict=True)]
    squares, crops = serving[f"{size_px} squares"], serving[f"{size_px} crops"]
    detail: dict[str, object] = {"s a picture, today": today, "s a picture, former build": former}
    name, n = f"photographs of 12 megapixels at {size_px} px", len(today)
    return [
        Figure(f"{name}: a later epoch over one in memory", median(later), "x", "<= 1.10", n, detail),
        Figure(f"{name}: the first epoch over the former build's", median(first), "x", "<= 1.05", n),
        Figure(f"{name}: a later epoch, times as fast as the former build's", median(gained), "x", "", n),
        Figure(f"{name}: serving a later epoch", 1e3 * squares["kept"], "ms a picture", "", 3, squares),
        Figure(f"{name}: serving it from memory", 1e3 * squares["memory"], "ms a picture", "", 3),
        Figure(f"{name}: serving the first epoch", 1e3 * squares["first"], "ms a picture", "", 1),
        Figure(
            f"{name}: random crops of 0.35 and more, a later epoch", 1e3 * crops["kept"], "ms a picture", "", 3, crops
        ),
        Figure(f"{name}: on disk, {images} squares", squares["MB"], "MB", "", 1),
        Figure(f"{name}: on disk, {images} pictures to cut crops from", crops["MB"], "MB", "", 1),
    ]


def main(args: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.photographs", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--n", type=int, default=3, help="rounds; default: %(default)s")
    parser.add_argument("--images", type=int, default=200, help="photographs; default: %(default)s")
    options = parser.parse_args(args)
    load_now()
    figures = measure(options.n, options.images)
    print_figures(figures)


if __name__ == "__main__":
    main()
