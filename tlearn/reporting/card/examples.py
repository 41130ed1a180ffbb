"""The pictures of a report: mistakes, right answers and training pictures, and what in them spoke for the answer."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from tlearn.base.errors import one_line
from tlearn.data.datamodule import ImageDataModule, Split
from tlearn.data.images.on_disk import StreamedImages
from tlearn.models.network import Network
from tlearn.reporting.evaluation import Answers, best_answers, in_words, verdict, worst_mistakes
from tlearn.reporting.grad_cam import grad_cam
from tlearn.reporting.pictures import in_colours

# The report of photographs takes 2 to 3 MB with these: a mail takes it, and a thumbnail can be enlarged.
SIDE_PX = 320
WORST, RIGHT, TRAINING = 24, 12, 12
_EXPLAINED_WRONG, _EXPLAINED_RIGHT = 8, 4
_QUALITY = 80
_SMALL_PX = 80  # smaller ones are enlarged by a whole number, so that their pixels can be seen


def examples_of(data: ImageDataModule, answers: Answers, network: Network) -> dict[str, Any]:
    """Describe mistakes and right answers for ``evaluation/SPLIT.json``, with their pictures as JPEG in base64.

    Args:
        data: Whose split is open.
        answers: The answers of the pass.
        network: That gave them; it says what in the first pictures spoke for its answer (Grad-CAM).

    Returns:
        ``worst`` and ``right``, the rows; ``explained``, why there is no Grad-CAM, else empty.
    """
    if not data.shows(answers.outputs.split):
        return {"worst": [], "right": [], "explained": f"{data.kind_name} gives no image by its place"}
    wrong, right = worst_mistakes(answers, WORST), best_answers(answers, RIGHT)
    maps, reason = dict[int, Tensor](), ""
    try:
        maps = _heat(data, answers, network, [*wrong[:_EXPLAINED_WRONG], *right[:_EXPLAINED_RIGHT]])
    except Exception as error:  # networks without a map, and whatever else: a report is written without it
        reason = f"{type(error).__name__}: {one_line(error)}"
    return {
        "worst": _rows(data, answers, wrong, maps),
        "right": _rows(data, answers, right, maps),
        "explained": reason,
    }


def training_examples(data: ImageDataModule, wrong: Sequence[int], right: Sequence[int]) -> list[dict[str, Any]]:
    """Describe some training pictures, those of classes that were taken for one another first.

    Args:
        data: Whose training images are open.
        wrong: Class numbers, those of the worst mistakes first; none of other tasks.
        right: Further class numbers.
    """
    images = data.dataset("train")
    if not data.shows("train") or not len(images.targets):
        return []
    targets = images.targets[images.indices]
    if targets.ndim == 1 and not targets.is_floating_point():
        positions = _of_classes(targets, list(dict.fromkeys([*wrong, *right])))
    else:
        positions = torch.linspace(0, len(targets) - 1, min(TRAINING, len(targets))).long().tolist()
    rows = images.indices[positions]
    pictures = seen_sharp(data, "train", rows)
    names = picture_names(data, "train", rows)
    words = [in_words(data.task, data.class_names, targets[position]) for position in positions]
    return [
        {"picture": as_text(picture), "name": name, "true": true}
        for picture, name, true in zip(in_colours(pictures), names, words, strict=True)
    ]


def _of_classes(targets: Tensor, order: Sequence[int]) -> list[int]:
    """Spread the pictures over the classes, and those of a class over its pictures."""
    each = -(-TRAINING // max(1, min(len(order), TRAINING)))
    found: list[int] = []
    for number in order[:TRAINING]:
        there = (targets == number).nonzero().flatten()
        chosen = torch.linspace(0, len(there) - 1, min(each, len(there))).long() if len(there) else there
        found += there[chosen].tolist()
    return found[:TRAINING]


def seen_sharp(data: ImageDataModule, split: Split, rows: Tensor) -> Tensor:
    """Return images as the network gets them, uint8 (N, C, H, W), but files at no fewer than `SIDE_PX`.

    The cut is that of the network: a wrong one explains a mistake. Its few pixels do not show people what is there.
    """
    images = data.dataset(split)
    if isinstance(images, StreamedImages) and images.framing.size_px < SIDE_PX:
        images = type(images)(images.pictures, replace(images.framing, size_px=SIDE_PX), images.targets, images.indices)
    pixels: Tensor = images.serve(rows, 0)[0]
    return pixels


def picture_names(data: ImageDataModule, split: Split, rows: Tensor) -> list[str]:
    """Return the names of images, relative to the folder of the data where they lie in one."""
    names = data.picture_names(rows, split)
    if names is None:
        return [f"image {row}" for row in rows.tolist()]
    return [path.removeprefix(f"{data.root}/") for path in names]


def _rows(
    data: ImageDataModule, answers: Answers, positions: Sequence[int], maps: dict[int, Tensor]
) -> list[dict[str, Any]]:
    if not positions:
        return []
    split, rows = answers.outputs.split, answers.outputs.indices[list(positions)]
    pictures, found = in_colours(seen_sharp(data, split, rows)), []
    for position, name, picture in zip(positions, picture_names(data, split, rows), pictures, strict=True):
        said, error = verdict(answers, position), None
        if answers.task == "regression" and answers.given.shape[1] == 1:
            error = float(answers.given[position] - answers.targets[position])
        row = {"picture": as_text(picture), "name": name, "error": error, **said._asdict()}
        if position in maps:
            row["grad_cam"] = as_text(heated(picture, maps[position]))
        found.append(row)
    return found


def _heat(data: ImageDataModule, answers: Answers, network: Network, positions: Sequence[int]) -> dict[int, Tensor]:
    """Return what spoke for the answer to each image, (h, w): its class, likeliest label, or first value."""
    if not positions:
        return {}
    images = data.dataset(answers.outputs.split).serve(answers.outputs.indices[list(positions)], 0)[0]
    outputs = answers.given[list(positions)].argmax(dim=1)
    if answers.task == "regression":
        outputs = torch.zeros_like(outputs)
    return dict(zip(positions, grad_cam(network, images, outputs), strict=True))


def heated(picture: Tensor, heat: Tensor) -> Tensor:
    """Colour a picture uint8 (3, H, W) by a heat map (h, w), scaled to its own maximum; what is cold stays grey."""
    from matplotlib import colormaps

    size = list(picture.shape[-2:])
    wide: Tensor = F.interpolate(heat[None, None].nan_to_num(0), size, mode="bilinear")[0, 0].clamp(min=0)
    share = wide / wide.max().clamp(min=1e-12)
    colours = torch.from_numpy(colormaps["inferno"](share.numpy())[..., :3]).permute(2, 0, 1) * 255
    weight = 0.65 * share.sqrt()
    grey = picture.float().mean(dim=0, keepdim=True)
    return ((1 - weight) * grey + weight * colours).clamp(0, 255).to(torch.uint8)


def as_text(picture: Tensor) -> str:
    """Return a picture uint8 (3, H, W) as the data URI of a JPEG of at most `SIDE_PX` a side."""
    image = Image.fromarray(_within(picture).permute(1, 2, 0).contiguous().numpy())
    if max(image.size) < _SMALL_PX:
        factor = _SMALL_PX // max(image.size) + 1
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _within(picture: Tensor) -> Tensor:
    longest = max(picture.shape[-2:])
    if longest <= SIDE_PX:
        return picture
    small: Tensor = resize(picture, [max(1, round(side * SIDE_PX / longest)) for side in picture.shape[-2:]])
    return small
