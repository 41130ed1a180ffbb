"""TensorBoard's projector of the features, and histograms of the weights."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.hooks import RemovableHandle
from torchvision.transforms.v2.functional import resize

from tlearn.base.types import Batch
from tlearn.reporting.evaluation import in_words
from tlearn.reporting.loggers import attempt, step_of, tensorboard_writers
from tlearn.reporting.pictures import in_colours
from tlearn.training.module import TransferModule, model_of
from tlearn.training.typed import data_of

TAG = "val_features"
_FOLDER = "projector"  # given as the step, after which the writer names the folder
_MOST = 1000  # points; with more the projector stutters, and its file grows to several MB
_SPRITE_PX, _FRAME_PX = 32, 4
_AT_ONCE = 64  # images of full size in memory


class ProjectorCallback(Callback):
    """Write validation features with their images and labels at the end of ``fit``.

    Each image has a frame in the colour of its class, because the projector opens with "No color map" whatever a run
    says. For values the colour goes with the first column; images with several labels have no frame.

    They are the inputs of the head in the last validation, so nothing is computed twice. Of many images every n-th is
    taken, because folders list one class after the other.
    """

    def __init__(self) -> None:
        self._hook: RemovableHandle | None = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a new collection, and hook the input of the head."""
        module = model_of(trainer)
        if trainer.sanity_checking or trainer.state.fn != "fit" or not tensorboard_writers(trainer):
            return
        data = data_of(trainer)
        if not data.shows("val"):
            return
        self._every = -(-len(data.dataset("val")) // _MOST)
        self._passed = 0
        self._features: list[Tensor] = []
        self._rows: list[Tensor] = []
        self._hook = module.head.register_forward_pre_hook(self._note)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep every n-th feature of a batch."""
        if self._hook is None:
            return
        chosen = torch.arange(-self._passed % self._every, len(batch.indices), self._every)
        self._passed += len(batch.indices)
        self._features.append(self._seen[chosen.to(self._seen.device)].float().cpu())
        self._rows.append(batch.indices[chosen.to(batch.indices.device)].cpu())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the hook."""
        self._remove()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the hook."""
        self._remove()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the features of the last validation."""
        if getattr(self, "_features", None):
            attempt("the projector", lambda: self._write(trainer, pl_module))

    def _write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = model_of(trainer)
        data = data_of(trainer)
        rows = torch.cat(self._rows)
        parts, answers = list[Tensor](), list[Tensor]()
        for part in rows.split(_AT_ONCE):
            images, targets = data.dataset("val").serve(part, 0)
            parts.append(resize(in_colours(images), [_SPRITE_PX, _SPRITE_PX], antialias=True).float() / 255)
            answers.append(targets)
        targets = torch.cat(answers)
        labels, sprites = [_label(module, target) for target in targets], torch.cat(parts)
        if module.task != "multilabel":
            sprites = framed(sprites, frame_colours(targets, len(module.class_names)))
        for writer in tensorboard_writers(trainer):
            with contextlib.redirect_stdout(io.StringIO()):  # in a resumed run it prints that its folder exists
                writer.add_embedding(torch.cat(self._features), labels, sprites, _FOLDER, TAG)

    def _note(self, head: torch.nn.Module, given: tuple[Tensor, ...]) -> None:
        self._seen = given[0].detach()

    def _remove(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None


def frame_colours(targets: Tensor, num_classes: int) -> Tensor:
    """Return a colour for each target, float32 (N, 3) from 0 to 1.

    Args:
        targets: Class numbers (N,), or values (N, K), of which the first column counts.
        num_classes: Up to ten classes have the ten colours of Matplotlib that are told apart best, more have hues.
    """
    from matplotlib import colormaps

    if targets.is_floating_point():
        values = targets.reshape(len(targets), -1)[:, 0].double()
        spread = (values - values.min()) / (values.max() - values.min()).clamp_min(1e-12)
        chosen = colormaps["viridis"](spread.numpy())
    elif num_classes <= 10:
        chosen = colormaps["tab10"](targets.numpy())
    else:
        chosen = colormaps["gist_rainbow"](targets.double().numpy() / (num_classes - 1))
    return torch.from_numpy(chosen)[:, :3].float()


def framed(pictures: Tensor, colours: Tensor) -> Tensor:
    """Put a frame round each picture (N, 3, H, W), in its colour (N, 3); it covers the picture's edge."""
    inside = torch.zeros(pictures.shape[-2:], dtype=torch.bool)
    inside[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX] = True
    return torch.where(inside, pictures, colours[:, :, None, None])


def _label(module: TransferModule, target: Tensor) -> str:
    return (
        " ".join(in_words(module.task, module.class_names, target).split()) or "none"
    )  # each line of the file is a label


class WeightHistogramsCallback(Callback):
    """Write a histogram of every trainable parameter at the end of each epoch.

    No run has it by default, since a ResNet18 has 62 parameters. To add it:
    ``--trainer.callbacks+=tlearn.reporting.WeightHistogramsCallback``.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the histograms."""
        module = model_of(trainer)
        for writer in tensorboard_writers(trainer):
            for name in module.rules:
                parameter = module.get_parameter(name)
                if parameter.requires_grad:
                    writer.add_histogram(f"weights/{name}", parameter.detach().float(), step_of(trainer))
