#!/usr/bin/env bash
# Stage 0, prepare: local/NAME.py makes data/SET from the corpus; every set is mended and checked.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

"${launcher[@]}" "$log/prepare.log" python -m pysteps.prepare run --run "$run"; exit
