"""What tlearn's reading of photographs costs against the transform that timm names for the same weights.

    python -m benchmarks.transforms --weights FILE --sets FOLDER ... --classes ants=310 bees=309

A set is a folder that holds ``<class>/*`` or ``<split>/<class>/*``; its splits are put together. Each picture goes
through the frozen network once for each way of reading it. A linear head is solved on three fifths of a set's features,
its penalty is chosen on one fifth, and it answers for the last. Five folds answer for every picture once. The same
folds serve all ways, so the answers are paired: McNemar's exact test counts the pictures that one way alone gets right.
``away`` is the distance of the features from timm's, as a share of their length; ``guess`` is how often the first of
the 1,000 guesses is the same. N pictures, D features.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.stats import binomtest
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from benchmarks.machine import load_now, machine_line
from tlearn.data.files.reading import CROP_PCT, Framing, pixels_of, read_image
from tlearn.training.module import TransferModule
from tlearn.training.strategies.head_solver import solve_head

_BATCH = 50
_FOLDS = 5
_SUFFIXES = (".jpg", ".jpeg", ".png")
Reader = Callable[[Path], Tensor]
THEIRS, OURS = "timm", "tlearn"


class PhotoSet(NamedTuple):
    """Pictures with labels.

    Attributes:
        name: Of the folder.
        paths: N files.
        labels: int64 (N,).
        classes: Their names.
    """

    name: str
    paths: list[Path]
    labels: Tensor
    classes: list[str]


def photo_set(root: Path) -> PhotoSet:
    """List a folder of ``<class>/*`` or ``<split>/<class>/*`` without what is no picture."""
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in _SUFFIXES)
    classes = sorted({path.parent.name for path in files})
    return PhotoSet(root.name, files, torch.tensor([classes.index(path.parent.name) for path in files]), classes)


def readers(network: TransferModule, size_px: int | None = None) -> dict[str, Reader]:
    """Name the ways from a file to what the network gets, float32 (3, S, S).

    Beside timm's and tlearn's: each with the other's interpolation, tlearn's with other shares of the picture, and
    timm's of a picture without its first row and column, to see how far apart two transforms are that are alike. The
    size S is that of the weights, or ``size_px``.
    """
    pretrained: Any = network.backbone.network
    resolve: Any = resolve_data_config  # timm has no types for it
    config = resolve(pretrained_cfg=pretrained.pretrained_cfg)
    share = config["crop_pct"]
    size_px = size_px or int(config["input_size"][-1])
    config["input_size"] = (3, size_px, size_px)
    preprocess = network.preprocess
    theirs = create_transform(**config)
    found: dict[str, Reader] = {
        THEIRS: partial(_by_timm, theirs),
        "timm, one pixel aside": partial(_by_timm, theirs, first=1),
        "timm, bilinear": partial(_by_timm, create_transform(**config | {"interpolation": "bilinear"})),
        OURS: partial(_by_tlearn, preprocess, Framing(size_px)),
        "tlearn, bicubic": partial(_by_parts, preprocess, Framing(size_px), F.InterpolationMode.BICUBIC),
        "tlearn, decoded whole": partial(_by_parts, preprocess, Framing(size_px), F.InterpolationMode.BILINEAR),
    }
    for crop_pct in sorted({round(share, 3), 0.95, 1.0} - {CROP_PCT}):
        found[f"tlearn, crop_pct {crop_pct:g}"] = partial(_by_tlearn, preprocess, Framing(size_px, "center", crop_pct))
    return found


def _by_timm(transform: Callable[[Image.Image], Tensor], path: Path, first: int = 0) -> Tensor:
    with Image.open(path) as image:
        return transform(image.convert("RGB").crop((first, first, *image.size)))


def _by_tlearn(preprocess: Callable[[Tensor], Tensor], framing: Framing, path: Path) -> Tensor:
    return preprocess(read_image(path, framing)[None])[0]


def _by_parts(
    preprocess: Callable[[Tensor], Tensor], framing: Framing, interpolation: F.InterpolationMode, path: Path
) -> Tensor:
    """Cut and resize as tlearn does, but with this interpolation, and never decode a JPEG at a fraction."""
    with Image.open(path) as image:
        pixels = pixels_of(image)
    height, width = pixels.shape[-2:]
    side = round(framing.crop_pct * min(height, width))
    cut = F.crop(pixels, (height - side) // 2, (width - side) // 2, side, side)
    resized = F.resize(cut, [framing.size_px, framing.size_px], interpolation, antialias=True)
    return preprocess(resized[None])[0]


def features_of(network: TransferModule, read: Reader, photos: PhotoSet, kept: Path) -> Tensor:
    """Return the features (N, D) of a set, from ``kept`` where they are there."""
    if kept.exists():
        found: Tensor = torch.load(kept)
        return found
    parts = []
    with torch.inference_mode():
        for start in range(0, len(photos.paths), _BATCH):
            images = torch.stack([read(path) for path in photos.paths[start : start + _BATCH]])
            parts.append(network.backbone(images.contiguous(memory_format=torch.channels_last)))
    found = torch.cat(parts).clone()
    kept.parent.mkdir(parents=True, exist_ok=True)
    torch.save(found, kept)
    return found


def right_answers(features: Tensor, labels: Tensor, seed: int) -> Tensor:
    """Tell for each picture whether the head that never saw it is right, bool (N,).

    Args:
        features: (N, D).
        labels: (N,).
        seed: Of the folds, which are the same for all features of as many pictures.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    folds = order.chunk(_FOLDS)
    right = torch.zeros(len(labels), dtype=torch.bool)
    for number in range(_FOLDS):
        test, val = folds[number], folds[(number + 1) % _FOLDS]
        train = torch.cat([folds[(number + other) % _FOLDS] for other in range(2, _FOLDS)])
        parts = ((features[part], labels[part]) for part in (train, val))
        head = solve_head("classification", next(parts), next(parts), int(labels.max()) + 1)
        right[test] = (features[test] @ head.weight.T + head.bias).argmax(1) == labels[test]
    return right


def mcnemar(one: Tensor, other: Tensor) -> tuple[int, int, float]:
    """Count what one alone and the other alone gets right, and the two-sided exact p; bool (N,) each."""
    alone, others = int((one & ~other).sum()), int((other & ~one).sum())
    p = float(binomtest(alone, alone + others).pvalue) if alone + others else 1.0
    return alone, others, p


def guesses(features: Tensor, weights: str) -> Tensor | None:
    """Return the first guess of the classifier in the file of weights, int64 (N,), if it has one."""
    state = load_file(weights)
    if "classifier.weight" not in state:
        return None
    return (features @ state["classifier.weight"].T + state["classifier.bias"]).argmax(1)


def measure(options: argparse.Namespace) -> list[str]:
    """Measure variants on all sets; print and return the rows of a table."""
    network = TransferModule(2, backbone=options.network, weights=options.weights, freeze_backbone=True).eval()
    kept = options.cache / f"{options.network.replace('/', '_')}{options.size_px or ''}"
    named = {name: int(number) for name, number in (each.split("=") for each in options.classes)}
    found = {
        name: read
        for name, read in readers(network, options.size_px).items()
        if name in [THEIRS, *options.only] or not options.only
    }
    rows = ["| set | way | right | % | points | alone | p | away | guess |", "| --- |" + " --- |" * 8]
    print("\n".join(rows))
    rights: dict[tuple[str, str], Tensor] = {}  # bool (seeds, N)
    for root in options.sets:
        photos = photo_set(root)
        ways = {
            name: features_of(network, read, photos, kept / root.name / f"{name}.pt") for name, read in found.items()
        }
        for name, features in ways.items():
            runs = torch.stack([right_answers(features, photos.labels, seed) for seed in range(options.seeds)])
            rights[root.name, name] = runs
            more = _closeness(features, ways[THEIRS], options.weights)
            rows.append(_row(root.name, name, runs, rights[root.name, THEIRS], more))
        rows += _by_imagenet(photos, ways, named, options.weights)
    for name in found:
        runs, base = (torch.cat([rights[root.name, each] for root in options.sets], dim=1) for each in (name, THEIRS))
        rows.append(_row("all", name, runs, base, (" ", " ")))
    return rows


def _by_imagenet(photos: PhotoSet, ways: dict[str, Tensor], named: dict[str, int], weights: str) -> list[str]:
    """Rows of the first guess of 1,000 classes, where the set's classes are among them."""
    if not set(photos.classes) <= set(named):
        return []
    wanted = torch.tensor([named[name] for name in photos.classes])[photos.labels]
    answers = {name: guesses(features, weights) for name, features in ways.items()}
    rights = {name: (found == wanted)[None] for name, found in answers.items() if found is not None}
    return [_row(f"{photos.name}, of 1,000", name, runs, rights[THEIRS], (" ", " ")) for name, runs in rights.items()]


def _closeness(features: Tensor, theirs: Tensor, weights: str) -> tuple[str, str]:
    """Say how far features lie from timm's, as a share of their length, and how often the first guess is the same."""
    away = ((features - theirs).norm(dim=1) / theirs.norm(dim=1)).mean()
    mine, other = guesses(features, weights), guesses(theirs, weights)
    same = "" if mine is None or other is None else f"{100 * float((mine == other).float().mean()):.1f} %"
    return f"{100 * float(away):.1f} %", same


def _row(photos: str, name: str, runs: Tensor, base: Tensor, more: tuple[str, str]) -> str:
    """Write a row of what is right, bool (seeds, N): counts and the test for the first seed, per cent over all."""
    each = (100 * (runs.float().mean(1) - base.float().mean(1))).tolist()
    alone, others, p = mcnemar(runs[0], base[0])
    spread = f"{sum(each) / len(each):+.2f} ({min(each):+.2f} to {max(each):+.2f})"
    right, per_cent = f"{int(runs[0].sum())} of {runs.shape[1]}", f"{100 * float(runs.float().mean()):.2f}"
    row = f"| {' | '.join((photos, name, right, per_cent, spread, f'{alone} : {others}', f'{p:.2g}', *more))} |"
    print(row, flush=True)
    return row


def main(args: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transforms", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--network", default="timm/tf_efficientnet_lite0", help="of timm; default: %(default)s")
    parser.add_argument("--weights", required=True, help="safetensors of its pretrained weights")
    parser.add_argument("--size_px", type=int, help="side of what the network sees; default: its own")
    parser.add_argument("--sets", type=Path, nargs="+", required=True, help="folders of photographs")
    parser.add_argument("--classes", nargs="*", default=[], help="classes of a set in ImageNet: ants=310 bees=309")
    parser.add_argument("--only", nargs="*", default=[], help="ways beside timm's; all by default")
    parser.add_argument("--seeds", type=int, default=5, help="how often folds are drawn; default: %(default)s")
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/transforms"), help="for features; default: %(default)s"
    )
    load_now()
    measure(parser.parse_args(args))
    print(machine_line(), f"timm {timm.__version__}", sep="; ")


if __name__ == "__main__":
    main()
