"""Do the runs of a comparison together with any number of other processes that were given the same command.

Each takes the next run that nobody has, under a lease on the run's folder, and all find the results there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tlearn.base.errors import DivergedError
from tlearn.base.progress import Progress
from tlearn.base.terminal.wrapping import wrapped
from tlearn.commands.compare.lease import Leases
from tlearn.commands.compare.runs import RESULT, Entrant, Job, RunResult

POLL_S = 1.0

Outcome = RunResult | DivergedError


class OthersAreAtItError(Exception):
    """The rest is done by other processes, and nobody asked to wait for them."""


class Patience:
    """Waits for others, and says so once.

    Args:
        waits: ``False`` does not wait at all.
        unit: What the others do: ``run``, ``trial``.
    """

    def __init__(self, waits: bool, unit: str) -> None:
        self._waits, self._unit, self._is_said = waits, unit, False

    def wait(self, count: int) -> None:
        """Wait for a moment for so many, which others do.

        Raises:
            OthersAreAtItError: It does not wait.
        """
        what = f"{count} {self._unit}{'s' if count > 1 else ''} of others"
        if not self._waits:
            raise OthersAreAtItError(what)
        if not self._is_said:
            print(f"waiting for {what}, Ctrl-C leaves them going", file=sys.stderr, flush=True)
            self._is_said = True
        time.sleep(POLL_S)


@contextmanager
def leaving_the_rest_to_others() -> Iterator[None]:
    """End where ``--no-wait`` says so, and say how to see what came of it."""
    try:
        yield
    except OthersAreAtItError as rest:
        print(f"not finished yet: {rest}; the same command prints the table when they are", flush=True)


def fit_together(
    entrants: Sequence[Entrant], progress: Progress, waits: bool = True, leaves_out: bool = True
) -> dict[str, list[RunResult]]:
    """Fit all that have entered, and return name to results.

    Args:
        entrants: What is fitted, in the order of the result.
        progress: Each run of this process is a step of it.
        waits: Wait for runs that other processes have taken.
        leaves_out: Go on without a variant whose loss is no number, and say so.

    Raises:
        DivergedError: The loss of a variant that may not be left out is no number.
        OthersAreAtItError: It does not wait, and others are at the rest.
        TlearnError: Whatever a fit refuses.
    """
    leases, patience = Leases(), Patience(waits, "run")
    outcomes = dict[Job, RunResult]()
    fallen = set[str]()
    jobs = {entrant.name: entrant.jobs for entrant in entrants}
    open_jobs = [job for of in jobs.values() for job in of]
    whose = "finished before"
    while open_jobs:
        taken = list[Job]()
        for job in open_jobs:
            if job.entrant in fallen:
                continue
            outcome = _finished(job, whose) or _done_here(job, leases, progress)
            if outcome is None:
                taken.append(job)
            elif isinstance(outcome, DivergedError):
                if not leaves_out:
                    raise outcome
                fallen.add(job.entrant)
                print(wrapped(f"{job.entrant} is left out: {outcome}", sys.stderr), file=sys.stderr, flush=True)
            else:
                outcomes[job] = outcome
        if taken == open_jobs:
            patience.wait(len(taken))
        open_jobs, whose = taken, "finished by another process"
    return {name: [outcomes[job] for job in of] for name, of in jobs.items() if name not in fallen}


def _finished(job: Job, whose: str) -> Outcome | None:
    outcome = job.outcome()
    if isinstance(outcome, RunResult):
        print(f"{job}: {whose}, taken from {job.folder / RESULT}", flush=True)
    return outcome


def _done_here(job: Job, leases: Leases, progress: Progress) -> Outcome | None:
    """Do a run, unless another process has it."""
    lease = leases.take(job.folder)
    if lease is None:
        return None
    with lease:
        # It may have been finished between the look and the lease.
        outcome = _finished(job, "finished by another process")
        if outcome is None:
            progress.next(str(job))
            outcome = job.run(lease)
    return outcome
