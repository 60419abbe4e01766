#!/usr/bin/env bash
# Stage 5, egs: shuffled training chunks, one length an archive.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

fan_out egs --mem 4; exit
