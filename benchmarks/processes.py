"""What only a process of its own tells: memory, and the time to the first step."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.frozen import save_weights, words
from benchmarks.machine import Figure

# Not getrusage: a new process inherits the peak of the one that started it. Linux alone tells.
_PEAK = "print(next(int(x.split()[1]) * 1024 for x in open('/proc/self/status') if x.startswith('VmHWM')))"
_REPEATS = 3


def memory(root: Path) -> list[Figure]:
    """MB that a frozen 224 px run takes at its peak above importing torch."""
    torch_alone = int(_python("import torch; " + _PEAK))
    with tempfile.TemporaryDirectory() as folder:
        arguments = words(root, save_weights(Path(folder)), 224)
        code = (
            "from pathlib import Path; from benchmarks.fake_cifar import accept_checksums; "
            f"accept_checksums(Path({str(root)!r})); import os; os.chdir({folder!r}); "
            f"from tlearn.cli import main; assert main({arguments!r}) == 0; {_PEAK}"
        )
        peak = int(_python(code).splitlines()[-1])
    detail: dict[str, object] = {"torch MB": torch_alone / 1e6, "run MB": peak / 1e6}
    return [
        Figure(
            "peak memory of a frozen 224 px run above importing torch",
            (peak - torch_alone) / 1e6,
            "MB",
            "<= 600",
            1,
            detail,
        )
    ]


def first_step() -> list[Figure]:
    """Seconds from the command to the first training step, on the digits."""
    code = (
        "import time; began_s = time.perf_counter(); import json, torch; torch_s = time.perf_counter() - began_s; "
        "import tlearn.cli.transfer_cli; imports_s = time.perf_counter() - began_s; "
        "from tlearn.cli import main; from benchmarks.epoch_clock import FitClock; "
        "assert main(['fit', '--config', 'quickstart.yaml', '--trainer.max_epochs', '1', "
        "'--trainer.callbacks+=benchmarks.epoch_clock.FitClock']) == 0; "
        "print(json.dumps([torch_s, imports_s, FitClock.began_s - began_s]))"
    )
    runs = []
    for _ in range(_REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(json.loads(_python(f"import os; os.chdir({folder!r}); {code}").splitlines()[-1]))
    torch_s, imports_s, first_s = (median(run[part] for run in runs) for part in range(3))
    detail: dict[str, object] = {
        "import torch s": torch_s,
        "all imports s": imports_s,
        "the rest s": first_s - imports_s,
    }
    return [Figure("from the command to the first step, digits", first_s, "s", "", _REPEATS, detail)]


def peak_bytes(words: list[str], folder: Path) -> int:
    """Return the peak of a process that runs ``tlearn`` with these words in a folder."""
    code = f"import os; os.chdir({str(folder)!r}); from tlearn.cli import main; assert main({words!r}) == 0; {_PEAK}"
    return int(_python(code).splitlines()[-1])


def _python(code: str) -> str:
    repository = Path(__file__).parents[1]
    paths = f"import sys; sys.path.insert(0, {str(repository)!r}); "
    done = subprocess.run([sys.executable, "-c", paths + code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout
