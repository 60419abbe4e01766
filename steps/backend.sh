#!/usr/bin/env bash
# Stage 8, backend: centring, LDA, length norm and PLDA from the training set.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

"${launcher[@]}" "$log/backend.log" python -m pysteps.backend run --run "$run"; exit
