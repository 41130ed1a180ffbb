"""Refuse, before a run begins, what a trainer cannot do, and several whole runs that a launcher has started."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy

from tlearn.base.errors import TlearnError
from tlearn.training.module import TransferModule

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


def check_clipping(value: float | None) -> None:
    """Refuse a bound that gradients cannot be clipped to: Lightning 2.6 clips nothing below 0, and NaN makes them NaN.

    Raises:
        TlearnError: It is below 0, or no number.
    """
    if value is not None and not value >= 0:
        raise TlearnError(f"trainer.gradient_clip_val: expected a number from 0 on, got {value}")


def check_without_validation(model: TransferModule, chooses: bool, why: str) -> None:
    """Check a run without validation images, and warn of what it lacks.

    Args:
        model: Its model.
        chooses: The verb compares runs on validation images.
        why: Why there are none.

    Raises:
        TlearnError: An option needs validation images.
    """
    wants = {
        "the comparison": chooses,
        f"model.head_solver {model.head_start.head_solver}": model.head_start.head_solver != "sgd",
        "model.head_init probe": model.head_start.solves_head,
    }
    if what := next((what for what, is_so in wants.items() if is_so), None):
        raise TlearnError(
            f"there are no validation images ({why}), by which {what} chooses; let some validate, or drop it"
        )
    log.warning(
        "nothing validates (%s): no epoch is the best, last.ckpt is the result; no temperature is fitted, nothing can "
        "stop early, and accuracies are those of training images",
        why,
    )


def check_started_together(trainer: Trainer, can_divide: bool) -> None:
    """Check that a launcher has started as many processes as the trainer expects.

    Args:
        trainer: The trainer.
        can_divide: The verb can be divided among processes.

    Raises:
        TlearnError: It has started another number.
    """
    cluster = getattr(trainer.strategy, "cluster_environment", None)  # a strategy for one process has none
    joins = cluster and cluster.creates_processes_externally
    processes = trainer.num_devices * trainer.num_nodes  # world_size is what the launcher says
    check_launch(launch_of(os.environ), processes, joins, can_divide)


def check_processes(trainer: Trainer, command: str, can_divide: bool, finds_rate: bool) -> None:
    """Check a run of several processes.

    Args:
        trainer: The trainer.
        command: The command as it was typed.
        can_divide: The verb can be divided among processes.
        finds_rate: The run begins with a range test.

    Raises:
        TlearnError: The verb, the strategy or the range test needs a single process.
    """
    strategy: Any = trainer.strategy
    kind = type(strategy)
    if not can_divide:
        raise TlearnError(
            f"{command}: this runs on one device, fit, validate, test and predict on several; set trainer.devices to 1"
        )
    if kind is not DDPStrategy or strategy._start_method != "popen":
        raise TlearnError(f"several devices run as processes that --trainer.strategy ddp starts; got {kind.__name__}")
    if finds_rate:
        raise TlearnError(
            "find_lr runs on one device; batch_size counts the images of all devices, so a rate found there holds "
            "here: set model.optimizer.init_args.lr to it"
        )
