#!/usr/bin/env bash
# Stage 6, train: one process a GPU (torchrun when there are several), or this machine's cores.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

((ngpu)) || export CUDA_VISIBLE_DEVICES='' # none asked for, none used
program=(python -m)
((ngpu > 1)) && program=(torchrun --standalone --nproc-per-node "$ngpu" -m --) # -- or it takes --run for its own
TIMBRE_SHOW=1 exec "${launcher[@]}" --gpu "$ngpu" --num-threads 2 "$log/train.log" \
  "${program[@]}" pysteps.train run --run "$run" ${force:+--force}
