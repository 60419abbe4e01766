#!/usr/bin/env bash
# Stage 10, diarize: who spoke when in whole recordings (recipes with diarize_sets).
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

((ngpu)) || export CUDA_VISIBLE_DEVICES='' # none asked for, none used
fan_out diarize --mem 4 --gpu "$((ngpu > 0))"
"${launcher[@]}" --mem 8 "$log/diarize.log" python -m pysteps.diarize run --run "$run"
if [[ -f ${run%/*}/report.html ]]; then # the error rates go into stage score's report
  "${launcher[@]}" "$log/report.log" python -m pysteps.score report --run "$run"
fi
