#!/usr/bin/env bash
# Stage 1, audio: one sample rate, utterances cut, 16-bit archives (or flac, or the files as they are).
# shellcheck source=steps/step.sh
. "$(dirname "${BASH_SOURCE[0]}")/step.sh"

fan_out audio --mem 2; exit
