"""What the dashboard's tests share: a small run with all its pages, and `make dashboard` to show it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.conftest import SMALL

REPOSITORY = Path(__file__).parents[2]
RUN = "small/version_0"
# Three epochs of three steps: the first validation, the last, and one between.
FIT = ["fit", "--config", "small.yaml", "--trainer.max_epochs", "3", "--trainer.log_every_n_steps", "2"]
TEST = ["test", "--config", "small.yaml", "--ckpt_path", "last"]
_DIRECT = build_opener(ProxyHandler({}))
_PATIENCE_S = 60.0
T = TypeVar("T")


class Dashboard(NamedTuple):
    """A running TensorBoard.

    Attributes:
        url: The address that it printed, without the last slash.
        process: `make dashboard`, the leader of a process group.
        log: The file that takes what it prints.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def read(self, route: str, body: Any = None, **query: str | int) -> bytes:
        """Ask for `/data/plugin/ROUTE?QUERY`, by POST where there is a body."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.url}/data/plugin/{route}?{urlencode(query)}"
        asked = Request(url, data, {"Content-Type": "application/json"})
        try:
            with _DIRECT.open(asked, timeout=_PATIENCE_S) as answer:
                return bytes(answer.read())
        except HTTPError as error:
            with error:
                reason = error.read().decode()
            pytest.fail(f"{url}: {error}: {reason}")

    def ask(self, route: str, body: Any = None, **query: str | int) -> Any:
        """Ask for what is JSON."""
        return json.loads(self.read(route, body, **query))

    def interrupt(self) -> None:
        """Press Ctrl-C: the whole group hears it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(_PATIENCE_S)


def fit_and_test(folder: Path) -> None:
    """Fit and test three kinds of digits in `folder`, with every page at every epoch, however long drawing takes."""
    from tlearn import main

    (folder / "small.yaml").write_text(SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("tlearn.reporting.evaluation_figures._TIME_SHARE", 1e9)
        for words in (FIT, TEST):
            assert main(words) == 0


@contextmanager
def make_dashboard(runs: Path, *words: str) -> Iterator[Dashboard]:
    """Run `make dashboard` over a folder, from when it says its address on; nothing of it is left behind."""
    # `-o`: as if just installed; a pyproject.toml saved a moment ago would else start pip here.
    command = ["make", "--no-print-directory", "-o", f"{sys.prefix}/.installed", "dashboard", f"VENV={sys.prefix}"]
    log = runs.parent / "dashboard.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, f"RUNS={runs}", *words],
            cwd=REPOSITORY,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=heed_ctrl_c,
        )
    with process:
        try:
            yield Dashboard(eventually(lambda: _address(log, process)), process, log)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def heed_ctrl_c() -> None:
    """Not to ignore it, as what a shell runs behind it does, and all that this starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    ended, said = process.poll() is not None, log.read_text()
    found = re.search(r"http://\S+:\d+", said)
    if ended:
        pytest.fail(f"the dashboard ended: {said}")
    assert found, f"no address: {said}"
    return found[0]


def eventually(look: Callable[[], T], patience_s: float = _PATIENCE_S) -> T:
    """Return what `look` finds, as soon as it stops failing its assertion; its last failure after `patience_s`."""
    end = time.monotonic() + patience_s
    while True:
        try:
            return look()
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
