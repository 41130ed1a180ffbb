"""Launchers that start a command several times: one run by all, or a refusal; never several whole runs (N30)."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch.utilities import rank_zero_only

from tests.conftest import Tlearn
from tlearn.cli.trainer_checks import launch_of

SLURM = {
    **{"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "localhost", "SLURM_NNODES": "1"},
    **{"SLURM_NODEID": "0", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"},
    **{"SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
}
TORCHRUN = {
    **{"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"},
    **{"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"},
}
MPI = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"}
EACH = "and each would do all of the work; one run by all: --config cluster/ddp.yaml behind the other config; a single"
STARTED = "has started 2 processes of this command"
DDP = ["--config", "cluster/ddp.yaml", "--trainer.devices", "4"]
SEVERAL = [
    (SLURM, [], f"srun {STARTED}, {EACH} one: srun --ntasks=1"),
    (SLURM | {"SLURM_PROCID": "1", "SLURM_LOCALID": "1"}, [], f"srun {STARTED}, {EACH}"),
    (TORCHRUN, [], f"torchrun {STARTED}, {EACH} one: torchrun --nproc_per_node 1, or no torchrun"),
    (SLURM | TORCHRUN, [], f"torchrun {STARTED}, {EACH}"),
    (MPI, [], f"mpirun {STARTED}, {EACH} one: mpirun -n 1"),
    ({"PMI_SIZE": "2", "PMI_RANK": "1"}, [], f"mpirun {STARTED}, {EACH}"),
    ({"MV2_COMM_WORLD_SIZE": "2", "MV2_COMM_WORLD_RANK": "1"}, [], f"mpirun {STARTED}, {EACH}"),
    ({"LSB_JOBID": "7", "JSM_NAMESPACE_SIZE": "2", "JSM_NAMESPACE_RANK": "0"}, [], f"jsrun {STARTED}, {EACH}"),
    ({"FLUX_JOB_SIZE": "2", "FLUX_TASK_RANK": "0"}, [], f"flux run {STARTED}, {EACH}"),
    ({"HOROVOD_SIZE": "2", "HOROVOD_RANK": "0"}, [], f"horovodrun {STARTED}, {EACH}"),
    ({"WORLD_SIZE": "2", "RANK": "0"}, [], f"a launcher that sets WORLD_SIZE and RANK {STARTED}, {EACH}"),
    (SLURM, DDP, f"srun {STARTED}, trainer.devices times trainer.num_nodes is 4: set trainer.devices to the processes"),
    (TORCHRUN, DDP, f"torchrun {STARTED}, trainer.devices times trainer.num_nodes is 4"),
    (MPI, DDP, f"mpirun {STARTED}, and each would start 4 of its own"),
    (MPI, [*DDP[:3], "2"], f"mpirun {STARTED}, and each would start 2 of its own"),
]
ALONE = {name: value for name, value in SLURM.items() if name != "SLURM_NTASKS_PER_NODE"}


def surrounded(patch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Let these be the launcher's variables."""
    for name, value in variables.items():
        patch.setenv(name, value)


@pytest.mark.parametrize(("variables", "words", "said"), SEVERAL)
def test_several_tasks_are_one_run_or_none(
    variables: dict[str, str], words: list[str], said: str, tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    surrounded(monkeypatch, variables)
    answer = tlearn("fit", "--config", small, *words)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize("verb", ["validate", "predict", "plan"])
def test_other_verbs_are_done_once_too(verb: str, tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tlearn("fit", "--config", small, "--trainer.max_epochs", "1").code == 0
    surrounded(monkeypatch, TORCHRUN)
    words = [] if verb == "plan" else ["--ckpt_path", "best"]
    answer = tlearn(verb, "--config", small, *words)
    assert answer.code == 2
    assert f"torchrun {STARTED}, and each would do all of the work; " in answer.err
    assert ("cluster/ddp.yaml" in answer.err) is (verb != "plan")


@pytest.mark.parametrize("arguments", [[], DDP])
def test_a_process_that_was_refused_is_the_first_one_again(
    arguments: list[str], tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    surrounded(monkeypatch, TORCHRUN)
    assert tlearn("fit", "--config", small, *arguments).code == 2
    assert getattr(rank_zero_only, "rank", None) == 0


@pytest.mark.parametrize("procid", ["0", "1"])
def test_tasks_without_their_number_on_a_machine(
    procid: str, tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    surrounded(monkeypatch, ALONE | {"SLURM_NTASKS": "4", "SLURM_PROCID": procid})
    answer = tlearn("fit", "--config", small)
    assert answer.code == 2
    assert answer.err == (
        "error: SLURM_NTASKS is 4, by --ntasks alone; for one process: srun --ntasks=1; for one run by all: #SBATCH "
        "--ntasks-per-node in its place, and --config cluster/ddp.yaml behind the other config\n"
    )
    assert not Path("runs").exists()


ONE = [
    SLURM | {"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1"},
    # One of a hundred jobs of an array, each for itself.
    SLURM
    | {"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "9"},
    # Shells: `salloc -n 4`, `srun --pty bash`, and an allocation that has a name.
    {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "interactive"},
    SLURM | {"SLURM_JOB_NAME": "bash"},
    {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "work"},
    TORCHRUN | {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"},
    {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
    # Slots of LSF, of which nothing was started; a size without a rank.
    {"LSB_JOBID": "7", "LSB_DJOB_NUMPROC": "4", "LSB_MCPU_HOSTS": "a 2 b 2"},
    {"WORLD_SIZE": "2"},
]


@pytest.mark.parametrize("variables", ONE)
def test_one_task_trains(
    variables: dict[str, str], tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    surrounded(monkeypatch, variables)
    assert launch_of(variables) is None
    answer = tlearn("fit", "--config", small, "--trainer.fast_dev_run", "true")
    assert answer.code == 0, answer.err


def test_a_pod_of_several_machines_is_named(tlearn: Tlearn, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "a,b")
    answer = tlearn("fit", "--config", small, "--trainer.fast_dev_run", "true")
    assert answer.code == 0
    assert "TPU_WORKER_HOSTNAMES names 2 machines: started on each, each does all of the work" in answer.err
