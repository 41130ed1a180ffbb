"""Tell whether a launcher has started this command several times, and refuse what would train several whole runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from typing import NamedTuple

from tlearn.base.errors import TlearnError

log = logging.getLogger(__name__)

_TOGETHER = "--config cluster/ddp.yaml behind the other config"


class Launch(NamedTuple):
    """What started this process.

    Attributes:
        launcher: Its name, as a user types it.
        tasks: How many processes it started.
        alone: How to start one.
    """

    launcher: str
    tasks: int
    alone: str


_SHELLS = ("bash", "interactive")  # jobs of these names Lightning takes for shells

# Variables of the number of processes and of the number of this one, which tells a process from its surroundings. Their
# order is that in which Lightning asks; what starts processes by MPI names them in its own way.
_LAUNCHERS = (
    ("torchrun", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "torchrun --nproc_per_node 1, or no torchrun"),
    ("srun", "SLURM_NTASKS", "SLURM_PROCID", "srun --ntasks=1"),
    ("jsrun", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_RANK", "jsrun -n 1"),
    ("mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "mpirun -n 1"),
    ("mpirun", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", "mpirun -n 1"),
    ("mpirun", "PMI_SIZE", "PMI_RANK", "mpirun -n 1"),
    ("flux run", "FLUX_JOB_SIZE", "FLUX_TASK_RANK", "flux run -n 1"),
    ("horovodrun", "HOROVOD_SIZE", "HOROVOD_RANK", "horovodrun -np 1"),
    ("a launcher that sets WORLD_SIZE and RANK", "WORLD_SIZE", "RANK", "without these variables"),
)


def launch_of(environment: Mapping[str, str]) -> Launch | None:
    """Return what started this process as one of several; ``None`` where it is alone.

    A shell inside an allocation of SLURM is no task of it, whatever the allocation holds.
    """
    for launcher, size, rank, alone in _LAUNCHERS:
        if rank not in environment or (launcher == "srun" and environment.get("SLURM_JOB_NAME") in _SHELLS):
            continue
        if (tasks := _number(environment.get(size))) > 1:
            return Launch(launcher, tasks, alone)
    return None


def is_shell_of_slurm(environment: Mapping[str, str]) -> bool:
    """Tell whether this process stands in an allocation of SLURM, but is none of its tasks, as Lightning thinks."""
    return "SLURM_NTASKS" in environment and "SLURM_PROCID" not in environment and launch_of(environment) is None


def check_surroundings(environment: Mapping[str, str]) -> None:
    """Refuse what Lightning would stumble over, and say what may be started on several machines.

    Raises:
        TlearnError: SLURM's tasks without the number on each machine; MPI without the package that Lightning needs.
    """
    launch = launch_of(environment)
    if launch is None:
        hosts = [name for name in environment.get("TPU_WORKER_HOSTNAMES", "").split(",") if name]
        if len(hosts) > 1:
            log.warning(
                "TPU_WORKER_HOSTNAMES names %d machines: started on each, each does all of the work", len(hosts)
            )
        return
    if launch.launcher == "srun" and "SLURM_NTASKS_PER_NODE" not in environment:
        raise TlearnError(
            f"SLURM_NTASKS is {launch.tasks}, by --ntasks alone; for one process: {launch.alone}; for one run by all: "
            f"#SBATCH --ntasks-per-node in its place, and {_TOGETHER}"
        )


def check_launch(launch: Launch | None, processes: int, joins: bool | None, can_divide: bool) -> None:
    """Refuse a command that was started several times and knows nothing of it: each would do all of the work.

    Args:
        launch: What started this process.
        processes: Those that the trainer's options ask for.
        joins: Whether the trainer takes the processes that are there for its own, in place of starting some; ``None``
            where its strategy is for one process.
        can_divide: The verb can be done by several.

    Raises:
        TlearnError: The numbers differ; with the ways out.
    """
    if launch is None or (joins and launch.tasks == processes):
        return
    started = f"{launch.launcher} has started {launch.tasks} processes of this command"
    if joins:
        raise TlearnError(
            f"{started}, trainer.devices times trainer.num_nodes is {processes}: set trainer.devices to the processes "
            "on each machine, trainer.num_nodes to the machines"
        )
    if joins is not None:
        raise TlearnError(
            f"{started}, and each would start {processes} of its own: {_mpi_hint(launch)}start it once "
            f"({launch.alone}), or by torchrun or srun"
        )
    together = f"one run by all: {_TOGETHER}; " if can_divide else ""
    raise TlearnError(f"{started}, and each would do all of the work; {together}a single one: {launch.alone}")


def _mpi_hint(launch: Launch) -> str:
    return "pip install mpi4py, or " if launch.launcher == "mpirun" and find_spec("mpi4py") is None else ""


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0
