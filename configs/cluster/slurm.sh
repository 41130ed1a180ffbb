#!/bin/bash
# SLURM: four GPUs in each of two machines; srun starts the processes. All of them see this folder.
#SBATCH --job-name=tlearn
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
set -eu
# A process that ends ends the others, which would wait for it.
srun --kill-on-bad-exit=1 python -m tlearn fit --config finetune.yaml --config cluster/ddp.yaml \
    --trainer.num_nodes "$SLURM_NNODES" --trainer.devices 4
