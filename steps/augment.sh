#!/usr/bin/env bash
# Stage 3, augment: copies of the training set as tables of what to do to whom; their audio if it is asked for.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

fan_out augment; exit
