"""The commands that a finished or stopped run prints, to be pasted as they are. The one place that makes them."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tlearn.base.places import run_folder_of
from tlearn.base.program import program

PHOTOS = "PHOTOS"  # what the user replaces: a folder, a pattern, files


def command_line(*words: str | Path) -> str:
    """Return one line for this system's shell, which begins with the program's name as it was typed."""
    return f"{program()} {_joined([str(word) for word in words])}"


def next_command(
    checkpoint: Path,
    *,
    pictures: bool,
    after: str = "fit",
    own: Sequence[str] = (),
) -> str:
    """Return what to do with a network that was trained: predict for pictures, else test it, else list its answers.

    Args:
        checkpoint: ``best.ckpt``, or another that holds the network. Its run folder is named where it lies in one.
        pictures: Its data are picture files, so that it can be asked about others.
        after: The verb that has just ended: ``fit``, ``validate`` or ``test``.
        own: Options that name code of the user's own: what stands in a checkpoint alone is not trusted.
    """
    run = run_folder_of(checkpoint) or checkpoint
    if pictures:
        return command_line("predict", run, PHOTOS, *own, "--out", "predictions.csv")
    if after == "test":
        return command_line("predict", run, *own, "--out", "predictions.csv")
    return command_line("test", run, *own)


def resume_command(last: Path, own: Sequence[str] = ()) -> str:
    """Return what goes on with a run that was stopped.

    Args:
        last: Its ``last.ckpt``.
        own: As in `next_command`.
    """
    return command_line("fit", "--ckpt_path", last, *own)


def _joined(words: Sequence[str]) -> str:
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
