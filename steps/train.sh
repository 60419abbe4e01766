#!/usr/bin/env bash
# Stage 6, train: one process a GPU (torchrun when there are several; under srun on several nodes), or this
# machine's cores.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

((ngpu)) || export CUDA_VISIBLE_DEVICES='' # none asked for, none used
processes=$((ngpu > 1 ? ngpu : 1))         # on each node
options=(--gpu "$ngpu" --num-threads "$((2 * processes))")
program=(python -m)
((processes == 1)) || program=(torchrun --standalone --nproc-per-node "$processes" -m --) # -- or it takes --run for its own
if ((nodes > 1)); then
  [[ $cmd == slurm ]] || { echo "error: $0: --nodes $nodes needs --cmd slurm" >&2 && exit 1; }
  options+=(--nodes "$nodes")
  program=(steps/cmd/nodes.sh "$processes")
fi
TIMBRE_SHOW=1 "${launcher[@]}" "${options[@]}" "$log/train.log" \
  "${program[@]}" pysteps.train run --run "$run"; exit
