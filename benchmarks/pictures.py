"""Folders of photographs: decoding and serving, the doctor, prediction, and memory.

    python -m benchmarks.pictures --root FOLDER     # FOLDER/train/<class>/*.jpg; made-up photographs without it

Every ratio is taken within one run, the two sides in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.command import run_command
from benchmarks.fake_photographs import write_photographs
from benchmarks.frozen import elsewhere
from benchmarks.machine import Figure, load_now, print_figures
from benchmarks.processes import peak_bytes
from tlearn.base.types import Batch
from tlearn.cli.transfer_cli import TransferCLI

_BATCH = 32
_REPEATS = 5


@contextmanager
def photographs_at(root: Path | None, images: int) -> Iterator[Path]:
    """Give the folder, or made-up photographs in one that goes away."""
    if root is not None:
        yield root
        return
    with tempfile.TemporaryDirectory() as folder:
        yield write_photographs(Path(folder), images)


def rate(images: int, work: Callable[[], object]) -> float:
    """Images per second of some work on so many."""
    start_s = time.perf_counter()
    work()
    return images / (time.perf_counter() - start_s)


def serving(root: Path) -> list[Figure]:
    """Serving against the same decoder in a bare loop, and against torchvision's pipeline, with the same workers."""
    return [figure for workers in (0, 2) for figure in _serving(root, workers)]


def _serving(root: Path, workers: int) -> list[Figure]:
    from tlearn.data.images.augment import Augment
    from tlearn.data.sources.folder import ImageFolderDataModule

    crop = Augment(flip=True, resized_crop_area=0.08)
    plain, cropped = (
        ImageFolderDataModule(str(root), batch_size=_BATCH, num_workers=workers, val_fraction=0.001, augment=augment)
        for augment in (Augment(), crop)
    )
    for data in (plain, cropped):
        data.setup("fit")
    images = len(plain.dataset("train"))
    transform = v2.Compose(
        [v2.RandomResizedCrop(224), v2.RandomHorizontalFlip(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    )
    theirs = DataLoader(
        ImageFolder(str(root / "train"), transform), batch_size=_BATCH, shuffle=True, num_workers=workers
    )

    def serve(data: ImageFolderDataModule) -> float:
        return rate(images, lambda: sum(len(batch.images) for batch in data.train_dataloader()))

    def decode() -> float:
        return rate(images, lambda: bare(plain, workers))

    runs = [
        # The bare loop before and after: the machine wanders within seconds.
        (
            (decode(), serve(plain), decode()),
            (serve(cropped), rate(len(theirs.dataset), lambda: sum(len(x) for x, _ in theirs))),  # type: ignore[arg-type]
        )
        for _ in range(_REPEATS)
    ]
    ours = median(2 * served / (before + after) for (before, served, after), _ in runs)
    against = median(mine / other for _, (mine, other) in runs)
    detail: dict[str, object] = {"images/s: bare, served, bare again; with crops, torchvision": runs}
    name = f"JPEG folder at 224 px, {workers} workers"
    return [
        Figure(f"{name}: serving over a bare loop of the decoder", ours, "x", ">= 0.95", _REPEATS, detail),
        Figure(f"{name}: random crops over torchvision's ImageFolder", against, "x", ">= 1", _REPEATS),
    ]


def bare(data: object, workers: int) -> None:
    """Decode all training images in the same number of processes, or of threads where there are none."""
    from tlearn.data.files.reading import read_image
    from tlearn.data.images.on_disk import in_threads

    paths = [data._pictures("train").path(row) for row in data.dataset("train").indices.tolist()]  # type: ignore[attr-defined]
    framing = data.framing  # type: ignore[attr-defined]
    if not workers:
        for start in range(0, len(paths), _BATCH):
            torch.stack(in_threads(lambda path: read_image(path, framing), paths[start : start + _BATCH]))
        return
    chunks = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    for _ in DataLoader(_Chunks(chunks, framing), batch_size=None, num_workers=workers):
        pass


class _Chunks(torch.utils.data.Dataset[torch.Tensor]):
    """The decoder in a loop, and nothing else."""

    def __init__(self, chunks: list[list[Path]], framing: object) -> None:
        self.chunks, self.framing = chunks, framing

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, number: int) -> torch.Tensor:
        from tlearn.data.files.reading import read_image

        return torch.stack([read_image(path, self.framing) for path in self.chunks[number]])  # type: ignore[arg-type]


def doctor(root: Path) -> list[Figure]:
    """Seconds for 10,000 images that were never looked at, from the rate on those there are."""
    from tlearn.data.files.inspection import inspect_files

    paths = sorted((root / "train").rglob("*.jpg"))
    runs = []
    for _ in range(_REPEATS):
        with elsewhere():
            runs.append(rate(len(paths), lambda: inspect_files(paths)))
    detail: dict[str, object] = {"images/s": runs, "images": len(paths)}
    return [Figure("doctor: looking at 10,000 photographs", 10_000 / median(runs), "s", "<= 30", _REPEATS, detail)]


def prediction(root: Path) -> list[Figure]:
    """Prediction of a folder against decoding it and the network's forward pass, each by itself."""
    from tlearn.cli.arguments import split_arguments
    from tlearn.cli.transfer_cli import run

    with elsewhere():
        words = ["fit", "--config", "folder.yaml", "--data.init_args.root", str(root), "--model.weights", "null"]
        run_command([*words, "--data.val_fraction", "0.05"])
        arguments = ["predict", "--ckpt_path", "runs/folder/version_0", "--data", str(root / "train")]
        cli = run(split_arguments([*arguments, "--trainer.enable_progress_bar", "false"]))
        runs = [_shares(cli) for _ in range(_REPEATS)]
    value = median((decoding_s + forward_s) / whole_s for decoding_s, forward_s, whole_s in runs)
    detail: dict[str, object] = {"s: bare decoding, bare forward pass, predict": runs}
    return [Figure("predict: bare decoding and forward pass over all of it", value, "x", ">= 0.9", _REPEATS, detail)]


def _shares(cli: TransferCLI) -> tuple[float, float, float]:
    """Seconds of decoding all pictures, of the network's pass over them, and of ``predict``."""
    data, model, trainer = cli.datamodule, cli.model, cli.trainer
    whole_s = timed(lambda: trainer.predict(model, datamodule=data, return_predictions=False))
    batches: list[Batch] = []
    decoding_s = timed(lambda: batches.extend(data.predict_dataloader()))
    model.setup("predict")  # so that the network is what a run computes with, BatchNorm folded
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        model.eval()
        forward_s = timed(lambda: [model.predict_step(batch, 0) for batch in batches])
    model.teardown("predict")
    return decoding_s, forward_s, whole_s


def timed(work: Callable[[], object]) -> float:
    """Seconds of some work."""
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def memory() -> list[Figure]:
    """MB that ``predict`` takes at its peak for 20,000 small pictures beyond what it takes for 1,000."""
    words = ["--config", "quickstart.yaml", "--model.tap", "layer1", "--trainer.max_epochs", "1"]
    peaks = {}
    with elsewhere() as folder:
        run_command(["fit", *words])
        for images in (1_000, 20_000):
            root = write_photographs(folder / str(images), images, size_px=(64, 48))
            arguments = ["predict", "--ckpt_path", "runs/quickstart/version_0", "--data", str(root)]
            peaks[images] = peak_bytes(arguments, folder) / 1e6
    detail: dict[str, object] = {"MB by images": peaks}
    grown = peaks[20_000] - peaks[1_000]
    return [Figure("predict: memory for 20,000 pictures above 1,000", grown, "MB", "flat", 1, detail)]


def measure(root: Path | None = None, images: int = 1000) -> list[Figure]:
    """Measure all of it."""
    with photographs_at(root, images) as photographs:
        parts: list[Callable[[], list[Figure]]] = [
            partial(part, photographs.absolute()) for part in (serving, doctor, prediction)
        ]
        return [figure for part in (*parts, memory) for figure in part()]


def main(args: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, help="photographs; made-up ones without it")
    parser.add_argument("--images", type=int, default=1000, help="how many to make up; default: %(default)s")
    options = parser.parse_args(args)
    load_now()
    figures = measure(options.root, options.images)
    print_figures(figures, details=True)


if __name__ == "__main__":
    main()
