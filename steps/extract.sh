#!/usr/bin/env bash
# Stage 7, extract: x-vectors of whole utterances and of speakers.
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

fan_out extract --mem 4
