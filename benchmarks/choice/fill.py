"""Run what is missing of the scenarios, several runs side by side.

    python -m benchmarks.choice.fill --root DATA --weights FOLDER --out ANSWERS [--only pcb_defects-25-lite0]

DATA holds ``cifar/`` (CIFAR-10 in torchvision's format), ``hym/`` (ants and bees) and ``sets/NAME`` (``train/<class>``
and ``test/<class>``); FOLDER the networks of `scenarios.NETWORKS`. `--only` also takes the name of a set of your own
there. A line of `RUNS` for each run; ANSWERS gets its logits as one npz. Lines that the file has are not run again. A
GPU is used if there is one.
"""

from __future__ import annotations

import argparse
import io
import logging
import multiprocessing
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from itertools import groupby, product
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.choice.members import RUNS, Run, images_of, read_runs, run_member
from benchmarks.choice.recipes import BESIDE, MEMBERS
from benchmarks.choice.scenarios import SCENARIOS, SIZE_SCENARIOS, TASK_SCENARIOS, Scenario, scenario_of
from benchmarks.rows import append


class Job(NamedTuple):
    """One run to make; the fields are the arguments of `run_member`."""

    scenario: Scenario
    member: str
    seed: int
    root: Path
    weights: Path
    out: Path


def jobs_of(given: argparse.Namespace) -> Iterator[Job]:
    """Yield what is missing: members of a race before the others, and for each seed all scenarios, in their order."""
    done = {(run.scenario, run.member, run.seed) for run in read_runs()}
    for beside, seed, name, member in product((False, True), given.seeds, given.only, given.members):
        if (member in BESIDE) is beside and (name, member, seed) not in done:
            yield Job(scenario_of(name), member, seed, given.root, given.weights, given.out)


def run_job(job: Job) -> Run | str:
    """Run one, and return its line, or why there is none."""
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    try:
        with redirect_stdout(io.StringIO()):
            return run_member(*job)
    except Exception:  # one that fails must not end the others
        return f"{job.scenario.name} {job.member} {job.seed}: {traceback.format_exc()}"


def draw_all(jobs: Sequence[Job]) -> None:
    """Draw the images of jobs, before several processes want them at once."""
    torch.set_num_threads(1)
    for job in jobs:
        images_of(job.scenario, job.seed, job.root)


def _dataset(job: Job) -> str:
    return job.scenario.dataset


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--root", "--weights", "--out"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument(
        "--only", nargs="*", default=[each.name for each in (*SCENARIOS, *TASK_SCENARIOS, *SIZE_SCENARIOS)]
    )
    parser.add_argument("--members", nargs="*", default=[*MEMBERS, *BESIDE])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--processes", type=int, default=1, help="runs side by side")
    parser.add_argument("--stop_after_s", type=float, default=float("inf"), help="no line is written later")
    given = parser.parse_args()
    start_s, jobs = time.monotonic(), [*jobs_of(given)]
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        by_set = groupby(sorted(jobs, key=_dataset), _dataset)
        pool.map(draw_all, [[*found] for _, found in by_set], 1)
        print(f"{len(jobs)} runs; images drawn after {time.monotonic() - start_s:.0f} s", flush=True)
        found = pool.imap_unordered(run_job, jobs)
        for number in range(len(jobs)):
            left_s = given.stop_after_s - (time.monotonic() - start_s)
            try:
                line = found.next(timeout=max(0.0, left_s) if left_s < float("inf") else None)
            except multiprocessing.TimeoutError:
                print(f"stopped with {number} of {len(jobs)} runs", flush=True)
                for process in multiprocessing.active_children():
                    process.kill()  # a run takes SIGTERM as a wish to save and stop
                return
            if isinstance(line, str):
                print(line, flush=True)
            else:
                append(line, RUNS)
                shown = f"{line.scenario} {line.member} {line.seed} {line.time_s} s"  # no score is shown
                print(f"{time.monotonic() - start_s:.0f} s {number + 1}/{len(jobs)} {shown}", flush=True)


if __name__ == "__main__":
    main()
