#!/usr/bin/env bash
# Stage 3, augment: copies of the training set as tables of what to do to whom.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

exec "${launcher[@]}" "$log/augment.log" python -m pysteps.augment run --run "$run" ${force:+--force}
