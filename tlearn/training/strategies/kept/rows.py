"""Compute something of every image once, keep it under ``.cache/tlearn``, and find it again. N images."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.base.feature_store import FOLDER, Rows, fill_rows, fits, holds, key_of, load_rows
from tlearn.base.processes import ALONE, own_share, passed_on, summed
from tlearn.data.datamodule import ImageDataModule
from tlearn.data.images.image_set import ImageSet
from tlearn.data.images.on_disk import StreamedImages
from tlearn.models.state import fingerprint
from tlearn.training.module import TransferModule
from tlearn.training.strategies.features import iterate_over_split
from tlearn.training.typed import FitSplit, data_of

log = logging.getLogger(__name__)

_FORMAT = 4
Passed = FitSplit | Literal["fit"]


@dataclass(frozen=True)
class Kind:
    """What is computed of each image.

    Attributes:
        what: Its name, as in ``features of train``.
        compute: Turns images (B, C, H, W) into rows (B, ...).
        shape: Of a row.
        dtype: float32 or bfloat16.
        origin: Everything that determines the rows, except the choice of images, as plain values.
    """

    what: str
    compute: Callable[[Tensor], Tensor]
    shape: tuple[int, ...]
    dtype: torch.dtype
    origin: dict[str, Any]

    @property
    def stored_as(self) -> np.dtype[Any]:
        """Return the type on disk: numpy has no bfloat16."""
        return np.dtype(np.uint16 if self.dtype == torch.bfloat16 else np.float32)

    def named(self, passed: Passed, view: int) -> str:
        """Name a pass."""
        images = "all folds" if passed == "fit" else passed
        return f"{self.what} of {images}, view {view}" if view else f"{self.what} of {images}"

    def stored(self, rows: Tensor) -> Rows:
        """Return rows as they lie on disk; nothing is copied."""
        return (rows.view(torch.uint16) if self.dtype == torch.bfloat16 else rows).numpy()

    def read(self, rows: Rows) -> Tensor:
        """Return what lies on disk as a tensor; nothing is copied."""
        found = torch.from_numpy(rows)
        return found.view(torch.bfloat16) if self.dtype == torch.bfloat16 else found


def describe(trainer: Trainer, module: TransferModule, tensors: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Return everything that determines what the backbone computes, except the choice of images, as plain values.

    Args:
        trainer: Its precision.
        module: The network.
        tensors: Names of the backbone's tensors that matter; all by default.
    """
    device = module.device
    state = module.backbone.state_dict()
    state = state if tensors is None else {name: state[name] for name in tensors}
    weights = {name: [str(x.dtype), list(x.shape), fingerprint(x)] for name, x in state.items()}
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    arguments = module.hparams.get("backbone_args")
    return {
        "format": _FORMAT,
        "backbone": module.hparams["backbone"],
        **({"backbone_args": arguments} if arguments else {}),
        "tap": list(module.backbone.taps),
        "trains": module.backbone_trains,  # if not, a folded copy computes, with other last bits
        "weights": key_of(weights),
        "image_size": module.preprocess.image_size,
        "normalise": [module.preprocess.mean.tolist(), module.preprocess.std.tolist()],
        "precision": str(trainer.precision),
        "device": f"{device.type} {chip}",
        "versions": {name: version(name) for name in ("torch", "torchvision", "timm") if _matters(name, module)},
    }


def kept(trainer: Trainer, module: TransferModule, kind: Kind, split: FitSplit, view: int, again: bool) -> Tensor:
    """Return the rows of one view of a split, from the cache, or computed and stored.

    Args:
        trainer: Gives data and precision.
        module: Gives the network.
        kind: What to compute.
        split: ``train`` or ``val``. All folds share their images: who trains on some and validates on others needs the
            same rows, so that all are computed then; see `rows_of_split`.
        view: 0 shows the images as they are, any other number one augmented form of them.
        again: The run has asked before: nothing is renewed, nor said once more.

    Returns:
        (M, ...), mapped into memory.

    Raises:
        TlearnError: The cache cannot be written.
    """
    start = time.perf_counter()
    data = data_of(trainer)
    passed, images, about = _asked(data, kind, split, view)
    again = again or (passed, split) == ("fit", "val")  # renewed, and told, for train
    renew = module.caching.feature_cache == "refresh" and not again
    found, shape = None if renew else load_rows(about), (len(images), *kind.shape)
    how = "from the cache"
    missing = not fits(found, shape, kind.stored_as)
    if summed(torch.tensor(int(missing))):  # in any process
        found, how = _computed(trainer, module, kind, passed, view, about, shape, renew)
    assert found is not None
    log.log(
        logging.DEBUG if again else logging.INFO,
        "%s: %d images x %s, %.1f MB in %s, %s in %.1f s",
        *(kind.named(passed, view), len(images), " x ".join(map(str, kind.shape)), found.nbytes / 1e6),
        *(FOLDER, how, time.perf_counter() - start),
    )
    return kind.read(found)


def missing_bytes(trainer: Trainer, module: TransferModule, kind: Kind, split: FitSplit, view: int) -> int:
    """Return what `kept` will write for one view of a split: 0 where it lies in the cache."""
    _, images, about = _asked(data_of(trainer), kind, split, view)
    if module.caching.feature_cache != "refresh" and holds(about):
        return 0
    return len(images) * math.prod(kind.shape) * kind.dtype.itemsize


def _asked(data: ImageDataModule, kind: Kind, split: FitSplit, view: int) -> tuple[Passed, ImageSet, dict[str, Any]]:
    """Return the pass that gives the rows of a split, its images, and all that determines the rows."""
    passed: Passed = "fit" if data.folds else split
    images = data.fit_images() if passed == "fit" else data.dataset(split)
    about = kind.origin | {"data": _pixels_of(data, split), "split": passed, "rows": fingerprint(images.indices)}
    if view:
        about |= {"view": view, "seed": data.seed, "augment": asdict(data.augment)}
    return passed, images, about


def rows_of_split(data: ImageDataModule, split: FitSplit) -> Tensor | None:
    """Return which of the rows that `kept` returns are those of a split; ``None`` for all of them."""
    return torch.searchsorted(data.fit_images().indices, data.dataset(split).indices) if data.folds else None


def _pixels_of(data: ImageDataModule, split: FitSplit) -> str:
    """Hash what the rows are computed from: whoever mends a label need not compute them anew."""
    images = data.dataset(split)
    return images.pixels_fingerprint() if isinstance(images, StreamedImages) else data.fingerprint_of(split)


def _computed(
    trainer: Trainer,
    module: TransferModule,
    kind: Kind,
    passed: Passed,
    view: int,
    about: dict[str, Any],
    shape: tuple[int, ...],
    renew: bool,
) -> tuple[Rows, str]:
    """Compute rows and store them. Several processes compute a share each; the first on each machine writes."""
    how, share = "from the cache", own_share()
    what = kind.named(passed, view)

    def chunks() -> Iterator[Rows]:
        nonlocal how
        how = "computed once"  # not reached if another run has stored them meanwhile
        rows = iterate_over_split(trainer, module, passed, kind.compute, view, share, what, kind.dtype)
        if share == ALONE:
            yield from (kind.stored(part) for part in rows)
        else:
            # Each process holds its own share alone, and hands it to the others part by part.
            yield from (kind.stored(part) for part in passed_on(list(rows), kind.shape, kind.dtype))

    if share == ALONE:
        return fill_rows(about, shape, kind.stored_as, chunks(), renew), how
    parts = chunks()
    stored = fill_rows(about, shape, kind.stored_as, parts, renew) if trainer.local_rank == 0 else None
    for _ in parts:  # whoever does not write takes part too, and so does who found what another run has stored
        pass
    trainer.strategy.barrier()
    stored = load_rows(about) if stored is None else stored  # each machine has a first process that writes
    if stored is None:
        raise TlearnError(f"{FOLDER.absolute()} changed while it was written; run again")
    return stored, "computed once"


def _matters(package: str, module: TransferModule) -> bool:
    return package != "timm" or str(module.hparams["backbone"]).startswith("timm/")
