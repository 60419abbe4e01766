#!/usr/bin/env bash
# Stage 2, vad: a decision for every frame.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

fan_out vad; exit
