"""A trained network in a few lines of Python: ``load("runs/x/version_0").predict(["a.jpg"])``. K classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from textwrap import shorten

import torch
from PIL import Image
from torch import Tensor, nn

from tlearn.base.errors import TlearnError
from tlearn.base.intervals import percent
from tlearn.base.notebook.html_table import html_table
from tlearn.base.places import DEFAULT_ROOT, find_checkpoint
from tlearn.base.progress import tracked
from tlearn.base.types import LABEL_THRESHOLD
from tlearn.data.decoding.samples import lacks_extra
from tlearn.data.files.reading import Framing, framed, read_and_remark, reason_of
from tlearn.data.images.on_disk import in_threads
from tlearn.deploy.loading import framing_of, load_scored
from tlearn.models.network import Network
from tlearn.models.state import check_answers

_BATCH = 32

Picture = str | Path | Image.Image | Tensor


@dataclass(frozen=True)
class Prediction:
    """The answer for a picture.

    Attributes:
        path: Where it lies; ``None`` for one that was given as an image.
        probabilities: Class name to probability, the surest first; empty for a regression.
        value: The value, of a regression of one column.
        values: Column to value, of a regression of several.
        remark: What sets the picture apart from the training pictures, such as numbers outside their range; mostly
            empty.
    """

    path: str | None
    probabilities: dict[str, float]
    value: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    remark: str = ""

    def _repr_html_(self) -> str:
        """Show the answer in a notebook."""
        rows: list[tuple[str, object]] = [(name, percent(share)) for name, share in self.probabilities.items()]
        rows += [*self.values.items(), *([] if self.value is None else [("value", self.value)])]
        return html_table(rows, caption=" ".join(filter(None, [self.path or "an image", self.remark])))

    @property
    def class_name(self) -> str:
        """Return the surest class."""
        return next(iter(self.probabilities))

    @property
    def probability(self) -> float:
        """Return the probability of the surest class."""
        return next(iter(self.probabilities.values()))

    @property
    def labels(self) -> list[str]:
        """Return the classes of probability 0.5 or more: all that hold, where an image may have several."""
        return [name for name, probability in self.probabilities.items() if probability >= LABEL_THRESHOLD]


class Predictor:
    """A trained network that answers for pictures.

    Attributes:
        module: The network, in eval mode.
        framing: How pictures become what it was trained on.
        class_names: K names.
    """

    def __init__(self, module: Network, source: str = "the network", score: str = "") -> None:
        """Take a network that says how its pictures were read.

        Args:
            module: From `load_module`.
            source: Where it comes from, to be named where it answers nonsense.
            score: What it reached, in words.

        Raises:
            TlearnError: It does not say.
        """
        self.module, self.framing, self._source = module.eval(), framing_of(module), source
        self.class_names, self._score = module.class_names, score

    def __repr__(self) -> str:
        """Say which network it is, what it answers, what it reached, and where it lies."""
        options = self.module.options
        size_px = options.image_size or self.framing.size_px
        names = shorten(", ".join(self.class_names), 100, placeholder=" ...")
        said = f"{options.task} of {len(self.class_names)}: {names}" if names else options.task
        parts = [f"{options.backbone} at {size_px} px", said, self._score, self._source]
        return f"Predictor({'; '.join(filter(None, parts))})"

    def predict(self, pictures: Iterable[Picture]) -> list[Prediction]:
        """Answer for files or images, in their order, in float32.

        Args:
            pictures: Paths, Pillow images of any size and mode, or tensors, uint8 (C, H, W), of as many channels as the
                network sees.

        Raises:
            TlearnError: A file gives no picture; it is named. A tensor of another kind. An answer is no number.
        """
        count = len(pictures) if isinstance(pictures, Sized) else None
        return list(tracked(self.stream(pictures), "predicting", count, "pictures"))

    def stream(self, pictures: Iterable[Picture]) -> Iterator[Prediction]:
        """Answer one by one for any number of pictures; few are in memory at a time."""
        if isinstance(pictures, (str, Path, Image.Image)) or (isinstance(pictures, Tensor) and pictures.ndim < 4):
            raise TlearnError(f"expected a list of pictures, got one {type(pictures).__name__}; put it in brackets")
        rest = iter(pictures)
        while batch := list(islice(rest, _BATCH)):
            images, remarks = zip(*in_threads(lambda picture: _pixels(picture, self.framing), batch), strict=True)
            with torch.inference_mode():
                answers = self.module.answer(torch.stack(images).to(self.module.preprocess.mean.device)).cpu()
            check_answers(answers, self._source)
            for picture, answer, remark in zip(batch, answers, remarks, strict=True):
                path = str(picture) if isinstance(picture, (str, Path)) else None
                yield replace(self._prediction(path, answer), remark=remark)

    def _prediction(self, path: str | None, answer: Tensor) -> Prediction:
        if self.module.task == "regression":
            values = dict(zip(self.class_names, answer.tolist(), strict=False))  # no names where there is one column
            return Prediction(path, {}, None if values else float(answer), values)
        order = answer.argsort(descending=True).tolist()
        return Prediction(path, {self.class_names[number]: float(answer[number]) for number in order})


def load(run: str | Path, device: str = "cpu", *, backbone: nn.Module | None = None) -> Predictor:
    """Open a trained network.

    Args:
        run: A run folder, whose best checkpoint is taken, or a checkpoint.
        device: Where it computes, as torch names it.
        backbone: A module of the user's own, built as the run's was; its weights are the checkpoint's afterwards.

    Raises:
        TlearnError: There is no checkpoint, or it cannot be read.
    """
    path = find_checkpoint(str(run), Path(DEFAULT_ROOT), "best")
    network, score = load_scored(path, backbone)
    return Predictor(network.to(device), str(path), score)


def _pixels(picture: Picture, framing: Framing) -> tuple[Tensor, str]:
    if isinstance(picture, Tensor):
        channels = framing.reading.num_channels
        if picture.dtype != torch.uint8 or picture.ndim != 3 or len(picture) != channels:
            told = f"{str(picture.dtype).removeprefix('torch.')} {tuple(picture.shape)}"
            raise TlearnError(f"expected a picture as uint8 ({channels}, H, W), got {told}")
        return framed(picture.cpu(), framing), ""
    try:
        return read_and_remark(picture if isinstance(picture, Image.Image) else Path(picture), framing)
    except Exception as error:  # an image that Pillow opened may still turn out damaged, in every way that there is
        name = "an image" if isinstance(picture, Image.Image) else str(Path(picture).absolute())
        reason = reason_of(error)
        raise TlearnError(f"{name}: {reason}{'' if lacks_extra(reason) else '; mend it or leave it out'}") from error
