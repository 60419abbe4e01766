#!/usr/bin/env bash
# Stage 5, egs: shuffled training chunks, one length an archive.
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

fan_out egs --mem 4
