#!/bin/bash
# Pack a dataset as an array of 20 independent tasks, then merge them (docs/cluster.md).
#
#   job=$(sbatch --parsable pack.sh /data/LV-MHP-v1 /data/rec)
#   sbatch --array=1 --dependency=afterany:$job pack.sh /data/LV-MHP-v1 /data/rec --merge
#
# If the merge names missing tasks, such as 3 and 7: sbatch --array=3,7 pack.sh /data/LV-MHP-v1 /data/rec
#SBATCH --job-name=mhp-pack
#SBATCH --array=1-20
#SBATCH --cpus-per-task=4
#SBATCH --time=01:00:00
set -eu

TASKS=20 # as in --array above; it stays 20 when only some tasks run again
if [ "${3-}" = --merge ]; then
  exec mhp pack --src "$1" --out "$2" --on-error skip --merge
fi
exec mhp pack --src "$1" --out "$2" --on-error skip --workers "${SLURM_CPUS_PER_TASK:-1}" \
  --task "$SLURM_ARRAY_TASK_ID/$TASKS"
