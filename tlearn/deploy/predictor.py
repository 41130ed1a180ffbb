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
from tlearn.base.machine import device_of
from tlearn.base.notebook.html_table import html_table
from tlearn.base.places import DEFAULT_ROOT, find_checkpoint
from tlearn.base.progress import tracked
from tlearn.base.types import LABEL_THRESHOLD
from tlearn.data.images.on_disk import in_threads
from tlearn.deploy.given_pictures import Picture, pixels_of
from tlearn.deploy.loading import framing_of, load_scored
from tlearn.deploy.reliability.assessor import UNASSESSED, Assessment, Assessor, Neighbour
from tlearn.deploy.reliability.opening import assessor_for
from tlearn.deploy.reliability.options import CoverageBy, ReliabilityOptions
from tlearn.models.alone import answered_alone
from tlearn.models.network import Network
from tlearn.models.state import check_answers

_BATCH = 32


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
        worth: All of what the answer is worth, of which the properties are parts.
    """

    path: str | None
    probabilities: dict[str, float]
    value: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    remark: str = ""
    worth: Assessment = UNASSESSED

    def _repr_html_(self) -> str:
        """Show the answer in a notebook."""
        rows: list[tuple[str, object]] = [(name, percent(share)) for name, share in self.probabilities.items()]
        rows += [*self.values.items(), *([] if self.value is None else [("value", self.value)])]
        rows += self.worth.shown(list(self.values))
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

    @property
    def unknown(self) -> bool:
        """Tell whether there is no answer to rely on, which `min_accuracy` or `unknown` asks for."""
        return bool(self.worth.why_unknown)

    @property
    def why_unknown(self) -> tuple[str, ...]:
        """Return why: ``confidence``, ``stranger``, or both; empty for an answer."""
        return self.worth.why_unknown

    @property
    def unknown_labels(self) -> list[str]:
        """Return the classes of too little confidence, where an image may have several."""
        return self.worth.unknown_labels

    @property
    def answer_set(self) -> list[str] | None:
        """Return the classes that may hold, the network's order; ``None`` without `coverage`."""
        return self.worth.answer_set

    @property
    def low(self) -> float | None:
        """Return the lower end of the interval of the value; ``None`` without `coverage`, or of several columns."""
        return self.worth.low[0] if len(self.worth.low) == 1 else None

    @property
    def high(self) -> float | None:
        """Return its upper end."""
        return self.worth.high[0] if len(self.worth.high) == 1 else None

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return column to both ends of its interval, of a regression of several columns."""
        return dict(zip(self.values, zip(self.worth.low, self.worth.high, strict=True), strict=False))

    @property
    def stranger(self) -> float | None:
        """Return the share of held-out pictures that look less strange, 0 to 1; ``None`` where nothing was kept."""
        return self.worth.stranger

    @property
    def is_stranger(self) -> bool:
        """Tell whether it looks stranger than 95 % of held-out pictures."""
        return self.worth.is_stranger

    @property
    def nearest(self) -> list[Neighbour]:
        """Return the training pictures that look most like it, the nearest first, as many as `nearest` asks for."""
        return self.worth.nearest


class Predictor:
    """A trained network that answers for pictures.

    Attributes:
        module: The network, in eval mode.
        framing: How pictures become what it was trained on.
        class_names: K names.
    """

    def __init__(
        self, module: Network, source: str = "the network", score: str = "", checkpoint: Path | None = None
    ) -> None:
        """Take a network that says how its pictures were read.

        Args:
            module: From `load_module`.
            source: Where it comes from, to be named where it answers nonsense.
            score: What it reached, in words.
            checkpoint: Its file, beside which lies what a run keeps so that answers can be doubted.

        Raises:
            TlearnError: It does not say.
        """
        self.module, self.framing, self._source = module.eval(), framing_of(module), source
        self.class_names, self._score, self._checkpoint = module.class_names, score, checkpoint
        self._assessor: Assessor | None = None
        self._assessed: ReliabilityOptions | None = None  # what the assessor was made for

    def __repr__(self) -> str:
        """Say which network it is, what it answers, what it reached, and where it lies."""
        options = self.module.options
        size_px = options.image_size or self.framing.size_px
        names = shorten(", ".join(self.class_names), 100, placeholder=" ...")
        said = f"{options.task} of {len(self.class_names)}: {names}" if names else options.task
        parts = [f"{options.backbone} at {size_px} px", said, self._score, self._source]
        return f"Predictor({'; '.join(filter(None, parts))})"

    def predict(
        self,
        pictures: Iterable[Picture],
        *,
        coverage: float | None = None,
        coverage_by: CoverageBy = "all",
        min_accuracy: float | None = None,
        unknown: bool = False,
        nearest: int = 0,
    ) -> list[Prediction]:
        """Answer for files or images, in their order, in float32.

        Args:
            pictures: Paths, Pillow images of any size and mode, or tensors, uint8 (C, H, W), of as many channels as the
                network sees.
            coverage: In this share of pictures `answer_set`, or the interval of a value, holds the truth.
            coverage_by: For pictures of ``all`` classes together, of each ``class``, or of a ``group`` never seen.
            min_accuracy: At least this share of the answers given is right; the rest is `unknown`.
            unknown: Pictures like none of the training pictures are `unknown`.
            nearest: How many training pictures to name that look most like each.

        Raises:
            TlearnError: A file gives no picture; it is named. A tensor of another kind. An answer is no number. The run
                has kept too little for what is asked.
        """
        count = len(pictures) if isinstance(pictures, Sized) else None
        options = ReliabilityOptions(coverage, coverage_by, min_accuracy, unknown, nearest)
        return list(tracked(self._stream(pictures, options), "predicting", count, "pictures"))

    def stream(
        self,
        pictures: Iterable[Picture],
        *,
        coverage: float | None = None,
        coverage_by: CoverageBy = "all",
        min_accuracy: float | None = None,
        unknown: bool = False,
        nearest: int = 0,
    ) -> Iterator[Prediction]:
        """Answer as `predict` does, one by one for any number of pictures; few are in memory at a time."""
        return self._stream(pictures, ReliabilityOptions(coverage, coverage_by, min_accuracy, unknown, nearest))

    def _stream(self, pictures: Iterable[Picture], options: ReliabilityOptions) -> Iterator[Prediction]:
        if isinstance(pictures, (str, Path, Image.Image)) or (isinstance(pictures, Tensor) and pictures.ndim < 4):
            if isinstance(pictures, (str, Path)) and Path(pictures).is_dir():
                raise TlearnError(f"{pictures} is a folder; give its pictures: sorted(Path('{pictures}').iterdir())")
            raise TlearnError(f"expected a list of pictures, got one {type(pictures).__name__}; put it in brackets")
        assessor, rest = self._assessor_for(options), iter(pictures)
        while batch := list(islice(rest, _BATCH)):
            images, remarks = zip(*in_threads(lambda picture: pixels_of(picture, self.framing), batch), strict=True)
            found = self.answered(torch.stack(images), assessor)
            for picture, prediction, remark in zip(batch, found, remarks, strict=True):
                path = str(picture) if isinstance(picture, (str, Path)) else None
                yield replace(prediction, path=path, remark=remark)

    def answered(self, images: Tensor, assessor: Assessor | None = None) -> list[Prediction]:
        """Answer for pictures that are read and framed, uint8 (B, C, S, S), each as if it were alone.

        Args:
            images: As `framing` gives them.
            assessor: Says what the answers are worth; from `assessor_for`.

        Raises:
            TlearnError: An answer is no number.
        """
        with torch.inference_mode():
            found = answered_alone(self.module, images.to(self.module.preprocess.mean.device))
        answers = found.answers.cpu()
        check_answers(answers, self._source)
        worth = [UNASSESSED] * len(answers)
        if assessor is not None:
            worth = assessor.assess(found.features, self.module.in_unit(found.output))
        return [replace(self._prediction(None, row), worth=each) for row, each in zip(answers, worth, strict=True)]

    def assessor_for(self, options: ReliabilityOptions) -> Assessor | None:
        """Return what says how much answers are worth, ``None`` where nothing is asked and the run has kept nothing.

        Raises:
            TlearnError: An option is wrong, or the run has kept too little for it.
        """
        return assessor_for(self.module, self._checkpoint, options)

    def _assessor_for(self, options: ReliabilityOptions) -> Assessor | None:
        if options != self._assessed:  # read when it is first needed: `load` is quick without
            self._assessor, self._assessed = self.assessor_for(options), options
        return self._assessor

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
        TlearnError: There is no checkpoint, it cannot be read, or there is no such device.
    """
    where, path = device_of(device), find_checkpoint(str(run), Path(DEFAULT_ROOT), "best")
    network, score = load_scored(path, backbone)
    return Predictor(network.to(where), str(path), score, path)
