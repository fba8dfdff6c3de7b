#!/bin/bash
# Train on several machines with PyTorch, one process per GPU (docs/cluster.md).
#
#   sbatch --nodes=2 --gpus-per-node=8 train.sh --data /data/rec --syncbn --batch-size 32 --save-dir /data/run
#
# All machines must see the packed folder and the save folder. After a machine has failed, Slurm starts the job again
# (--requeue), and the run goes on from its last checkpoint. Two minutes before the time limit, a signal makes it save one.
#SBATCH --job-name=mhp-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=48
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
set -eu

first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 10000)) # two jobs may share a machine
exec srun --kill-on-bad-exit=1 --ntasks-per-node=1 mhp train --engine torch --nodes "$SLURM_JOB_NUM_NODES" \
  --rendezvous "$first:$port" --ngpus "${SLURM_GPUS_ON_NODE:-0}" --workers "${SLURM_CPUS_PER_TASK:-0}" --timeout 600 \
  --auto-resume "$@"
