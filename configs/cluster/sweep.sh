#!/bin/bash
# SLURM: eight workers with one GPU each share the 40 trials of a sweep; copy it beside your data. All see this folder.
# A worker that is killed, or whose time is over, loses the trial at hand, which another takes again with the same values.
# Jobs that start later join, and one that finds nothing left ends (--no-wait). The table: the same command, when all are done.
#SBATCH --job-name=tlearn-sweep
#SBATCH --array=1-8
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
set -eu
tlearn fit --config finetune.yaml --sweep model.optimizer.lr=1e-5..1e-2 --sweep model.head_dropout=0,0.2 \
    --trials 40 --storage sweep.log --no-wait
