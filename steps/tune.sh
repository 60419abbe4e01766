#!/usr/bin/env bash
# Stage tune: a search of hyper-parameters; workers ask the shared study for trials until there are enough.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

((ngpu)) || export CUDA_VISIBLE_DEVICES='' # none asked for, none used
todo=$dry
if [[ -n $dry ]]; then
  "${show[@]}" python -m pysteps.tune plan --run "$run"
else
  todo=$(python -m pysteps.tune plan --run "$run")
fi
if ((todo > 0)); then
  jobs=$((todo < nj ? todo : nj))
  TIMBRE_SHOW=1 "${launcher[@]}" --gpu "$((ngpu > 0))" --num-threads 2 --max-jobs-run "$nj" \
    TIMBREJOB=1:"$jobs" "$log/tune.TIMBREJOB.log" \
    python -m pysteps.tune job --run "$run" --job TIMBREJOB --jobs "$jobs"
fi
"${show[@]}" python -m pysteps.tune gather --run "$run"; exit
