"""Pictures of a run: the images as the network sees them, and its worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from tlearn.base.process.beside import Beside
from tlearn.data.datamodule import ImageDataModule, Split
from tlearn.reporting.evaluation import Answers, Verdict, in_words, is_wrong, least_sure, verdict, worst_mistakes
from tlearn.reporting.figures import Pixels, gallery_figure, overlay, title_of
from tlearn.reporting.grad_cam import grad_cam
from tlearn.reporting.loggers import attempt, finish, show, takes_pictures
from tlearn.training.module import TransferModule, model_of
from tlearn.training.typed import data_of

SHOWN = 12
_EXPLAINED = 8  # of the images with Grad-CAM half are right and half are wrong, where there are as many
_TILE_PX = 230  # three beside each other


def pictures_at(data: ImageDataModule, answers: Answers, positions: Sequence[int]) -> Tensor:
    """Return images of the pass by their positions in it, uint8 (N, C, H, W), never augmented."""
    rows = answers.outputs.indices[list(positions)]
    images: Tensor = data.dataset(answers.outputs.split).serve(rows, 0)[0]
    return images


def in_colours(pictures: Tensor) -> Tensor:
    """Turn pictures (N, C, H, W) into (N, 3, H, W) to be looked at.

    One channel is grey, two are red and green, and of more than three the first three are red, green and blue.
    """
    channels = pictures.shape[1]
    if channels == 1:
        return pictures.expand(-1, 3, -1, -1)
    return torch.cat([pictures, torch.zeros_like(pictures[:, :1])], dim=1) if channels == 2 else pictures[:, :3]


def colour_note(channels: int) -> str:
    """Say which of C channels are shown as which colours; empty for grey pictures and for red, green and blue."""
    if channels == 2:
        return "channels 1 and 2 as red and green"
    return f"channels 1 to 3 of {channels} as red, green, blue" if channels > 3 else ""


def _noted(title: str, channels: int) -> str:
    return f"{title} ({note})" if (note := colour_note(channels)) else title


def worst_figure(data: ImageDataModule, answers: Answers) -> Pixels:
    """Draw the worst mistakes of the network; without mistakes, the least sure answers."""
    positions, title = worst_mistakes(answers, SHOWN), "worst mistakes"
    if not positions:
        positions = least_sure(answers, SHOWN)
        title = "no mistakes; the least sure answers"
    captions = [caption(verdict(answers, position)) for position in positions]
    pictures = pictures_at(data, answers, positions)
    title = _noted(f"{title_of(answers)}: {title}", pictures.shape[1])
    return gallery_figure(tiles(in_colours(pictures)), captions, title)


def grad_cam_figure(data: ImageDataModule, answers: Answers, module: TransferModule) -> Pixels:
    """Draw images beside their Grad-CAM for the predicted class: sure and right answers first, then the worst mistakes.

    For several labels the most probable one is explained, for a regression what raises the value of its first column.
    """
    wrong = worst_mistakes(answers, _EXPLAINED // 2)
    sureness = answers.given.max(dim=1).values.masked_fill(is_wrong(answers), -1.0)
    sure = sureness.argsort(descending=True, stable=True)[: _EXPLAINED - len(wrong)].tolist()
    right = [position for position in sure if sureness[position] >= 0]
    positions = right + wrong if answers.task != "regression" else wrong
    images = pictures_at(data, answers, positions)
    outputs = answers.given[positions].argmax(dim=1)
    outputs = torch.zeros_like(outputs) if answers.task == "regression" else outputs
    shown = tiles(in_colours(images))
    heat = resize(grad_cam(module, images, outputs), list(shown.shape[-2:]), antialias=True)
    pairs = torch.cat([shown, overlay(shown, heat)], dim=3)
    captions = [caption(verdict(answers, position)) for position in positions]
    title = f"{title_of(answers)}: what speaks for the answer (Grad-CAM)"
    return gallery_figure(pairs, captions, _noted(title, images.shape[1]), columns=2)


def caption(found: Verdict) -> str:
    """Return two lines: the true answer and that of the network."""
    sure = "" if found.probability is None else f" ({found.probability:.2f})"
    return f"true {found.true}\nsays {found.predicted}{sure}"


def tiles(pictures: Tensor) -> Tensor:
    """Shrink pictures (N, 3, H, W) to the size of a gallery. Small ones stay, so that their pixels can be seen."""
    longest = max(pictures.shape[-2:])
    if longest <= _TILE_PX:
        return pictures
    sides = [max(1, round(side * _TILE_PX / longest)) for side in pictures.shape[-2:]]
    small: Tensor = resize(pictures, sides, antialias=True)
    return small


class InputPicturesCallback(Callback):
    """Show augmented training images and validation images after preprocessing, with their labels."""

    def __init__(self) -> None:
        self._encoded: list[Beside[None]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw both grids, if a logger takes pictures."""
        module = model_of(trainer)
        data = data_of(trainer)
        if not takes_pictures(trainer) or not trainer.is_global_zero or trainer.global_step:
            return
        attempt("the grid of images", lambda: self._draw(trainer, module, data))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for the pictures."""
        finish(self._encoded)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Wait for the pictures before loggers close their files."""
        finish(self._encoded)

    def _draw(self, trainer: Trainer, pl_module: TransferModule, data: ImageDataModule) -> None:
        splits: dict[Split, str] = {"train": "training", "val": "validation"}
        for split, name in splits.items():
            if split == "val" and not trainer.enable_validation:
                continue
            batch = data.sample(split, SHOWN)
            pictures = (seen(pl_module, batch.images) * 255).round().to(torch.uint8)
            labels = [label_of(pl_module, target) for target in batch.targets]
            title = _noted(f"{name} images, as seen", pictures.shape[1])
            figure = gallery_figure(tiles(in_colours(pictures)), labels, title)
            show(trainer, f"data/{split}", figure, 0, self._encoded)


def label_of(module: TransferModule, target: Tensor) -> str:
    """Return the label of an image: its class, the classes and shares of a mixed image, or its value."""
    if module.task != "classification" or not target.ndim:
        return in_words(module.task, module.class_names, target)
    shares = target.topk(min(2, len(target)))
    pairs = zip(shares.indices.tolist(), shares.values.tolist(), strict=True)
    return "\n".join(f"{share:.0%} {module.class_names[n]}" for n, share in pairs if share > 0)


@torch.no_grad()
def seen(module: TransferModule, images: Tensor) -> Tensor:
    """Preprocess uint8 images (B, C, H, W), and turn the result back into pixels (B, C, S, S) from 0 to 1."""
    preprocess = module.preprocess
    pixels = preprocess(images.to(module.device)).float()
    mean, std = (values.view(1, -1, 1, 1) for values in (preprocess.mean, preprocess.std))
    back: Tensor = (pixels * std + mean).clamp(0, 1)
    return back.cpu()
