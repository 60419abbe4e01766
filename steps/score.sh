#!/usr/bin/env bash
# Stage 9, score: scores, EER, minDCF, intervals, DET, report.html.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

"${launcher[@]}" "$log/score.log" python -m pysteps.score run --run "$run"; exit
