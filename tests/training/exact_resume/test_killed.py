"""Runs that are killed anywhere and started again end with the bits of the run that was left alone."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import SMALL
from tlearn.base.places import version_of

Run = Callable[..., tuple[int, float]]

AUGMENTED = ["--data.augment", "{flip: true, crop_padding_px: 2}", "--model.head_dropout", "0.3"]
# What is trained, and how often it is killed: 30 times in all.
VARIANTS = {
    "augmented": (AUGMENTED, 8),
    "workers": ([*AUGMENTED, "--data.num_workers", "2"], 7),
    "features": (["--model.freeze_backbone", "true"], 8),
    "unfreezing": (["--model.unfreeze", "{layer1: 2}", "--model.unfreeze_warmup_steps", "2"], 7),
}
EPOCHS = 4
# Where a run may be met, and how often it comes by there; small numbers, for a run that goes on has less before it.
PLACES = {"time": 1, "step": 9, "validation": 9, "file": 9}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run `fit` of a variant in a folder, to its end or until it is killed."""
    config = tmp_path_factory.mktemp("config") / "small.yaml"
    config.write_text(SMALL)
    command = [sys.executable, str(Path(__file__).parents[2] / "helpers/kill_server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        orders, answers = server.stdin, server.stdout
        assert orders is not None
        assert answers is not None

        def ordered(folder: Path, options: list[str], **where: Any) -> tuple[int, float]:
            words = ["fit", "-c", str(config), "--trainer.max_epochs", str(EPOCHS), "--resume", "auto", *options]
            print(
                json.dumps({"folder": str(folder), "words": words, "place": "nowhere", **where}),
                file=orders,
                flush=True,
            )
            code, time_s = json.loads(answers.readline())
            return code, time_s

        yield ordered
        orders.close()


def newest_checkpoints(folder: Path) -> list[dict[str, Any]]:
    runs = sorted(folder.glob("runs/small/version_*"), key=version_of)
    return [torch.load(runs[-1] / f"checkpoints/{name}.ckpt", weights_only=True) for name in ("last", "best")]


def assert_unharmed(folder: Path, whole: list[dict[str, Any]]) -> None:
    for one, other in zip(newest_checkpoints(folder), whole, strict=True):
        torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)
        assert str(one["optimizer_states"]) == str(other["optimizer_states"])
        assert one["epoch"] == other["epoch"]
    ended = sorted(folder.glob("runs/small/version_*"), key=version_of)[-1]
    assert json.loads((ended / "card.json").read_text())["status"] == "finished"
    assert not list(ended.rglob(".*.partial"))
    said = (folder / "output.txt").read_text()
    # A worker process may cry that nobody takes what it has, when the run it works for was killed.
    assert said.count("Traceback") == len(re.findall(r"Traceback.*\n.*multiprocessing/resource_sharer", said)), said


@pytest.mark.fault("Killed anywhere, and started again with `--resume auto`", "the bits of a run left alone")
@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_killed_and_started_again(
    variant: str, run: Run, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    options, wanted = VARIANTS[variant]
    draw = random.Random(variant)
    (tmp_path / "whole").mkdir()
    code, whole_s = run(tmp_path / "whole", options)
    assert code == 0, (tmp_path / "whole/output.txt").read_text()
    whole = newest_checkpoints(tmp_path / "whole")

    kills, lives, places = 0, 0, list[str]()
    while kills < wanted:
        folder = tmp_path / f"life_{lives}"
        folder.mkdir()
        lives += 1
        code = -9
        while code == -9:
            place = draw.choice([*PLACES]) if kills < wanted else "nowhere"
            count, seconds = draw.randint(1, PLACES.get(place, 1)), draw.uniform(0, whole_s)
            code, _ = run(folder, options, place=place, count=count, seconds=seconds)
            if code == -9:
                kills += 1
                places.append(place)
        assert code == 0, (folder / "output.txt").read_text()
        assert_unharmed(folder, whole)
        shutil.rmtree(folder)
    record_property("survived", f"{kills} kills, {variant}")
    record_property("killed at", ", ".join(f"{place} {places.count(place)}" for place in PLACES))
