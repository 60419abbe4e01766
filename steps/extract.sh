#!/usr/bin/env bash
# Stage 7, extract: x-vectors of whole utterances and of speakers.
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

fan_out extract --mem 4
