#!/usr/bin/env bash
# torchrun on every node of this Slurm job: nodes.sh PROCESSES MODULE [argument ...] (PROCESSES on each node).
# torchrun starts all processes anew when one ends, at most $TIMBRE_RESTARTS times (default 3); when a node or
# a torchrun is lost, the job ends, and the launcher submits it again. Training goes on from its checkpoint.
set -euo pipefail
processes=${1:?processes on a node} && shift
nodes=${SLURM_JOB_NUM_NODES:?this is no Slurm job}

# torchrun would keep one store for all its attempts; processes that begin anew then find the addresses that the
# killed ones left there, and now and then wait for these for ever (torch 2.13).
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
export TORCH_CPP_LOG_LEVEL=${TORCH_CPP_LOG_LEVEL:-ERROR} # whoever leaves last warns, at length, that the others did
# The processes meet on this node, the job's first, at a port that is free here.
port=$(python -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
exec srun --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
  --export=ALL --kill-on-bad-exit=1 --unbuffered \
  torchrun --nnodes "$nodes" --nproc-per-node "$processes" --max-restarts "${TIMBRE_RESTARTS:-3}" \
  --rdzv-backend c10d --rdzv-endpoint "$(uname -n):$port" --rdzv-id "$SLURM_JOB_ID" -m -- "$@"
