"""A long run with everything on holds no more memory and no more files at its end than near its start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.pytorch import Callback, Trainer

from tests.conftest import SMALL

REPOSITORY = Path(__file__).parents[2]
EPOCHS, WARM = 200, 20
# Every epoch draws: by default pictures take a hundredth of the time.
_PROCESS = """
import sys, tlearn
import tlearn.reporting.evaluation_figures as pages
pages._TIME_SHARE = 1e9
sys.exit(tlearn.main(sys.argv[1:]))
"""


class Watch(Callback):
    """Note after every epoch what the process holds: megabytes, open files, bytes of TensorBoard's file."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int, int]] = []

    def on_train_epoch_end(self, trainer: Trainer, *_: Any) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        handles = len(list(Path("/proc/self/fd").iterdir()))
        assert trainer.log_dir is not None
        written = sum(path.stat().st_size for path in Path(trainer.log_dir).glob("events.*"))
        self.seen.append((pages * os.sysconf("SC_PAGE_SIZE") / 1e6, handles, written))

    def on_fit_end(self, trainer: Trainer, *_: Any) -> None:
        Path("seen.json").write_text(json.dumps(self.seen))


@pytest.mark.fault("200 epochs with everything on, pictures at each", "no more memory, no more open files")
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")
def test_two_hundred_epochs_grow_nothing(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    words = ["fit", "-c", "small.yaml", "--trainer.max_epochs", str(EPOCHS), "--model.feature_cache", "off"]
    words += ["--model.tap", "stem", "--model.unfreeze", "{stem: 5}", "--model.head_init", "probe"]
    words += ["--model.wise_ft", "true", "--data.augment", "{flip: true, crop_padding_px: 2}"]
    words += ["--trainer.callbacks+=tlearn.reporting.WeightHistogramsCallback"]
    words += ["--trainer.callbacks+=tests.training.test_soak.Watch"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _PROCESS, *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = np.array(json.loads((tmp_path / "seen.json").read_text()))
    assert len(seen) == EPOCHS
    resident_mb, handles, written = seen[WARM - 1 :].T
    grown = resident_mb.max() / resident_mb[0] - 1
    assert grown < 0.05, resident_mb.tolist()
    assert handles.max() <= seen[:WARM, 1].min() + 2, handles.tolist()  # at times a file is being written
    middle = len(written) // 2
    first, second = written[middle] - written[0], written[-1] - written[middle]
    assert 0 < second < 1.1 * first, written.tolist()
    record_property(
        "survived",
        f"{resident_mb[0]:.0f} MB of memory after epoch {WARM}, at most {100 * grown:.1f} % more later; at most "
        f"{handles.max():.0f} open files; TensorBoard's file grows by {first / 1e6:.1f} MB in the first half and by "
        f"{second / 1e6:.1f} MB in the second",
    )
