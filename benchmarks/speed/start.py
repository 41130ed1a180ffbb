"""What a start costs, in processor seconds, beside ``import torch, torchvision`` and the former build.

    python -m benchmarks.speed.start

Each program runs in a process of its own, from its first instruction to its exit, and all of them in turn.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.machine import Figure, as_markdown
from benchmarks.speed.former import REPOSITORY, environment, former_build

_TRAIN = "fit --config folder.yaml --data.init_args.root pictures --model.backbone resnet18 --model.weights null"
_LOAD = "import sys; from tlearn import load; load(sys.argv[1]).predict([sys.argv[2]])"
_IMPORTS = "import tlearn; tlearn.fit"
_FORMER_IMPORTS = "import tlearn.app"
_WITHOUT = (
    "import sys; import tlearn.base.imports.stand_ins as stand_ins; "
    "stand_ins.SPARED = tuple(row for row in stand_ins.SPARED if sys.argv[1] not in row.modules); " + _IMPORTS
)
_COLLECTED = "import gc; gc.disable = lambda: None; " + _IMPORTS


class _Program(NamedTuple):
    """What is measured.

    Attributes:
        words: Behind ``python``.
        build: Whose tlearn it finds.
    """

    words: list[str]
    build: Path = REPOSITORY


def measure(n: int = 5) -> list[Figure]:
    """Measure starts against the import of the libraries below them, and what each import that is put off has saved.

    Args:
        n: Processes of each program.
    """
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        one = _made_pictures(where / "pictures")
        programs = _programs(str(one), *(_trained(build, where) for build in (REPOSITORY, former_build())))
        seconds: dict[str, list[float]] = {name: [] for name in programs}
        for number in range(n + 1):
            for name, program in programs.items():
                if name in _SAVED and number > _SAVED_N:
                    continue
                took_s = _processor_s(program, where)
                if number:  # the first reads the files from the disk, and writes what Python keeps compiled
                    seconds[name].append(took_s)
    return [*_starts(seconds, n), *_savings(seconds)]


_STARTS = {
    "load": ("load(RUN).predict([ONE])", "<= 1.25"),
    "predict": ("python -m tlearn predict --data ONE", "<= 1.4"),
    "fit": ("all that fit imports", "<= 1.35"),
}
_SAVED_N = 3  # they tell a second from a tenth of one
_SAVED = {
    "torch._dynamo": "torch's compiler, put off",
    "scipy.signal": "SciPy's signal processing and statistics, put off",
    "torchmetrics.utilities.plot": "matplotlib's pyplot, put off",
    "triton": "triton, put off",
    "collector": "the garbage collector, which waits",
}


def _trained(build: Path, folder: Path) -> str:
    """Train with a build, and return its run folder."""
    place = f"runs_{build.name}"
    words = ["-m", "tlearn", *_TRAIN.split(), "--trainer.max_epochs", "1", "--trainer.default_root_dir", place]
    _processor_s(_Program(words, build), folder)
    return str(next((folder / place).glob("*/version_0")))


def _programs(one: str, run: str, former_run: str) -> dict[str, _Program]:
    found = {"base": _Program(["-c", "import torch, torchvision"])}
    for prefix, build, its_run, imports in (
        ("", REPOSITORY, run, _IMPORTS),
        ("former ", former_build(), former_run, _FORMER_IMPORTS),
    ):
        predict = ["-m", "tlearn", "predict", "--ckpt_path", its_run, "--data", one, "--out", "predictions.csv"]
        found[f"{prefix}load"] = _Program(["-c", _LOAD, its_run, one], build)
        found[f"{prefix}predict"] = _Program(predict, build)
        found[f"{prefix}fit"] = _Program(["-c", imports], build)
    for module in _SAVED:
        found[module] = _Program(["-c", _COLLECTED] if module == "collector" else ["-c", _WITHOUT, module])
    return found


def _starts(seconds: Mapping[str, list[float]], n: int) -> list[Figure]:
    base_s, found = median(seconds["base"]), []
    for name, (shown, wanted) in _STARTS.items():
        for build, words, target in (("", "", wanted), ("former ", ", former build", "")):
            took_s = median(seconds[build + name])
            detail: dict[str, object] = {"processor s": seconds[build + name], "import torch, torchvision s": base_s}
            title = f"start: {shown} over import torch, torchvision{words}"
            found.append(Figure(title, took_s / base_s, "x", target, n, detail))
    return found


def _savings(seconds: Mapping[str, list[float]]) -> list[Figure]:
    now_s, found = median(seconds["fit"]), []
    for name, words in _SAVED.items():
        saved_ms = (median(seconds[name]) - now_s) * 1e3
        found.append(Figure(f"start: fit's imports spare {words}", saved_ms, "ms", "", len(seconds[name])))
    return found


def _processor_s(program: _Program, folder: Path) -> float:
    """Run a program, and return how long it kept processors busy."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *program.words],
        cwd=folder,
        env=environment(program.build),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program.words}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _made_pictures(folder: Path) -> Path:
    """Write two classes of pictures of noise, to train and to validate on, and return one of them."""
    rng = np.random.default_rng(0)
    for number in range(40):
        path = folder / ("val" if number > 31 else "train") / f"class_{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (375, 500, 3), dtype=np.uint8)).save(path)
    return path


if __name__ == "__main__":
    print(as_markdown(measure()))
