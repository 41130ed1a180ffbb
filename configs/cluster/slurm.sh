#!/bin/bash
# SLURM: four GPUs in each of two machines, where all of them see this folder; copy it beside your data.
# Two minutes before the time is over the run stops between two steps, and the job is queued anew and goes on there.
#SBATCH --job-name=tlearn
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
set -eu
# A process that ends ends the others, which would wait for it.
srun --kill-on-bad-exit=1 tlearn fit --config finetune.yaml --config cluster/ddp.yaml \
    --trainer.num_nodes "$SLURM_NNODES" --trainer.devices 4 --resume auto
