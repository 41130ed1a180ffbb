"""What the tests share: one thread, a small real-format CIFAR-10, and the command line as users type it."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, nullcontext
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

import lightning.pytorch  # noqa: F401  # before a test pretends to be another process: the first import reads its rank
import pytest
import torch

from tests.helpers.fake_cifar import patch_checksums, write_fake_cifar10
from tests.helpers.fake_pictures import CONFIG, write_splits
from tests.helpers.fast_init import remembered_weights
from tlearn.cli.isolation import isolated


class Answer(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def remarks(self) -> str:
        """Return what was said beside the results, but for the line on pictures that are held back to validate."""
        return re.sub(
            r"^val: \d+ of these .* are held back to validate in every run\n", "", self.err, flags=re.MULTILINE
        )

    @property
    def result(self) -> dict[str, str]:
        """The table at the end of fit, validate and test: names to values."""
        return dict(re.findall(r"^(\S.*?) {2,}(\S.*)$", self.out, re.MULTILINE))


class Tlearn(Protocol):
    """`tlearn("fit", "--config", ...)` in this process."""

    def __call__(self, *words: str) -> Answer: ...


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    # Two threads beside another busy process are far slower than one, and the pictures here are few. Before each test:
    # what another thread sets holds for the products of this one too.
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    # A test that calls a part of a command, and not the whole, leaves what the whole puts back: jsonargparse's loader,
    # log handlers, hooks. A later test in this process would start from them.
    with isolated():
        yield


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    # A fit with `ddp` leaves its group of one process, and what it told others by variables: a later test is not of it.
    # A process that a later test starts would take LOCAL_RANK for a launcher's, and wait for others without an end.
    names = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    before = {name: os.environ[name] for name in names if name in os.environ}
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(before)


def pytest_configure(config: pytest.Config) -> None:
    """Take Ctrl-C, which a shell's job in the background ignores, and with it all that tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the results tell tests/helpers/fault_table.py what a test did to tlearn, and what it asserts that held."""
    if fault := item.get_closest_marker("fault"):
        item.user_properties += zip(("fault", "held"), fault.args, strict=True)


@contextmanager
def no_pictures() -> Iterator[None]:
    """Let no run draw for TensorBoard: that takes two thirds of a fit of a second, and few tests look at it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("evaluation_figures", "pictures"):
            patch.setattr(f"tlearn.reporting.{name}.takes_pictures", lambda _: False)
        patch.setattr("tlearn.reporting.projector.tensorboard_writers", lambda _: [])
        yield


@pytest.fixture(autouse=True, scope="session")
def _quick_runs() -> Iterator[None]:
    # A small fit waits for the disk about as long as it computes. Only a power cut could show that nobody waited.
    with remembered_weights(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True)
def _no_pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    with nullcontext() if request.node.get_closest_marker("pictures") else no_pictures():
        yield


@pytest.fixture
def cifar_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with 100 training and 20 test images, whose checksums torchvision takes for the right ones."""
    root = tmp_path / "whole"
    write_fake_cifar10(root, per_class_train=10, per_class_test=2)
    patch_checksums(monkeypatch, root)
    return root


@pytest.fixture
def tlearn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Tlearn:
    """The command line, in an empty folder; it must never show a traceback."""
    from tlearn import main

    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Answer:
        capfd.readouterr()
        code = main(list(words))
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return Answer(code, out, err)

    return call


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that tells three colours apart, its config and its pictures: to be read, or copied."""
    from tlearn import main

    folder = tmp_path_factory.mktemp("finished")
    write_splits(folder / "pictures")
    (folder / "folder.yaml").write_text(CONFIG)
    torch.set_num_threads(1)
    with chdir(folder), no_pictures():
        assert main(["fit", "--config", "folder.yaml", "--trainer.max_epochs", "6"]) == 0
    return folder


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write a module of the user's, by name and text, into the folder that the commands run in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> None:
        Path(f"{name}.py").write_text(text, encoding="utf-8")
        sys.modules.pop(name, None)

    return write


@pytest.fixture
def replacements_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that replaces another waits in memory, however long this machine takes between the two.

    Each look at the clock is a second after the one before. So writing takes a second, and what comes in the next 50
    seconds waits.
    """
    monkeypatch.setattr("tlearn.training.callbacks.checkpoints.monotonic", partial(next, count(1.0)))


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("INFO", "tlearn")
    return caplog


SMALL = """
seed_everything: 0
trainer: {max_epochs: 2, accelerator: cpu, precision: 32-true}
model:
  weights: null
  tap: layer1
  optimizer: {class_path: SGD, init_args: {lr: 0.01, momentum: 0.9}}
data:
  class_path: DigitsDataModule
  init_args: {classes: [0, 1, 2], train_per_class: 8, val_fraction: 0.05, batch_size: 8, size_px: 16}
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    """The path of a config that trains in a second: 24 digits, two stages of ResNet18."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return str(path)
