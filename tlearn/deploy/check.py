"""Check an export against the library on example pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.progress import tracked
from tlearn.base.types import LABEL_THRESHOLD, Batch, Task
from tlearn.data.files.listing import find_pictures
from tlearn.data.files.reading import Framing, UnreadableImageError, read_image
from tlearn.data.images.image_set import BatchKey, ImageSet
from tlearn.data.images.in_memory import InMemoryImages
from tlearn.deploy.reliability.output_check import OutputCheck, as_seen
from tlearn.models.network import Network
from tlearn.models.state import evaluating

Answer = Callable[[Tensor], Tensor]
Outputs = Callable[[Tensor], Sequence[Tensor]]

MOST_CHECKED = 256
TOLERANCE = 1e-4  # in a probability; of the values' spread in a regression
_TIE = 1e-6  # two classes that float32 cannot tell apart
_BATCH = 32


@dataclass(frozen=True)
class Agreement:
    """How near the answers of two implementations are.

    Attributes:
        task: The network's.
        images: N.
        share: Of images with the same class, or of labels; 1 for a regression.
        difference: The largest, in a probability, or as a part of the values' spread.
    """

    task: Task
    images: int
    share: float
    difference: float

    @property
    def holds(self) -> bool:
        """Tell whether one can stand for the other; not so where anything is no number."""
        return self.share == 1 and self.difference <= TOLERANCE

    def __str__(self) -> str:
        """Say both figures."""
        if self.task == "regression":
            return f"largest difference {self.difference:.1e} of the values' spread"
        what = "labels agree" if self.task == "multilabel" else "top-1 agrees"
        return f"{what} on {100 * self.share:.2f} %, largest difference {self.difference:.1e}"


def compare(task: Task, wanted: Tensor, given: Tensor) -> Agreement:
    """Compare answers, (N, K) probabilities or values.

    Args:
        task: The network's.
        wanted: What the library answers.
        given: What the file answers.
    """
    difference = float((wanted - given).abs().max())
    if task == "regression":
        spread = wanted.amax(dim=0) - wanted.amin(dim=0)
        spread = spread.where(spread > 0, wanted.abs().amax(dim=0).clamp_min(1.0))
        return Agreement(task, len(wanted), 1.0, float(((wanted - given).abs() / spread).max()))
    if task == "multilabel":
        same = ((wanted >= LABEL_THRESHOLD) == (given >= LABEL_THRESHOLD)) | ((wanted - LABEL_THRESHOLD).abs() <= _TIE)
    else:
        chosen = wanted.gather(1, given.argmax(dim=1, keepdim=True))
        same = chosen >= wanted.max(dim=1, keepdim=True).values - _TIE
    return Agreement(task, len(wanted), float(same.double().mean()), difference)


def check(module: Network, outputs: Outputs, examples: Examples, further: OutputCheck | None = None) -> Agreement:
    """Ask both for the same images, in batches of different sizes: an answer must not depend on its batch.

    Args:
        module: The library's network; its mode is left as it is.
        outputs: What the file gives for uint8 (N, C, S, S), the answer first.
        examples: The images.
        further: Is told of the outputs behind the answer.
    """
    wanted, given = list[Tensor](), list[Tensor]()
    with evaluating(module):
        count = min(len(examples.check), MOST_CHECKED)
        for batch in tracked(examples.to_check(count, _BATCH), "checking the export", -(-count // _BATCH), "batches"):
            features = module.features(batch.images.to(module.preprocess.mean.device))
            output = module(features)
            wanted.append(module.answer_of(output).cpu())
            seen = as_seen(features, module.in_unit(output), wanted[-1])
            for part in (slice(1), slice(1, None)):
                if len(batch.images[part]):
                    answer, *others = outputs(batch.images[part])
                    given.append(answer)
                    if further is not None:
                        further.add((seen[0][part], seen[1][part], seen[2][part]), others)
    return compare(module.task, torch.cat(wanted), torch.cat(given))


_MOST_PICTURES = 256


@dataclass(frozen=True)
class Examples:
    """Images of two splits.

    Attributes:
        check: What to check with.
        calibrate: What to calibrate on.
        what: What they are called: ``validation images``.
        labelled: The targets of ``check`` are true.
    """

    check: ImageSet
    calibrate: ImageSet
    what: str
    labelled: bool

    def to_check(self, most: int, size: int) -> Iterator[Batch]:
        """Yield up to so many, evenly spread, for sources are often sorted by class, in batches of a size."""
        return _spread(self.check, most, size)

    def to_calibrate(self, most: int, size: int) -> Iterator[Batch]:
        """Yield up to so many, evenly spread, in batches of a size."""
        return _spread(self.calibrate, most, size)


def examples_from_folders(folders: Sequence[Path], framing: Framing) -> Examples:
    """Read pictures without labels, at any depth; a file that gives no picture is passed over.

    Raises:
        TlearnError: There is none that could be read.
    """
    paths = [folder / name for folder in folders for name in find_pictures(folder).names]
    pixels = []
    places = _evenly(len(paths), _MOST_PICTURES).tolist()
    for place in tracked(places, "reading pictures", len(places)):
        try:
            pixels.append(read_image(paths[place], framing))
        except UnreadableImageError:
            continue
    named = ", ".join(str(folder.absolute()) for folder in folders)
    if not pixels:
        raise TlearnError(f"--data: no readable picture in {named}")
    images = InMemoryImages(torch.stack(pixels), torch.zeros(len(pixels)), torch.arange(len(pixels)))
    return Examples(images, images, f"pictures in {named}", labelled=False)


def _spread(images: ImageSet, most: int, size: int) -> Iterator[Batch]:
    for positions in torch.split(_evenly(len(images), most), size):
        batch = images[BatchKey(0, positions)]
        yield batch._replace(images=_square(batch.images))


def _square(images: Tensor) -> Tensor:
    """Cut the centre out of (B, C, H, W): data in memory may be oblong, a photograph is read as a square."""
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side]


def _evenly(count: int, most: int) -> Tensor:
    kept = min(count, most)
    return torch.arange(kept) * count // max(kept, 1)
